// tokenizer.json and its neighbours to tokenizer.ggml.*, as llama.cpp's convert_hf_to_gguf.py does it. It
// differs where the converter loses something: a SentencePiece-like BPE gets its scores from the merges'
// ranks instead of one score for all.
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "core/base/output_file.h"
#include "core/text/hugging_face_json.h"
#include "core/text/hugging_face_pre_tokenizer.h"
#include "core/text/sentencepiece_model.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

bool starts_and_ends(std::string_view text, std::string_view start, std::string_view end) {
  return text.size() >= start.size() + end.size() && text.starts_with(start) && text.ends_with(end);
}

// Tokens that some models add without calling them special.
bool looks_special(std::string_view text) {
  for (std::string_view known : {"<pad>", "<mask>", "<2mass>", "[@BOS@]"})
    if (text == known) return true;
  return starts_and_ends(text, "<|", "|>") || starts_and_ends(text, "<｜", "｜>") ||
         starts_and_ends(text, "<unused", ">");
}

bool is_byte_token(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text[5] == '>' && std::isxdigit(uint8_t(text[3])) &&
         std::isxdigit(uint8_t(text[4]));
}

std::string with_spaces(std::string text) {
  for (size_t at; (at = text.find(kSpaceMark)) != std::string::npos;)
    text.replace(at, kSpaceMark.size(), " ");
  return text;
}

struct Token {
  std::string text;
  TokenType type = TokenType::unused;
  float score = -10000.0f;  // the converter's, for tokens that are only padding
};

class Converter {
 public:
  explicit Converter(const HuggingFaceTokenizerFiles& files) : files_(files) {}
  Status convert(Metadata& metadata);

 private:
  Status parse();
  Status read_sentencepiece();
  Status read_vocabulary();
  Status read_added_tokens();
  Status add_token(int64_t id, Token token);
  Status read_merges();
  void score_by_merges();
  void read_space_prefix();
  void read_adding();
  void read_special_ids();
  void set_special(std::string_view role, std::optional<int64_t> id);
  void read_chat_template();
  Status finish(Metadata& metadata);

  const HuggingFaceTokenizerFiles& files_;
  Json tokenizer_, config_, special_map_, generation_, model_config_;
  bool byte_level_ = false;
  int64_t most_ = -1;  // config.json's vocab_size; -1 if not said
  std::vector<std::optional<Token>> tokens_;
  std::unordered_map<std::string, int64_t> ids_;
  std::vector<std::array<std::string, 2>> merges_;
  Metadata made_;
};

Status Converter::parse() {
  struct Part {
    const char* name;
    const std::string* text;
    Json* json;
  };
  for (auto [name, text, json] : {Part{"tokenizer.json", &files_.tokenizer, &tokenizer_},
                                  Part{"tokenizer_config.json", &files_.tokenizer_config, &config_},
                                  Part{"special_tokens_map.json", &files_.special_tokens_map, &special_map_},
                                  Part{"generation_config.json", &files_.generation_config, &generation_},
                                  Part{"config.json", &files_.config, &model_config_}}) {
    if (text->empty()) continue;
    *json = Json::parse(*text, nullptr, false);
    if (json->is_discarded()) return Error{fmt::format("{}: this is not valid JSON", name)};
    if (!json->is_object())
      return Error{fmt::format("{}: wanted a JSON object, got {}", name, json->type_name())};
  }
  const Json* size = member(&model_config_, "vocab_size");
  if (!size) size = member(member(&model_config_, "text_config"), "vocab_size");
  if (size) {
    most_ = integer(size).value_or(0);
    if (most_ <= 0 || most_ > kMostTokens)
      return Error{fmt::format("config.json: wanted a vocab_size from 1 to {}, got {}", kMostTokens,
                               size->is_number() ? size->dump() : size->type_name())};
  }
  return {};
}

Status Converter::add_token(int64_t id, Token token) {
  if (id < 0 || id >= kMostTokens)
    return Error{fmt::format("tokenizer.json: the number {} of token '{}' is out of range", id, token.text)};
  if (most_ >= 0 && id >= most_) return {};  // the model has no row for it
  if (size_t(id) >= tokens_.size()) tokens_.resize(size_t(id) + 1);
  if (tokens_[size_t(id)] && tokens_[size_t(id)]->text != token.text) ids_.erase(tokens_[size_t(id)]->text);
  auto [known, added] = ids_.try_emplace(token.text, id);
  if (!added && known->second != id)
    return Error{
        fmt::format("tokenizer.json: token '{}' has the numbers {} and {}", token.text, known->second, id)};
  tokens_[size_t(id)] = std::move(token);
  return {};
}

Status Converter::read_sentencepiece() {
  EDGELLM_ASSIGN_OR_RETURN(SentencePieceModel model,
                           parse_sentencepiece_model(files_.sentencepiece, SentencePieceKind::byte_pair));
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    SentencePieceModel::Piece& piece = model.pieces[i];
    EDGELLM_RETURN_IF_ERROR(
        add_token(int64_t(i), {std::move(piece.text), TokenType(piece.type), piece.score}));
  }
  made_.set("tokenizer.ggml.add_space_prefix", MetadataValue::of_boolean(model.add_dummy_prefix));
  set_special("bos", model.bos);
  set_special("eos", model.eos);
  set_special("unknown", model.unknown);
  set_special("padding", model.pad);
  return {};
}

Status Converter::read_vocabulary() {
  const Json* model = member(&tokenizer_, "model");
  const Json* vocabulary = member(model, "vocab");
  std::string type = type_of(model);
  if (!model || !vocabulary || (!type.empty() && type != "BPE"))
    return Error{
        fmt::format("tokenizer.json: wanted a model of type 'BPE' with a vocab, got type '{}'", type)};
  if (!vocabulary->is_object()) return Error{"tokenizer.json: model.vocab is no object"};
  bool fallback = boolean(member(model, "byte_fallback")).value_or(false);
  if (!byte_level_ && !fallback)
    return Error{"tokenizer.json: this BPE is neither byte-level nor does it fall back to bytes"};
  for (const auto& [text, id] : vocabulary->items()) {
    std::optional<int64_t> number = integer(&id);
    if (!number) return Error{fmt::format("tokenizer.json: the number of token '{}' is no integer", text)};
    TokenType kind = !byte_level_ && is_byte_token(text) ? TokenType::byte : TokenType::normal;
    EDGELLM_RETURN_IF_ERROR(add_token(*number, {text, kind, 0.0f}));
  }
  return read_merges();
}

Status Converter::read_merges() {
  const Json* merges = member(member(&tokenizer_, "model"), "merges");
  if (!merges || !merges->is_array()) return Error{"tokenizer.json: model.merges is missing or no array"};
  merges_.reserve(merges->size());
  for (const Json& merge : *merges) {
    std::array<std::string, 2> pair;
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      size_t space = text.find(' ', 1);
      if (space != std::string::npos) pair = {text.substr(0, space), text.substr(space + 1)};
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      pair = {merge[0].get<std::string>(), merge[1].get<std::string>()};
    }
    if (pair[0].empty() || pair[1].empty())
      return Error{fmt::format("tokenizer.json: merge {} is no pair of tokens", merges_.size())};
    merges_.push_back(std::move(pair));
  }
  return {};
}

Status Converter::read_added_tokens() {
  auto add = [&](std::optional<int64_t> id, const Json& token) -> Status {
    std::optional<std::string> text = token_text(&token);
    if (!id || !text || text->empty())
      return Error{"tokenizer.json: an added token lacks its number or content"};
    if (boolean(member(&token, "special")).value_or(false) || looks_special(*text))
      return add_token(*id, {*text, TokenType::control, -1000.0f});
    return add_token(*id, {with_spaces(*text), TokenType::user_defined, -1000.0f});
  };
  if (const Json* added = member(&tokenizer_, "added_tokens"); added && added->is_array())
    for (const Json& token : *added) EDGELLM_RETURN_IF_ERROR(add(integer(member(&token, "id")), token));
  if (const Json* added = member(&config_, "added_tokens_decoder"); added && added->is_object())
    for (const auto& [number, token] : added->items()) {
      bool digits = !number.empty() && number.size() < 10 &&
                    std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
      if (!digits) return Error{fmt::format("tokenizer_config.json: added token number '{}'", number)};
      EDGELLM_RETURN_IF_ERROR(add(std::stoi(number), token));
    }
  return {};
}

// The higher score is joined first, so a token scores by the first merge that makes it; the order is all that
// counts.
void Converter::score_by_merges() {
  float next = 0;
  std::unordered_set<int64_t> scored;
  auto score = [&](int64_t id) {
    Token& token = *tokens_[size_t(id)];
    if (token.type == TokenType::normal && scored.insert(id).second) token.score = -next++;
  };
  std::string joined;
  for (const auto& [left, right] : merges_) {
    joined.assign(left).append(right);
    if (auto made = ids_.find(joined); made != ids_.end()) score(made->second);
  }
  for (size_t id = 0; id < tokens_.size(); ++id)
    if (tokens_[id]) score(int64_t(id));
}

// Whether a space is put before the text: asked for by the configuration, a Prepend normalizer or a Metaspace
// step.
void Converter::read_space_prefix() {
  std::optional<bool> prefix = boolean(member(&config_, "add_prefix_space"));
  if (byte_level_) {
    if (prefix) made_.set("tokenizer.ggml.add_space_prefix", MetadataValue::of_boolean(*prefix));
    return;
  }
  bool found = false;
  auto look = [&](const Json& step) {
    std::string type = type_of(&step);
    if (type == "Prepend") found = true;
    if (type == "Metaspace") {
      std::string scheme = token_text(member(&step, "prepend_scheme")).value_or("always");
      found = scheme != "never" && boolean(member(&step, "add_prefix_space")).value_or(true);
    }
  };
  for (const char* key : {"normalizer", "pre_tokenizer"}) {
    const Json* step = member(&tokenizer_, key);
    if (!step) continue;
    look(*step);
    for (const char* inner : {"normalizers", "pretokenizers"})
      if (const Json* steps = member(step, inner); steps && steps->is_array())
        for (const Json& one : *steps) look(one);
  }
  made_.set("tokenizer.ggml.add_space_prefix", MetadataValue::of_boolean(prefix.value_or(found)));
}

// add_bos_token and add_eos_token: from the post-processor, else from the configuration.
void Converter::read_adding() {
  std::optional<bool> bos, eos;
  auto is_named = [&](const Json* piece, const char* role) {
    std::optional<std::string> id = token_text(member(member(piece, "SpecialToken"), "id"));
    if (!id) return std::optional<bool>();
    std::optional<std::string> named = token_text(member(&config_, role));
    return std::optional<bool>(!named || *named == *id);
  };
  auto look = [&](const Json& step) {
    std::string type = type_of(&step);
    if (type == "ByteLevel") {
      if (!bos) bos = false;
      if (!eos) eos = false;
    } else if (type == "TemplateProcessing") {
      const Json* single = member(&step, "single");
      if (!single || !single->is_array() || single->size() < 2) return;
      if (auto first = is_named(&single->front(), "bos_token")) bos = first;
      if (auto last = is_named(&single->back(), "eos_token")) eos = last;
    }
  };
  if (const Json* step = member(&tokenizer_, "post_processor")) {
    look(*step);
    if (const Json* steps = member(step, "processors"); steps && steps->is_array())
      for (const Json& one : *steps) look(one);
  }
  if (!bos) bos = boolean(member(&config_, "add_bos_token"));
  if (!eos) eos = boolean(member(&config_, "add_eos_token"));
  if (bos) made_.set("tokenizer.ggml.add_bos_token", MetadataValue::of_boolean(*bos));
  if (eos) made_.set("tokenizer.ggml.add_eos_token", MetadataValue::of_boolean(*eos));
}

void Converter::set_special(std::string_view role, std::optional<int64_t> id) {
  if (!id || *id < 0 || size_t(*id) >= tokens_.size() || !tokens_[size_t(*id)]) return;
  made_.set(fmt::format("tokenizer.ggml.{}_token_id", role), MetadataValue::of_uint32(uint32_t(*id)));
}

void Converter::read_special_ids() {
  struct Role {
    const char* hugging_face;
    const char* gguf;
  };
  // GGUF spells it so.
  for (auto [theirs, ours] : {Role{"bos", "bos"}, Role{"eos", "eos"}, Role{"unk", "unknown"},
                              Role{"sep", "seperator"}, Role{"pad", "padding"}, Role{"mask", "mask"}}) {
    // From the least to the most trusted.
    std::string number = fmt::format("{}_token_id", theirs), name = fmt::format("{}_token", theirs);
    for (const Json* file : {&generation_, &model_config_}) {
      const Json* id = member(file, number.c_str());
      if (!id) id = member(member(file, "text_config"), number.c_str());
      if (id && id->is_array() && !id->empty()) id = &id->front();
      set_special(ours, integer(id));
    }
    for (const Json* file : {&special_map_, &config_}) {
      std::optional<std::string> text = token_text(member(file, name.c_str()));
      if (!text) continue;
      if (auto id = ids_.find(*text); id != ids_.end()) set_special(ours, id->second);
    }
  }
}

void Converter::read_chat_template() {
  const Json* written = member(&config_, "chat_template");
  // Several named templates: the default one.
  if (written && written->is_array()) {
    const Json* chosen = nullptr;
    for (const Json& one : *written)
      if (token_text(member(&one, "name")) == "default") chosen = member(&one, "template");
    written = chosen;
  }
  std::string text = token_text(written).value_or(files_.chat_template);
  if (!text.empty()) made_.set("tokenizer.chat_template", MetadataValue::of_string(std::move(text)));
}

Status Converter::finish(Metadata& metadata) {
  size_t n = most_ >= 0 ? size_t(most_) : tokens_.size();
  if (n == 0) return Error{"tokenizer.json: the vocabulary is empty"};
  tokens_.resize(n);
  std::vector<std::string> texts(n), merges;
  std::vector<float> scores(n);
  std::vector<int32_t> types(n);
  for (size_t i = 0; i < n; ++i) {
    Token token =
        tokens_[i] ? std::move(*tokens_[i]) : Token{fmt::format("[PAD{}]", i), TokenType::unused, -10000.0f};
    texts[i] = std::move(token.text);
    types[i] = int32_t(token.type);
    scores[i] = token.score;
  }
  made_.set("tokenizer.ggml.tokens", MetadataValue::of_strings(std::move(texts)));
  made_.set("tokenizer.ggml.token_type", MetadataValue::of_int32s(types));
  if (byte_level_) {
    for (auto& [left, right] : merges_) merges.push_back(left + " " + right);
    made_.set("tokenizer.ggml.merges", MetadataValue::of_strings(std::move(merges)));
  } else {
    made_.set("tokenizer.ggml.scores", MetadataValue::of_float32s(scores));
  }

  // What cannot be used is said here rather than when the written model is opened.
  EDGELLM_RETURN_IF_ERROR(Tokenizer::from_metadata(made_));
  EDGELLM_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::from_metadata(made_));
  // A further end token that its name does not give away.
  if (const Json* ends = member(&generation_, "eos_token_id"); ends && ends->is_array())
    for (const Json& end : *ends) {
      int64_t id = integer(&end).value_or(-1);
      const auto& known = vocabulary.ends_of_generation;
      if (!vocabulary.in_range(id) || std::binary_search(known.begin(), known.end(), int32_t(id))) continue;
      made_.set("tokenizer.ggml.eot_token_id", MetadataValue::of_uint32(uint32_t(id)));
      break;
    }
  for (const auto& [key, value] : made_.entries()) metadata.set(key, value);
  return {};
}

Status Converter::convert(Metadata& metadata) {
  EDGELLM_RETURN_IF_ERROR(parse());
  if (files_.tokenizer.empty() && files_.sentencepiece.empty())
    return Error{"tokenizer: neither tokenizer.json nor tokenizer.model is there"};
  const Json* pre_tokenizer = member(&tokenizer_, "pre_tokenizer");
  const Json* decoder = member(&tokenizer_, "decoder");
  byte_level_ = (pre_tokenizer && has_byte_level(*pre_tokenizer)) || (decoder && has_byte_level(*decoder));
  made_.set("tokenizer.ggml.model", MetadataValue::of_string(byte_level_ ? "gpt2" : "llama"));
  if (byte_level_) {
    bool ignore_merges = boolean(member(member(&tokenizer_, "model"), "ignore_merges")).value_or(false);
    if (!pre_tokenizer) return Error{"tokenizer.json: a byte-level BPE without a pre_tokenizer"};
    EDGELLM_ASSIGN_OR_RETURN(const PreTokenizerKind* kind,
                             recognize_pre_tokenizer(*pre_tokenizer, ignore_merges));
    made_.set("tokenizer.ggml.pre", MetadataValue::of_string(std::string(kind->names.front())));
  } else {
    made_.set("tokenizer.ggml.pre", MetadataValue::of_string("default"));
  }
  if (!byte_level_ && !files_.sentencepiece.empty()) {
    EDGELLM_RETURN_IF_ERROR(read_sentencepiece());
    EDGELLM_RETURN_IF_ERROR(read_added_tokens());
  } else {
    EDGELLM_RETURN_IF_ERROR(read_vocabulary());
    EDGELLM_RETURN_IF_ERROR(read_added_tokens());
    if (!byte_level_) score_by_merges();
    read_space_prefix();
  }
  read_adding();
  read_special_ids();
  read_chat_template();
  return finish(metadata);
}

}  // namespace

Status tokenizer_metadata_from_hf_files(const HuggingFaceTokenizerFiles& files, Metadata& metadata) {
  return Converter(files).convert(metadata);
}

Status tokenizer_metadata_from_hf(const std::filesystem::path& folder, Metadata& metadata) {
  HuggingFaceTokenizerFiles files;
  struct Part {
    const char* name;
    std::string* text;
  };
  for (auto [name, text] :
       {Part{"tokenizer.json", &files.tokenizer}, Part{"tokenizer_config.json", &files.tokenizer_config},
        Part{"special_tokens_map.json", &files.special_tokens_map},
        Part{"generation_config.json", &files.generation_config}, Part{"config.json", &files.config},
        Part{"chat_template.jinja", &files.chat_template}, Part{"tokenizer.model", &files.sentencepiece}}) {
    std::error_code error;
    if (!std::filesystem::exists(folder / name, error)) continue;
    EDGELLM_ASSIGN_OR_RETURN(*text, read_text_file(folder / name));
  }
  auto status = tokenizer_metadata_from_hf_files(files, metadata);
  if (!status.ok()) return Error{fmt::format("{}: {}", folder.string(), status.error().message)};
  return {};
}

}  // namespace edgellm
