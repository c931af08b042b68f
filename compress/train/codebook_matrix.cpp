#include "compress/train/codebook_matrix.h"

#include <ATen/Parallel.h>
#include <cstring>
#include <fmt/format.h>

#include "core/base/float16.h"

namespace edgellm {
namespace {

constexpr int64_t kBlockValues = kCodebookBlockValues;
constexpr float kScaleParts = 8;

}  // namespace

Result<CodebookMatrix> CodebookMatrix::unpack(std::span<const std::byte> bytes, TensorType type,
                                              int64_t n_rows, int64_t n_columns) {
  const CodebookGrid* grid = find_codebook_grid(type);
  if (!grid) return Error{fmt::format("train {}: this type has no codebook", to_string(type))};
  const int64_t n_block_bytes = int64_t(info(type).n_bytes_per_block), n_blocks = n_columns / kBlockValues;
  if (n_rows <= 0 || n_columns <= 0 || n_columns % kBlockValues ||
      int64_t(bytes.size()) != n_rows * n_blocks * n_block_bytes)
    return Error{fmt::format("train {}: {} bytes are no {} rows of {} values", to_string(type), bytes.size(),
                             n_rows, n_columns)};
  CodebookMatrix matrix(*grid);
  matrix.bytes_.resize(bytes.size());
  std::memcpy(matrix.bytes_.data(), bytes.data(), bytes.size());
  matrix.scales_ = at::empty({n_rows, n_blocks});
  matrix.multiples_ = at::empty({n_rows, n_blocks, kBlockValues}, at::kShort);
  float* scales = matrix.scales_.data_ptr<float>();
  int16_t* multiples = matrix.multiples_.data_ptr<int16_t>();
  const uint16_t one = half_from_float(1.0f);
  at::parallel_for(0, n_rows * n_blocks, 64, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> unscaled(static_cast<size_t>(n_block_bytes));
    float values[kBlockValues];
    for (int64_t block = begin; block < end; ++block) {
      const uint8_t* from = matrix.bytes_.data() + block * n_block_bytes;
      scales[block] = float_from_half(codebook_block_scale(*grid, from));
      // A scale of one gives whole numbers of eighths, and their products with a half float are exact.
      std::memcpy(unscaled.data(), from, unscaled.size());
      set_codebook_block_scale(*grid, one, unscaled.data());
      info(type).decode(unscaled.data(), values, size_t(kBlockValues));
      for (int64_t i = 0; i < kBlockValues; ++i)
        multiples[block * kBlockValues + i] = int16_t(values[i] * kScaleParts);
    }
  });
  return matrix;
}

void CodebookMatrix::move_to(at::Device device) {
  scales_ = scales_.to(device), multiples_ = multiples_.to(device);
}

at::Tensor CodebookMatrix::weights() const {
  at::Tensor parts = changed_halves(scales_, change_) / kScaleParts;
  return (multiples_.to(at::kFloat) * parts.unsqueeze(-1)).view({scales_.size(0), -1});
}

std::vector<uint8_t> CodebookMatrix::pack() const {
  at::NoGradGuard no_grad;
  std::vector<uint8_t> bytes = bytes_;
  const at::Tensor scales = changed_halves(scales_, change_).to(at::kCPU).contiguous();
  const float* scale = scales.data_ptr<float>();
  const size_t n_block_bytes = info(type()).n_bytes_per_block;
  for (size_t block = 0; block < size_t(scales.numel()); ++block)
    set_codebook_block_scale(*grid_, half_from_float(scale[block]), bytes.data() + block * n_block_bytes);
  return bytes;
}

}  // namespace edgellm
