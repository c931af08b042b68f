#include "recipes/shape_search.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/base/folder.h"
#include "core/base/interrupt.h"
#include "recipes/edited_model.h"
#include "recipes/measure_log.h"
#include "recipes/role_tensor.h"
#include "recipes/shaped_model.h"
#include "recipes/tensor_encoding.h"

namespace edgellm {
namespace {

constexpr size_t kFirstLayers = 6;    // of least Block Influence, whose parts are measured first
constexpr size_t kTriedParts = 3;     // measured with those before, at each step
constexpr double kLeastGain = 0.003;  // of the sum, for a further part
// Of the sum, for all parts together: predictions are no better, and what is left is a model to encode anew.
constexpr double kLeastGainOfAll = 0.05;
constexpr size_t kAllocationSteps = 2000;
constexpr uint32_t kNarrowings[] = {8, 4};  // an eighth and a quarter of the channels go

// What can be left out at once.
struct Part {
  uint32_t layer = 0;
  bool attention = false, ffn = false;
  uint32_t n_feed_forward = 0;  // channels that stay; 0: no narrowing

  std::string name() const {
    if (n_feed_forward) return fmt::format("blk.{} to {} channels", layer, n_feed_forward);
    return fmt::format("blk.{} {}", layer,
                       attention && ffn ? "all"
                       : attention      ? "attention"
                                        : "feed-forward");
  }
};

// The largest block of values that rows of this width can be cut into.
uint32_t widest_block(uint32_t n_channels) {
  for (uint32_t block : {256u, 64u, 32u})
    if (n_channels % block == 0) return block;
  return 1;
}

// About 1 / share of the channels less, for the same block formats; 0 where there is none.
uint32_t narrower_width(uint32_t n_channels, uint32_t share) {
  const uint32_t block = widest_block(n_channels);
  if (block == 1) return 0;
  uint32_t kept = (n_channels - n_channels / share) / block * block;
  while (kept && widest_block(kept) != block) kept -= block;
  return kept < n_channels ? kept : 0;
}

ModelShape without(ModelShape shape, const Part& part) {
  const uint32_t layer = part.layer;
  if (part.n_feed_forward) {
    shape.n_feed_forward[layer] = part.n_feed_forward;
    return shape;
  }
  const bool attention = part.attention || shape.dropped_attention.contains(layer),
             ffn = part.ffn || shape.dropped_ffn.contains(layer);
  shape.dropped_attention.erase(layer), shape.dropped_ffn.erase(layer);
  if (ffn) shape.n_feed_forward.erase(layer);
  if (attention && ffn)
    shape.dropped_layers.insert(layer);
  else
    (attention ? shape.dropped_attention : shape.dropped_ffn).insert(layer);
  return shape;
}

class ShapeSearch {
 public:
  ShapeSearch(MeasuredModel& model, const ShapeSearchInput& input, ThreadPool& threads,
              const Progress& progress)
      : model_(model),
        decoder_(model.model().decoder()),
        h_(decoder_.hyperparameters()),
        input_(input),
        source_(*input.plan->source),
        progress_(progress),
        log_(input.log),
        trials_(input.folder, threads) {}

  Result<FoundShape> run() {
    EDGELLM_ASSIGN_OR_RETURN(whole_, make_plan_problem(*input_.plan));
    EDGELLM_ASSIGN_OR_RETURN(found_.harm_of_whole, least_predicted_harm(whole_, kAllocationSteps));
    found_.harm = found_.harm_of_whole;
    smallest_ = smallest_allocation_bytes(whole_.items);
    list_parts();
    if (!parts_.empty()) {
      EDGELLM_RETURN_IF_ERROR(model_.apply(stand_in_plan(*input_.plan->candidates)));
      EDGELLM_RETURN_IF_ERROR(measure_parts(0, n_first_parts_));
      EDGELLM_ASSIGN_OR_RETURN(std::vector<Ranked> first, ranked());
      if (may_gain_enough(first)) {
        EDGELLM_RETURN_IF_ERROR(measure_parts(n_first_parts_, parts_.size()));
        EDGELLM_RETURN_IF_ERROR(leave_out());
      }
      // Halves may have taken the place of what would have made room.
      if (!found_.harm && has_halves_) {
        for (size_t i = 0; i < parts_.size(); ++i)
          if (!(parts_[i].attention && parts_[i].ffn)) part_kl_[i].reset();
        found_.shape = {}, found_.kl = 0;
        smallest_ = smallest_allocation_bytes(whole_.items);
        EDGELLM_RETURN_IF_ERROR(leave_out());
      }
      EDGELLM_RETURN_IF_ERROR(set({}));
      model_.restore();
    }
    if (found_.harm_of_whole && found_.harm &&
        found_.kl + *found_.harm > (1 - kLeastGainOfAll) * *found_.harm_of_whole)
      found_.shape = {}, found_.kl = 0, found_.harm = found_.harm_of_whole;
    if (found_.harm) return found_;
    EDGELLM_ASSIGN_OR_RETURN(const PlanProblem smallest, problem_of(found_.shape));
    return smallest.too_small(input_.plan->budget);
  }

 private:
  // A part that may be left out next, and what is expected after it.
  struct Ranked {
    size_t part;
    ModelShape shape;
    std::optional<double> harm;
    double rank;  // the least is the best
  };

  // The layers of least Block Influence first.
  void list_parts() {
    if (!may_drop_layers(source_, h_.n_layers)) return;
    ModelEdit trial;
    trial.dropped_attention = {h_.n_layers - 1};
    has_halves_ = !input_.whole_layers_only && edited_file_bytes(source_, trial).ok();
    std::vector<uint32_t> order(h_.n_layers);
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return input_.plan->block_influence[a] < input_.plan->block_influence[b];
    });
    for (size_t i = 0; i < order.size(); ++i) {
      const uint32_t layer = order[i], n_channels = h_.n_feed_forward[layer];
      const bool has_attention = h_.n_heads[layer] > 0;
      parts_.push_back({.layer = layer, .attention = true, .ffn = true});
      if (has_halves_ && has_attention) {
        parts_.push_back({.layer = layer, .attention = true});
        parts_.push_back({.layer = layer, .ffn = true});
        uint32_t before = 0;
        for (uint32_t share : kNarrowings) {
          const uint32_t kept = can_be_narrower(layer) ? narrower_width(n_channels, share) : 0;
          if (kept && kept != before) parts_.push_back({.layer = layer, .n_feed_forward = kept});
          before = kept;
        }
      }
      if (i < kFirstLayers) n_first_parts_ = parts_.size();
    }
    part_kl_.resize(parts_.size());
  }

  // With everything else of the stand-in in place.
  Status measure_parts(size_t from, size_t to) {
    TextWindows text = input_.plan->little_text;
    text.windows.resize(1);
    text.windows[0].resize(std::min(text.windows[0].size(), input_.n_window_tokens));
    ProgressMeter meter(progress_, "measuring parts", double(to - from));
    std::vector<std::vector<float>> hidden;
    double base_kl = 0;
    for (size_t i = from; i < to; ++i) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      const Part& part = parts_[i];
      const std::string key = fmt::format("{} tokens without {}", text.windows[0].size(), part.name());
      if (auto known = log_.find(key)) {
        part_kl_[i] = *known;
      } else {
        if (hidden.empty()) {
          EDGELLM_ASSIGN_OR_RETURN(hidden, model_.record_hidden(text.windows[0]));
          EDGELLM_ASSIGN_OR_RETURN(base_kl, model_.measure_from(int32_t(h_.n_layers), hidden[h_.n_layers],
                                                                text, 0, *input_.plan->reference));
        }
        EDGELLM_RETURN_IF_ERROR(set(without({}, part)));
        EDGELLM_ASSIGN_OR_RETURN(double kl, model_.measure_from(int32_t(part.layer), hidden[part.layer], text,
                                                                0, *input_.plan->reference));
        EDGELLM_RETURN_IF_ERROR(set({}));
        part_kl_[i] = std::max(0.0, kl - base_kl);
        EDGELLM_RETURN_IF_ERROR(log_.add(key, *part_kl_[i]));
      }
      meter.add(1, part.name());
    }
    meter.finish();
    return {};
  }

  // From now on the stand-in computes without what the shape leaves out.
  Status set(const ModelShape& shape) {
    for (uint32_t layer = 0; layer < h_.n_layers; ++layer) {
      const bool whole = shape.dropped_layers.contains(layer);
      decoder_.set_attention_dropped(layer, whole || shape.dropped_attention.contains(layer));
      decoder_.set_ffn_dropped(layer, whole || shape.dropped_ffn.contains(layer));
    }
    for (auto [layer, n_channels] : set_.n_feed_forward)
      if (!shape.n_feed_forward.contains(layer)) EDGELLM_RETURN_IF_ERROR(model_.put_back(down_of(layer)));
    for (auto [layer, n_channels] : shape.n_feed_forward) {
      auto now = set_.n_feed_forward.find(layer);
      if (now != set_.n_feed_forward.end() && now->second == n_channels) continue;
      EDGELLM_ASSIGN_OR_RETURN(const EditedTensor* narrow, narrowed(layer, n_channels));
      EDGELLM_RETURN_IF_ERROR(decoder_.replace_weight(down_of(layer).name, narrow->type, narrow->data));
    }
    set_ = shape;
    return {};
  }

  const GgufTensor& down_of(uint32_t layer) const {
    return *find_tensor(source_, h_, TensorRole::ffn_down, layer);
  }
  bool can_be_narrower(uint32_t layer) const {
    const GgufTensor* down = find_tensor(source_, h_, TensorRole::ffn_down, layer);
    return down && info(down->type).n_values_per_block == 1;
  }

  // Channels that the down matrix makes nothing of compute as channels that are not there.
  Result<const EditedTensor*> narrowed(uint32_t layer, uint32_t n_channels) {
    auto known = narrowed_.find({layer, n_channels});
    if (known != narrowed_.end()) return &known->second;
    const GgufTensor& down = down_of(layer);
    const size_t n_columns = down.n_columns();
    std::vector<bool> keeps(n_columns);
    for (uint32_t channel : strongest_channels(down, *input_.importance, n_channels)) keeps[channel] = true;
    std::vector<float> values(down.n_values());
    decode_rows(down, 0, down.n_rows(), values.data());
    for (size_t i = 0; i < values.size(); ++i)
      if (!keeps[i % n_columns]) values[i] = 0;
    const TensorType type = row_bytes(TensorType::Q8_0, n_columns) ? TensorType::Q8_0 : TensorType::F32;
    EDGELLM_ASSIGN_OR_RETURN(EditedTensor encoded, trials_.encode(down.name, values, n_columns, type));
    source_.give_back(down);
    return &narrowed_.emplace(std::pair{layer, n_channels}, std::move(encoded)).first->second;
  }

  // Of the stand-in without all that the shape leaves out, less that of the stand-in.
  Result<double> kl_of(const ModelShape& shape) {
    EDGELLM_ASSIGN_OR_RETURN(const double whole, kl_of_stand_in({}));
    EDGELLM_ASSIGN_OR_RETURN(const double kl, kl_of_stand_in(shape));
    return std::max(0.0, kl - whole);
  }
  Result<double> kl_of_stand_in(const ModelShape& shape) {
    const std::string key = "together " + to_json(shape).dump();
    if (auto known = log_.find(key)) return *known;
    EDGELLM_RETURN_IF_ERROR(set(shape));
    EDGELLM_ASSIGN_OR_RETURN(DivergenceResult d, measure_divergence(model_.model(), input_.plan->little_text,
                                                                    *input_.plan->reference));
    EDGELLM_RETURN_IF_ERROR(log_.add(key, d.mean_kl));
    return d.mean_kl;
  }

  bool may_be(const ModelShape& shape) const {
    const size_t n_halves =
        2 * shape.dropped_layers.size() + shape.dropped_attention.size() + shape.dropped_ffn.size();
    if (n_halves > 2 * most_dropped(h_.n_layers)) return false;
    ModelEdit edit;
    edit.dropped_layers = shape.dropped_layers;
    edit.dropped_attention = shape.dropped_attention;
    return edited_file_bytes(source_, edit).ok();
  }

  bool adds_to_shape(const Part& part) const {
    const ModelShape& shape = found_.shape;
    if (shape.dropped_layers.contains(part.layer)) return false;
    if (part.n_feed_forward) {
      auto now = shape.n_feed_forward.find(part.layer);
      return !shape.dropped_ffn.contains(part.layer) &&
             (now == shape.n_feed_forward.end() || part.n_feed_forward < now->second);
    }
    return !(part.attention && shape.dropped_attention.contains(part.layer)) &&
           !(part.ffn && shape.dropped_ffn.contains(part.layer));
  }

  Result<PlanProblem> problem_of(const ModelShape& shape) {
    auto rest = rest_.find(shape.dropped_layers);
    if (rest == rest_.end()) {
      EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, rest_without(*input_.plan, whole_, shape.dropped_layers));
      rest = rest_.emplace(shape.dropped_layers, n_bytes).first;
    }
    return shaped_problem(*input_.plan, whole_, rest->second, shape, h_);
  }

  // The measured parts that may go next and seem worth it, the best first.
  Result<std::vector<Ranked>> ranked() {
    std::vector<Ranked> all;
    for (size_t i = 0; i < parts_.size(); ++i) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      if (!part_kl_[i] || !adds_to_shape(parts_[i])) continue;
      // More than all that bytes could gain.
      if (found_.harm && *part_kl_[i] >= *found_.harm) continue;
      Ranked r = {i, without(found_.shape, parts_[i]), {}, 0};
      EDGELLM_ASSIGN_OR_RETURN(const PlanProblem problem, problem_of(r.shape));
      EDGELLM_ASSIGN_OR_RETURN(r.harm, least_predicted_harm(problem, kAllocationSteps));
      if (found_.harm) {
        r.rank = found_.kl + *part_kl_[i] + r.harm.value_or(1e300);
        if (r.rank >= (1 - kLeastGain) * (found_.kl + *found_.harm)) continue;
      } else {
        const uint64_t smallest = smallest_allocation_bytes(problem.items);
        if (smallest >= smallest_) continue;
        r.rank = *part_kl_[i] / double(smallest_ - smallest);
      }
      all.push_back(std::move(r));
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
    return all;
  }

  // Whether all layers together would gain enough if they were like the first ones, which are the least
  // harmful.
  bool may_gain_enough(const std::vector<Ranked>& first) const {
    if (first.empty() || !found_.harm_of_whole) return !first.empty();
    std::map<uint32_t, double> by_layer;
    for (const Ranked& r : first) {
      double& gain = by_layer[parts_[r.part].layer];
      gain = std::max(gain, *found_.harm_of_whole - r.rank);
    }
    double sum = 0;
    for (const auto& [layer, gain] : by_layer) sum += gain;
    const double n_measured = std::min<double>(h_.n_layers, kFirstLayers);
    return sum * h_.n_layers / n_measured >= kLeastGainOfAll * *found_.harm_of_whole;
  }

  Status leave_out() {
    ProgressMeter meter(progress_, "leaving parts out", double(2 * most_dropped(h_.n_layers)));
    for (bool goes_on = true; goes_on;) {
      EDGELLM_ASSIGN_OR_RETURN(std::vector<Ranked> next, ranked());
      goes_on = false;
      size_t n_tried = 0;
      for (Ranked& r : next) {
        EDGELLM_RETURN_IF_ERROR(check_interrupt());
        if (n_tried == kTriedParts || goes_on) break;
        if (!may_be(r.shape)) continue;
        ++n_tried;
        EDGELLM_ASSIGN_OR_RETURN(double kl, kl_of(r.shape));
        if (found_.harm && kl + *r.harm >= (1 - kLeastGain) * (found_.kl + *found_.harm)) continue;
        found_.shape = std::move(r.shape);
        found_.kl = kl;
        found_.harm = r.harm;
        EDGELLM_ASSIGN_OR_RETURN(const PlanProblem problem, problem_of(found_.shape));
        smallest_ = smallest_allocation_bytes(problem.items);
        goes_on = true;
        meter.add(parts_[r.part].attention && parts_[r.part].ffn ? 2 : 1,
                  fmt::format("KL {:.4f} so far", kl));
      }
    }
    meter.finish();
    return {};
  }

  MeasuredModel& model_;
  Decoder& decoder_;
  const Hyperparameters& h_;
  const ShapeSearchInput& input_;
  const GgufFile& source_;
  const Progress& progress_;
  MeasureLog log_;
  PlanProblem whole_;
  std::map<std::set<uint32_t>, uint64_t> rest_;  // by the layers left out
  std::vector<Part> parts_;
  bool has_halves_ = false;
  size_t n_first_parts_ = 0;
  std::vector<std::optional<double>> part_kl_;
  uint64_t smallest_ = 0;  // bytes of the items of found_.shape
  ModelShape set_;         // that the decoder computes with now
  EditStore trials_;
  std::map<std::pair<uint32_t, uint32_t>, EditedTensor> narrowed_;  // by layer and channels
  FoundShape found_;
};

}  // namespace

Result<FoundShape> search_shape(MeasuredModel& model, const ShapeSearchInput& input, ThreadPool& threads,
                                const Progress& progress) {
  EDGELLM_RETURN_IF_ERROR(make_folder(input.folder));
  auto found = ShapeSearch(model, input, threads, progress).run();
  std::error_code code;
  std::filesystem::remove_all(input.folder, code);
  return found;
}

}  // namespace edgellm
