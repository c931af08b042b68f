#include "recipes/edit_store.h"

#include <fmt/format.h>

#include "core/base/output_file.h"

namespace edgellm {

Result<EditedTensor> EditStore::encode(const std::string& tensor_name, std::span<const float> values,
                                       size_t n_columns, TensorType type) {
  const TensorTypeInfo& to = info(type);
  auto n_row_bytes = row_bytes(type, n_columns);
  if (!to.encode || !n_row_bytes)
    return Error{
        fmt::format("tensor {}: rows of {} values cannot be written as {}", tensor_name, n_columns, to.name)};
  size_t n_rows = values.size() / n_columns;
  std::vector<std::byte> bytes(n_rows * *n_row_bytes);
  threads_.parallel_for(n_rows, 16, [&](size_t begin, size_t end, size_t) {
    for (size_t row = begin; row < end; ++row)
      to.encode(values.data() + row * n_columns, nullptr, bytes.data() + row * *n_row_bytes, n_columns);
  });
  return keep(tensor_name, bytes, type, {n_columns, n_rows});
}

Result<EditedTensor> EditStore::keep(const std::string& tensor_name, std::span<const std::byte> bytes,
                                     TensorType type, std::vector<uint64_t> dimensions) {
  std::filesystem::path path = folder_ / fmt::format("{}-{}", files_.size(), tensor_name);
  EDGELLM_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  EDGELLM_RETURN_IF_ERROR(file.write(bytes));
  EDGELLM_RETURN_IF_ERROR(file.commit());
  EDGELLM_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  files_.push_back(std::move(mapped));
  return EditedTensor{type, std::move(dimensions), files_.back().bytes()};
}

}  // namespace edgellm
