// Sizes as people write them: "700MB", "1.5 GiB", "2G", "60%".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

// K, M, G (and KB, MB, GB) are powers of 1000, KiB, MiB, GiB of 1024; a bare number counts bytes.
Result<uint64_t> parse_byte_size(std::string_view text);
// "60%" as 0.6; Error for anything that is no percentage in (0, 100].
Result<double> parse_share(std::string_view text);
// A check for an option that takes a size; with `or_share` also a percentage.
std::function<std::string(const std::string&)> byte_size_check(bool or_share = false);
// "693.4 MB"
std::string byte_size_text(uint64_t n_bytes);

}  // namespace edgellm
