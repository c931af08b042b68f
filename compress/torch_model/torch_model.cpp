#include "compress/torch_model/torch_model.h"

#include <fmt/format.h>

#include "compress/torch_model/torch_call.h"
#include "compress/torch_model/torch_weights.h"
#include "core/arch/tensor_table.h"

namespace edgellm {
namespace {

// Null where the family has no such rule or the file no such tensor.
const GgufTensor* find_outside_layers(const GgufFile& file, const Architecture& architecture,
                                      TensorRole role) {
  for (const TensorRule& rule : architecture.tensors)
    if (rule.role == role) return file.find(rule.gguf_name);
  return nullptr;
}

}  // namespace

at::Tensor TorchHead::logits(const at::Tensor& hidden) const {
  at::Tensor x = torch_rms_norm(hidden.to(at::kFloat), norm, norm_epsilon);
  at::Tensor logits = x.to(matrix.scalar_type()).matmul(matrix.t()).to(at::kFloat);
  return soft_cap > 0 ? (logits / soft_cap).tanh() * soft_cap : logits;
}

Result<std::unique_ptr<TorchModel>> TorchModel::open(std::shared_ptr<const GgufFile> file,
                                                     const TorchCompute& compute) {
  std::unique_ptr<TorchModel> model(new TorchModel);
  EDGELLM_ASSIGN_OR_RETURN(model->hyperparameters_, read_hyperparameters(file->metadata()));
  EDGELLM_RETURN_IF_ERROR(check_hyperparameters(model->hyperparameters_));
  std::vector<TensorShape> shapes;
  for (const GgufTensor& tensor : file->tensors())
    shapes.push_back({tensor.name, tensor.n_rows(), tensor.n_columns()});
  EDGELLM_RETURN_IF_ERROR(check_tensor_table(model->hyperparameters_, shapes));
  const Architecture& architecture = *model->hyperparameters_.architecture;
  if (const GgufTensor* factors = find_outside_layers(*file, architecture, TensorRole::rope_factors)) {
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor values, read_weight(*file, *factors, {}));
    model->rope_factors_.assign(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
  }
  model->file_ = std::move(file);
  model->compute_ = compute;
  return model;
}

Result<TorchLayer> TorchModel::load_layer(uint32_t layer) const {
  return torch_call(fmt::format("load layer {}", layer),
                    [&] { return TorchLayer::load(*file_, hyperparameters_, layer, compute_); });
}

Result<TorchLayer> TorchModel::load_vectors(uint32_t layer) const {
  return torch_call(fmt::format("load layer {}", layer),
                    [&] { return TorchLayer::load_vectors(*file_, hyperparameters_, layer, compute_); });
}

Result<TorchHead> TorchModel::load_head() const {
  return torch_call("load the output head", [&]() -> Result<TorchHead> {
    const Architecture& architecture = *hyperparameters_.architecture;
    TorchHead head;
    head.norm_epsilon = hyperparameters_.norm_epsilon;
    head.soft_cap = hyperparameters_.final_soft_cap;
    const GgufTensor* matrix = find_outside_layers(*file_, architecture, TensorRole::output);
    head.is_tied = !matrix;
    if (!matrix) matrix = find_outside_layers(*file_, architecture, TensorRole::token_embedding);
    EDGELLM_ASSIGN_OR_RETURN(head.matrix, read_weight(*file_, *matrix, compute_));
    EDGELLM_ASSIGN_OR_RETURN(head.norm, load_output_norm());
    return head;
  });
}

Result<at::Tensor> TorchModel::load_output_norm() const {
  const GgufTensor* norm =
      find_outside_layers(*file_, *hyperparameters_.architecture, TensorRole::output_norm);
  return read_weight(*file_, *norm, {compute_.device, at::kFloat});
}

TorchPositions TorchModel::positions(int64_t n_tokens) const {
  return torch_positions(hyperparameters_, rope_factors_, n_tokens, compute_.device);
}

Result<at::Tensor> TorchModel::embed(std::span<const std::vector<Token>> windows) const {
  return embed(windows,
               *find_outside_layers(*file_, *hyperparameters_.architecture, TensorRole::token_embedding));
}

Result<at::Tensor> TorchModel::embed(std::span<const std::vector<Token>> windows,
                                     const GgufTensor& table) const {
  std::vector<int64_t> rows;
  size_t n_tokens = windows.empty() ? 0 : windows[0].size();
  for (const std::vector<Token>& window : windows) {
    if (window.size() != n_tokens)
      return Error{
          fmt::format("embed: wanted windows of one length, got {} and {} tokens", n_tokens, window.size())};
    for (Token token : window) {
      if (token < 0 || uint64_t(token) >= hyperparameters_.n_vocabulary)
        return Error{fmt::format("embed: token {} is outside the vocabulary of {}", token,
                                 hyperparameters_.n_vocabulary)};
      rows.push_back(token);
    }
  }
  if (rows.empty()) return Error{"embed: wanted at least one token, got none"};
  return torch_call("embed", [&]() -> Result<at::Tensor> {
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor values, read_weight_rows(table, rows));
    if (hyperparameters_.embedding_scale != 1) values.mul_(double(hyperparameters_.embedding_scale));
    return values.view({int64_t(windows.size()), int64_t(n_tokens), int64_t(hyperparameters_.n_embedding)})
        .to(compute_.device);
  });
}

}  // namespace edgellm
