#include "recipes/prune.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plan/block_influence.h"
#include "recipes/calibration_statistics.h"
#include "recipes/drop_search.h"
#include "recipes/pruned_model.h"
#include "recipes/quantize.h"

namespace edgellm {
namespace {

struct MethodName {
  PruneMethod method;
  std::string_view name;
};
constexpr std::array kMethods = {MethodName{PruneMethod::block_influence, "block-influence"},
                                 MethodName{PruneMethod::kl, "kl"},
                                 MethodName{PruneMethod::replace_me, "replace-me"},
                                 MethodName{PruneMethod::ffn_width, "ffn-width"},
                                 MethodName{PruneMethod::magnitude, "magnitude"},
                                 MethodName{PruneMethod::wanda, "wanda"},
                                 MethodName{PruneMethod::sparsegpt, "sparsegpt"}};

std::set<uint32_t> layers_of(const std::vector<DropUnit>& units, const std::vector<size_t>& dropped) {
  std::set<uint32_t> layers;
  for (size_t i : dropped) layers.insert(units[i].layer);
  return layers;
}

}  // namespace

std::string_view to_string(PruneMethod method) {
  return std::find_if(kMethods.begin(), kMethods.end(), [&](const auto& m) { return m.method == method; })
      ->name;
}

Result<PruneMethod> parse_prune_method(std::string_view name) {
  std::string all;
  for (const auto& m : kMethods) {
    if (m.name == name) return m.method;
    all += fmt::format("{}{}", all.empty() ? "" : ", ", m.name);
  }
  return Error{fmt::format("unknown pruning method '{}'; known are {}", name, all)};
}

bool prunes_single_weights(PruneMethod method) {
  return method == PruneMethod::magnitude || method == PruneMethod::wanda || method == PruneMethod::sparsegpt;
}

bool needs_torch(PruneMethod method) {
  return method != PruneMethod::block_influence && method != PruneMethod::kl;
}

Result<nlohmann::json> prune_layers(const PruneOptions& options, const Progress& progress) {
  EDGELLM_ASSIGN_OR_RETURN(auto pruned, PrunedModel::open(options, progress));
  const GgufFile& source = *pruned->source();
  uint32_t n_layers = pruned->hyperparameters().n_layers;
  EDGELLM_ASSIGN_OR_RETURN(uint32_t n_dropped, layers_of_fraction(options.fraction, n_layers));
  QuantizationPlan plan;
  plan.file_type = uint32_t(source.metadata().integer_or("general.file_type", 0));
  plan.dropped_layers = {0};  // whether this family can spare one at all
  EDGELLM_RETURN_IF_ERROR(planned_file(source, plan));

  EDGELLM_ASSIGN_OR_RETURN(
      CalibrationStatistics statistics,
      collect_calibration_statistics(pruned->model(), pruned->calibration_windows(), progress));
  const std::vector<double>& influence = statistics.block_influence;
  plan.dropped_layers = layers_of_least_influence(influence, n_dropped);
  DropSearchInput search;
  for (uint32_t layer = 0; layer < n_layers; ++layer)
    search.units.push_back({.layer = layer, .influence = influence[layer]});
  if (options.method == PruneMethod::kl) {
    search.target = n_dropped;
    search.little_text = pruned->little_text();
    search.all_text = pruned->search_text();
    search.reference = &pruned->search_reference();
    EDGELLM_ASSIGN_OR_RETURN(DropSearchResult found, search_drops(pruned->model(), search, progress));
    plan.dropped_layers = layers_of(search.units, found.dropped);
  }
  for (uint32_t layer = 0; layer < n_layers; ++layer)
    pruned->model().decoder().set_layer_dropped(layer, plan.dropped_layers.contains(layer));
  EDGELLM_ASSIGN_OR_RETURN(PruneCost cost, pruned->judge(pruned->model(), progress));
  if (!options.dry_run) {
    ThreadPool threads(options.n_threads);
    EDGELLM_RETURN_IF_ERROR(quantize_model(source, plan, nullptr, options.output, threads, progress));
  }
  nlohmann::json report = pruned->begin_report(options, cost);
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, planned_file_bytes(source, plan));
  report["after"]["file_bytes"] = n_bytes;
  report["block_influence"] = influence;
  report["dropped_layers"] = plan.dropped_layers;
  report["layers"] = n_layers;
  return report;
}

}  // namespace edgellm
