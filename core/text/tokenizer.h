// Tokenizers as models carry them: SentencePiece unigram-by-score merges (SPM) and byte-level BPE, built from
// GGUF metadata or from a Hugging Face tokenizer.json. Token for token equal to llama.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

struct EncodeOptions {
  bool add_special = false;    // put BOS first / EOS last, where the model's metadata asks for it
  bool parse_special = false;  // "<|im_end|>" in the text is the token of that name, not letters
};

class Tokenizer {
 public:
  // Keys tokenizer.ggml.*. Error for a missing or inconsistent vocabulary, or an unknown tokenizer or
  // pre-tokenizer.
  static Result<Tokenizer> from_metadata(const Metadata& metadata);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  // The bytes of the tokens, joined. Control tokens give nothing unless `special` is true.
  std::string decode(std::span<const int32_t> tokens, bool special = false) const;
  // The bytes of one token as they appear in the middle of a text (may be a part of a UTF-8 character).
  std::string piece(int32_t token, bool special = false) const;

  size_t n_vocabulary() const;
  int32_t bos() const;  // -1 if there is none
  int32_t eos() const;
  bool adds_bos() const;
  // End of generation: EOS, end of turn and the like.
  bool ends_generation(int32_t token) const;
  bool is_control(int32_t token) const;
  // The token whose text is exactly this; -1 if there is none.
  int32_t find(std::string_view text) const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Adds tokenizer.ggml.* (and tokenizer.chat_template) to `metadata` from a Hugging Face folder's
// tokenizer.json, tokenizer_config.json, special_tokens_map.json and generation_config.json, as llama.cpp's
// converter would. tokenizer.model, where there is one and the tokenizer is no byte-level BPE, gives the
// exact scores. On an Error `metadata` is as it was.
Status tokenizer_metadata_from_hf(const std::filesystem::path& folder, Metadata& metadata);

// The same from the files' contents; an empty one counts as absent.
struct HuggingFaceTokenizerFiles {
  std::string tokenizer = {};           // tokenizer.json
  std::string tokenizer_config = {};    // tokenizer_config.json
  std::string special_tokens_map = {};  // special_tokens_map.json
  std::string generation_config = {};   // generation_config.json
  std::string config = {};              // config.json: vocab_size and special token numbers
  std::string chat_template = {};       // chat_template.jinja
  std::string sentencepiece = {};       // tokenizer.model
};
Status tokenizer_metadata_from_hf_files(const HuggingFaceTokenizerFiles& files, Metadata& metadata);

// The way back: writes tokenizer.json and tokenizer_config.json into `folder` from tokenizer.ggml.*.
Status write_hf_tokenizer(const Metadata& metadata, const std::filesystem::path& folder);

}  // namespace edgellm
