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
  bool byte_fallback = false;               // unknown characters become the pieces of their bytes
  bool treat_whitespace_as_suffix = false;  // U+2581 ends a word, where it else begins one

  // How a text is made plain: see sentencepiece_normalizer.h.
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
  std::string character_map;  // "precompiled_charsmap"
};

// The numbers of trainer_spec.model_type.
enum class SentencePieceKind { unigram = 1, byte_pair = 2 };

// `name`: the file's, for messages. Error for a file cut short or of another kind, and for a model that is
// not of the wanted kind.
Result<SentencePieceModel> parse_sentencepiece_model(std::string_view bytes, SentencePieceKind wanted,
                                                     std::string_view name = "tokenizer.model");

}  // namespace edgellm
