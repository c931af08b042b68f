#include "core/text/token_template.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/text/hugging_face_json.h"

namespace edgellm {
namespace {

using Ids = std::vector<int32_t>;
using Json = nlohmann::json;
using Step = TokenTemplate::Step;
using enum TokenTemplate::Step::Kind;

EncodedText fill_steps(const std::vector<Step>& steps, Ids first, Ids second,
                       const EncodedTextOptions& options) {
  auto is_token = [](const Step& step) { return step.kind == token; };
  size_t n_special =
      options.add_special ? size_t(std::count_if(steps.begin(), steps.end(), is_token)) : size_t{0};
  size_t n_left = options.most_tokens - std::min(options.most_tokens, n_special);
  if (first.size() + second.size() > n_left) {
    // What removing one token at a time from the longer text ends with.
    size_t half = n_left / 2, rest = n_left - half;
    if (second.size() <= half)
      first.resize(n_left - second.size());
    else if (first.size() <= rest)
      second.resize(n_left - first.size());
    else
      first.resize(rest), second.resize(half);
  }
  EncodedText encoded;
  auto append = [&](const Ids& ids, int32_t segment) {
    encoded.ids.insert(encoded.ids.end(), ids.begin(), ids.end());
    encoded.segments.resize(encoded.ids.size(), segment);
  };
  for (const Step& step : steps) {
    switch (step.kind) {
      case first_text:
        append(first, step.segment);
        break;
      case second_text:
        append(second, step.segment);
        break;
      case token:
        if (options.add_special) append({step.id}, step.segment);
    }
  }
  return encoded;
}

class Reader {
 public:
  explicit Reader(size_t n_vocabulary) : n_vocabulary_(n_vocabulary) {}
  Result<TokenTemplate> read(const Json& step) const;

 private:
  Result<std::array<int32_t, 2>> read_surrounding(const Json& step) const;
  Status read_steps(const Json& step, const char* key, std::vector<Step>& steps) const;
  Status add_special_token(std::string_view name, int64_t id, int32_t segment,
                           std::vector<Step>& steps) const;
  size_t n_vocabulary_;
};

Status Reader::add_special_token(std::string_view name, int64_t id, int32_t segment,
                                 std::vector<Step>& steps) const {
  if (id < 0 || size_t(id) >= n_vocabulary_)
    return Error{fmt::format(
        "tokenizer.json: post_processor: the number {} of '{}' is outside the vocabulary", id, name)};
  steps.push_back({token, int32_t(id), segment});
  return {};
}

// {"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}: cls and sep.
Result<std::array<int32_t, 2>> Reader::read_surrounding(const Json& step) const {
  std::vector<Step> tokens;
  for (const char* key : {"cls", "sep"}) {
    const Json* named = member(&step, key);
    std::optional<int64_t> id;
    if (named && named->is_array() && named->size() == 2) id = integer(&(*named)[1]);
    EDGELLM_RETURN_IF_ERROR(add_special_token(key, id.value_or(-1), 0, tokens));
  }
  return std::array<int32_t, 2>{tokens[0].id, tokens[1].id};
}

// "single" or "pair" of a template: [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id":
// "A", ...
Status Reader::read_steps(const Json& step, const char* key, std::vector<Step>& steps) const {
  const Json* places = member(&step, key);
  if (!places || !places->is_array())
    return Error{fmt::format("tokenizer.json: post_processor.{} is missing or no array", key)};
  size_t n_first = 0, n_second = 0;
  for (const Json& place : *places) {
    const Json *special = member(&place, "SpecialToken"), *text = member(&place, "Sequence");
    const Json* named = special ? special : text;
    std::optional<std::string> name = token_text(member(named, "id"));
    int64_t segment = integer(member(named, "type_id")).value_or(0);
    if (!name || segment < 0 || segment > INT32_MAX)
      return Error{fmt::format("tokenizer.json: post_processor.{} has a place of an unknown kind", key)};
    if (special) {
      const Json* ids = member(member(member(&step, "special_tokens"), name->c_str()), "ids");
      if (!ids || !ids->is_array())
        return Error{fmt::format("tokenizer.json: post_processor.special_tokens lacks '{}'", *name)};
      for (const Json& id : *ids)
        EDGELLM_RETURN_IF_ERROR(add_special_token(*name, integer(&id).value_or(-1), int32_t(segment), steps));
    } else {
      bool second = *name == "B";
      ++(second ? n_second : n_first);
      steps.push_back({second ? second_text : first_text, -1, int32_t(segment)});
    }
  }
  size_t n_second_wanted = std::string_view(key) == "pair" ? 1 : 0;
  if (n_first != 1 || n_second != n_second_wanted)
    return Error{fmt::format("tokenizer.json: post_processor.{} does not have each text once", key)};
  return {};
}

Result<TokenTemplate> Reader::read(const Json& step) const {
  std::string type = type_of(&step);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    EDGELLM_ASSIGN_OR_RETURN(auto tokens, read_surrounding(step));
    return type == "BertProcessing" ? TokenTemplate::bert(tokens[0], tokens[1])
                                    : TokenTemplate::roberta(tokens[0], tokens[1]);
  }
  if (type == "TemplateProcessing") {
    TokenTemplate made;
    EDGELLM_RETURN_IF_ERROR(read_steps(step, "single", made.single));
    EDGELLM_RETURN_IF_ERROR(read_steps(step, "pair", made.pair));
    return made;
  }
  if (type == "ByteLevel") return TokenTemplate::plain();  // it moves offsets only
  if (const Json* steps = member(&step, "processors"); type == "Sequence" && steps && steps->is_array()) {
    const Json* adding = nullptr;
    for (const Json& one : *steps) {
      if (type_of(&one) == "ByteLevel") continue;
      if (adding) return Error{"tokenizer.json: post_processor has two steps that add tokens"};
      adding = &one;
    }
    // One level is all there is in practice; a deeper one would let a damaged file recurse at will.
    if (!adding) return TokenTemplate::plain();
    if (type_of(adding) != "Sequence") return read(*adding);
  }
  return Error{
      fmt::format("tokenizer.json: wanted a post_processor of type 'BertProcessing', 'RobertaProcessing' or "
                  "'TemplateProcessing', got '{}'",
                  type)};
}

}  // namespace

TokenTemplate TokenTemplate::plain() {
  return {{{first_text, -1, 0}}, {{first_text, -1, 0}, {second_text, -1, 1}}};
}

TokenTemplate TokenTemplate::bert(int32_t classification, int32_t separator) {
  TokenTemplate made;
  made.single = {{token, classification, 0}, {first_text, -1, 0}, {token, separator, 0}};
  made.pair = made.single;
  made.pair.push_back({second_text, -1, 1});
  made.pair.push_back({token, separator, 1});
  return made;
}

TokenTemplate TokenTemplate::roberta(int32_t classification, int32_t separator) {
  TokenTemplate made;
  made.single = {{token, classification, 0}, {first_text, -1, 0}, {token, separator, 0}};
  made.pair = made.single;
  made.pair.push_back({token, separator, 0});
  made.pair.push_back({second_text, -1, 0});
  made.pair.push_back({token, separator, 0});
  return made;
}

EncodedText TokenTemplate::fill(Ids text, const EncodedTextOptions& options) const {
  return fill_steps(single, std::move(text), {}, options);
}

EncodedText TokenTemplate::fill(Ids first, Ids second, const EncodedTextOptions& options) const {
  return fill_steps(pair, std::move(first), std::move(second), options);
}

Result<TokenTemplate> read_token_template(const Json* post_processor, size_t n_vocabulary) {
  if (!post_processor) return TokenTemplate::plain();
  return Reader(n_vocabulary).read(*post_processor);
}

}  // namespace edgellm
