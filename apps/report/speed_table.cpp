#include "apps/report/speed_table.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <set>

#include "apps/report/json_member.h"

namespace edgellm {
namespace {

// A device as a column: with its number of threads where several were measured.
struct DeviceColumn {
  std::string device;
  uint64_t n_threads = 0;  // 0: any, or not told
  bool operator<(const DeviceColumn& other) const {
    return std::pair(device, n_threads) < std::pair(other.device, other.n_threads);
  }
  std::string key(const char* figure) const {
    return device + (n_threads ? fmt::format("_{}_threads", n_threads) : "") + "_" + figure;
  }
  std::string title() const {
    std::string upper = device;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](unsigned char c) { return std::toupper(c); });
    if (!n_threads) return upper;
    return fmt::format("{}, {} thread{}", upper, n_threads, n_threads == 1 ? "" : "s");
  }
};

std::set<std::string> devices_with_several_threads(std::span<const SpeedFigure> group) {
  std::map<std::string, std::set<uint64_t>> n_threads;
  for (const SpeedFigure& f : group) n_threads[f.device].insert(f.n_threads);
  std::set<std::string> several;
  for (const auto& [device, numbers] : n_threads)
    if (numbers.size() > 1) several.insert(device);
  return several;
}

Cell spread_cell(const SpeedFigure::Spread& s, int digits) {
  if (!s.median) return Cell::absent();
  bool spread = s.least && s.most && *s.least < *s.most;
  return Cell::of_value(*s.median, spread ? fmt::format("{} – {}", significant_text(*s.least, digits),
                                                        significant_text(*s.most, digits))
                                          : "");
}

// What is shown of each device, in this order.
struct DeviceFigure {
  const char *key, *title;
  Better better;
  int digits;
  Cell (*cell)(const SpeedFigure&);
};
constexpr DeviceFigure kDeviceFigures[] = {
    {"seconds_per_token", "s/token", Better::less, 4,
     [](const SpeedFigure& f) { return spread_cell(f.seconds_per_token, 4); }},
    {"prompt_tokens_per_second", "prompt tokens/s", Better::more, 4,
     [](const SpeedFigure& f) { return spread_cell(f.prompt_tokens_per_second, 4); }},
    {"first_token_seconds", "first token, s", Better::less, 3,
     [](const SpeedFigure& f) { return spread_cell(f.first_token_seconds, 3); }},
    {"energy_joules_per_token", "J/token", Better::less, 3,
     [](const SpeedFigure& f) {
       return f.energy_joules_per_token ? Cell::of_value(*f.energy_joules_per_token)
                                        : Cell::absent(f.why_no_energy);
     }},
};

// A row's figures by device column, the latest of each.
struct SpeedRow {
  const ModelLabel* label;
  uint64_t n_output_tokens;
  std::map<DeviceColumn, const SpeedFigure*> figures;
  double n_peak_bytes = 0;
};

class SpeedTable {
 public:
  SpeedTable(std::span<const SpeedFigure> group, const ModelLabels& labels,
             std::span<const ReferenceSet> references)
      : group_(group), labels_(labels), references_(references) {}

  Table make() {
    collect();
    make_columns();
    table_.groups.push_back({});
    for (const SpeedRow& row : rows_) table_.groups.back().rows.push_back(measured(row));
    for (const ReferenceSet& set : references_) add_reference(set);
    add_notes();
    mark_best(table_);
    return std::move(table_);
  }

 private:
  void collect() {
    auto several = devices_with_several_threads(group_);
    std::map<std::tuple<std::string, double, std::string, std::string, uint64_t>, SpeedRow> rows;
    for (const SpeedFigure& f : group_) {
      const ModelLabel& label = labels_.of(*f.record);
      SpeedRow& row = rows[{label.name, -label.n_bytes, label.method, label.hash, f.n_output_tokens}];
      row.label = &label;
      row.n_output_tokens = f.n_output_tokens;
      DeviceColumn column{f.device, several.contains(f.device) ? f.n_threads : 0};
      if (!row.figures.insert_or_assign(column, &f).second) repeated_ = true;
      if (f.n_peak_bytes) row.n_peak_bytes = *f.n_peak_bytes;
      measured_.insert(column);
      has_energy_ = has_energy_ || f.energy_joules_per_token;
      if (f.why_no_energy.starts_with("absent")) why_no_energy_.insert(f.why_no_energy);
      versions_.insert(text(f.record->program, "version"));
    }
    for (auto& [key, row] : rows) rows_.push_back(std::move(row));
    speed_columns_ = measured_;
    for (const ReferenceSet& set : references_)
      for (const ReferenceSpeed& r : set.speed)
        for (const auto& [device, seconds] : r.seconds_per_token) speed_columns_.insert({device, 0});
  }

  const std::set<DeviceColumn>& devices_of(const DeviceFigure& figure) const {
    return &figure == &kDeviceFigures[0] ? speed_columns_ : measured_;
  }
  bool is_shown(const DeviceFigure& figure) const {
    return std::string_view(figure.key) != "energy_joules_per_token" || has_energy_;
  }

  void make_columns() {
    table_.columns = {{"model", "model"},
                      {"method", "method"},
                      {"bytes", "size", Shown::bytes, Better::neither},
                      {"output_tokens", "output tokens", Shown::count, Better::neither}};
    for (const DeviceFigure& figure : kDeviceFigures)
      if (is_shown(figure))
        for (const DeviceColumn& device : devices_of(figure))
          table_.columns.push_back({device.key(figure.key),
                                    fmt::format("{} {}", device.title(), figure.title), Shown::significant,
                                    figure.better, figure.digits});
    table_.columns.push_back({"peak_resident_bytes", "peak memory", Shown::bytes, Better::less});
  }

  Row measured(const SpeedRow& speed) const {
    Row row;
    row.model = speed.label->name;
    row.scope = std::to_string(speed.n_output_tokens);
    row.cells = {Cell::of_text(speed.label->name), Cell::of_text(speed.label->method),
                 Cell::of_value(speed.label->n_bytes), Cell::of_value(double(speed.n_output_tokens))};
    for (const DeviceFigure& figure : kDeviceFigures)
      if (is_shown(figure))
        for (const DeviceColumn& device : devices_of(figure)) {
          auto found = speed.figures.find(device);
          row.cells.push_back(found == speed.figures.end() ? Cell::absent() : figure.cell(*found->second));
        }
    row.cells.push_back(speed.n_peak_bytes > 0 ? Cell::of_value(speed.n_peak_bytes) : Cell::absent());
    return row;
  }

  void add_reference(const ReferenceSet& set) {
    if (set.speed.empty()) return;
    RowGroup group{set.name, true, {}};
    for (const ReferenceSpeed& r : set.speed) {
      Row row;
      row.model = r.model;
      row.cells = {Cell::of_text(r.model), Cell::of_text(r.method),
                   r.n_bytes ? Cell::of_value(*r.n_bytes) : Cell::absent(),
                   r.n_output_tokens ? Cell::of_value(*r.n_output_tokens) : Cell::absent()};
      row.cells.resize(table_.columns.size());
      for (size_t c = 0; c < table_.columns.size(); ++c)
        for (const auto& [device, seconds] : r.seconds_per_token)
          if (table_.columns[c].key == DeviceColumn{device, 0}.key("seconds_per_token"))
            row.cells[c] = Cell::of_value(seconds);
      group.rows.push_back(std::move(row));
    }
    table_.groups.push_back(std::move(group));
    table_.notes.push_back(fmt::format("{}: {}", set.name, set.about));
    for (const std::string& note : set.notes) table_.notes.push_back(fmt::format("{}: {}", set.name, note));
  }

  void add_notes() {
    std::vector<std::string> notes = {
        "Medians of the repetitions, beside them the least and the most. The best is marked among rows of "
        "the same "
        "output length."};
    if (!has_energy_)
      for (const std::string& why : why_no_energy_) notes.push_back(fmt::format("Energy: {}.", why));
    if (versions_.size() > 1)
      notes.push_back(fmt::format("Taken with several versions of edgellm: {}.", fmt::join(versions_, ", ")));
    if (repeated_) notes.emplace_back("Where a measurement was repeated, the latest is shown.");
    table_.notes.insert(table_.notes.begin(), notes.begin(), notes.end());
  }

  std::span<const SpeedFigure> group_;
  const ModelLabels& labels_;
  std::span<const ReferenceSet> references_;
  Table table_;
  std::vector<SpeedRow> rows_;
  std::set<DeviceColumn> measured_, speed_columns_;
  std::set<std::string> why_no_energy_, versions_;
  bool has_energy_ = false, repeated_ = false;
};

}  // namespace

std::vector<std::vector<SpeedFigure>> speed_groups(std::span<const ResultRecord> records) {
  std::map<std::string, std::vector<SpeedFigure>> by_key;
  for (SpeedFigure& f : speed_figures(records)) by_key[f.key].push_back(std::move(f));
  auto weight = [](const std::vector<SpeedFigure>& group) {
    std::set<std::string> models;
    for (const SpeedFigure& f : group) models.insert(f.record->model.hash);
    return std::pair(models.size(), group.back().record->time);
  };
  std::vector<std::vector<SpeedFigure>> groups;
  for (auto& [key, group] : by_key) groups.push_back(std::move(group));
  std::stable_sort(groups.begin(), groups.end(),
                   [&](const auto& a, const auto& b) { return weight(a) > weight(b); });
  return groups;
}

Table speed_table(std::span<const SpeedFigure> group, size_t number, const ModelLabels& labels,
                  std::span<const ReferenceSet> references) {
  Table table = SpeedTable(group, labels, references).make();
  table.key = number ? fmt::format("speed-{}", number + 1) : "speed";
  table.title = number ? fmt::format("Seconds per token, another machine or other settings ({})", number)
                       : "Seconds per token";
  table.about = group.front().about;
  return table;
}

ModelSpeeds model_speeds(std::span<const SpeedFigure> group) {
  std::map<std::tuple<std::string, uint64_t, uint64_t>, std::map<std::string, double>> by_run;
  for (const SpeedFigure& f : group)
    if (f.seconds_per_token.median)
      by_run[{f.device, f.n_threads, f.n_output_tokens}][f.record->model.hash] = *f.seconds_per_token.median;
  auto best = std::max_element(by_run.begin(), by_run.end(), [](const auto& a, const auto& b) {
    return a.second.size() < b.second.size();
  });
  if (best == by_run.end()) return {};
  const auto& [device, n_threads, n_output] = best->first;
  return {best->second,
          fmt::format("{}, {} output tokens", DeviceColumn{device, n_threads}.title(), n_output)};
}

}  // namespace edgellm
