#include "apps/report/accuracy_table.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "apps/report/json_member.h"

namespace edgellm {
namespace {

// The key that most models share; of equal ones the latest measured.
class Votes {
 public:
  void add(const std::string& key, const std::string& model) {
    Entry& entry = entries_[key];
    entry.models.insert(model);
    entry.latest = ++n_votes_;
  }
  std::string winner() const {
    auto best = std::max_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.second.models.size(), a.second.latest) <
             std::pair(b.second.models.size(), b.second.latest);
    });
    return best == entries_.end() ? "" : best->first;
  }

 private:
  struct Entry {
    std::set<std::string> models;
    size_t latest = 0;
  };
  std::map<std::string, Entry> entries_;
  size_t n_votes_ = 0;
};

AccuracyGroup take_group(std::vector<Measurement>& left) {
  std::map<std::string, Votes> by_family, by_object;
  for (const Measurement& m : left) by_family[m.metric->family].add(m.run_key, m.record->model.hash);
  std::map<std::string, std::string> run_key, extra_key;
  for (const auto& [family, votes] : by_family) run_key[family] = votes.winner();
  for (const Measurement& m : left)
    if (m.run_key == run_key[m.metric->family])
      by_object[m.metric->object].add(m.extra_key, m.record->model.hash);
  for (const auto& [object, votes] : by_object) extra_key[object] = votes.winner();

  AccuracyGroup group;
  std::vector<Measurement> others;
  for (Measurement& m : left) {
    auto extra = extra_key.find(m.metric->object);
    if (m.run_key != run_key[m.metric->family] || extra == extra_key.end() || m.extra_key != extra->second) {
      others.push_back(std::move(m));
      continue;
    }
    auto& figures = group.figures[m.metric->column.key];
    std::string model = m.record->model.hash;
    if (!figures.insert_or_assign(std::move(model), std::move(m)).second) ++group.n_repeated;
  }
  left = std::move(others);
  return group;
}

Cell figure_cell(const Metric& metric, double value, std::optional<double> error) {
  std::string detail;
  if (error) {
    Column column = metric.column;
    detail = "± " + cell_text(column, Cell::of_value(*error));
  }
  return Cell::of_value(value, detail);
}

std::vector<const Metric*> columns_of(const AccuracyGroup& group, bool detail) {
  // The columns of the source's table stand even where some of them are empty.
  static const std::set<std::string> kSource = {"bertscore_precision", "bertscore_recall", "bertscore_f1",
                                                "rouge1_f1", "bleurt"};
  bool has_text = std::any_of(kSource.begin(), kSource.end(),
                              [&](const std::string& key) { return group.figures.contains(key); });
  std::vector<const Metric*> columns;
  for (const Metric& m : metrics())
    if (m.detail == detail &&
        (group.figures.contains(m.column.key) || (has_text && kSource.contains(m.column.key))))
      columns.push_back(&m);
  return columns;
}

// "BERTScore: encoder x, layer 5; user-instructions, 64 items; greedy", each line once.
std::vector<std::string> what_was_measured(const AccuracyGroup& group,
                                           const std::vector<const Metric*>& columns) {
  std::vector<std::string> lines;
  std::map<std::string, std::vector<std::string>> groups_of_words;  // words: groups
  std::vector<std::string> order;
  for (const Metric* metric : columns) {
    auto figures = group.figures.find(metric->column.key);
    if (figures == group.figures.end()) continue;
    const Measurement& m = figures->second.begin()->second;
    std::string words;
    for (const std::string& part : {m.extra_about, m.data_about, m.settings_about})
      if (!part.empty()) words += (words.empty() ? "" : "; ") + part;
    auto& names = groups_of_words[words];
    if (names.empty()) order.push_back(words);
    if (std::find(names.begin(), names.end(), metric->group) == names.end()) names.push_back(metric->group);
  }
  for (const std::string& words : order)
    if (!words.empty())
      lines.push_back(fmt::format("{}: {}.", fmt::join(groups_of_words[words], ", "), words));
  return lines;
}

std::vector<Column> table_columns(const std::vector<const Metric*>& columns) {
  std::vector<Column> all = {
      {"model", "model"}, {"method", "method"}, {"bytes", "size", Shown::bytes, Better::less, 0, true}};
  for (const Metric* m : columns) {
    all.push_back(m->column);
    if (m->detail) all.back().key = m->column.key.substr(std::string("detail_").size());
  }
  return all;
}

std::vector<Row> measured_rows(const AccuracyGroup& group, const std::vector<const Metric*>& columns,
                               const ModelLabels& labels) {
  std::map<std::string, const ResultRecord*> models;
  for (const Metric* metric : columns)
    if (auto figures = group.figures.find(metric->column.key); figures != group.figures.end())
      for (const auto& [model, m] : figures->second) models[model] = m.record;
  std::vector<const ModelLabel*> sorted;
  for (const auto& [hash, record] : models) sorted.push_back(&labels.of(*record));
  std::sort(sorted.begin(), sorted.end(), [](const ModelLabel* a, const ModelLabel* b) {
    return std::tuple(a->name, -a->n_bytes, a->method, a->hash) <
           std::tuple(b->name, -b->n_bytes, b->method, b->hash);
  });
  std::vector<Row> rows;
  for (const ModelLabel* label : sorted) {
    Row row;
    row.model = label->name;
    row.cells = {Cell::of_text(label->name), Cell::of_text(label->method),
                 label->n_bytes > 0 ? Cell::of_value(label->n_bytes) : Cell::absent()};
    for (const Metric* metric : columns) {
      auto figures = group.figures.find(metric->column.key);
      bool known = figures != group.figures.end() && figures->second.contains(label->hash);
      if (!known) {
        row.cells.push_back(Cell::absent());
        continue;
      }
      const Measurement& m = figures->second.at(label->hash);
      row.cells.push_back(figure_cell(*metric, m.value, m.error));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

RowGroup reference_rows(const ReferenceSet& set, const std::vector<const Metric*>& columns) {
  RowGroup group;
  group.heading = set.name;
  group.reference = true;
  for (const ReferenceAccuracy& r : set.accuracy) {
    Row row;
    row.model = r.model;
    row.cells = {Cell::of_text(r.model), Cell::of_text(r.method),
                 r.n_bytes ? Cell::of_value(*r.n_bytes) : Cell::absent()};
    bool any = false;
    for (const Metric* metric : columns) {
      auto value = number(member(r.figures, metric->object.c_str()), metric->field.c_str());
      any = any || value;
      row.cells.push_back(value ? Cell::of_value(*value) : Cell::absent());
    }
    if (any) group.rows.push_back(std::move(row));
  }
  return group;
}

Table table_of(const AccuracyGroup& group, const std::vector<const Metric*>& columns,
               const ModelLabels& labels, std::span<const ReferenceSet> references) {
  Table table;
  table.columns = table_columns(columns);
  table.groups.push_back({"", false, measured_rows(group, columns, labels)});
  table.notes = what_was_measured(group, columns);
  if (std::any_of(columns.begin(), columns.end(), [](const Metric* m) { return m->column.within_model; }))
    table.notes.push_back(
        "Size, perplexity, KL and same top are marked within each model: other models have another "
        "vocabulary and "
        "another original.");
  if (group.n_repeated) table.notes.push_back("Where a measurement was repeated, the latest is shown.");
  for (const ReferenceSet& set : references) {
    RowGroup rows = reference_rows(set, columns);
    if (rows.rows.empty())
      table.notes.push_back(fmt::format("{}: none of its figures for this table were at hand.", set.name));
    else
      table.groups.push_back(std::move(rows));
  }
  mark_best(table);
  return table;
}

}  // namespace

std::vector<AccuracyGroup> accuracy_groups(std::span<const ResultRecord> records) {
  std::vector<Measurement> left = measurements(records);
  std::vector<AccuracyGroup> groups;
  while (!left.empty()) groups.push_back(take_group(left));
  return groups;
}

std::vector<Table> accuracy_tables(const AccuracyGroup& group, size_t number, const ModelLabels& labels,
                                   std::span<const ReferenceSet> references) {
  std::vector<Table> tables;
  std::string suffix = number ? fmt::format("-{}", number + 1) : "";
  if (auto columns = columns_of(group, false); !columns.empty()) {
    tables.push_back(table_of(group, columns, labels, references));
    tables.back().key = "accuracy" + suffix;
    tables.back().title =
        number ? fmt::format("Accuracy by model and method, other data or settings ({})", number)
               : "Accuracy by model and method";
  }
  auto details = columns_of(group, true);
  bool more =
      std::any_of(details.begin(), details.end(), [](const Metric* m) { return m->object != "rouge1"; });
  if (more) {
    tables.push_back(table_of(group, details, labels, {}));
    tables.back().key = "rouge" + suffix;
    tables.back().title = number ? fmt::format("ROUGE in full ({})", number) : "ROUGE in full";
  }
  return tables;
}

}  // namespace edgellm
