// SentencePiece's own normalization of a text, rule for rule: the compiled map of characters, white space
// trimmed and joined, a space put before the text, spaces written as U+2581. User-defined pieces are left as
// they stand.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/text/character_map.h"
#include "core/text/sentencepiece_model.h"

namespace edgellm {

class SentencePieceNormalizer {
 public:
  static Result<SentencePieceNormalizer> create(const SentencePieceModel& model);
  // Bytes that are no UTF-8 count as U+FFFD.
  std::string normalize(std::string_view text) const;

 private:
  struct Step {
    std::string_view replacement;
    size_t n_bytes = 0;  // of the text's beginning that it stands for
  };
  Step first_step(std::string_view text) const;

  CharacterMap map_;
  std::vector<std::string> user_defined_;  // the longest first
  std::array<bool, 256> begins_user_defined_ = {};
  bool add_dummy_prefix_ = true, remove_extra_ = true, escape_ = true, mark_after_ = false;
};

}  // namespace edgellm
