#include "compress/train/layer_training.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <torch/optim/adam.h>

#include "compress/train/training_steps.h"
#include "core/base/interrupt.h"

namespace edgellm {
namespace {

// Of the options' rates.
constexpr double kLeastRate = 0.05, kMostRate = 2;
constexpr double kNoMove = 1e-12;  // of a token whose wanted state is what enters the layer

class LayerTraining {
 public:
  LayerTraining(GridLayer& layer, const std::map<TensorRole, at::Tensor>& originals, const LayerText& text,
                const TorchPositions& positions, const LayerTrainingOptions& options)
      : layer_(layer), text_(text), positions_(positions), options_(options) {
    n_trained_ = text.n_windows - options.n_held_windows;
    std::vector<torch::optim::OptimizerParamGroup> groups;
    add(layer.train_scales(), options.scale_rate, groups);
    if (options.n_epochs >= kLevelEpochs) {
      TrainedMatrix::Rounding rounding = layer.train_rounding(originals, options.keeps_zeros);
      add(rounding.levels, options.level_rate, groups);
      add(rounding.runs, options.run_rate, groups);
    }
    adam_ = std::make_unique<torch::optim::Adam>(groups, torch::optim::AdamOptions(options.scale_rate));
  }

  Result<LayerTrainingResult> run() {
    LayerTrainingResult result;
    EDGELLM_ASSIGN_OR_RETURN(result.held_before, held_error());
    result.held_after = result.held_before;
    if (!std::isfinite(result.held_before)) {
      result.stopped = "the loss on text held back is no number";
      return result;
    }
    const double share = std::clamp(std::sqrt(2 * result.held_before), kLeastRate, kMostRate);
    for (double& rate : rates_) rate *= share;
    keep_best();
    for (size_t epoch = 0; epoch < options_.n_epochs; ++epoch) {
      EDGELLM_RETURN_IF_ERROR(train_epoch(epoch));
      if (!stopped_.empty()) {
        result.stopped = stopped_;
        break;
      }
      EDGELLM_ASSIGN_OR_RETURN(double held, held_error());
      if (!std::isfinite(held)) {
        result.stopped = fmt::format("the loss on text held back was no number after {} of {} epochs",
                                     epoch + 1, options_.n_epochs);
        break;
      }
      if (held < result.held_after) {
        result.held_after = held;
        result.best_epoch = epoch + 1;
        keep_best();
      }
    }
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].copy_(best_[i]);
    return result;
  }

 private:
  void add(const std::vector<at::Tensor>& trained, double rate,
           std::vector<torch::optim::OptimizerParamGroup>& groups) {
    if (trained.empty()) return;
    rates_.push_back(rate);
    parameters_.insert(parameters_.end(), trained.begin(), trained.end());
    groups.emplace_back(trained, std::make_unique<torch::optim::AdamOptions>(rate));
    static_cast<torch::optim::AdamOptions&>(groups.back().options()).betas({0.9, 0.95});
  }

  // Sum over tokens.
  Result<at::Tensor> error(size_t first, size_t n) const {
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor input, text_.inputs(first, n));
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor wanted, text_.wanted(first, n));
    at::Tensor difference = layer_.computed().forward(input, positions_) - wanted;
    return (difference.square().sum(-1) / (wanted - input).square().sum(-1).clamp_min(kNoMove)).sum();
  }

  Result<double> held_error() const {
    at::NoGradGuard no_grad;
    double sum = 0;
    for (size_t window = n_trained_; window < text_.n_windows; ++window) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor found, error(window, 1));
      sum += found.item<double>();
    }
    return sum / double(options_.n_held_windows * size_t(positions_.n_tokens()));
  }

  Status train_epoch(size_t epoch) {
    at::AutoGradMode with_gradient(true);
    const size_t n_batch = options_.n_batch_windows, n_steps = n_trained_ / n_batch;
    const std::vector<size_t> order = shuffled_steps(n_steps, epoch);
    for (size_t step = 0; step < n_steps; ++step) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      set_rates(rate_share(epoch * n_steps + step, options_.n_epochs * n_steps));
      adam_->zero_grad();
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor found, error(order[step] * n_batch, n_batch));
      at::Tensor loss = found / double(n_batch * size_t(positions_.n_tokens()));
      if (!std::isfinite(loss.item<double>())) {
        stopped_ =
            fmt::format("the loss was no number in epoch {}, step {} of {}", epoch + 1, step + 1, n_steps);
        return {};
      }
      loss.backward();
      adam_->step();
    }
    return {};
  }

  void set_rates(double share) {
    for (size_t i = 0; i < rates_.size(); ++i)
      static_cast<torch::optim::AdamOptions&>(adam_->param_groups()[i].options()).lr(rates_[i] * share);
  }

  void keep_best() {
    at::NoGradGuard no_grad;
    best_.clear();
    for (const at::Tensor& parameter : parameters_) best_.push_back(parameter.detach().clone());
  }

  GridLayer& layer_;
  const LayerText& text_;
  const TorchPositions& positions_;
  const LayerTrainingOptions& options_;
  size_t n_trained_ = 0;
  std::string stopped_;
  std::vector<at::Tensor> parameters_, best_;
  std::vector<double> rates_;
  std::unique_ptr<torch::optim::Adam> adam_;
};

}  // namespace

Result<LayerTrainingResult> train_layer(GridLayer& layer, const std::map<TensorRole, at::Tensor>& originals,
                                        const LayerText& text, const TorchPositions& positions,
                                        const LayerTrainingOptions& options) {
  if (text.n_windows < options.n_held_windows + options.n_batch_windows)
    return Error{fmt::format("training wants at least {} windows of text, got {}",
                             options.n_held_windows + options.n_batch_windows, text.n_windows)};
  return LayerTraining(layer, originals, text, positions, options).run();
}

}  // namespace edgellm
