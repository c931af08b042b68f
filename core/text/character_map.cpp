#include "core/text/character_map.h"

#include <algorithm>
#include <cstring>
#include <utf8proc.h>

#include "core/text/word_piece_normalizer.h"

namespace edgellm {
namespace {

// A unit of darts-clone's double array.
constexpr uint32_t kIsLeaf = uint32_t{1} << 31;
uint32_t label(uint32_t unit) {
  return unit & (kIsLeaf | 0xFF);
}
bool has_leaf(uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
uint32_t offset(uint32_t unit) {
  return unit >> 10 << ((unit & 1u << 9) >> 6);
}

}  // namespace

Result<CharacterMap> CharacterMap::parse(std::string_view bytes) {
  CharacterMap map;
  if (bytes.empty()) return map;
  const Error damaged{"precompiled_charsmap: it is cut short or damaged"};
  uint32_t n_trie_bytes = 0;
  if (bytes.size() <= sizeof n_trie_bytes) return damaged;
  for (size_t i = 0; i < 4; ++i) n_trie_bytes |= uint32_t{uint8_t(bytes[i])} << 8 * i;
  bytes.remove_prefix(4);
  if (n_trie_bytes == 0 || n_trie_bytes % 4 != 0 || n_trie_bytes > bytes.size()) return damaged;
  map.units_.resize(n_trie_bytes / 4);
  for (size_t i = 0; i < n_trie_bytes; ++i) map.units_[i / 4] |= uint32_t{uint8_t(bytes[i])} << 8 * (i % 4);
  map.replacements_ = bytes.substr(n_trie_bytes);
  // So that the last one ends whatever the file holds.
  map.replacements_.push_back('\0');
  return map;
}

template <class Found>
void CharacterMap::search(std::string_view text, Found&& found) const {
  if (units_.empty()) return;
  size_t at = offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    auto byte = uint8_t(text[i]);
    at ^= byte;
    if (at >= units_.size() || label(units_[at]) != byte) return;
    uint32_t unit = units_[at];
    at ^= offset(unit);
    if (at >= units_.size()) return;
    if (has_leaf(unit) && found(i + 1, units_[at] & (kIsLeaf - 1))) return;
  }
}

CharacterMap::Match CharacterMap::match(size_t n_bytes, uint32_t value) const {
  if (n_bytes == 0 || value >= replacements_.size()) return {};
  return {n_bytes, std::string_view(replacements_.data() + value)};
}

CharacterMap::Match CharacterMap::find(std::string_view text, bool stop_at_first) const {
  size_t n_bytes = 0;
  uint32_t value = 0;
  search(text, [&](size_t n, uint32_t v) {
    n_bytes = n, value = v;
    return stop_at_first;
  });
  return match(n_bytes, value);
}

CharacterMap::Match CharacterMap::longest(std::string_view text) const {
  return find(text, false);
}

CharacterMap::Match CharacterMap::shortest(std::string_view text) const {
  return find(text, true);
}

std::string normalize_graphemes(std::string_view text, const CharacterMap& map) {
  constexpr size_t kMostBytes = 5;
  std::string normalized;
  normalized.reserve(text.size());
  auto append_grapheme = [&](std::string_view grapheme) {
    if (grapheme.size() <= kMostBytes)
      if (auto found = map.shortest(grapheme); found.n_bytes > 0) {
        normalized += found.replacement;
        return;
      }
    while (!grapheme.empty()) {
      std::string_view rest = grapheme;
      next_code_point(rest);
      std::string_view character = grapheme.substr(0, grapheme.size() - rest.size());
      auto found = map.shortest(character);
      normalized += found.n_bytes > 0 ? found.replacement : character;
      grapheme = rest;
    }
  };
  size_t start = 0;
  int32_t previous = -1, state = 0;
  for (std::string_view rest = text; !rest.empty();) {
    size_t at = text.size() - rest.size();
    int32_t code_point = next_code_point(rest);
    if (previous >= 0 && utf8proc_grapheme_break_stateful(previous, code_point, &state)) {
      append_grapheme(text.substr(start, at - start));
      start = at;
    }
    previous = code_point;
  }
  if (start < text.size()) append_grapheme(text.substr(start));
  return normalized;
}

}  // namespace edgellm
