#include "apps/report/fit_table.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "apps/report/json_member.h"

namespace edgellm {
namespace {

using nlohmann::json;

constexpr int64_t kMostLayers = 4096;  // more is a damaged record

// The latest fit of every output, latest first.
std::vector<const ResultRecord*> latest_fits(std::span<const ResultRecord> records) {
  std::vector<const ResultRecord*> fits;
  std::set<std::string> seen;
  for (size_t i = records.size(); i-- > 0;)
    if (records[i].kind == "fit" && seen.insert(records[i].model.hash).second) fits.push_back(&records[i]);
  return fits;
}

Cell number_cell(const json& object, const char* key, std::string detail = {}) {
  auto value = number(object, key);
  return value ? Cell::of_value(*value, std::move(detail)) : Cell::absent();
}

std::string duration_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.0f} s", seconds);
  return seconds < 3600 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

Row fit_row(const ResultRecord& r, const ModelLabel& label) {
  const json &f = r.figures, &kl = member(f, "kl"), &perplexity = member(f, "perplexity");
  Row row;
  row.model = label.name;
  // Only fits of one original on one text have comparable figures.
  row.scope = text(r.model.source, "hash") + (r.data ? r.data->hash : "");
  std::string dropped;
  if (const json& layers = member(f, "dropped_layers"); layers.is_array() && !layers.empty())
    dropped = fmt::format(", without {} layer{}", layers.size(), layers.size() == 1 ? "" : "s");
  auto error = number(kl, "standard_error");
  auto seconds = number(f, "seconds");
  row.cells = {Cell::of_text(label.name),
               Cell::of_text(text(f, "chosen") + dropped),
               number_cell(r.model.source, "bytes"),
               number_cell(f, "bytes"),
               number_cell(kl, "mean", error ? fmt::format("± {:.4f}", *error) : ""),
               number_cell(kl, "same_top"),
               number_cell(perplexity, "original"),
               number_cell(perplexity, "perplexity"),
               number_cell(f, "peak_resident_bytes"),
               seconds ? Cell::of_value(*seconds, duration_text(*seconds)) : Cell::absent()};
  return row;
}

FitPlan plan_of(const ResultRecord& record) {
  FitPlan plan;
  plan.record = &record;
  for (const json& t : member(record.figures, "plan")) {
    auto bits = number(t, "bits"), layer = number(t, "layer");
    if (!bits || !layer || *layer < -1 || *layer >= kMostLayers) continue;
    std::string role = text(t, "role");
    auto l = int64_t(*layer);
    plan.tensors[{role, l}] = {text(t, "type"), *bits, number(t, "predicted_kl")};
    if (l >= 0 && std::find(plan.roles.begin(), plan.roles.end(), role) == plan.roles.end())
      plan.roles.push_back(role);
    plan.n_layers = std::max(plan.n_layers, uint32_t(l + 1));
  }
  for (const json& layer : member(record.figures, "dropped_layers"))
    if (layer.is_number_integer() && layer.get<int64_t>() >= 0 && layer.get<int64_t>() < kMostLayers) {
      plan.dropped_layers.push_back(layer.get<int64_t>());
      plan.n_layers = std::max(plan.n_layers, uint32_t(layer.get<int64_t>() + 1));
    }
  for (const json& r : member(record.figures, "rivals"))
    if (auto n_bytes = number(r, "bytes"), kl = number(r, "kl"); n_bytes && kl && text(r, "text") == "search")
      plan.rivals.push_back({text(r, "name"), *n_bytes, *kl});
  return plan;
}

}  // namespace

std::map<int64_t, double> FitPlan::kl_by_layer() const {
  std::map<int64_t, double> sums;
  for (const auto& [place, tensor] : tensors)
    if (place.second >= 0 && tensor.predicted_kl) sums[place.second] += *tensor.predicted_kl;
  return sums;
}

Table fit_table(std::span<const ResultRecord> records, const ModelLabels& labels) {
  Table table;
  table.key = "fits";
  table.title = "Fits";
  table.columns = {{"model", "model"},
                   {"chosen", "plan"},
                   {"original_bytes", "original", Shown::bytes},
                   {"bytes", "size", Shown::bytes, Better::less},
                   {"kl", "KL", Shown::fixed, Better::less, 4},
                   {"same_top", "same top", Shown::percent, Better::more, 1},
                   {"perplexity_original", "perplexity before", Shown::fixed, Better::neither, 3},
                   {"perplexity", "after", Shown::fixed, Better::less, 3},
                   {"peak_resident_bytes", "peak memory", Shown::bytes, Better::less},
                   {"seconds", "time, s", Shown::count}};
  table.groups.push_back({});
  for (const ResultRecord* fit : latest_fits(records))
    table.groups[0].rows.push_back(fit_row(*fit, labels.of(*fit)));
  std::stable_sort(table.groups[0].rows.begin(), table.groups[0].rows.end(), [](const Row& a, const Row& b) {
    return std::pair(a.model, -a.cells[3].value.value_or(0)) <
           std::pair(b.model, -b.cells[3].value.value_or(0));
  });
  table.notes = {
      "On text the plans were not chosen by. The best is marked among fits of one original on one text; "
      "figures of "
      "other texts are not comparable with them."};
  mark_best(table);
  return table;
}

std::vector<FitPlan> fit_plans(std::span<const ResultRecord> records) {
  std::vector<FitPlan> plans;
  for (const ResultRecord* fit : latest_fits(records)) plans.push_back(plan_of(*fit));
  return plans;
}

Table bits_table(std::span<const ResultRecord> records, const ModelLabels& labels) {
  // In the order of a model's layers, as far as the names are known.
  static const std::vector<std::string> kOrder = {
      "token_embedding",  "attention_q", "attention_k", "attention_v", "attention_qkv",
      "attention_output", "ffn_gate",    "ffn_up",      "ffn_down",    "output"};
  std::map<std::tuple<std::string, double, std::string, std::string>, const ResultRecord*> models;
  std::set<std::string> roles;
  auto bits_of = [](const json& types) -> std::optional<double> {
    double n_bytes = 0, n_values = 0;
    if (types.is_object())
      for (const auto& [type, sum] : types.items()) {
        n_bytes += number(sum, "bytes").value_or(0);
        n_values += number(sum, "parameters").value_or(0);
      }
    return n_values > 0 ? std::optional(8 * n_bytes / n_values) : std::nullopt;
  };
  for (const ResultRecord& r : records) {
    if (!r.model.types.is_object() || r.model.types.empty()) continue;
    const ModelLabel& label = labels.of(r);
    models[{label.name, -label.n_bytes, label.method, label.hash}] = &r;
    for (const auto& [role, types] : r.model.types.items())
      if (std::find(kOrder.begin(), kOrder.end(), role) != kOrder.end()) roles.insert(role);
  }
  Table table;
  table.key = "bits";
  table.title = "Bits per weight by tensor role";
  table.columns = {{"model", "model"}, {"method", "method"}, {"bytes", "size", Shown::bytes}};
  for (const std::string& role : kOrder)
    if (roles.contains(role)) table.columns.push_back({role, role, Shown::fixed, Better::neither, 2});
  table.columns.push_back({"bits_per_weight", "all", Shown::fixed, Better::neither, 2});
  table.groups.push_back({});
  for (const auto& [order, record] : models) {
    const ModelLabel& label = labels.of(*record);
    Row row;
    row.model = label.name;
    row.cells = {Cell::of_text(label.name), Cell::of_text(label.method), Cell::of_value(label.n_bytes)};
    for (const std::string& role : kOrder)
      if (roles.contains(role)) {
        auto bits = bits_of(member(record->model.types, role.c_str()));
        row.cells.push_back(bits ? Cell::of_value(*bits) : Cell::absent("the model has no such tensor"));
      }
    bool known = record->model.n_parameters > 0;
    row.cells.push_back(known ? Cell::of_value(8 * label.n_bytes / double(record->model.n_parameters))
                              : Cell::absent());
    table.groups[0].rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace edgellm
