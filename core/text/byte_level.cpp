#include "core/text/byte_level.h"

#include <array>

namespace edgellm {
namespace {

struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<int16_t, 0x180> bytes;  // by code point; -1 where none

  Alphabet() {
    bytes.fill(-1);
    uint32_t next_free = 256;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      uint32_t point = printable ? byte : next_free++;
      if (point < 0x80)
        characters[byte] = {char(point)};
      else
        characters[byte] = {char(0xC0 | point >> 6), char(0x80 | (point & 0x3F))};
      bytes[point] = int16_t(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet made;
  return made;
}

}  // namespace

std::string_view byte_level_character(uint8_t byte) {
  return alphabet().characters[byte];
}

std::optional<std::string> byte_level_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    auto lead = uint8_t(text[i]);
    uint32_t point = lead;
    if (lead >= 0x80) {
      if ((lead & 0xE0) != 0xC0 || i + 1 == text.size() || (uint8_t(text[i + 1]) & 0xC0) != 0x80)
        return std::nullopt;
      point = (lead & 0x1Fu) << 6 | (uint8_t(text[++i]) & 0x3Fu);
    }
    if (point >= alphabet().bytes.size() || alphabet().bytes[point] < 0) return std::nullopt;
    decoded += char(alphabet().bytes[point]);
  }
  return decoded;
}

}  // namespace edgellm
