// tokenizer.json, or vocab.txt with tokenizer_config.json, to a WordPieceModel.
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "core/text/hugging_face_json.h"
#include "core/text/word_piece_model.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;

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
  Status add_token(int64_t id, const std::string& text);
  int32_t find(const std::string& text) const;
  std::string role_name(const char* role, const char* otherwise) const;

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
  made_.layout = TokenTemplate::bert(find(cls), find(sep));
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

Status Reader::read_json() {
  const Json* model = member(&tokenizer_, "model");
  if (!model) return Error{"tokenizer.json: it has no model"};
  EDGELLM_RETURN_IF_ERROR(read_vocabulary(*model));
  EDGELLM_RETURN_IF_ERROR(read_normalizer());
  EDGELLM_ASSIGN_OR_RETURN(made_.added, read_added_tokens(member(&tokenizer_, "added_tokens")));
  for (AddedToken& token : made_.added) {
    token.is_piece = find(token.text) >= 0;
    EDGELLM_RETURN_IF_ERROR(add_token(token.id, token.text));
  }
  EDGELLM_ASSIGN_OR_RETURN(made_.layout,
                           read_token_template(member(&tokenizer_, "post_processor"), made_.tokens.size()));
  return {};
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
