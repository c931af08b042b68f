#include "core/blocks/codebook_panel.h"

#include "core/blocks/tensor_type.h"

namespace edgellm {

CodebookPanel::CodebookPanel(const CodebookGrid& grid, size_t n_rows)
    : scales(padded_rows(n_rows)),
      codes(size_t(kCodebookGroups) * padded_rows(n_rows)),
      grid_(&grid),
      n_rows_(n_rows),
      stride_(padded_rows(n_rows)) {}

void CodebookPanel::fit(const float* values, size_t value_stride, const float* weights, size_t begin,
                        size_t end) {
  float gathered[kCodebookBlockValues];
  for (size_t row = begin; row < end; ++row) {
    for (size_t i = 0; i < size_t(kCodebookBlockValues); ++i)
      gathered[i] = values[i * value_stride + (row - begin)];
    scales[row] = find_codebook_scales(*grid_, gathered, weights);
  }
}

void CodebookPanel::pack_row(size_t row, void* block) const {
  GroupCode gathered[kCodebookGroups];
  for (size_t group = 0; group < size_t(kCodebookGroups); ++group)
    gathered[group] = codes[group * stride_ + row];
  pack_codebook_block(*grid_, scales[row], gathered, block);
}

void CodebookPanel::pack(uint8_t* bytes, size_t row_bytes, size_t begin, size_t end) const {
  for (size_t row = begin; row < end; ++row) pack_row(row, bytes + row * row_bytes);
}

void CodebookPanel::decode(float* values, size_t value_stride, size_t begin, size_t end) const {
  const TensorTypeInfo& type = info(grid_->type);
  std::vector<uint8_t> block(type.n_bytes_per_block);
  float decoded[kCodebookBlockValues];
  for (size_t row = begin; row < end; ++row) {
    pack_row(row, block.data());
    type.decode(block.data(), decoded, size_t(kCodebookBlockValues));
    for (size_t i = 0; i < size_t(kCodebookBlockValues); ++i) values[i * value_stride + row] = decoded[i];
  }
}

}  // namespace edgellm
