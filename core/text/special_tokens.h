// Cuts special tokens out of a text before it is tokenized.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/vocabulary.h"

namespace edgellm {

// A stretch of text still to be tokenized (token -1), or a special token found.
struct TextPart {
  std::string_view text;
  int32_t token = -1;
};

// llama.cpp's order decides: the longest token takes all its occurrences first, then the next longest in what
// is left. Here every occurrence is found in one pass and taken in that order.
class SpecialTokens {
 public:
  explicit SpecialTokens(const Vocabulary& vocabulary);
  // `all`: control and unknown tokens too, not only user-defined ones.
  std::vector<TextPart> partition(const Vocabulary& vocabulary, std::string_view text, bool all) const;

 private:
  struct Occurrence {
    uint32_t rank;  // among the special tokens, the longest first
    uint64_t position;
  };
  struct Taken;
  void take(const Vocabulary& vocabulary, std::vector<Occurrence>& occurrences, Taken& taken) const;

  std::vector<int32_t> tokens_;                   // by rank
  std::unordered_map<uint64_t, uint32_t> edges_;  // trie: node << 8 | byte -> node
  std::vector<int32_t> rank_at_;                  // of a node's token, -1 for none
  bool starts_[256] = {};
  bool strips_ = false;
};

}  // namespace edgellm
