#include "recipes/drop_search.h"

#include <algorithm>
#include <fmt/format.h>

namespace edgellm {
namespace {

class DropSearch {
 public:
  DropSearch(RuntimeLanguageModel& model, const DropSearchInput& input, const Progress& progress)
      : model_(model), input_(input), progress_(progress) {}

  Result<DropSearchResult> run() {
    EDGELLM_RETURN_IF_ERROR(choose_greedily());
    EDGELLM_ASSIGN_OR_RETURN(result_.kl, kl(result_.dropped, input_.all_text));
    EDGELLM_RETURN_IF_ERROR(exchange());
    apply_drops(model_.decoder(), input_.units, result_.dropped);
    return result_;
  }

 private:
  Result<double> kl(const std::vector<size_t>& dropped, const TextWindows& text) {
    apply_drops(model_.decoder(), input_.units, dropped);
    EDGELLM_ASSIGN_OR_RETURN(DivergenceResult d, measure_divergence(model_, text, *input_.reference));
    return d.mean_kl;
  }

  bool is_dropped(size_t unit) const {
    return std::find(result_.dropped.begin(), result_.dropped.end(), unit) != result_.dropped.end();
  }
  double weight_of(const std::vector<size_t>& dropped) const {
    double sum = 0;
    for (size_t unit : dropped) sum += input_.units[unit].weight;
    return sum;
  }
  // Kept units, the least influence first.
  std::vector<size_t> kept_units(size_t most) const {
    std::vector<size_t> kept;
    for (size_t i = 0; i < input_.units.size(); ++i)
      if (!is_dropped(i)) kept.push_back(i);
    std::stable_sort(kept.begin(), kept.end(), [&](size_t a, size_t b) {
      return input_.units[a].influence < input_.units[b].influence;
    });
    kept.resize(std::min(kept.size(), most));
    return kept;
  }
  // A target of whole units must not be missed by rounding.
  bool reaches_target(double weight) const { return weight >= input_.target * (1 - 1e-9); }

  Status choose_greedily() {
    ProgressMeter meter(progress_, "choosing what to leave out", input_.target);
    double weight = 0;
    while (!reaches_target(weight)) {
      double best_cost = 0, best_kl = 0;
      size_t best = input_.units.size();
      for (size_t unit : kept_units(input_.n_candidates)) {
        std::vector<size_t> dropped = result_.dropped;
        dropped.push_back(unit);
        EDGELLM_ASSIGN_OR_RETURN(double measured, kl(dropped, input_.little_text));
        double cost = (measured - little_kl_) / input_.units[unit].weight;
        if (best < input_.units.size() && cost >= best_cost) continue;
        best = unit;
        best_cost = cost;
        best_kl = measured;
      }
      if (best == input_.units.size())
        return Error{"leaving out every part of the model does not reach the fraction asked for"};
      result_.dropped.push_back(best);
      weight += input_.units[best].weight;
      little_kl_ = best_kl;
      meter.add(input_.units[best].weight, fmt::format("KL {:.4f} so far", little_kl_));
    }
    meter.finish();
    return {};
  }

  Status exchange() {
    size_t n_places = input_.n_exchanges ? result_.dropped.size() : 0;
    ProgressMeter meter(progress_, "exchanging", double(n_places));
    for (size_t place = 0; place < n_places; ++place) {
      for (size_t unit : kept_units(input_.n_exchanges)) {
        std::vector<size_t> dropped = result_.dropped;
        dropped[place] = unit;
        if (!reaches_target(weight_of(dropped))) continue;
        EDGELLM_ASSIGN_OR_RETURN(double little, kl(dropped, input_.little_text));
        if (little >= little_kl_) continue;
        EDGELLM_ASSIGN_OR_RETURN(double measured, kl(dropped, input_.all_text));
        if (measured >= result_.kl) continue;
        result_.dropped = std::move(dropped);
        result_.kl = measured;
        little_kl_ = little;
      }
      meter.add(1, fmt::format("KL {:.4f} so far", result_.kl));
    }
    meter.finish();
    return {};
  }

  RuntimeLanguageModel& model_;
  const DropSearchInput& input_;
  const Progress& progress_;
  DropSearchResult result_;
  double little_kl_ = 0;  // of what is dropped so far, on the little text
};

}  // namespace

void apply_drops(Decoder& decoder, const std::vector<DropUnit>& units, const std::vector<size_t>& dropped) {
  for (uint32_t layer = 0; layer < decoder.hyperparameters().n_layers; ++layer)
    decoder.set_layer_dropped(layer, false);
  for (size_t i : dropped) {
    const DropUnit& unit = units[i];
    if (unit.attention) decoder.set_attention_dropped(unit.layer, true);
    if (unit.ffn) decoder.set_ffn_dropped(unit.layer, true);
  }
}

Result<DropSearchResult> search_drops(RuntimeLanguageModel& model, const DropSearchInput& input,
                                      const Progress& progress) {
  return DropSearch(model, input, progress).run();
}

}  // namespace edgellm
