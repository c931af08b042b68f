// Base64 (RFC 4648) to bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace edgellm {

// Nothing when `text` has another character; padding at the end may be missing.
inline std::optional<std::string> base64_decode(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int n_bits = 0;
  for (char c : text) {
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z')
      value = uint32_t(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = uint32_t(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      value = uint32_t(c - '0') + 52;
    else if (c == '+' || c == '/')
      value = c == '+' ? 62 : 63;
    else
      return std::nullopt;
    bits = bits << 6 | value;
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes += char(bits >> n_bits & 0xFF);
  }
  return bytes;
}

}  // namespace edgellm
