#include "compress/calibrate/calibration.h"

#include <cmath>
#include <fmt/format.h>
#include <optional>

#include "compress/calibrate/calibration_states.h"
#include "compress/torch_model/torch_call.h"
#include "core/base/content_hash.h"

namespace edgellm {
using enum TensorRole;
namespace {

LayerMoments moments_for(const Hyperparameters& h, uint32_t layer, std::span<const TensorRole> roles,
                         MomentKind kind, at::Device device) {
  LayerMoments moments;
  for (TensorRole role : roles) {
    int64_t n_columns = int64_t(tensor_dimensions(h, role, layer)[0]);
    if (n_columns > 0) moments.emplace(product_input_role(role), SecondMoments(n_columns, kind, device));
  }
  return moments;
}

// Of some windows in one layer.
struct WindowWeights {
  const TokenWeights* tokens = nullptr;  // null: all weigh alike
  uint32_t layer = 0;
  int64_t first = 0, n = 0;  // windows

  // [n, n_tokens], or undefined.
  at::Tensor of(TensorRole role) const {
    at::Tensor all = tokens ? tokens->of(layer, role) : at::Tensor();
    return all.defined() ? all.narrow(0, first, n) : all;
  }
  // x: [n, n_tokens, n_columns]. The result's second moments are those of x with each token's weight.
  at::Tensor weighed(const at::Tensor& x, TensorRole role) const {
    at::Tensor weights = of(role);
    return (weights.defined() ? x * weights.to(x.device()).sqrt().unsqueeze(-1) : x).flatten(0, 1);
  }
};

bool is_wanted(const LayerMoments& moments, std::initializer_list<TensorRole> roles) {
  return std::any_of(roles.begin(), roles.end(), [&](TensorRole role) { return moments.contains(role); });
}

void add_input(LayerMoments& moments, const WindowWeights& weights, TensorRole role, const at::Tensor& x) {
  if (auto at = moments.find(role); at != moments.end()) at->second.add(weights.weighed(x, role));
}

// Each adds the inputs of its half's products that `moments` has room for, and computes no further than what
// is wanted. The first gives what comes to the feed-forward half, the second the input of ffn_down; undefined
// where it was not computed.
at::Tensor add_attention_inputs(const TorchLayer& layer, const at::Tensor& hidden,
                                const TorchPositions& positions, const WindowWeights& weights,
                                LayerMoments& moments) {
  if (!layer.has_attention()) return hidden;
  at::Tensor x = layer.attention_input(hidden);
  add_input(moments, weights, attention_q, x);
  if (!is_wanted(moments, {attention_output, ffn_gate, ffn_down})) return {};
  at::Tensor mixed = layer.attended(x, positions);
  add_input(moments, weights, attention_output, mixed);
  if (!is_wanted(moments, {ffn_gate, ffn_down})) return {};
  return hidden + layer.attention_branch(mixed);
}
at::Tensor add_ffn_inputs(const TorchLayer& layer, const at::Tensor& residual, const WindowWeights& weights,
                          LayerMoments& moments) {
  if (!layer.has_ffn() || !is_wanted(moments, {ffn_gate, ffn_down})) return {};
  at::Tensor y = layer.ffn_input(residual);
  add_input(moments, weights, ffn_gate, y);
  if (!is_wanted(moments, {ffn_down})) return {};
  at::Tensor gated = layer.gated(y);
  add_input(moments, weights, ffn_down, gated);
  return gated;
}

// Sum over all tokens of the cosine of input and output.
double sum_of_cosines(const at::Tensor& before, const at::Tensor& after) {
  at::Tensor product = (before * after).sum(-1, false, at::kDouble);
  at::Tensor lengths = before.norm(2, -1).to(at::kDouble) * after.norm(2, -1).to(at::kDouble);
  return (product / lengths.clamp_min(1e-30)).sum().item<double>();
}

std::string key_of(const TorchModel& model, std::span<const std::vector<Token>> windows,
                   const CalibrationOptions& options) {
  std::string all =
      fmt::format("2 {} {} {} {} {} {} {} {}", options.key, options.sequential, options.keep_original,
                  options.n_counted_windows, int(options.hidden_type), int(model.compute().type),
                  int(model.compute().product_type()), windows.size());
  for (const std::vector<Token>& window : windows) all += hash_bytes(std::as_bytes(std::span(window)));
  return hash_text(all);
}

}  // namespace

Status check_calibration_windows(const TorchModel& model, std::span<const std::vector<Token>> windows) {
  if (windows.empty() || windows[0].size() < 2)
    return Error{fmt::format("calibrate: wanted windows of at least 2 tokens, got {} windows of {}",
                             windows.size(), windows.empty() ? 0 : windows[0].size())};
  uint32_t n_context = model.hyperparameters().n_context_trained;
  if (n_context && windows[0].size() > n_context)
    return Error{fmt::format("calibrate: windows of {} tokens do not fit the model's context of {}",
                             windows[0].size(), n_context)};
  return {};
}

size_t LayerCalibration::n_windows() const {
  return states_.n_windows();
}
Result<at::Tensor> LayerCalibration::inputs(size_t first, size_t n) const {
  return states_.read_inputs(first, n);
}
Result<at::Tensor> LayerCalibration::original_outputs(size_t first, size_t n) const {
  return states_.read_original(first, n);
}
const TorchPositions& LayerCalibration::positions() const {
  return states_.positions();
}
size_t HeadCalibration::n_windows() const {
  return states_.n_windows();
}
Result<at::Tensor> HeadCalibration::inputs(size_t first, size_t n) const {
  return states_.calibrated().read(int64_t(first), int64_t(n));
}
Result<at::Tensor> HeadCalibration::original_inputs(size_t first, size_t n) const {
  return states_.read_original(first, n);
}

namespace {

Status check_sequential(const CalibrationOptions& options) {
  if (options.sequential) return {};
  return Error{"calibrate: statistics can be collected again only in a sequential calibration"};
}

}  // namespace

Result<LayerMoments> LayerCalibration::collect(std::span<const TensorRole> roles) {
  EDGELLM_RETURN_IF_ERROR(check_sequential(states_.options()));
  return torch_call("collect statistics", [&]() -> Result<LayerMoments> {
    at::NoGradGuard no_grad;
    LayerMoments moments;
    for (TensorRole role : roles) {
      role = product_input_role(role);
      const at::Tensor& matrix = layer_.parameter(role);
      if (matrix.defined())
        moments.emplace(role, SecondMoments(matrix.size(1), states_.options().moments, states_.device()));
    }
    const bool goes_on = ffn_inputs_.residual && !is_wanted(moments, {attention_q, attention_output});
    if (!goes_on) EDGELLM_RETURN_IF_ERROR(make_room(moments));
    if (ffn_inputs_.residual && moments.contains(ffn_down)) {
      EDGELLM_ASSIGN_OR_RETURN(ffn_inputs_.gated, states_.like_states(layer_.parameter(ffn_down).size(1)));
    }
    EDGELLM_RETURN_IF_ERROR(states_.for_each_counted_batch([&](int64_t first, int64_t n) -> Status {
      HiddenStore& from = goes_on ? *ffn_inputs_.residual : states_.calibrated();
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, from.read(first, n));
      hidden = hidden.to(states_.device());
      WindowWeights weights = {states_.options().token_weights, number(), first, n};
      if (!goes_on) hidden = add_attention_inputs(layer_, hidden, states_.positions(), weights, moments);
      at::Tensor gated = add_ffn_inputs(layer_, hidden, weights, moments);
      if (ffn_inputs_.residual && !goes_on)
        EDGELLM_RETURN_IF_ERROR(ffn_inputs_.residual->write(first, hidden));
      return gated.defined() && ffn_inputs_.gated ? ffn_inputs_.gated->write(first, gated) : Status();
    }));
    return moments;
  });
}

// For what comes to the feed-forward half, where it is computed and to be kept.
Status LayerCalibration::make_room(const LayerMoments& moments) {
  ffn_inputs_ = {};
  if (!states_.options().keep_ffn_inputs || !layer_.has_ffn() || !is_wanted(moments, {ffn_gate, ffn_down}))
    return {};
  EDGELLM_ASSIGN_OR_RETURN(ffn_inputs_.residual,
                           states_.like_states(states_.calibrated().shape().n_embedding));
  return {};
}

Result<LayerCalibration::AttentionMoments> LayerCalibration::collect_attention(bool with_received) const {
  EDGELLM_RETURN_IF_ERROR(check_sequential(states_.options()));
  return torch_call("collect statistics", [&]() -> Result<AttentionMoments> {
    at::NoGradGuard no_grad;
    auto of_inputs = [&] {
      return SecondMoments(layer_.parameter(attention_v).size(1), states_.options().moments,
                           states_.device());
    };
    AttentionMoments moments = {of_inputs(), with_received ? of_inputs() : SecondMoments()};
    EDGELLM_RETURN_IF_ERROR(states_.for_each_counted_batch([&](int64_t first, int64_t n) -> Status {
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, states_.calibrated().read(first, n));
      at::Tensor x = layer_.attention_input(hidden.to(states_.device()));
      WindowWeights weights = {states_.options().token_weights, number(), first, n};
      at::Tensor of_queries = weights.of(attention_v);
      AttentionSample sample = layer_.sample_attention(
          x, states_.positions(), of_queries.defined() ? of_queries.to(x.device()) : of_queries);
      moments.mixed.add(weights.weighed(sample.mixed, attention_v));
      if (with_received) moments.received.add((x * sample.received.sqrt().unsqueeze(-1)).flatten(0, 1));
      return {};
    }));
    return moments;
  });
}

Result<SecondMoments> LayerCalibration::collect_value_inputs() const {
  EDGELLM_ASSIGN_OR_RETURN(AttentionMoments moments, collect_attention(false));
  return std::move(moments.mixed);
}

// Of a query with weights a: sum over j of a[j] (x[j] - z) (x[j] - z)^T, z = sum over j of a[j] x[j].
Result<SecondMoments> LayerCalibration::collect_key_inputs() const {
  EDGELLM_ASSIGN_OR_RETURN(AttentionMoments moments, collect_attention(true));
  moments.received.subtract(moments.mixed);
  return std::move(moments.received);
}

// One run from the first layer, or from the checkpoint's, to the head.
class CalibrationRun {
 public:
  CalibrationRun(const TorchModel& model, std::span<const std::vector<Token>> windows,
                 const CalibrationOptions& options, const CalibrationCallbacks& callbacks,
                 CalibrationStates& states)
      : model_(model), windows_(windows), options_(options), callbacks_(callbacks), states_(states) {}

  Result<CalibrationResult> run(const Progress& progress) {
    at::NoGradGuard no_grad;
    std::string key = key_of(model_, windows_, options_);
    EDGELLM_ASSIGN_OR_RETURN(CalibrationStates::Checkpoint done, states_.resume(key));
    CalibrationResult result;
    result.first_layer = done.n_layers_done;
    if (done.n_layers_done == 0) EDGELLM_RETURN_IF_ERROR(embed());
    double n_layer_items = double(n_passes() * windows_.size());
    meter_.emplace(progress, "calibrating", n_layer_items * model_.n_layers(),
                   n_layer_items * done.n_layers_done);
    for (uint32_t layer = done.n_layers_done; layer < model_.n_layers(); ++layer) {
      note_ = fmt::format("layer {} of {}", layer + 1, model_.n_layers());
      EDGELLM_ASSIGN_OR_RETURN(double influence, run_layer(layer));
      if (influence >= 0) done.block_influence.push_back(influence);
      done.n_layers_done = layer + 1;
      EDGELLM_RETURN_IF_ERROR(states_.keep(key, done));
    }
    if (callbacks_.on_head) EDGELLM_RETURN_IF_ERROR(run_head());
    meter_->finish();
    states_.remove_checkpoint();
    result.block_influence = std::move(done.block_influence);
    return result;
  }

 private:
  // Passes over the windows that a layer takes.
  size_t n_passes() const {
    if (!options_.sequential) return 1;
    return 1 + (options_.keep_original ? 1 : 0) + (options_.roles.empty() ? 0 : 1);
  }

  void advance(int64_t n_windows) { meter_->add(double(n_windows), note_); }

  Status embed() {
    return states_.for_each_batch([&](int64_t first, int64_t n) -> Status {
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, model_.embed(windows_.subspan(size_t(first), size_t(n))));
      if (states_.original()) EDGELLM_RETURN_IF_ERROR(states_.original()->write(first, hidden));
      return states_.calibrated().write(first, hidden);
    });
  }

  // `store` goes from the layer's inputs to its outputs. Block Influence of what is in it.
  Result<double> forward(const TorchLayer& layer, HiddenStore& store, LayerMoments* moments) {
    double cosines = 0;
    ProductObserver observe;
    if (moments)
      observe = [&](TensorRole role, const at::Tensor& x) {
        if (auto at = moments->find(role); at != moments->end()) at->second.add(x);
      };
    EDGELLM_RETURN_IF_ERROR(states_.for_each_batch([&](int64_t first, int64_t n) -> Status {
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, store.read(first, n));
      hidden = hidden.to(states_.device());
      at::Tensor output = layer.forward(hidden, states_.positions(), observe);
      cosines += sum_of_cosines(hidden, output);
      advance(n);
      return store.write(first, output);
    }));
    if (!std::isfinite(cosines))
      return Error{fmt::format("calibrate: layer {} gives values that are no numbers", layer.number())};
    return 1 - cosines / double(windows_.size() * windows_[0].size());
  }

  // The calibrated states go to the layer's outputs from what was kept of the way there.
  Status forward_ffn(const TorchLayer& layer, const LayerCalibration::FfnInputs& inputs) {
    return states_.for_each_batch([&](int64_t first, int64_t n) -> Status {
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor residual, inputs.residual->read(first, n));
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor gated, inputs.gated->read(first, n));
      at::Tensor output = residual.to(states_.device()) + layer.ffn_branch(gated.to(states_.device()));
      advance(n);
      if (at::isfinite(output).all().item<bool>()) return states_.calibrated().write(first, output);
      return Error{fmt::format("calibrate: layer {} gives values that are no numbers", layer.number())};
    });
  }

  // The layer's Block Influence, negative where it is not known.
  Result<double> run_layer(uint32_t number) {
    EDGELLM_ASSIGN_OR_RETURN(TorchLayer layer, model_.load_layer(number));
    LayerCalibration calibration(layer, states_);
    if (!options_.sequential) {
      if (options_.dropped_layers.contains(number)) {
        layer.set_attention_dropped(true);
        layer.set_ffn_dropped(true);
      }
      calibration.moments_ =
          moments_for(model_.hyperparameters(), number, options_.roles, options_.moments, states_.device());
      EDGELLM_ASSIGN_OR_RETURN(calibration.block_influence_,
                               forward(layer, states_.calibrated(), &calibration.moments_));
      if (callbacks_.on_layer) EDGELLM_RETURN_IF_ERROR(callbacks_.on_layer(calibration));
      return calibration.block_influence_;
    }
    if (states_.original()) {
      EDGELLM_ASSIGN_OR_RETURN(calibration.block_influence_, forward(layer, *states_.original(), nullptr));
    }
    if (!options_.roles.empty()) {
      EDGELLM_ASSIGN_OR_RETURN(calibration.moments_, calibration.collect(options_.roles));
      advance(int64_t(windows_.size()));
    }
    // What the callback changes may be anything but what it collects itself afterwards.
    calibration.ffn_inputs_ = {};
    if (callbacks_.on_layer) EDGELLM_RETURN_IF_ERROR(callbacks_.on_layer(calibration));
    calibration.moments_.clear();
    if (calibration.ffn_inputs_.gated && layer.has_ffn()) {
      EDGELLM_RETURN_IF_ERROR(forward_ffn(layer, calibration.ffn_inputs_));
    } else {
      auto done = forward(layer, states_.calibrated(), nullptr);
      if (!done.ok()) return done.error();
    }
    return calibration.block_influence_;
  }

  Status run_head() {
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor norm, model_.load_output_norm());
    HeadCalibration calibration(states_);
    calibration.moments_ = SecondMoments(norm.size(0), options_.moments, states_.device());
    EDGELLM_RETURN_IF_ERROR(states_.for_each_counted_batch([&](int64_t first, int64_t n) -> Status {
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, states_.calibrated().read(first, n));
      at::Tensor x = torch_rms_norm(hidden.to(states_.device()), norm, model_.hyperparameters().norm_epsilon);
      calibration.moments_.add(x.flatten(0, 1));
      return {};
    }));
    return callbacks_.on_head(calibration);
  }

  const TorchModel& model_;
  std::span<const std::vector<Token>> windows_;
  const CalibrationOptions& options_;
  const CalibrationCallbacks& callbacks_;
  CalibrationStates& states_;
  std::optional<ProgressMeter> meter_;
  std::string note_;
};

Result<CalibrationResult> calibrate(const TorchModel& model, std::span<const std::vector<Token>> windows,
                                    const CalibrationOptions& options, const CalibrationCallbacks& callbacks,
                                    const Progress& progress) {
  EDGELLM_RETURN_IF_ERROR(check_calibration_windows(model, windows));
  EDGELLM_ASSIGN_OR_RETURN(CalibrationMemory memory,
                           plan_calibration_memory(model.hyperparameters(), windows.size(), windows[0].size(),
                                                   model.compute(), options));
  return torch_call("calibrate", [&]() -> Result<CalibrationResult> {
    EDGELLM_ASSIGN_OR_RETURN(
        CalibrationStates states,
        CalibrationStates::create(model, windows.size(), windows[0].size(), options, memory));
    EDGELLM_ASSIGN_OR_RETURN(CalibrationResult result,
                             CalibrationRun(model, windows, options, callbacks, states).run(progress));
    result.memory = memory;
    return result;
  });
}

}  // namespace edgellm
