// Byte pair encoding with ranked merges: within a word, the pair of the lowest rank is joined first, the
// leftmost of equal ones (Sennrich et al., arXiv 1508.07909; byte-level as in GPT-2).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/metadata.h"
#include "core/base/result.h"
#include "core/text/vocabulary.h"

namespace edgellm {

class BytePairEncoder {
 public:
  // tokenizer.ggml.merges. Error for a merge of or into a token the vocabulary lacks.
  static Result<BytePairEncoder> create(const Vocabulary& vocabulary, const Metadata& metadata,
                                        bool ignore_merges);

  // Work memory of one thread, kept between calls.
  struct Scratch {
    struct Symbol {
      int32_t token, previous, next;  // token -1: joined into the one before, or no token
    };
    struct Candidate {
      uint32_t rank;
      int32_t left;
      int32_t left_token, right_token, merged;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> queue;
    std::string characters;
  };
  // Appends the tokens of `word` (raw bytes). A byte for which there is no token gives none.
  void encode(const Vocabulary& vocabulary, std::string_view word, Scratch& scratch,
              std::vector<int32_t>& tokens) const;

 private:
  struct Merge {
    uint64_t pair = ~uint64_t{0};  // left token << 32 | right token
    uint32_t rank = 0;
    int32_t merged = -1;
  };
  const Merge* find(int32_t left, int32_t right) const;
  void merge(std::string_view word, Scratch& scratch) const;
  void offer(Scratch& scratch, int32_t left, int32_t right) const;

  std::vector<Merge> merges_;  // open addressing
  std::array<int32_t, 256> byte_tokens_;
  bool ignore_merges_ = false;
  // Whether a token's own text encodes to that one token: 0 not yet known, 1 yes, 2 no. Most words of a text
  // are such tokens, and need no merging once that is known.
  std::unique_ptr<std::atomic<uint8_t>[]> whole_;
};

}  // namespace edgellm
