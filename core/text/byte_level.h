// The alphabet of byte-level BPE: each of the 256 bytes stands as one printable character (GPT-2's table).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace edgellm {

// The UTF-8 bytes (one or two) that stand for `byte`.
std::string_view byte_level_character(uint8_t byte);
// The bytes a token's text stands for; nothing when it has a character outside the alphabet.
std::optional<std::string> byte_level_decode(std::string_view text);

}  // namespace edgellm
