#include "compress/torch_model/torch_weights.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

namespace edgellm {
namespace {

// Values decoded together before they change their type or device.
constexpr int64_t kPieceValues = int64_t{1} << 24;

Result<DecodeFunction> decoder_of(const GgufTensor& tensor) {
  const TensorTypeInfo& type = info(tensor.type);
  if (!type.decode)
    return Error{
        fmt::format("read weights: tensor '{}' has type {}, which holds none", tensor.name, type.name)};
  return type.decode;
}

// row_at(i) is the tensor's row that becomes row i of `values`, [n_rows, n_columns].
template <class RowAt>
void decode_rows(const GgufTensor& tensor, DecodeFunction decode, int64_t n_rows, float* values,
                 const RowAt& row_at) {
  size_t n_columns = tensor.n_columns(), n_row_bytes = tensor.data.size() / tensor.n_rows();
  at::parallel_for(0, n_rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      decode(tensor.data.data() + size_t(row_at(i)) * n_row_bytes, values + size_t(i) * n_columns, n_columns);
  });
}

}  // namespace

Result<at::Tensor> read_weight(const GgufFile& file, const GgufTensor& tensor, const TorchCompute& compute) {
  EDGELLM_ASSIGN_OR_RETURN(DecodeFunction decode, decoder_of(tensor));
  int64_t n_rows = int64_t(tensor.n_rows()), n_columns = int64_t(tensor.n_columns());
  at::Tensor weight = at::empty({n_rows, n_columns}, compute.options());
  bool in_place = compute.device.is_cpu() && compute.type == at::kFloat;
  int64_t n_piece_rows = in_place ? n_rows : std::max<int64_t>(1, kPieceValues / n_columns);
  for (int64_t first = 0; first < n_rows; first += n_piece_rows) {
    int64_t n = std::min(n_piece_rows, n_rows - first);
    at::Tensor piece = in_place ? weight : at::empty({n, n_columns}, at::kFloat);
    decode_rows(tensor, decode, n, piece.data_ptr<float>(), [&](int64_t i) { return first + i; });
    if (!in_place) weight.narrow(0, first, n).copy_(piece);
  }
  file.give_back(tensor);
  return tensor.dimensions.size() == 1 ? weight.view({n_columns}) : weight;
}

Result<at::Tensor> read_weight_rows(const GgufTensor& tensor, std::span<const int64_t> rows) {
  EDGELLM_ASSIGN_OR_RETURN(DecodeFunction decode, decoder_of(tensor));
  at::Tensor values = at::empty({int64_t(rows.size()), int64_t(tensor.n_columns())}, at::kFloat);
  decode_rows(tensor, decode, int64_t(rows.size()), values.data_ptr<float>(),
              [&](int64_t i) { return rows[size_t(i)]; });
  return values;
}

}  // namespace edgellm
