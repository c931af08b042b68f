// SentencePiece's own model file (tokenizer.model): the few fields of its protocol buffer that a tokenizer
// needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct SentencePieceModel {
  // Type numbers of the file, which are those of tokenizer.ggml.token_type.
  struct Piece {
    std::string text;
    float score = 0;
    int32_t type = 1;
  };
  std::vector<Piece> pieces;
  int32_t unknown = 0, bos = 1, eos = 2, pad = -1;
  bool add_dummy_prefix = true;
};

// Error for a file cut short or of another kind, and for a model that is not of the byte pair kind.
Result<SentencePieceModel> parse_sentencepiece_model(std::string_view bytes);

}  // namespace edgellm
