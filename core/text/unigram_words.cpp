#include "core/text/unigram_words.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/text/hugging_face_json.h"
#include "core/text/word_piece_normalizer.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;

struct Word {
  std::string text;
  bool is_first = false;  // of everything
};

// Cut at white space, which is dropped.
void split_at_spaces(const Word& word, std::vector<Word>& words) {
  std::string_view text = word.text;
  size_t start = 0, at = 0;
  auto finish = [&](size_t end) {
    if (end > start)
      words.push_back({std::string(text.substr(start, end - start)), word.is_first && start == 0});
  };
  for (std::string_view rest = text; !rest.empty();) {
    bool space = is_white_space(next_code_point(rest));
    size_t next = text.size() - rest.size();
    if (space) {
      finish(at);
      start = next;
    }
    at = next;
  }
  finish(at);
}

}  // namespace

Result<UnigramWords::Step> UnigramWords::read_step(const Json& json) {
  std::string type = type_of(&json);
  Step step;
  step.is_metaspace = type == "Metaspace";
  if (type == "WhitespaceSplit") return step;
  if (!step.is_metaspace)
    return Error{fmt::format(
        "tokenizer.json: wanted a pre_tokenizer of type 'Metaspace' or 'WhitespaceSplit' for a Unigram "
        "model, got '{}'",
        type)};
  if (auto mark = token_text(member(&json, "replacement")); mark && !mark->empty()) step.mark = *mark;
  bool adds = boolean(member(&json, "add_prefix_space")).value_or(true);
  std::string scheme = token_text(member(&json, "prepend_scheme")).value_or(adds ? "always" : "never");
  step.prepend = scheme == "never" ? Prepend::never : scheme == "first" ? Prepend::first : Prepend::always;
  step.splits = boolean(member(&json, "split")).value_or(true);
  return step;
}

Result<UnigramWords> UnigramWords::from_json(const Json* pre_tokenizer) {
  UnigramWords made;
  if (!pre_tokenizer) return made;
  const Json* inner = member(pre_tokenizer, "pretokenizers");
  if (type_of(pre_tokenizer) != "Sequence" || !inner || !inner->is_array()) {
    EDGELLM_ASSIGN_OR_RETURN(Step step, read_step(*pre_tokenizer));
    made.steps_.push_back(std::move(step));
    return made;
  }
  for (const Json& one : *inner) {
    EDGELLM_ASSIGN_OR_RETURN(Step step, read_step(one));
    made.steps_.push_back(std::move(step));
  }
  return made;
}

std::vector<std::string> UnigramWords::split(std::string_view text, bool is_first) const {
  std::vector<Word> words, cut;
  if (!text.empty()) words.push_back({std::string(text), is_first});
  for (const Step& step : steps_) {
    cut.clear();
    for (const Word& word : words) {
      if (!step.is_metaspace) {
        split_at_spaces(word, cut);
        continue;
      }
      std::string marked;
      for (char c : word.text) {
        if (c == ' ')
          marked += step.mark;
        else
          marked += c;
      }
      bool prepends = step.prepend == Prepend::always || (step.prepend == Prepend::first && word.is_first);
      if (prepends && !marked.starts_with(step.mark)) marked.insert(0, step.mark);
      for (size_t start = 0; start < marked.size();) {
        size_t end = step.splits ? std::min(marked.find(step.mark, start + 1), marked.size()) : marked.size();
        cut.push_back({marked.substr(start, end - start), word.is_first && start == 0});
        start = end;
      }
    }
    std::swap(words, cut);
  }
  std::vector<std::string> result;
  for (Word& word : words) result.push_back(std::move(word.text));
  return result;
}

}  // namespace edgellm
