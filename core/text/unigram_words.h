// The "pre_tokenizer" that Unigram tokenizers have in tokenizer.json: spaces written as U+2581 (Metaspace),
// and the words the model spells one by one.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

class UnigramWords {
 public:
  // Null: the text is one word as it stands. Understood: Metaspace, WhitespaceSplit, and both in a Sequence.
  static Result<UnigramWords> from_json(const nlohmann::json* pre_tokenizer);

  // `is_first`: no special token or other text comes before `text`.
  std::vector<std::string> split(std::string_view text, bool is_first) const;

 private:
  enum class Prepend { always, first, never };
  struct Step {
    bool is_metaspace = true;  // else WhitespaceSplit
    std::string mark = "\xE2\x96\x81";
    Prepend prepend = Prepend::always;
    bool splits = true;  // at every mark, which begins the word
  };
  static Result<Step> read_step(const nlohmann::json& json);
  std::vector<Step> steps_;
};

}  // namespace edgellm
