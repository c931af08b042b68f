// Splits text into the words that byte-level BPE merges within: regular expressions applied one after
// another, each cutting the pieces left by the one before (tokenizer.ggml.pre names which).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct PreTokenizerKind {
  std::vector<std::string_view> names;  // as in tokenizer.ggml.pre
  std::vector<std::string_view>
      patterns;  // Perl syntax; \s, \p{L} and the like mean the same on every PCRE2 version
  // The patterns of tokenizer.json by which the kind is known, where they are written differently there.
  std::vector<std::string_view> hugging_face = {};
  bool ignore_merges = false;  // a word that is a token is that token, whether or not merges lead to it
  bool add_bos = false;        // unless tokenizer.ggml.add_bos_token says otherwise
};

// All kinds known; the first that has a name is meant.
std::span<const PreTokenizerKind> pre_tokenizer_kinds();
// Null if unknown. The empty name is "default".
const PreTokenizerKind* find_pre_tokenizer(std::string_view name);

class PreTokenizer {
 public:
  static Result<PreTokenizer> create(const PreTokenizerKind& kind);

  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;
  ~PreTokenizer();

  // Work memory of one thread, kept between calls.
  class Scratch {
   public:
    Scratch();
    Scratch(Scratch&&) noexcept;
    ~Scratch();

   private:
    friend class PreTokenizer;
    struct State;
    std::unique_ptr<State> state_;
  };
  // `text` must be valid UTF-8. The words are in order, not empty and together the whole text; they are valid
  // until the next call with the same scratch.
  std::span<const std::string_view> split(std::string_view text, Scratch& scratch) const;

 private:
  struct Compiled;
  explicit PreTokenizer(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

// `text` itself when it is valid UTF-8, otherwise `storage`: each wrong byte replaced by U+FFFD, as llama.cpp
// does.
std::string_view valid_utf8(std::string_view text, std::string& storage);

}  // namespace edgellm
