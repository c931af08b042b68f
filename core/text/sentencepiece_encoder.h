// SentencePiece's byte pair variant ("SPM"): of all neighbours whose joined text is a token, the token of the
// highest score is made first, the leftmost of equal ones; characters without a token become byte tokens
// (Kudo and Richardson, arXiv 1808.06226, as llama.cpp runs it).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/text/vocabulary.h"

namespace edgellm {

class SentencePieceEncoder {
 public:
  explicit SentencePieceEncoder(const Vocabulary& vocabulary);

  // Work memory of one thread, kept between calls.
  struct Scratch {
    struct Symbol {
      uint32_t start, n_bytes;  // n_bytes 0: joined into the one before
      int32_t previous, next, token;
    };
    struct Candidate {
      float score;
      int32_t left, right;
      uint32_t n_bytes;
      int32_t merged;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> queue;
  };
  // Appends the tokens of `text`, in which spaces already stand as U+2581. Texts of 2 GiB and more are cut
  // there.
  void encode(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch,
              std::vector<int32_t>& tokens) const;

 private:
  void encode_piece(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch,
                    std::vector<int32_t>& tokens) const;
  void offer(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch, int32_t left,
             int32_t right) const;

  std::array<int32_t, 256> byte_tokens_;
};

}  // namespace edgellm
