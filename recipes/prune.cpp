#include "recipes/prune.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plan/block_influence.h"
#include "recipes/calibration_statistics.h"
#include "recipes/drop_search.h"
#include "recipes/pruned_model.h"
#include "recipes/shaped_model.h"

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

namespace {

class LayerPruning {
 public:
  LayerPruning(const PruneOptions& options, PrunedModel& pruned, const Progress& progress)
      : options_(options),
        pruned_(pruned),
        source_(*pruned.source()),
        h_(pruned.hyperparameters()),
        progress_(progress),
        threads_(options.n_threads),
        store_(pruned.folder(), threads_) {}

  Result<nlohmann::json> run() {
    EDGELLM_ASSIGN_OR_RETURN(uint32_t n_dropped, layers_of_fraction(options_.fraction, h_.n_layers));
    edit_.dropped_layers = {0};  // whether this family can spare one at all
    EDGELLM_RETURN_IF_ERROR(edited_file_bytes(source_, edit_));
    edit_.dropped_layers.clear();
    if (options_.halves)
      EDGELLM_RETURN_IF_ERROR(list_halves());
    else
      EDGELLM_RETURN_IF_ERROR(list_layers(n_dropped));
    if (options_.method == PruneMethod::kl) {
      search_.little_text = pruned_.little_text();
      search_.all_text = pruned_.search_text();
      search_.reference = &pruned_.search_reference();
      if (options_.halves) EDGELLM_RETURN_IF_ERROR(measure_each());
      EDGELLM_ASSIGN_OR_RETURN(DropSearchResult found, search_drops(pruned_.model(), search_, progress_));
      dropped_ = found.dropped;
    }
    apply_drops(pruned_.model().decoder(), search_.units, dropped_);
    EDGELLM_ASSIGN_OR_RETURN(PruneCost cost, pruned_.judge(pruned_.model(), progress_));
    EDGELLM_RETURN_IF_ERROR(make_edit());
    if (!options_.dry_run)
      EDGELLM_RETURN_IF_ERROR(write_edited_model(source_, edit_, options_.output, progress_));
    nlohmann::json report = pruned_.begin_report(options_, cost);
    EDGELLM_ASSIGN_OR_RETURN(report["after"]["file_bytes"], edited_file_bytes(source_, edit_));
    report["layers"] = h_.n_layers;
    report["dropped_layers"] = edit_.dropped_layers;
    if (options_.halves) {
      report["dropped_attention"] = edit_.dropped_attention;
      report["dropped_ffn"] = dropped_ffn_;
    } else {
      report["block_influence"] = influence_;
    }
    return report;
  }

 private:
  Status list_layers(uint32_t n_dropped) {
    EDGELLM_ASSIGN_OR_RETURN(
        CalibrationStatistics statistics,
        collect_calibration_statistics(pruned_.model(), pruned_.calibration_windows(), progress_));
    influence_ = statistics.block_influence;
    for (uint32_t layer = 0; layer < h_.n_layers; ++layer)
      search_.units.push_back({.layer = layer, .influence = influence_[layer]});
    search_.target = n_dropped;
    for (uint32_t layer : layers_of_least_influence(influence_, n_dropped)) dropped_.push_back(layer);
    return {};
  }

  // All but the attention of the first layer, which stock llama.cpp takes the width of heads from.
  Status list_halves() {
    if (options_.method != PruneMethod::kl) return Error{"prune: halves of layers are chosen by --method kl"};
    std::vector<double> attention(h_.n_layers), ffn(h_.n_layers);
    double all = 0;
    for (const GgufTensor& tensor : source_.tensors()) {
      ParsedTensorName parsed = parse_tensor_name(*h_.architecture, tensor.name);
      if (!parsed.rule || parsed.layer < 0 || uint32_t(parsed.layer) >= h_.n_layers) continue;
      bool of_ffn = is_of_feed_forward(parsed.rule->role);
      (of_ffn ? ffn : attention)[size_t(parsed.layer)] += double(tensor.data.size());
      all += double(tensor.data.size());
    }
    for (uint32_t layer = 0; layer < h_.n_layers; ++layer) {
      if (layer && h_.n_heads[layer])
        search_.units.push_back({.layer = layer, .ffn = false, .weight = attention[layer]});
      search_.units.push_back({.layer = layer, .attention = false, .weight = ffn[layer]});
    }
    search_.target = options_.fraction * all;
    // Refused now rather than after the search where no file could hold it.
    ModelEdit trial;
    trial.dropped_attention = {h_.n_layers - 1};
    EDGELLM_RETURN_IF_ERROR(edited_file_bytes(source_, trial));
    return {};
  }

  // The KL without each unit alone, for its weight: Block Influence tells only of whole layers.
  Status measure_each() {
    ProgressMeter meter(progress_, "measuring each part", double(search_.units.size()));
    for (size_t i = 0; i < search_.units.size(); ++i) {
      apply_drops(pruned_.model().decoder(), search_.units, {i});
      EDGELLM_ASSIGN_OR_RETURN(DivergenceResult d,
                               measure_divergence(pruned_.model(), search_.little_text, *search_.reference));
      search_.units[i].influence = d.mean_kl / search_.units[i].weight;
      meter.add(1);
    }
    meter.finish();
    return {};
  }

  Status make_edit() {
    ModelShape shape;
    std::set<uint32_t> attention, ffn;
    for (size_t i : dropped_) {
      const DropUnit& unit = search_.units[i];
      if (unit.attention) attention.insert(unit.layer);
      if (unit.ffn) ffn.insert(unit.layer);
    }
    for (uint32_t layer = 0; layer < h_.n_layers; ++layer) {
      const bool no_attention = attention.contains(layer), no_ffn = ffn.contains(layer);
      if (no_attention && no_ffn)
        shape.dropped_layers.insert(layer);
      else if (no_attention)
        shape.dropped_attention.insert(layer);
      else if (no_ffn)
        shape.dropped_ffn.insert(layer);
    }
    dropped_ffn_ = shape.dropped_ffn;
    EDGELLM_ASSIGN_OR_RETURN(edit_, shape_edit(source_, shape, {}, store_));
    return {};
  }

  const PruneOptions& options_;
  PrunedModel& pruned_;
  const GgufFile& source_;
  const Hyperparameters& h_;
  const Progress& progress_;
  ThreadPool threads_;
  EditStore store_;
  DropSearchInput search_;
  std::vector<double> influence_;
  std::vector<size_t> dropped_;     // units
  std::set<uint32_t> dropped_ffn_;  // of layers that keep their attention
  ModelEdit edit_;
};

}  // namespace

Result<nlohmann::json> prune_layers(const PruneOptions& options, const Progress& progress) {
  EDGELLM_ASSIGN_OR_RETURN(auto pruned, PrunedModel::open(options, progress));
  return LayerPruning(options, *pruned, progress).run();
}

}  // namespace edgellm
