#include "compress/train/end_training.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <torch/optim/adam.h>

#include "compress/torch_model/torch_archive.h"
#include "compress/torch_model/torch_call.h"
#include "compress/train/training_steps.h"
#include "core/base/interrupt.h"

namespace edgellm {
namespace {

constexpr double kSecondsBetweenCheckpoints = 60;
// Training takes at least this many times as long as what it saves.
constexpr double kSaveShare = 20;
// A window trained on costs a way forward, one more to compute layers again, and two of those back.
constexpr double kTrainedCost = 4;

bool is_finite(const at::Tensor& values) {
  return at::isfinite(values).all().item<bool>();
}

bool has_finite_gradients(const std::vector<at::Tensor>& parameters) {
  return std::ranges::all_of(parameters, [](const at::Tensor& parameter) {
    return !parameter.grad().defined() || is_finite(parameter.grad());
  });
}

}  // namespace

double learning_rate_for(double divergence) {
  constexpr double kLeast = 2e-4, kMost = 1e-2;
  return std::clamp(0.002 * std::sqrt(std::max(divergence, 0.0)), kLeast, kMost);
}

struct EndTraining::State {
  std::vector<std::vector<at::Tensor>> layers;  // the changes of each layer
  at::Tensor norm;                              // of the output norm
  std::unique_ptr<torch::optim::Adam> adam;
  std::optional<ProgressMeter> meter;
  // How far it is: steps of the epoch in work are n_steps less those of the finished ones.
  size_t n_steps = 0, n_epochs_done = 0;
  EndTrainingResult result;
  std::vector<at::Tensor> best;  // copies of all parameters
  double saved_at = 0, save_seconds = 0;

  void begin_steps() {
    adam = std::make_unique<torch::optim::Adam>(
        parameters(), torch::optim::AdamOptions(result.learning_rate).betas({0.9, 0.95}));
  }
  std::vector<at::Tensor> parameters() const {
    std::vector<at::Tensor> all = {norm};
    for (const auto& layer : layers) all.insert(all.end(), layer.begin(), layer.end());
    return all;
  }
};

EndTraining::EndTraining(const GridModel& model, std::span<const std::vector<Token>> windows,
                         const TeacherLogits& teacher, const EndTrainingOptions& options)
    : model_(model), windows_(windows), teacher_(teacher), options_(options) {}
EndTraining::~EndTraining() = default;

Status EndTraining::begin() {
  if (windows_.size() < options_.n_held_windows + options_.n_batch_windows)
    return Error{fmt::format("training wants at least {} windows of text, got {}",
                             options_.n_held_windows + options_.n_batch_windows, windows_.size())};
  n_trained_windows_ = windows_.size() - options_.n_held_windows;
  state_ = std::make_unique<State>();
  for (uint32_t number = 0; number < model_.n_layers; ++number) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    EDGELLM_ASSIGN_OR_RETURN(std::shared_ptr<GridLayer> layer, model_.load_layer(number));
    state_->layers.push_back(layer->train_scales());
  }
  state_->norm = at::zeros_like(model_.head.norm).set_requires_grad(model_.trains_output_norm);
  return {};
}

Result<std::shared_ptr<GridLayer>> EndTraining::layer(uint32_t number) const {
  EDGELLM_ASSIGN_OR_RETURN(std::shared_ptr<GridLayer> layer, model_.load_layer(number));
  layer->use_scales(state_->layers[number]);
  return layer;
}

at::Tensor EndTraining::output_norm() const {
  return model_.head.norm * (1 + state_->norm);
}

// Sum of the tokens' divergences; gradients are of their mean.
Result<double> EndTraining::pass(size_t first, size_t n, bool with_gradient) {
  EDGELLM_RETURN_IF_ERROR(check_interrupt());
  const int64_t n_tokens = teacher_.n_tokens();
  EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, model_.embed(windows_.subspan(first, n)));
  std::vector<at::Tensor> inputs;
  {
    at::NoGradGuard no_grad;
    for (uint32_t number = 0; number < model_.n_layers; ++number) {
      if (with_gradient) inputs.push_back(hidden);
      EDGELLM_ASSIGN_OR_RETURN(std::shared_ptr<GridLayer> grid, layer(number));
      hidden = grid->computed().forward(hidden, model_.positions);
    }
  }
  at::AutoGradMode mode(with_gradient);
  hidden = hidden.detach().set_requires_grad(with_gradient);
  double sum = 0;
  for (size_t window = 0; window < n; ++window)
    for (int64_t row = 0; row < n_tokens; row += kLogitRows) {
      const int64_t n_rows = std::min(kLogitRows, n_tokens - row);
      TorchHead head = model_.head;
      head.norm = output_norm();
      at::Tensor logits = head.logits(hidden[int64_t(window)].narrow(0, row, n_rows));
      at::Tensor divergence =
          divergence_from_teacher(logits, teacher_.rows(int64_t(first + window), row, n_rows));
      sum += divergence.item<double>();
      if (with_gradient) (divergence / double(int64_t(n) * n_tokens)).backward();
    }
  if (!with_gradient) return sum;
  at::Tensor gradient = hidden.grad();
  for (uint32_t number = model_.n_layers; number-- > 0;) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    EDGELLM_ASSIGN_OR_RETURN(std::shared_ptr<GridLayer> grid, layer(number));
    at::Tensor input = inputs.back().detach().set_requires_grad(true);
    inputs.pop_back();
    grid->computed().forward(input, model_.positions).backward(gradient);
    gradient = input.grad();
  }
  return sum;
}

// What has given a loss that is no number is asked once more, layer by layer.
Result<std::optional<uint32_t>> EndTraining::first_broken_layer(size_t first, size_t n) const {
  at::NoGradGuard no_grad;
  EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, model_.embed(windows_.subspan(first, n)));
  for (uint32_t number = 0; number < model_.n_layers; ++number) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    EDGELLM_ASSIGN_OR_RETURN(std::shared_ptr<GridLayer> grid, layer(number));
    hidden = grid->computed().forward(hidden, model_.positions);
    if (!is_finite(hidden)) return std::optional(number);
  }
  return std::optional<uint32_t>();
}

// No number where one window's was none; the run has stopped then.
Result<double> EndTraining::held_divergence(size_t n_trained_epochs) {
  EndTrainingResult& result = state_->result;
  double sum = 0;
  for (size_t window = n_trained_windows_; window < windows_.size(); ++window) {
    EDGELLM_ASSIGN_OR_RETURN(double found, pass(window, 1, false));
    if (!std::isfinite(found)) {
      result.stopped = fmt::format("the loss on text held back was no number after {} of {} epochs",
                                   n_trained_epochs, options_.n_epochs);
      EDGELLM_ASSIGN_OR_RETURN(result.stopped_layer, first_broken_layer(window, 1));
      return found;
    }
    sum += found;
    state_->meter->add(1, "judging");
  }
  return sum / double(options_.n_held_windows * size_t(teacher_.n_tokens()));
}

// The windows' mean divergence, each as it was before its step; of no meaning where it stopped.
Result<double> EndTraining::train_epoch(size_t epoch) {
  State& s = *state_;
  const size_t n_epoch_steps = n_trained_windows_ / options_.n_batch_windows,
               n_all_steps = n_epoch_steps * options_.n_epochs,
               n_batch_tokens = options_.n_batch_windows * size_t(teacher_.n_tokens());
  const std::vector<size_t> order = shuffled_steps(n_epoch_steps, epoch);
  for (size_t step = s.n_steps - epoch * n_epoch_steps; step < n_epoch_steps; ++step) {
    auto& options = static_cast<torch::optim::AdamOptions&>(s.adam->param_groups()[0].options());
    options.lr(s.result.learning_rate * rate_share(s.n_steps, n_all_steps));
    s.adam->zero_grad();
    EDGELLM_ASSIGN_OR_RETURN(double sum,
                             pass(order[step] * options_.n_batch_windows, options_.n_batch_windows, true));
    const double loss = sum / double(n_batch_tokens);
    const auto stop = [&](const char* what) {
      s.result.stopped = fmt::format("the {} was no number in epoch {}, step {} of {}", what, epoch + 1,
                                     step + 1, n_epoch_steps);
    };
    if (!std::isfinite(loss)) {
      stop("loss");
      EDGELLM_ASSIGN_OR_RETURN(
          s.result.stopped_layer,
          first_broken_layer(order[step] * options_.n_batch_windows, options_.n_batch_windows));
      return loss;
    }
    // Gradients go from the last layer to the first.
    for (size_t layer = s.layers.size(); layer-- > 0;)
      if (!has_finite_gradients(s.layers[layer])) {
        stop("gradient");
        s.result.stopped_layer = uint32_t(layer);
        return loss;
      }
    s.adam->step();
    ++s.n_steps;
    s.result.step_divergence.push_back(loss);
    s.meter->add(kTrainedCost * double(options_.n_batch_windows),
                 fmt::format("epoch {} of {}, divergence {:.4f}", epoch + 1, options_.n_epochs, loss));
    if (monotonic_seconds() - s.saved_at > std::max(kSecondsBetweenCheckpoints, kSaveShare * s.save_seconds))
      EDGELLM_RETURN_IF_ERROR(save());
  }
  const std::vector<double>& all = s.result.step_divergence;
  return std::accumulate(all.end() - int64_t(n_epoch_steps), all.end(), 0.0) / double(n_epoch_steps);
}

void EndTraining::keep_best() {
  at::NoGradGuard no_grad;
  state_->best.clear();
  for (const at::Tensor& parameter : state_->parameters()) state_->best.push_back(parameter.detach().clone());
}

Result<EndTrainingResult> EndTraining::run(const Progress& progress) {
  return torch_call("training", [&]() -> Result<EndTrainingResult> {
    EDGELLM_RETURN_IF_ERROR(begin());
    State& s = *state_;
    const bool is_resumed = resume();
    const size_t n_epoch_windows = n_trained_windows_ / options_.n_batch_windows * options_.n_batch_windows;
    const double n_held = double(options_.n_held_windows),
                 n_epoch = kTrainedCost * double(n_epoch_windows) + n_held;
    s.meter.emplace(progress, "training on the grid", n_held + n_epoch * double(options_.n_epochs),
                    is_resumed ? n_held * double(1 + s.n_epochs_done) +
                                     kTrainedCost * double(s.n_steps * options_.n_batch_windows)
                               : 0);
    if (!is_resumed) {
      EDGELLM_ASSIGN_OR_RETURN(s.result.held_before, held_divergence(0));
      s.result.held_after = s.result.held_before;
      if (!s.result.stopped.empty()) return s.result;
      s.result.learning_rate =
          options_.learning_rate > 0 ? options_.learning_rate : learning_rate_for(s.result.held_before);
      s.begin_steps();
      keep_best();
      EDGELLM_RETURN_IF_ERROR(save());
    }
    while (s.n_epochs_done < options_.n_epochs) {
      EDGELLM_ASSIGN_OR_RETURN(double trained, train_epoch(s.n_epochs_done));
      if (!s.result.stopped.empty()) break;
      EDGELLM_ASSIGN_OR_RETURN(double held, held_divergence(s.n_epochs_done + 1));
      if (!s.result.stopped.empty()) break;
      s.result.epoch_trained.push_back(trained);
      s.result.epoch_held.push_back(held);
      ++s.n_epochs_done;
      if (held < s.result.held_after) {
        s.result.held_after = held;
        s.result.best_epoch = s.n_epochs_done;
        keep_best();
      }
      EDGELLM_RETURN_IF_ERROR(save());
    }
    {
      at::NoGradGuard no_grad;
      std::vector<at::Tensor> parameters = s.parameters();
      for (size_t i = 0; i < parameters.size(); ++i) parameters[i].copy_(s.best[i]);
    }
    s.meter->finish();
    return s.result;
  });
}

namespace {

at::Tensor numbers(const std::vector<double>& values) {
  return at::tensor(values, at::TensorOptions().dtype(at::kDouble));
}

std::vector<double> numbers(const at::Tensor& values) {
  const at::Tensor here = values.to(at::kCPU);
  return {here.data_ptr<double>(), here.data_ptr<double>() + here.numel()};
}

}  // namespace

Status EndTraining::save() const {
  if (options_.checkpoint.empty()) return {};
  State& s = *state_;
  const double started = monotonic_seconds();
  torch::serialize::OutputArchive archive, adam;
  archive.write("key", c10::IValue(options_.key));
  archive.write("steps", numbers({double(s.n_steps), double(s.n_epochs_done), s.result.held_before,
                                  s.result.held_after, double(s.result.best_epoch), s.result.learning_rate}));
  archive.write("step_divergence", numbers(s.result.step_divergence));
  archive.write("held", numbers(s.result.epoch_held));
  archive.write("trained", numbers(s.result.epoch_trained));
  std::vector<at::Tensor> parameters = s.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    archive.write(fmt::format("now{}", i), parameters[i].detach());
    archive.write(fmt::format("best{}", i), s.best[i]);
  }
  s.adam->save(adam);
  archive.write("adam", adam);
  EDGELLM_RETURN_IF_ERROR(write_archive(archive, options_.checkpoint));
  s.save_seconds = monotonic_seconds() - started;
  s.saved_at = monotonic_seconds();
  return {};
}

// A checkpoint that is damaged, or another run's, is as good as none.
bool EndTraining::resume() {
  State& s = *state_;
  s.saved_at = monotonic_seconds();
  std::error_code code;
  if (options_.checkpoint.empty() || !std::filesystem::exists(options_.checkpoint, code)) return false;
  try {
    torch::serialize::InputArchive archive, adam;
    archive.load_from(options_.checkpoint.string(), model_.head.norm.device());
    c10::IValue key;
    archive.read("key", key);
    if (key.toStringRef() != options_.key) return false;
    at::Tensor steps, step_divergence, held, trained;
    archive.read("steps", steps);
    archive.read("step_divergence", step_divergence);
    archive.read("held", held);
    archive.read("trained", trained);
    std::vector<at::Tensor> parameters = s.parameters(), now(parameters.size()), best(parameters.size());
    for (size_t i = 0; i < parameters.size(); ++i) {
      archive.read(fmt::format("now{}", i), now[i]);
      archive.read(fmt::format("best{}", i), best[i]);
      if (now[i].sizes() != parameters[i].sizes() || best[i].sizes() != parameters[i].sizes()) return false;
    }
    archive.read("adam", adam);
    const std::vector<double> n = numbers(steps);
    if (n.size() != 6 || step_divergence.numel() != int64_t(n[0])) return false;
    s.result.learning_rate = n[5];
    s.begin_steps();
    s.adam->load(adam);
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters.size(); ++i) parameters[i].copy_(now[i]);
    s.best = std::move(best);
    s.n_steps = size_t(n[0]), s.n_epochs_done = size_t(n[1]);
    s.result = {
        n[2], n[3], size_t(n[4]), n[5], {}, {}, numbers(held), numbers(trained), numbers(step_divergence)};
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace edgellm
