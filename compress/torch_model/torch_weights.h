// Weights of a mapped file as tensors, decoded row by row.
#pragma once

#include <ATen/ATen.h>
#include <span>

#include "compress/torch_model/torch_device.h"
#include "core/model_file/gguf.h"

namespace edgellm {

// [n_rows, n_columns], or [n_columns] of a tensor with one dimension. Only a part of it is ever there twice,
// and the file's pages are given back. Error for a type that holds no weights.
Result<at::Tensor> read_weight(const GgufFile& file, const GgufTensor& tensor, const TorchCompute& compute);

// The rows `rows` (each below tensor.n_rows()) alone: [rows.size(), n_columns], float on the CPU.
Result<at::Tensor> read_weight_rows(const GgufTensor& tensor, std::span<const int64_t> rows);

}  // namespace edgellm
