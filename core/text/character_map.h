// SentencePiece's compiled normalization ("precompiled_charsmap", for example nmt_nfkc): a double-array trie
// of the sequences that are replaced, and the texts that replace them. The format is SentencePiece's with the
// trie of darts-clone: docs/formats.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

class CharacterMap {
 public:
  CharacterMap() = default;  // replaces nothing
  // No bytes: a map that replaces nothing. Error for one that is cut short.
  static Result<CharacterMap> parse(std::string_view bytes);

  bool empty() const { return units_.empty(); }

  struct Match {
    size_t n_bytes = 0;  // of the beginning of the text that is replaced; 0: none
    std::string_view replacement;
  };
  // The longest beginning of `text` that the map replaces.
  Match longest(std::string_view text) const;
  // The shortest one.
  Match shortest(std::string_view text) const;

 private:
  Match find(std::string_view text, bool stop_at_first) const;
  template <class Found>
  void search(std::string_view text, Found&& found) const;
  Match match(size_t n_bytes, uint32_t value) const;
  std::vector<uint32_t> units_;
  std::string replacements_;  // each ends with a zero byte
};

// The map applied as SentencePiece's conversion to tokenizer.json has it ("Precompiled"): to each grapheme of
// fewer than 6 bytes as a whole, else to each character; of several matches the shortest counts, and replaces
// the grapheme even where it is longer than the match.
std::string normalize_graphemes(std::string_view text, const CharacterMap& map);

}  // namespace edgellm
