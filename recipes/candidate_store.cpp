#include "recipes/candidate_store.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/base/output_file.h"
#include "recipes/quantize.h"
#include "recipes/tensor_encoding.h"

namespace edgellm {

std::filesystem::path CandidateStore::path_of(const std::filesystem::path& folder, const std::string& tensor,
                                              TensorType type) {
  return folder / fmt::format("{}.{}", tensor, to_string(type));
}

bool CandidateStore::is_stored(const std::filesystem::path& folder, const GgufTensor& tensor,
                               TensorType type) {
  auto n_bytes = tensor_bytes({tensor.name, type, tensor.dimensions});
  std::error_code code;
  return n_bytes.ok() && std::filesystem::file_size(path_of(folder, tensor.name, type), code) == *n_bytes;
}

bool CandidateStore::has(const GgufTensor& tensor, TensorType type) const {
  if (type == tensor.type && !changed_.contains(tensor.name)) return true;
  return files_.contains({tensor.name, type}) || is_stored(folder_, tensor, type);
}

Result<std::span<const std::byte>> CandidateStore::get(const GgufTensor& tensor, TensorType type) {
  if (type == tensor.type && !changed_.contains(tensor.name)) return tensor.data;
  auto found = files_.find({tensor.name, type});
  if (found != files_.end()) return found->second.bytes();

  std::error_code code;
  std::filesystem::create_directories(folder_, code);
  std::filesystem::path path = path_of(folder_, tensor.name, type);
  if (!is_stored(folder_, tensor, type) &&
      !(link_shared(tensor, type, path) && is_stored(folder_, tensor, type))) {
    EDGELLM_ASSIGN_OR_RETURN(OutputFile out, OutputFile::create(path));
    const std::vector<float> weights = weights_for(tensor, type);
    EncodeTensorOptions options;
    options.type = type;
    options.importance = weights;
    auto encoded = encode_tensor(tensor, options, threads_,
                                 [&](std::span<const std::byte> bytes) { return out.write(bytes); });
    if (!encoded.ok()) return encoded.error();
    EDGELLM_RETURN_IF_ERROR(out.commit());
    source_.give_back(tensor);
  }
  EDGELLM_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  auto [at, added] = files_.emplace(std::pair{tensor.name, type}, std::move(file));
  return at->second.bytes();
}

std::vector<float> CandidateStore::weights_for(const GgufTensor& tensor, TensorType type) const {
  if (type == TensorType::Q8_0) return {};
  return column_weights(source_, importance_, tensor);
}

void CandidateStore::share(const CandidateStore& other, std::map<std::string, std::string> names) {
  other_ = &other;
  names_there_ = std::move(names);
}

bool CandidateStore::link_shared(const GgufTensor& tensor, TensorType type,
                                 const std::filesystem::path& path) const {
  if (!other_) return false;
  auto name = names_there_.find(tensor.name);
  const GgufTensor* same = other_->source_.find(name == names_there_.end() ? tensor.name : name->second);
  if (!same || same->type != tensor.type || same->dimensions != tensor.dimensions) return false;
  const auto from = path_of(other_->folder_, same->name, type);
  std::error_code code;
  if (!std::filesystem::exists(from, code) || weights_for(tensor, type) != other_->weights_for(*same, type) ||
      (tensor.data.data() != same->data.data() && !std::ranges::equal(tensor.data, same->data)))
    return false;
  source_.give_back(tensor), other_->source_.give_back(*same);
  std::filesystem::remove(path, code);
  std::filesystem::create_hard_link(from, path, code);
  return !code;  // a file system without links: it is encoded
}

void CandidateStore::remove(const GgufTensor& tensor, TensorType type) {
  files_.erase({tensor.name, type});
  std::error_code code;
  std::filesystem::remove(path_of(folder_, tensor.name, type), code);
}

void CandidateStore::give_back(const GgufTensor& tensor, TensorType type) const {
  auto found = files_.find({tensor.name, type});
  if (found != files_.end()) found->second.give_back(found->second.bytes());
}

void CandidateStore::give_back() const {
  for (const auto& [key, file] : files_) file.give_back(file.bytes());
}

}  // namespace edgellm
