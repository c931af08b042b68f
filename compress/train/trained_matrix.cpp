#include "compress/train/trained_matrix.h"

#include "compress/train/codebook_matrix.h"
#include "compress/train/grid_matrix.h"

namespace edgellm {
namespace {

constexpr double kLargestHalf = 65504;

}  // namespace

at::Tensor straight_through(const at::Tensor& exact, const at::Tensor& rounded) {
  return exact.requires_grad() ? rounded + (exact - exact.detach()) : rounded;
}

at::Tensor changed_halves(const at::Tensor& halves, const at::Tensor& change) {
  if (!change.defined()) return halves;
  at::Tensor finite = (halves * (1 + change)).clamp(-kLargestHalf, kLargestHalf);
  return straight_through(finite, finite.detach().to(at::kHalf).to(at::kFloat));
}

Result<std::unique_ptr<TrainedMatrix>> unpack_trained_matrix(std::span<const std::byte> bytes,
                                                             TensorType type, int64_t n_rows,
                                                             int64_t n_columns) {
  if (find_codebook_grid(type)) {
    EDGELLM_ASSIGN_OR_RETURN(CodebookMatrix matrix, CodebookMatrix::unpack(bytes, type, n_rows, n_columns));
    return std::unique_ptr<TrainedMatrix>(std::make_unique<CodebookMatrix>(std::move(matrix)));
  }
  EDGELLM_ASSIGN_OR_RETURN(GridMatrix matrix, GridMatrix::unpack(bytes, type, n_rows, n_columns));
  return std::unique_ptr<TrainedMatrix>(std::make_unique<GridMatrix>(std::move(matrix)));
}

}  // namespace edgellm
