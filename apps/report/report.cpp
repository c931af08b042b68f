#include "apps/report/report.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "apps/report/accuracy_table.h"
#include "apps/report/fit_table.h"
#include "apps/report/speed_table.h"
#include "apps/report/svg_plot.h"

namespace edgellm {
namespace {

constexpr size_t kMostPlans = 12;  // heat maps, of the latest fits

std::string name_of(const ModelLabel& label) {
  return fmt::format("{} {}", label.name, label.method);
}

void add_scatter(ScatterPlot plot, const std::string& table, std::vector<Plot>& plots) {
  if (plot.points.empty()) return;
  std::string about = plot.front_by_series ? "The lines are the Pareto fronts within each model."
                                           : "The line is the Pareto front.";
  plots.push_back({plot.title, about, scatter_svg(plot), table});
}

void add_trade_offs(const AccuracyGroup& group, const ModelSpeeds& speeds, const ModelLabels& labels,
                    std::vector<Plot>& plots) {
  static const Column kBytes = {"bytes", "size", Shown::bytes, Better::less},
                      kSpeed = {"s", "s/token", Shown::significant, Better::less, 4};
  for (const char* key : {"kl", "perplexity", "bertscore_f1", "rouge1_f1", "bleurt", "ag_news",
                          "ag_news_generation", "gsm8k", "humaneval"}) {
    auto figures = group.figures.find(key);
    if (figures == group.figures.end()) continue;
    const Column& y = metric(key).column;
    const char* wish = y.better == Better::less ? "less is better" : "more is better";
    ScatterPlot by_size{fmt::format("{} against size", y.title),
                        "size of the file",
                        fmt::format("{} ({})", y.title, wish),
                        kBytes,
                        y,
                        y.within_model,
                        {}};
    ScatterPlot by_speed{fmt::format("{} against seconds per token", y.title),
                         fmt::format("s/token, {}", speeds.about),
                         by_size.y_title,
                         kSpeed,
                         y,
                         y.within_model,
                         {}};
    for (const auto& [hash, m] : figures->second) {
      const ModelLabel& label = labels.of(*m.record);
      if (label.n_bytes == 0) continue;  // answers of a model that was not at hand
      std::string said = fmt::format("{}: {} {}, {}", name_of(label), y.title,
                                     cell_text(y, Cell::of_value(m.value)), bytes_text(label.n_bytes));
      by_size.points.push_back({label.name, said, label.n_bytes, m.value});
      if (auto speed = speeds.seconds_per_token.find(hash); speed != speeds.seconds_per_token.end())
        by_speed.points.push_back({label.name,
                                   fmt::format("{}, {} s/token", said, significant_text(speed->second, 4)),
                                   speed->second, m.value});
    }
    add_scatter(std::move(by_size), "accuracy", plots);
    add_scatter(std::move(by_speed), "accuracy", plots);
  }
}

HeatMap bits_map(const FitPlan& plan, const std::string& title) {
  HeatMap map{title, plan.roles, {}, {}, {}};
  std::set<int64_t> dropped(plan.dropped_layers.begin(), plan.dropped_layers.end());
  for (uint32_t layer = 0; layer < plan.n_layers; ++layer) map.columns.push_back(std::to_string(layer));
  for (const std::string& role : plan.roles) {
    map.values.emplace_back();
    map.labels.emplace_back();
    for (uint32_t layer = 0; layer < plan.n_layers; ++layer) {
      auto tensor = plan.tensors.find({role, layer});
      bool known = tensor != plan.tensors.end();
      map.values.back().push_back(known ? std::optional(tensor->second.bits) : std::nullopt);
      map.labels.back().push_back(known ? fmt::format("{}, layer {}: {}, {:.4g} bits", role, layer,
                                                      tensor->second.type, tensor->second.bits)
                                        : fmt::format("{}, layer {}: {}", role, layer,
                                                      dropped.contains(layer) ? "left out" : "not told"));
    }
  }
  return map;
}

// The figures behind a plan's plots.
Table plan_table(const FitPlan& plan, const std::string& name, size_t number) {
  Table table;
  table.key = fmt::format("plan-{}", number + 1);
  table.title = "Bits and predicted KL: " + name;
  table.columns = {{"tensor_role", "role"},
                   {"layer", "layer", Shown::count},
                   {"type", "type"},
                   {"bits", "bits", Shown::fixed, Better::neither, 2},
                   {"predicted_kl", "predicted KL", Shown::significant, Better::neither, 3}};
  table.groups.push_back({});
  for (const auto& [place, t] : plan.tensors) {
    Row row;
    row.cells = {Cell::of_text(place.first),
                 place.second < 0 ? Cell::absent("outside the layers") : Cell::of_value(double(place.second)),
                 Cell::of_text(t.type), Cell::of_value(t.bits),
                 t.predicted_kl ? Cell::of_value(*t.predicted_kl) : Cell::absent()};
    table.groups[0].rows.push_back(std::move(row));
  }
  return table;
}

void add_plan(const FitPlan& plan, const ModelLabels& labels, size_t number, Report& report) {
  const ModelLabel& label = labels.of(*plan.record);
  std::string name = fmt::format("{}, {}", name_of(label), bytes_text(label.n_bytes));
  if (!plan.roles.empty()) {
    Table table = plan_table(plan, name, number);
    std::string title = "Bits by role and layer: " + name;
    report.plans.push_back(
        {title, "Bits of a weight; the stronger the colour, the more. Dashed: left out, or not told.",
         heat_map_svg(bits_map(plan, title)), table.key});
    std::vector<std::string> layers;
    std::vector<double> kl;
    for (const auto& [layer, sum] : plan.kl_by_layer()) {
      layers.push_back(std::to_string(layer));
      kl.push_back(sum);
    }
    title = "KL by layer: " + name;
    if (!kl.empty())
      report.plans.push_back({title,
                              "Predicted from each tensor's measured sensitivity, summed over a layer.",
                              bars_svg(title, layers, kl, "layer"), table.key});
    report.tables.push_back(std::move(table));
  }
  ScatterPlot rivals{"Plans measured: " + name,
                     "size of the file",
                     "KL on the search text (less is better)",
                     {"bytes", "size", Shown::bytes, Better::less},
                     metric("kl").column,
                     false,
                     {}};
  for (const FitPlan::Rival& r : plan.rivals)
    rivals.points.push_back(
        {r.name, fmt::format("{}: KL {:.4f}, {}", r.name, r.kl, bytes_text(r.n_bytes)), r.n_bytes, r.kl});
  add_scatter(std::move(rivals), "fits", report.plans);
}

}  // namespace

Report make_report(std::span<const ResultRecord> records, std::span<const ReferenceSet> references) {
  Report report;
  ModelLabels labels(records);
  std::map<std::string, size_t> n_of_kind;
  std::set<std::string> models;
  for (const ResultRecord& r : records) {
    ++n_of_kind[r.kind];
    models.insert(r.model.hash);
  }
  auto counted = [](size_t n, const char* word) {
    return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s");
  };
  report.summary =
      fmt::format("{}; {}, {}, {}; {} to {}", counted(models.size(), "model"),
                  counted(n_of_kind["eval"] + n_of_kind["score"], "evaluation"),
                  counted(n_of_kind["bench"], "benchmark"), counted(n_of_kind["fit"], "fit"),
                  records.empty() ? "" : records.front().time, records.empty() ? "" : records.back().time);
  auto speeds = speed_groups(records);
  for (size_t i = 0; i < speeds.size(); ++i)
    report.tables.push_back(speed_table(speeds[i], i, labels, references));
  auto accuracy = accuracy_groups(records);
  for (size_t i = 0; i < accuracy.size(); ++i)
    for (Table& table :
         accuracy_tables(accuracy[i], i, labels, i ? std::span<const ReferenceSet>() : references))
      report.tables.push_back(std::move(table));
  if (!accuracy.empty())
    add_trade_offs(accuracy[0], speeds.empty() ? ModelSpeeds{} : model_speeds(speeds[0]), labels,
                   report.trade_offs);
  if (Table fits = fit_table(records, labels); !fits.groups[0].rows.empty())
    report.tables.push_back(std::move(fits));
  if (Table bits = bits_table(records, labels); !bits.groups[0].rows.empty())
    report.tables.push_back(std::move(bits));
  auto plans = fit_plans(records);
  for (size_t i = 0; i < std::min(plans.size(), kMostPlans); ++i) add_plan(plans[i], labels, i, report);
  if (plans.size() > kMostPlans)
    report.notes.push_back(
        fmt::format("Of {} fits the plans of the latest {} are drawn.", plans.size(), kMostPlans));
  return report;
}

}  // namespace edgellm
