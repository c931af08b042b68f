// What a WordPiece tokenizer is made of, as read from a Hugging Face folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/text/added_tokens.h"
#include "core/text/token_template.h"
#include "core/text/word_piece.h"
#include "core/text/word_piece_normalizer.h"

namespace edgellm {

struct WordPieceModel {
  std::vector<std::string> tokens;  // by number; empty where there is none
  std::string continuation = "##";
  size_t most_characters = 100;  // a word of more is unknown
  BertNormalizer normalizer;
  std::vector<AddedToken> added;
  TokenTemplate layout;
  int32_t unknown = -1, classification = -1, separator = -1, padding = -1, mask = -1;
};

Result<WordPieceModel> read_word_piece_model(const WordPieceFiles& files);

}  // namespace edgellm
