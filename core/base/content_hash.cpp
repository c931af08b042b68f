#include "core/base/content_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "core/base/mapped_file.h"

namespace edgellm {
namespace {

std::string digits(XXH128_hash_t hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

std::string hash_bytes(std::span<const std::byte> bytes) {
  return digits(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string hash_text(std::string_view text) {
  return hash_bytes(std::as_bytes(std::span(text)));
}

Result<std::string> hash_file(const std::filesystem::path& path) {
  EDGELLM_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  constexpr size_t kChunk = size_t{64} << 20;
  XXH3_state_t* state = XXH3_createState();
  XXH3_128bits_reset(state);
  for (size_t at = 0; at < file.n_bytes(); at += kChunk) {
    auto chunk = file.bytes().subspan(at, std::min(kChunk, file.n_bytes() - at));
    XXH3_128bits_update(state, chunk.data(), chunk.size());
    file.give_back(chunk);
  }
  std::string text = digits(XXH3_128bits_digest(state));
  XXH3_freeState(state);
  return text;
}

Result<std::string> hash_files(std::span<const std::filesystem::path> paths) {
  if (paths.size() == 1) return hash_file(paths.front());
  std::string hashes;
  for (const auto& path : paths) {
    EDGELLM_ASSIGN_OR_RETURN(std::string hash, hash_file(path));
    hashes += hash;
  }
  return hash_text(hashes);
}

}  // namespace edgellm
