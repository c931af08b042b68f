// WordPiece, the tokenizer of BERT and its kin: text made plain, cut at spaces and punctuation, each word
// spelled with the longest pieces of the vocabulary ("token", "##izer"). As the BertTokenizer of Devlin et
// al. (arXiv 1810.04805) and the BERT pipeline of Hugging Face's `tokenizers`; docs/formats.md says where the
// two differ and which one is followed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/text/token_template.h"

namespace edgellm {

// Contents of a Hugging Face folder's files; an empty one counts as absent. tokenizer.json goes before
// vocab.txt; its own truncation and padding are left to the caller.
struct WordPieceFiles {
  std::string tokenizer = {};   // tokenizer.json
  std::string vocabulary = {};  // vocab.txt
  // tokenizer_config.json: the names of special tokens; with vocab.txt, letter case and accents too.
  std::string tokenizer_config = {};
};

class WordPieceTokenizer {
 public:
  static Result<WordPieceTokenizer> from_folder(const std::filesystem::path& folder);
  // Error for a tokenizer that is no BERT pipeline, and for a vocabulary without its special tokens.
  static Result<WordPieceTokenizer> from_files(const WordPieceFiles& files);

  WordPieceTokenizer(WordPieceTokenizer&&) noexcept;
  WordPieceTokenizer& operator=(WordPieceTokenizer&&) noexcept;
  ~WordPieceTokenizer();

  EncodedText encode(std::string_view text, const EncodedTextOptions& options = {}) const;
  // Tokens over the limit are taken from the end of the longer text, from the second when both are equal.
  EncodedText encode_pair(std::string_view first, std::string_view second,
                          const EncodedTextOptions& options = {}) const;

  size_t n_vocabulary() const;
  // The token's text, "##" included; empty for a number outside the vocabulary.
  std::string_view token(int32_t id) const;
  // The token whose text is exactly this; -1 if there is none.
  int32_t find(std::string_view text) const;
  int32_t unknown() const;
  // [CLS], [SEP], [PAD], [MASK], or what the configuration calls them; -1 if there is none.
  int32_t classification() const;
  int32_t separator() const;
  int32_t padding() const;
  int32_t mask() const;

 private:
  struct State;
  explicit WordPieceTokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace edgellm
