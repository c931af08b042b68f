// tokenizer.json, or vocab.txt with tokenizer_config.json, to a WordPieceModel.
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "core/text/hugging_face_json.h"
#include "core/text/word_piece_model.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;
using Step = WordPieceModel::Step;

bool flag(const Json* object, const char* key, bool otherwise) {
  return boolean(member(object, key)).value_or(otherwise);
}

Status parse(const char* name, const std::string& text, Json& json) {
  if (text.empty()) return {};
  json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return Error{fmt::format("{}: this is not valid JSON", name)};
  if (!json.is_object())
    return Error{fmt::format("{}: wanted a JSON object, got {}", name, json.type_name())};
  return {};
}

class Reader {
 public:
  explicit Reader(const WordPieceFiles& files) : files_(files) {}
  Result<WordPieceModel> read();

 private:
  Status read_lines();
  Status read_json();
  Status read_vocabulary(const Json& model);
  Status read_normalizer();
  Status read_added_token(const Json& token, std::optional<int64_t> id);
  Status read_post_processor();
  Status read_bert_processing(const Json& step);
  Status read_template(const Json& step);
  Status read_steps(const Json& step, const char* key, std::vector<Step>& steps);
  Status add_special_token(std::string_view step, int64_t id, int32_t segment, std::vector<Step>& steps);
  Status add_token(int64_t id, const std::string& text);
  int32_t find(const std::string& text) const;
  std::string role_name(const char* role, const char* otherwise) const;
  void surround(int32_t classification, int32_t separator);

  const WordPieceFiles& files_;
  Json tokenizer_, config_;
  WordPieceModel made_;
  std::unordered_map<std::string, int32_t> ids_;
};

Status Reader::add_token(int64_t id, const std::string& text) {
  if (id < 0 || id >= kMostTokens)
    return Error{fmt::format("tokenizer.json: the number {} of token '{}' is out of range", id, text)};
  auto& tokens = made_.tokens;
  if (size_t(id) >= tokens.size()) tokens.resize(size_t(id) + 1);
  if (!tokens[size_t(id)].empty() && tokens[size_t(id)] != text)
    return Error{
        fmt::format("tokenizer.json: number {} is both '{}' and '{}'", id, tokens[size_t(id)], text)};
  auto [known, added] = ids_.try_emplace(text, int32_t(id));
  if (!added && known->second != id)
    return Error{
        fmt::format("tokenizer.json: token '{}' has the numbers {} and {}", text, known->second, id)};
  tokens[size_t(id)] = text;
  return {};
}

int32_t Reader::find(const std::string& text) const {
  auto found = ids_.find(text);
  return found == ids_.end() ? -1 : found->second;
}

std::string Reader::role_name(const char* role, const char* otherwise) const {
  return token_text(member(&config_, role)).value_or(otherwise);
}

// [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
void Reader::surround(int32_t classification, int32_t separator) {
  using enum Step::Kind;
  made_.single = {{token, classification, 0}, {first_text, -1, 0}, {token, separator, 0}};
  made_.pair = made_.single;
  made_.pair.push_back({second_text, -1, 1});
  made_.pair.push_back({token, separator, 1});
}

// vocab.txt: a token a line, its number is the line's, from 0.
Status Reader::read_lines() {
  std::string_view rest = files_.vocabulary;
  while (!rest.empty()) {
    size_t end = rest.find('\n');
    std::string line(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.ends_with('\r')) line.pop_back();
    if (made_.tokens.size() >= size_t(kMostTokens))
      return Error{fmt::format("vocab.txt: more than {} tokens", kMostTokens)};
    ids_[line] = int32_t(made_.tokens.size());
    made_.tokens.push_back(std::move(line));
  }
  made_.normalizer.lower_case = flag(&config_, "do_lower_case", true);
  made_.normalizer.strip_accents = flag(&config_, "strip_accents", made_.normalizer.lower_case);
  made_.normalizer.space_ideographs = flag(&config_, "tokenize_chinese_chars", true);
  std::string cls = role_name("cls_token", "[CLS]"), sep = role_name("sep_token", "[SEP]");
  for (const std::string& name : {cls, sep})
    if (find(name) < 0) return Error{fmt::format("vocab.txt: it lacks the special token '{}'", name)};
  for (const std::string& name : {cls, sep, role_name("unk_token", "[UNK]"), role_name("pad_token", "[PAD]"),
                                  role_name("mask_token", "[MASK]")})
    if (int32_t id = find(name); id >= 0) made_.added.push_back({.text = name, .id = id, .special = true});
  surround(find(cls), find(sep));
  return {};
}

Status Reader::read_vocabulary(const Json& model) {
  std::string type = type_of(&model);
  // Old files do not name the type.
  if (type != "WordPiece" && !(type.empty() && member(&model, "max_input_chars_per_word")))
    return Error{fmt::format("tokenizer.json: wanted a model of type 'WordPiece', got '{}'", type)};
  const Json* vocabulary = member(&model, "vocab");
  if (!vocabulary || !vocabulary->is_object())
    return Error{"tokenizer.json: model.vocab is missing or no object"};
  for (const auto& [text, number] : vocabulary->items()) {
    std::optional<int64_t> id = integer(&number);
    if (!id) return Error{fmt::format("tokenizer.json: the number of token '{}' is no integer", text)};
    EDGELLM_RETURN_IF_ERROR(add_token(*id, text));
  }
  made_.continuation = token_text(member(&model, "continuing_subword_prefix")).value_or("##");
  if (const Json* most = member(&model, "max_input_chars_per_word")) {
    std::optional<int64_t> number = integer(most);
    if (!number || *number < 1)
      return Error{"tokenizer.json: model.max_input_chars_per_word is no positive integer"};
    made_.most_characters = size_t(*number);
  }
  return {};
}

Status Reader::read_normalizer() {
  const Json* normalizer = member(&tokenizer_, "normalizer");
  if (!normalizer) {
    made_.normalizer = {false, false, false, false};
  } else if (std::string type = type_of(normalizer); type == "BertNormalizer") {
    bool lower_case = flag(normalizer, "lowercase", true);
    made_.normalizer = {.clean_text = flag(normalizer, "clean_text", true),
                        .space_ideographs = flag(normalizer, "handle_chinese_chars", true),
                        .strip_accents = flag(normalizer, "strip_accents", lower_case),
                        .lower_case = lower_case};
  } else {
    return Error{fmt::format("tokenizer.json: wanted a normalizer of type 'BertNormalizer', got '{}'", type)};
  }
  std::string type = type_of(member(&tokenizer_, "pre_tokenizer"));
  if (type != "BertPreTokenizer")
    return Error{
        fmt::format("tokenizer.json: wanted a pre_tokenizer of type 'BertPreTokenizer', got '{}'", type)};
  return {};
}

Status Reader::read_added_token(const Json& token, std::optional<int64_t> id) {
  std::optional<std::string> text = token_text(&token);
  if (!id || !text || text->empty())
    return Error{"tokenizer.json: an added token lacks its number or content"};
  bool is_piece = find(*text) >= 0;
  EDGELLM_RETURN_IF_ERROR(add_token(*id, *text));
  bool special = flag(&token, "special", false);
  made_.added.push_back({.text = *text,
                         .id = int32_t(*id),
                         .special = special,
                         .is_piece = is_piece,
                         .single_word = flag(&token, "single_word", false),
                         .strips_left = flag(&token, "lstrip", false),
                         .strips_right = flag(&token, "rstrip", false),
                         .normalized = flag(&token, "normalized", !special)});
  return {};
}

Status Reader::add_special_token(std::string_view step, int64_t id, int32_t segment,
                                 std::vector<Step>& steps) {
  if (id < 0 || size_t(id) >= made_.tokens.size())
    return Error{fmt::format(
        "tokenizer.json: post_processor: the number {} of '{}' is outside the vocabulary", id, step)};
  steps.push_back({Step::Kind::token, int32_t(id), segment});
  return {};
}

// {"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}
Status Reader::read_bert_processing(const Json& step) {
  std::array<std::vector<Step>, 2> tokens;
  for (size_t i = 0; i < 2; ++i) {
    const char* key = i == 0 ? "cls" : "sep";
    const Json* token = member(&step, key);
    std::optional<int64_t> id;
    if (token && token->is_array() && token->size() == 2) id = integer(&(*token)[1]);
    EDGELLM_RETURN_IF_ERROR(add_special_token(key, id.value_or(-1), 0, tokens[i]));
  }
  surround(tokens[0][0].id, tokens[1][0].id);
  return {};
}

// "single" or "pair" of a template: [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id":
// "A", ...
Status Reader::read_steps(const Json& step, const char* key, std::vector<Step>& steps) {
  const Json* places = member(&step, key);
  if (!places || !places->is_array())
    return Error{fmt::format("tokenizer.json: post_processor.{} is missing or no array", key)};
  size_t n_first = 0, n_second = 0;
  for (const Json& place : *places) {
    const Json *token = member(&place, "SpecialToken"), *text = member(&place, "Sequence");
    const Json* named = token ? token : text;
    std::optional<std::string> name = token_text(member(named, "id"));
    int64_t segment = integer(member(named, "type_id")).value_or(0);
    if (!name || segment < 0 || segment > INT32_MAX)
      return Error{fmt::format("tokenizer.json: post_processor.{} has a place of an unknown kind", key)};
    if (token) {
      const Json* ids = member(member(member(&step, "special_tokens"), name->c_str()), "ids");
      if (!ids || !ids->is_array())
        return Error{fmt::format("tokenizer.json: post_processor.special_tokens lacks '{}'", *name)};
      for (const Json& id : *ids)
        EDGELLM_RETURN_IF_ERROR(add_special_token(*name, integer(&id).value_or(-1), int32_t(segment), steps));
    } else {
      bool second = *name == "B";
      ++(second ? n_second : n_first);
      steps.push_back({second ? Step::Kind::second_text : Step::Kind::first_text, -1, int32_t(segment)});
    }
  }
  size_t n_second_wanted = std::string_view(key) == "pair" ? 1 : 0;
  if (n_first != 1 || n_second != n_second_wanted)
    return Error{fmt::format("tokenizer.json: post_processor.{} does not have each text once", key)};
  return {};
}

Status Reader::read_template(const Json& step) {
  EDGELLM_RETURN_IF_ERROR(read_steps(step, "single", made_.single));
  return read_steps(step, "pair", made_.pair);
}

Status Reader::read_post_processor() {
  using enum Step::Kind;
  const Json* step = member(&tokenizer_, "post_processor");
  if (!step) {
    made_.single = {{first_text, -1, 0}};
    made_.pair = {{first_text, -1, 0}, {second_text, -1, 1}};
    return {};
  }
  std::string type = type_of(step);
  if (type == "BertProcessing") return read_bert_processing(*step);
  if (type == "TemplateProcessing") return read_template(*step);
  return Error{fmt::format(
      "tokenizer.json: wanted a post_processor of type 'BertProcessing' or 'TemplateProcessing', got '{}'",
      type)};
}

Status Reader::read_json() {
  const Json* model = member(&tokenizer_, "model");
  if (!model) return Error{"tokenizer.json: it has no model"};
  EDGELLM_RETURN_IF_ERROR(read_vocabulary(*model));
  EDGELLM_RETURN_IF_ERROR(read_normalizer());
  if (const Json* added = member(&tokenizer_, "added_tokens"); added && added->is_array())
    for (const Json& token : *added)
      EDGELLM_RETURN_IF_ERROR(read_added_token(token, integer(member(&token, "id"))));
  return read_post_processor();
}

Result<WordPieceModel> Reader::read() {
  EDGELLM_RETURN_IF_ERROR(parse("tokenizer.json", files_.tokenizer, tokenizer_));
  EDGELLM_RETURN_IF_ERROR(parse("tokenizer_config.json", files_.tokenizer_config, config_));
  if (files_.tokenizer.empty() && files_.vocabulary.empty())
    return Error{"tokenizer: neither tokenizer.json nor vocab.txt is there"};
  const char* source = files_.tokenizer.empty() ? "vocab.txt" : "tokenizer.json";
  EDGELLM_RETURN_IF_ERROR(files_.tokenizer.empty() ? read_lines() : read_json());

  const Json* model = member(&tokenizer_, "model");
  std::string unknown = token_text(member(model, "unk_token")).value_or(role_name("unk_token", "[UNK]"));
  made_.unknown = find(unknown);
  if (made_.unknown < 0)
    return Error{fmt::format("{}: it lacks the token '{}' for unknown words", source, unknown)};
  made_.classification = find(role_name("cls_token", "[CLS]"));
  made_.separator = find(role_name("sep_token", "[SEP]"));
  made_.padding = find(role_name("pad_token", "[PAD]"));
  made_.mask = find(role_name("mask_token", "[MASK]"));
  return std::move(made_);
}

}  // namespace

Result<WordPieceModel> read_word_piece_model(const WordPieceFiles& files) {
  return Reader(files).read();
}

}  // namespace edgellm
