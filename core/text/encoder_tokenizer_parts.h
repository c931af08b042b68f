// What an encoder's tokenizer is made of, as read from a Hugging Face folder.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/text/added_tokens.h"
#include "core/text/encoder_tokenizer.h"
#include "core/text/sentencepiece_normalizer.h"
#include "core/text/text_normalizer.h"
#include "core/text/token_template.h"
#include "core/text/tokenizer.h"
#include "core/text/unigram_encoder.h"
#include "core/text/unigram_words.h"
#include "core/text/word_piece.h"

namespace edgellm {

struct EncoderTokenizerParts {
  // One of the three models.
  std::optional<WordPieceTokenizer> word_piece;  // with everything below inside it
  std::optional<Tokenizer> byte_pair;
  std::optional<UnigramEncoder> unigram;

  std::vector<AddedToken> added;
  TextNormalizer normalizer;
  // Byte-level BPE: a space before the text, or before every stretch between added tokens.
  bool prefixes_text = false, prefixes_stretches = false;
  // Unigram: the words of tokenizer.json, or what SentencePiece does itself.
  UnigramWords words;
  std::optional<SentencePieceNormalizer> sentencepiece;

  TokenTemplate layout;
  size_t n_vocabulary = 0;
  size_t most_tokens = size_t(-1);
  int32_t classification = -1, separator = -1;
};

Result<EncoderTokenizerParts> read_encoder_tokenizer(const EncoderTokenizerFiles& files);

}  // namespace edgellm
