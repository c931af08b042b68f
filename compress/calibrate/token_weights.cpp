#include "compress/calibrate/token_weights.h"

#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "compress/calibrate/calibration.h"
#include "compress/torch_model/torch_archive.h"
#include "compress/torch_model/torch_call.h"
#include "core/base/content_hash.h"
#include "core/base/interrupt.h"

namespace edgellm {
using enum TensorRole;
namespace {

// The states between all layers are kept of as many windows as fit kMostKeptBytes, and of no more.
constexpr size_t kMostKeptWindows = 16;
// Computed together with a gradient.
constexpr int64_t kGradientTokens = 1024;

// The products whose gradients are asked for.
constexpr TensorRole kProducts[] = {attention_q, attention_output, ffn_gate, ffn_up, ffn_down};

using Squares = std::map<TensorRole, at::Tensor>;  // [n_windows, n_tokens]

// gradient: of a loss by the layer's outputs. The result is that by its inputs.
at::Tensor layer_gradient(TorchLayer layer, const at::Tensor& hidden, const TorchPositions& positions,
                          const at::Tensor& gradient, Squares& squares) {
  at::Tensor input = hidden.detach().set_requires_grad(true);
  Squares probes;
  for (TensorRole product : kProducts) {
    const TensorRole bias = product_bias_role(product);
    const at::Tensor& matrix = layer.parameter(product);
    if (!matrix.defined()) continue;
    // A bias of its own for every token has the gradient of the product's output.
    at::Tensor probe =
        at::zeros({hidden.size(0), hidden.size(1), matrix.size(0)}, hidden.options().dtype(at::kFloat));
    if (layer.parameter(bias).defined()) probe.add_(layer.parameter(bias));
    probe.set_requires_grad(true);
    layer.set_parameter(bias, probe);
    probes[product] = probe;
  }
  layer.forward(input, positions).backward(gradient);
  at::NoGradGuard no_grad;
  for (const auto& [product, probe] : probes)
    if (probe.grad().defined()) squares[product] = probe.grad().square().mean(-1).to(at::kCPU);
  if (squares.contains(attention_output)) {
    const at::Tensor attended =
        probes[attention_output].grad().matmul(layer.parameter(attention_output).to(at::kFloat));
    squares[attention_v] = attended.square().mean(-1).to(at::kCPU);
  }
  return input.grad();
}

class TokenWeighing {
 public:
  TokenWeighing(const TorchModel& model, std::span<const std::vector<Token>> windows,
                const std::filesystem::path& checkpoint, const Progress& progress)
      : model_(model),
        windows_(windows),
        checkpoint_(checkpoint),
        n_together_(std::max<int64_t>(1, kGradientTokens / int64_t(windows[0].size()))),
        progress_(progress) {}

  Result<TokenWeights> run() {
    positions_ = model_.positions(int64_t(windows_[0].size()));
    const size_t n_done = resume();
    meter_.emplace(progress_, "weighing tokens", n_steps(windows_.size()), n_steps(n_done));
    const size_t n_window_bytes =
        windows_[0].size() * model_.hyperparameters().n_embedding * model_.n_layers() * sizeof(float);
    const size_t n_kept = std::clamp<size_t>(kMostKeptBytes / n_window_bytes, 1, kMostKeptWindows);
    for (size_t first = n_done; first < windows_.size(); first += n_kept) {
      const size_t n = std::min(n_kept, windows_.size() - first);
      EDGELLM_RETURN_IF_ERROR(add(first, n));
      EDGELLM_RETURN_IF_ERROR(save(first + n));
    }
    TokenWeights found;
    for (auto& [key, squares] : squares_) found.put(key.first, key.second, std::move(squares));
    meter_->finish();
    return found;
  }

 private:
  double n_steps(size_t n_windows) const { return double(3 * model_.n_layers() * n_windows); }

  // Of log p(y), y drawn for every token, by the last layer's outputs.
  Result<at::Tensor> head_gradient(const at::Tensor& hidden, at::Generator& random) const {
    EDGELLM_ASSIGN_OR_RETURN(TorchHead head, model_.load_head());
    at::Tensor gradient = at::empty_like(hidden);
    for (int64_t window = 0; window < hidden.size(0); ++window)
      for (int64_t row = 0; row < hidden.size(1); row += kLogitRows) {
        EDGELLM_RETURN_IF_ERROR(check_interrupt());
        const int64_t n = std::min(kLogitRows, hidden.size(1) - row);
        at::Tensor rows = hidden[window].narrow(0, row, n).detach().set_requires_grad(true);
        at::Tensor logits = head.logits(rows);
        // Drawn on the CPU, so that every device draws the same.
        const at::Tensor drawn =
            logits.detach().softmax(-1).to(at::kCPU).multinomial(1, false, random).to(logits.device());
        logits.log_softmax(-1).gather(-1, drawn).sum().backward();
        gradient[window].narrow(0, row, n).copy_(rows.grad());
      }
    return gradient;
  }

  Status add(size_t first, size_t n) {
    std::vector<at::Tensor> inputs;
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, model_.embed(windows_.subspan(first, n)));
    {
      at::NoGradGuard no_grad;
      for (uint32_t number = 0; number < model_.n_layers(); ++number) {
        EDGELLM_RETURN_IF_ERROR(check_interrupt());
        inputs.push_back(hidden);
        EDGELLM_ASSIGN_OR_RETURN(TorchLayer layer, model_.load_layer(number));
        std::vector<at::Tensor> parts;
        for (const at::Tensor& part : hidden.split(n_together_, 0))
          parts.push_back(layer.forward(part, positions_));
        hidden = at::cat(parts, 0);
        meter_->add(double(n));
      }
    }
    at::AutoGradMode mode(true);
    at::Generator random = at::detail::createCPUGenerator(first + 1);
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor gradient, head_gradient(hidden, random));
    for (uint32_t number = model_.n_layers(); number-- > 0;) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      EDGELLM_ASSIGN_OR_RETURN(TorchLayer layer, model_.load_layer(number));
      std::vector<at::Tensor> parts;
      std::map<TensorRole, std::vector<at::Tensor>> found;
      for (int64_t at = 0; at < int64_t(n); at += n_together_) {
        const int64_t n_part = std::min(n_together_, int64_t(n) - at);
        Squares squares;
        parts.push_back(layer_gradient(layer, inputs.back().narrow(0, at, n_part), positions_,
                                       gradient.narrow(0, at, n_part), squares));
        for (auto& [role, square] : squares) found[role].push_back(square);
      }
      for (auto& [role, square] : found) {
        at::Tensor& all = squares_[{number, role}];
        if (all.defined()) square.insert(square.begin(), all);
        all = at::cat(square, 0);
        if (!at::isfinite(all).all().item<bool>())
          return Error{fmt::format("weighing tokens: a gradient of {} in layer {} is no number",
                                   to_string(role), number)};
      }
      gradient = at::cat(parts, 0);
      inputs.pop_back();
      meter_->add(double(2 * n));
    }
    return {};
  }

  // Of everything that decides the numbers but the model.
  std::string key() const {
    std::string all = fmt::format("1 {}", windows_.size());
    for (const std::vector<Token>& window : windows_) all += hash_bytes(std::as_bytes(std::span(window)));
    return hash_text(all);
  }

  Status save(size_t n_done) const {
    if (checkpoint_.empty()) return {};
    torch::serialize::OutputArchive archive;
    archive.write("key", c10::IValue(key()));
    archive.write("n_done", c10::IValue(int64_t(n_done)));
    std::vector<int64_t> numbers;
    for (const auto& [of, squares] : squares_) {
      numbers.insert(numbers.end(), {int64_t(of.first), int64_t(of.second)});
      archive.write(name_of(of.first, of.second), squares);
    }
    archive.write("numbers", at::tensor(numbers, at::TensorOptions().dtype(at::kLong)));
    return write_archive(archive, checkpoint_);
  }

  // The windows that are done.
  size_t resume() {
    std::error_code code;
    if (checkpoint_.empty() || !std::filesystem::is_regular_file(checkpoint_, code)) return 0;
    try {
      torch::serialize::InputArchive archive;
      archive.load_from(checkpoint_.string());
      c10::IValue of, n_done;
      archive.read("key", of);
      archive.read("n_done", n_done);
      if (of.toStringRef() != key()) return 0;
      at::Tensor numbers;
      archive.read("numbers", numbers);
      std::map<std::pair<uint32_t, TensorRole>, at::Tensor> squares;
      for (int64_t i = 0; i < numbers.size(0); i += 2) {
        const auto layer = uint32_t(numbers[i].item<int64_t>());
        const auto role = TensorRole(numbers[i + 1].item<int64_t>());
        at::Tensor& kept = squares[{layer, role}];
        archive.read(name_of(layer, role), kept);
        if (kept.size(0) != n_done.toInt() || kept.size(1) != int64_t(windows_[0].size())) return 0;
      }
      squares_ = std::move(squares);
      return size_t(n_done.toInt());
    } catch (const std::exception&) {
      // Cut off or of another program: measured anew.
      return 0;
    }
  }

  static std::string name_of(uint32_t layer, TensorRole role) {
    return fmt::format("layer{}_role{}", layer, int(role));
  }

  const TorchModel& model_;
  std::span<const std::vector<Token>> windows_;
  const std::filesystem::path& checkpoint_;
  const int64_t n_together_;  // windows
  const Progress& progress_;
  std::optional<ProgressMeter> meter_;
  TorchPositions positions_;
  std::map<std::pair<uint32_t, TensorRole>, at::Tensor> squares_;  // [n_done, n_tokens]
};

}  // namespace

at::Tensor TokenWeights::of(uint32_t layer, TensorRole role) const {
  if (role == attention_k) role = attention_v;
  if (role == ffn_up) role = ffn_gate;
  auto found = squares_.find({layer, role});
  if (found == squares_.end()) return {};
  at::Tensor squares = found->second;
  if (role == ffn_gate) squares = squares + squares_.at({layer, ffn_up});
  at::Tensor weights = squares.sqrt();
  const double mean = weights.mean().item<double>();
  if (!(mean > 0)) return at::ones_like(weights);
  // A token that nothing depends on still counts a little.
  weights = (weights / mean).clamp_min(1e-3);
  return weights / weights.mean();
}

void TokenWeights::put(uint32_t layer, TensorRole role, at::Tensor squares) {
  // Gate and up meet in one weight though their gradients differ in size.
  const double mean = squares.mean().item<double>();
  squares_[{layer, role}] = mean > 0 ? squares / mean : squares;
}

Result<TokenWeights> measure_token_weights(const TorchModel& model,
                                           std::span<const std::vector<Token>> windows,
                                           const std::filesystem::path& checkpoint,
                                           const Progress& progress) {
  EDGELLM_RETURN_IF_ERROR(check_calibration_windows(model, windows));
  return torch_call("weighing tokens",
                    [&] { return TokenWeighing(model, windows, checkpoint, progress).run(); });
}

}  // namespace edgellm
