// The tokenizers of text encoders behind one interface: WordPiece (BERT), byte-level BPE (RoBERTa) and
// Unigram (RemBERT, XLM-RoBERTa), read from a Hugging Face folder. Id for id as Hugging Face's `tokenizers`
// where there is a tokenizer.json, as the tokenizer classes of `transformers` otherwise: docs/formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/text/token_template.h"

namespace edgellm {

// Contents of a folder's files; an empty one counts as absent. The first of these that is there is read.
struct EncoderTokenizerFiles {
  std::string tokenizer = {};           // tokenizer.json
  std::string word_pieces = {};         // vocab.txt
  std::string byte_pairs = {};          // vocab.json, with
  std::string merges = {};              // merges.txt
  std::string sentencepiece = {};       // spiece.model and its other names
  std::string sentencepiece_name = {};  // for messages
  // These only add to it.
  std::string tokenizer_config = {};  // tokenizer_config.json
  std::string config = {};            // config.json
};

class EncoderTokenizer {
 public:
  // Error when the folder has no tokenizer, one of another kind, or a damaged one.
  static Result<EncoderTokenizer> from_folder(const std::filesystem::path& folder);
  static Result<EncoderTokenizer> from_files(const EncoderTokenizerFiles& files);

  EncoderTokenizer(EncoderTokenizer&&) noexcept;
  EncoderTokenizer& operator=(EncoderTokenizer&&) noexcept;
  ~EncoderTokenizer();

  EncodedText encode(std::string_view text, const EncodedTextOptions& options = {}) const;
  // Tokens over the limit are taken from the end of the longer text, from the second when both are equal.
  EncodedText encode_pair(std::string_view first, std::string_view second,
                          const EncodedTextOptions& options = {}) const;

  std::string_view kind() const;  // "WordPiece", "byte-level BPE" or "Unigram"
  size_t n_vocabulary() const;
  // The limit the folder states for one sequence (model_max_length); size_t(-1) where it states none.
  size_t most_tokens() const;
  // The token whose text is exactly this; -1 if there is none.
  int32_t find(std::string_view text) const;
  // The special tokens around a text: [CLS] and [SEP], <s> and </s>; -1 if there is none.
  int32_t classification() const;
  int32_t separator() const;

 private:
  struct State;
  explicit EncoderTokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace edgellm
