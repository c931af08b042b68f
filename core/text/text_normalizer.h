// The "normalizer" of tokenizer.json: the steps that make a text plain before it is cut into words.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

class TextNormalizer {
 public:
  TextNormalizer();  // changes nothing
  // Null: no normalizer. Understood: Sequence, Precompiled, Replace, Strip, StripAccents, Lowercase, Prepend,
  // NFC, NFD, NFKC, NFKD, BertNormalizer. Error for another step, and for a pattern that does not compile.
  static Result<TextNormalizer> from_json(const nlohmann::json* normalizer);

  TextNormalizer(TextNormalizer&&) noexcept;
  TextNormalizer& operator=(TextNormalizer&&) noexcept;
  ~TextNormalizer();

  // `text` must be valid UTF-8, and so is the result.
  std::string normalize(std::string_view text) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace edgellm
