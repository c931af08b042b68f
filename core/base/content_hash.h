// Content hashes that name caches and checkpoints (XXH3, 128 bits, as 32 hexadecimal digits). Not for
// security.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

std::string hash_bytes(std::span<const std::byte> bytes);
std::string hash_text(std::string_view text);
// Streams the file; about a second per 3 GB.
Result<std::string> hash_file(const std::filesystem::path& path);
// Of a model in one or several files: of one, hash_file's.
Result<std::string> hash_files(std::span<const std::filesystem::path> paths);

}  // namespace edgellm
