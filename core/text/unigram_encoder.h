// The unigram language model of SentencePiece (Kudo, arXiv 1804.10959): of all ways to spell a text with
// pieces, the one whose scores (log-probabilities) have the largest sum, by Viterbi's algorithm.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

class UnigramEncoder {
 public:
  struct Piece {
    std::string text;
    double score = 0;
    bool is_spelled_with = true;   // no: a special token or a byte, which no text spells
    bool is_user_defined = false;  // always taken where it occurs
    bool is_normal = true;         // its score counts among those that make an unknown character's
  };
  struct Options {
    int32_t unknown = -1;
    // Where the scores of paths are rounded to single precision, as SentencePiece does; Hugging Face's
    // `tokenizers` keeps double. Only paths of equal worth are decided differently.
    bool single_precision = false;
    bool byte_fallback = false;  // unknown characters become the pieces "<0x00>" to "<0xFF>" if all are there
  };

  // Error when there is no unknown piece.
  static Result<UnigramEncoder> create(std::vector<Piece> pieces, const Options& options);

  // Appends the pieces' numbers; `text` is normalized and its spaces are U+2581. Neighbouring unknown
  // characters make one unknown token.
  void encode(std::string_view text, std::vector<int32_t>& ids) const;

  size_t n_pieces() const { return pieces_.size(); }
  std::string_view text(int32_t id) const {
    return id >= 0 && size_t(id) < pieces_.size() ? pieces_[size_t(id)].text : std::string_view();
  }
  int32_t find(std::string_view text) const;  // -1 if there is none; special ones too

 private:
  struct Range {
    uint32_t begin = 0, end = 0;  // into sorted_
  };
  Range narrowed(Range range, size_t depth, uint8_t byte) const;
  void append_unknown(std::string_view text, std::vector<int32_t>& ids) const;

  std::vector<Piece> pieces_;
  Options options_;
  std::vector<uint32_t> sorted_;  // pieces that texts are spelled with, by their text
  std::array<Range, 256> by_first_byte_ = {};
  std::vector<uint32_t> all_sorted_;  // all pieces, by their text
  std::array<int32_t, 256> byte_pieces_ = {};
  double unknown_score_ = 0, largest_score_ = 0;
};

}  // namespace edgellm
