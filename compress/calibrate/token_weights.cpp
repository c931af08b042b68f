#include "compress/calibrate/token_weights.h"

#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <torch/serialize.h>

#include "compress/torch_model/torch_call.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"

namespace edgellm {
using enum TensorRole;
namespace {

// The states between all layers are kept of as many windows as fit this many bytes.
constexpr size_t kMostKeptBytes = size_t{1} << 29;
constexpr size_t kMostKeptWindows = 16;
// Computed together with a gradient.
constexpr int64_t kGradientWindows = 4;

struct Probe {
  TensorRole product, bias;
};
constexpr Probe kProbes[] = {{attention_q, attention_q_bias},
                             {attention_output, attention_output_bias},
                             {ffn_gate, ffn_gate_bias},
                             {ffn_up, ffn_up_bias},
                             {ffn_down, ffn_down_bias}};

using Squares = std::map<TensorRole, at::Tensor>;  // [n_windows, n_tokens]

// gradient: of a loss by the layer's outputs. The result is that by its inputs.
at::Tensor layer_gradient(TorchLayer layer, const at::Tensor& hidden, const TorchPositions& positions,
                          const at::Tensor& gradient, Squares& squares) {
  at::Tensor input = hidden.detach().set_requires_grad(true);
  Squares probes;
  for (const auto& [product, bias] : kProbes) {
    const at::Tensor& matrix = layer.parameter(product);
    if (!matrix.defined()) continue;
    // A bias of its own for every token has the gradient of the product's output.
    at::Tensor probe = at::zeros({hidden.size(0), hidden.size(1), matrix.size(0)}, at::kFloat);
    if (layer.parameter(bias).defined()) probe.add_(layer.parameter(bias));
    probe.set_requires_grad(true);
    layer.set_parameter(bias, probe);
    probes[product] = probe;
  }
  layer.forward(input, positions).backward(gradient);
  at::NoGradGuard no_grad;
  for (const auto& [product, probe] : probes)
    if (probe.grad().defined()) squares[product] = probe.grad().square().mean(-1);
  if (squares.contains(attention_output)) {
    const at::Tensor attended =
        probes[attention_output].grad().matmul(layer.parameter(attention_output).to(at::kFloat));
    squares[attention_v] = attended.square().mean(-1);
  }
  return input.grad();
}

class TokenWeighing {
 public:
  TokenWeighing(const TorchModel& model, std::span<const std::vector<Token>> windows,
                const Progress& progress)
      : model_(model),
        windows_(windows),
        meter_(progress, "weighing tokens", double(3 * model.n_layers() * windows.size())) {}

  Result<TokenWeights> run() {
    EDGELLM_ASSIGN_OR_RETURN(head_, model_.load_head());
    positions_ = model_.positions(int64_t(windows_[0].size()));
    const size_t n_window_bytes =
        windows_[0].size() * model_.hyperparameters().n_embedding * model_.n_layers() * sizeof(float);
    const size_t n_kept = std::clamp<size_t>(kMostKeptBytes / n_window_bytes, 1, kMostKeptWindows);
    for (size_t first = 0; first < windows_.size(); first += n_kept)
      EDGELLM_RETURN_IF_ERROR(add(first, std::min(n_kept, windows_.size() - first)));
    TokenWeights found;
    for (auto& [key, parts] : squares_) {
      at::Tensor all = at::cat(parts, 0);
      if (!at::isfinite(all).all().item<bool>())
        return Error{fmt::format("weighing tokens: a gradient of {} in layer {} is no number",
                                 to_string(key.second), key.first)};
      found.put(key.first, key.second, std::move(all));
    }
    meter_.finish();
    return found;
  }

 private:
  // Of log p(y), y drawn for every token, by the last layer's outputs.
  at::Tensor head_gradient(const at::Tensor& hidden, at::Generator& random) const {
    at::Tensor gradient = at::empty_like(hidden);
    for (int64_t window = 0; window < hidden.size(0); ++window)
      for (int64_t row = 0; row < hidden.size(1); row += kLogitRows) {
        const int64_t n = std::min(kLogitRows, hidden.size(1) - row);
        at::Tensor rows = hidden[window].narrow(0, row, n).detach().set_requires_grad(true);
        at::Tensor logits = head_.logits(rows);
        const at::Tensor drawn = logits.detach().softmax(-1).multinomial(1, false, random);
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
        for (const at::Tensor& part : hidden.split(kGradientWindows, 0))
          parts.push_back(layer.forward(part, positions_));
        hidden = at::cat(parts, 0);
        meter_.add(double(n));
      }
    }
    at::AutoGradMode mode(true);
    at::Generator random = at::detail::createCPUGenerator(first + 1);
    at::Tensor gradient = head_gradient(hidden, random);
    for (uint32_t number = model_.n_layers(); number-- > 0;) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      EDGELLM_ASSIGN_OR_RETURN(TorchLayer layer, model_.load_layer(number));
      std::vector<at::Tensor> parts;
      std::map<TensorRole, std::vector<at::Tensor>> found;
      for (int64_t at = 0; at < int64_t(n); at += kGradientWindows) {
        const int64_t n_part = std::min(kGradientWindows, int64_t(n) - at);
        Squares squares;
        parts.push_back(layer_gradient(layer, inputs.back().narrow(0, at, n_part), positions_,
                                       gradient.narrow(0, at, n_part), squares));
        for (auto& [role, square] : squares) found[role].push_back(square);
      }
      for (auto& [role, square] : found) squares_[{number, role}].push_back(at::cat(square, 0));
      gradient = at::cat(parts, 0);
      inputs.pop_back();
      meter_.add(double(2 * n));
    }
    return {};
  }

  const TorchModel& model_;
  std::span<const std::vector<Token>> windows_;
  ProgressMeter meter_;
  TorchHead head_;
  TorchPositions positions_;
  std::map<std::pair<uint32_t, TensorRole>, std::vector<at::Tensor>> squares_;
};

std::string name_of(uint32_t layer, TensorRole role) {
  return fmt::format("layer{}_role{}", layer, int(role));
}

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

Status TokenWeights::save(const std::filesystem::path& path) const {
  torch::serialize::OutputArchive archive;
  std::vector<int64_t> keys;
  for (const auto& [key, squares] : squares_) {
    keys.insert(keys.end(), {int64_t(key.first), int64_t(key.second)});
    archive.write(name_of(key.first, key.second), squares);
  }
  archive.write("keys", at::tensor(keys, at::TensorOptions().dtype(at::kLong)));
  EDGELLM_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  Status written;
  // The archive's writer ends the process where it is told of an error while it is destroyed.
  archive.save_to([&](const void* bytes, size_t n) {
    if (written.ok()) written = file.write({static_cast<const std::byte*>(bytes), n});
    return n;
  });
  EDGELLM_RETURN_IF_ERROR(written);
  return file.commit();
}

Status TokenWeights::load(const std::filesystem::path& path) {
  return torch_call("token weights", [&]() -> Status {
    std::error_code code;
    if (!std::filesystem::is_regular_file(path, code))
      return Error{fmt::format("read {}: there is no such file", path.string())};
    torch::serialize::InputArchive archive;
    archive.load_from(path.string());
    at::Tensor keys;
    archive.read("keys", keys);
    std::map<std::pair<uint32_t, TensorRole>, at::Tensor> squares;
    for (int64_t i = 0; i < keys.size(0); i += 2) {
      const auto layer = uint32_t(keys[i].item<int64_t>());
      const auto role = TensorRole(keys[i + 1].item<int64_t>());
      archive.read(name_of(layer, role), squares[{layer, role}]);
    }
    squares_ = std::move(squares);
    return {};
  });
}

Result<TokenWeights> measure_token_weights(const TorchModel& model,
                                           std::span<const std::vector<Token>> windows,
                                           const Progress& progress) {
  return torch_call("weighing tokens", [&] { return TokenWeighing(model, windows, progress).run(); });
}

}  // namespace edgellm
