#include "core/model_file/importance_matrix.h"

#include <cmath>
#include <cstring>
#include <fmt/format.h>

#include "core/model_file/gguf.h"

namespace edgellm {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

std::vector<float> floats_of(const GgufTensor& tensor) {
  std::vector<float> values(tensor.n_values());
  std::memcpy(values.data(), tensor.data.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace

std::vector<float> ImportanceMatrix::weights(const std::string& tensor, size_t n_columns) const {
  auto found = entries.find(tensor);
  if (found == entries.end() || found->second.sums.size() != n_columns) return {};
  double sum = 0;
  for (float s : found->second.sums) sum += s;
  if (!(sum > 0)) return {};
  std::vector<float> weights(n_columns);
  auto scale = float(double(n_columns) / sum);
  for (size_t i = 0; i < n_columns; ++i) weights[i] = std::max(found->second.sums[i] * scale, 1e-6f);
  return weights;
}

Result<ImportanceMatrix> read_importance_matrix(const std::filesystem::path& path) {
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  auto bad = [&](const std::string& what) { return Error{fmt::format("{}: {}", path.string(), what)}; };
  if (file.metadata().string_or("general.type", "") != "imatrix")
    return bad("no importance matrix (general.type is not imatrix)");
  ImportanceMatrix matrix;
  if (auto datasets = file.metadata().strings("imatrix.datasets"); datasets.ok())
    matrix.datasets = **datasets;
  matrix.n_chunks = uint32_t(file.metadata().integer_or("imatrix.chunk_count", 0));
  matrix.n_tokens_per_chunk = uint32_t(file.metadata().integer_or("imatrix.chunk_size", 0));
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    std::string name = tensor.name.substr(0, tensor.name.size() - kSums.size());
    const GgufTensor* counts = file.find(name + std::string(kCounts));
    if (tensor.type != TensorType::F32 || !counts || counts->type != TensorType::F32)
      return bad(fmt::format("tensor {} has no F32 sums and counts", name));
    // More than one matrix (mixture of experts) shares a name: their sums and counts are added.
    std::vector<float> sums = floats_of(tensor), n = floats_of(*counts);
    ImportanceEntry entry;
    entry.sums.assign(tensor.n_columns(), 0.0f);
    for (size_t i = 0; i < sums.size(); ++i) {
      if (!std::isfinite(sums[i]) || sums[i] < 0)
        return bad(fmt::format("tensor {} has a sum that is no square", name));
      entry.sums[i % entry.sums.size()] += sums[i];
    }
    for (float count : n)
      if (count > 0) entry.n_tokens += uint64_t(count);
    matrix.entries[name] = std::move(entry);
  }
  if (matrix.entries.empty()) return bad("the importance matrix has no entries");
  return matrix;
}

Status write_importance_matrix(const ImportanceMatrix& matrix, const std::filesystem::path& path) {
  Metadata metadata;
  metadata.set("general.type", MetadataValue::of_string("imatrix"));
  metadata.set("imatrix.datasets", MetadataValue::of_strings(matrix.datasets));
  metadata.set("imatrix.chunk_count", MetadataValue::of_uint32(matrix.n_chunks));
  metadata.set("imatrix.chunk_size", MetadataValue::of_uint32(matrix.n_tokens_per_chunk));
  std::vector<GgufWriter::Declaration> tensors;
  for (const auto& [name, entry] : matrix.entries) {
    tensors.push_back({name + std::string(kSums), TensorType::F32, {entry.sums.size(), 1}});
    tensors.push_back({name + std::string(kCounts), TensorType::F32, {1, 1}});
  }
  EDGELLM_ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(path, metadata, std::move(tensors)));
  for (const auto& [name, entry] : matrix.entries) {
    EDGELLM_RETURN_IF_ERROR(writer.write(std::as_bytes(std::span(entry.sums))));
    auto count = float(entry.n_tokens);
    EDGELLM_RETURN_IF_ERROR(writer.write(std::as_bytes(std::span(&count, 1))));
  }
  return writer.commit();
}

}  // namespace edgellm
