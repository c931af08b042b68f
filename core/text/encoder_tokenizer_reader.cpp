// The files of a Hugging Face folder to EncoderTokenizerParts.
#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/text/encoder_tokenizer_parts.h"
#include "core/text/hugging_face_json.h"
#include "core/text/hugging_face_pre_tokenizer.h"
#include "core/text/sentencepiece_model.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;

Result<Json> parse(const char* name, const std::string& text) {
  Json json = Json::object();
  if (text.empty()) return json;
  json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return Error{fmt::format("{}: this is not valid JSON", name)};
  if (!json.is_object())
    return Error{fmt::format("{}: wanted a JSON object, got {}", name, json.type_name())};
  return json;
}

class Reader {
 public:
  explicit Reader(const EncoderTokenizerFiles& files) : files_(files) {}
  Result<EncoderTokenizerParts> read();

 private:
  Status read_word_piece();
  Status read_byte_pair(const std::string& tokenizer);
  Result<std::string> tokenizer_of_byte_pairs() const;
  Status read_unigram();
  Status read_sentencepiece();
  Result<std::vector<UnigramEncoder::Piece>> read_pieces(const Json& model) const;
  Status read_added(const Json& tokenizer, size_t n_model);
  void add_roles(std::initializer_list<std::array<const char*, 2>> roles);
  std::string role_name(const char* role, const char* otherwise) const;
  int32_t find(std::string_view text) const;
  void read_surrounding();

  const EncoderTokenizerFiles& files_;
  Json tokenizer_, tokenizer_config_, config_;
  EncoderTokenizerParts made_;
};

std::string Reader::role_name(const char* role, const char* otherwise) const {
  return token_text(member(&tokenizer_config_, role)).value_or(otherwise);
}

int32_t Reader::find(std::string_view text) const {
  for (const AddedToken& token : made_.added)
    if (token.text == text) return token.id;
  return made_.byte_pair ? made_.byte_pair->find(text) : made_.unigram->find(text);
}

// The special tokens that the classes of `transformers` cut out of a text: {role, the name it has unless
// tokenizer_config.json says another}.
void Reader::add_roles(std::initializer_list<std::array<const char*, 2>> roles) {
  for (auto [role, otherwise] : roles) {
    std::string name = role_name(role, otherwise);
    int32_t id = find(name);
    bool is_mask = std::string_view(role) == "mask_token";
    if (id >= 0) made_.added.push_back({.text = name, .id = id, .special = true, .strips_left = is_mask});
  }
}

Status Reader::read_word_piece() {
  EDGELLM_ASSIGN_OR_RETURN(made_.word_piece,
                           WordPieceTokenizer::from_files({.tokenizer = files_.tokenizer,
                                                           .vocabulary = files_.word_pieces,
                                                           .tokenizer_config = files_.tokenizer_config}));
  made_.n_vocabulary = made_.word_piece->n_vocabulary();
  made_.classification = made_.word_piece->classification();
  made_.separator = made_.word_piece->separator();
  return {};
}

Status Reader::read_added(const Json& tokenizer, size_t n_model) {
  EDGELLM_ASSIGN_OR_RETURN(made_.added, read_added_tokens(member(&tokenizer, "added_tokens")));
  made_.n_vocabulary = n_model;
  for (const AddedToken& token : made_.added)
    made_.n_vocabulary = std::max(made_.n_vocabulary, size_t(token.id) + 1);
  return {};
}

// `tokenizer`: tokenizer.json, the folder's or one made of vocab.json and merges.txt.
Status Reader::read_byte_pair(const std::string& tokenizer) {
  EDGELLM_ASSIGN_OR_RETURN(Json json, parse("tokenizer.json", tokenizer));
  const Json* words = member(&json, "pre_tokenizer");
  if (!words || !has_byte_level(*words))
    return Error{"tokenizer.json: wanted a byte-level BPE, got a BPE without the ByteLevel pre_tokenizer"};
  Metadata metadata;
  EDGELLM_RETURN_IF_ERROR(tokenizer_metadata_from_hf_files({.tokenizer = tokenizer}, metadata));
  EDGELLM_ASSIGN_OR_RETURN(made_.byte_pair, Tokenizer::from_metadata(metadata));
  EDGELLM_RETURN_IF_ERROR(read_added(json, made_.byte_pair->n_vocabulary()));
  EDGELLM_ASSIGN_OR_RETURN(made_.normalizer, TextNormalizer::from_json(member(&json, "normalizer")));
  EDGELLM_ASSIGN_OR_RETURN(made_.layout,
                           read_token_template(member(&json, "post_processor"), made_.n_vocabulary));
  auto prefixes = [](const Json& step) {
    return type_of(&step) == "ByteLevel" && boolean(member(&step, "add_prefix_space")).value_or(true);
  };
  made_.prefixes_stretches = prefixes(*words);
  if (const Json* inner = member(words, "pretokenizers"); inner && inner->is_array())
    made_.prefixes_stretches |= std::any_of(inner->begin(), inner->end(), prefixes);
  return {};
}

// vocab.json ({"token": number}) and merges.txt (a pair of tokens a line, "#version" perhaps before them),
// RoBERTa's files, as a tokenizer.json.
Result<std::string> Reader::tokenizer_of_byte_pairs() const {
  EDGELLM_ASSIGN_OR_RETURN(Json vocabulary, parse("vocab.json", files_.byte_pairs));
  if (files_.merges.empty()) return Error{"vocab.json is there, but merges.txt is missing or empty"};
  Json merges = Json::array();
  std::string_view rest = files_.merges;
  for (size_t n_line = 1; !rest.empty(); ++n_line) {
    size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (n_line == 1 && line.starts_with("#version"))) continue;
    size_t space = line.find(' ');
    if (space == line.npos || space == 0 || space + 1 == line.size())
      return Error{fmt::format("merges.txt:{}: wanted two tokens with a space between", n_line)};
    merges.push_back(line);
  }
  std::string first = role_name("cls_token", "<s>"), last = role_name("sep_token", "</s>");
  Json ids = Json::array();
  for (const std::string& name : {first, last}) {
    auto id = integer(member(&vocabulary, name.c_str()));
    if (!id) return Error{fmt::format("vocab.json: it lacks the special token '{}'", name)};
    ids.push_back(*id);
  }
  Json tokenizer = {
      {"model", {{"type", "BPE"}, {"vocab", std::move(vocabulary)}, {"merges", std::move(merges)}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"post_processor", {{"type", "RobertaProcessing"}, {"cls", {first, ids[0]}}, {"sep", {last, ids[1]}}}}};
  return tokenizer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::vector<UnigramEncoder::Piece>> Reader::read_pieces(const Json& model) const {
  const Json* vocabulary = member(&model, "vocab");
  if (!vocabulary || !vocabulary->is_array() || vocabulary->size() > size_t(kMostTokens))
    return Error{"tokenizer.json: model.vocab is no array of pieces and scores"};
  std::vector<UnigramEncoder::Piece> pieces;
  for (const Json& one : *vocabulary) {
    bool fits = one.is_array() && one.size() == 2 && one[0].is_string() && one[1].is_number();
    if (!fits || !std::isfinite(one[1].get<double>()))
      return Error{fmt::format("tokenizer.json: piece {} is no pair of text and score", pieces.size())};
    pieces.push_back({.text = one[0].get<std::string>(), .score = one[1].get<double>()});
  }
  return pieces;
}

Status Reader::read_unigram() {
  const Json& model = *member(&tokenizer_, "model");
  EDGELLM_ASSIGN_OR_RETURN(auto pieces, read_pieces(model));
  auto unknown = integer(member(&model, "unk_id")).value_or(-1);
  UnigramEncoder::Options options{
      .unknown = unknown >= 0 && unknown < int64_t(pieces.size()) ? int32_t(unknown) : -1,
      .byte_fallback = boolean(member(&model, "byte_fallback")).value_or(false)};
  auto encoder = UnigramEncoder::create(std::move(pieces), options);
  if (!encoder.ok()) return Error{fmt::format("tokenizer.json: {}", encoder.error().message)};
  made_.unigram = std::move(*encoder);
  EDGELLM_RETURN_IF_ERROR(read_added(tokenizer_, made_.unigram->n_pieces()));
  EDGELLM_ASSIGN_OR_RETURN(made_.normalizer, TextNormalizer::from_json(member(&tokenizer_, "normalizer")));
  EDGELLM_ASSIGN_OR_RETURN(made_.words, UnigramWords::from_json(member(&tokenizer_, "pre_tokenizer")));
  EDGELLM_ASSIGN_OR_RETURN(made_.layout,
                           read_token_template(member(&tokenizer_, "post_processor"), made_.n_vocabulary));
  return {};
}

Status Reader::read_sentencepiece() {
  const std::string& name = files_.sentencepiece_name;
  EDGELLM_ASSIGN_OR_RETURN(SentencePieceModel model,
                           parse_sentencepiece_model(files_.sentencepiece, SentencePieceKind::unigram, name));
  EDGELLM_ASSIGN_OR_RETURN(made_.sentencepiece, SentencePieceNormalizer::create(model));
  std::string model_type = token_text(member(&config_, "model_type")).value_or("");
  std::string tokenizer_class = token_text(member(&tokenizer_config_, "tokenizer_class")).value_or("");
  bool is_xlm_roberta =
      model_type.starts_with("xlm-roberta") || tokenizer_class.starts_with("XLMRobertaTokenizer");
  std::vector<UnigramEncoder::Piece> pieces;
  int32_t unknown = model.unknown;
  auto add = [&](const SentencePieceModel::Piece& piece) {
    enum { normal = 1, user_defined = 4 };
    pieces.push_back({.text = piece.text,
                      .score = piece.score,
                      .is_spelled_with = piece.type == normal || piece.type == user_defined,
                      .is_user_defined = piece.type == user_defined,
                      .is_normal = piece.type == normal});
  };
  auto add_special = [&](const char* text) {
    pieces.push_back({.text = text, .is_spelled_with = false, .is_normal = false});
  };
  if (is_xlm_roberta) {
    // fairseq's numbers: its own special tokens, then the pieces from the fourth on.
    for (const char* text : {"<s>", "<pad>", "</s>", "<unk>"}) add_special(text);
    for (size_t i = 3; i < model.pieces.size(); ++i) add(model.pieces[i]);
    add_special("<mask>");
    unknown = 3;
  } else {
    for (const auto& piece : model.pieces) add(piece);
  }
  auto encoder = UnigramEncoder::create(
      std::move(pieces),
      {.unknown = unknown, .single_precision = true, .byte_fallback = model.byte_fallback});
  if (!encoder.ok()) return Error{fmt::format("{}: {}", name, encoder.error().message)};
  made_.unigram = std::move(*encoder);
  made_.n_vocabulary = made_.unigram->n_pieces();
  std::string first = role_name("cls_token", is_xlm_roberta ? "<s>" : "[CLS]");
  std::string last = role_name("sep_token", is_xlm_roberta ? "</s>" : "[SEP]");
  for (const std::string& text : {first, last})
    if (find(text) < 0)
      return Error{fmt::format("{}: it lacks the special token '{}'; give a tokenizer.json", name, text)};
  made_.layout = is_xlm_roberta ? TokenTemplate::roberta(find(first), find(last))
                                : TokenTemplate::bert(find(first), find(last));
  if (is_xlm_roberta)
    add_roles({{"cls_token", "<s>"}, {"pad_token", "<pad>"}, {"sep_token", "</s>"}, {"unk_token", "<unk>"}});
  else
    add_roles(
        {{"cls_token", "[CLS]"}, {"pad_token", "[PAD]"}, {"sep_token", "[SEP]"}, {"unk_token", "[UNK]"}});
  add_roles({{"mask_token", is_xlm_roberta ? "<mask>" : "[MASK]"}});
  return {};
}

// The tokens around a text, by the names the configuration gives or by their place in the template.
void Reader::read_surrounding() {
  auto in_role = [&](const char* role, const TokenTemplate::Step& step) {
    std::string name = role_name(role, "");
    int32_t id = name.empty() ? -1 : find(name);
    return id >= 0 ? id : step.kind == TokenTemplate::Step::Kind::token ? step.id : -1;
  };
  made_.classification = in_role("cls_token", made_.layout.single.front());
  made_.separator = in_role("sep_token", made_.layout.single.back());
}

Result<EncoderTokenizerParts> Reader::read() {
  EDGELLM_ASSIGN_OR_RETURN(tokenizer_, parse("tokenizer.json", files_.tokenizer));
  EDGELLM_ASSIGN_OR_RETURN(tokenizer_config_, parse("tokenizer_config.json", files_.tokenizer_config));
  EDGELLM_ASSIGN_OR_RETURN(config_, parse("config.json", files_.config));
  // A number of the order of 10^30 stands for none.
  if (auto most = integer(member(&tokenizer_config_, "model_max_length")); most && *most > 0)
    made_.most_tokens = size_t(*most);
  const Json* model = member(&tokenizer_, "model");
  std::string type = type_of(model);
  // Old files do not name the type.
  if (type.empty() && member(model, "merges")) type = "BPE";
  if (!files_.tokenizer.empty() && type == "Unigram") {
    EDGELLM_RETURN_IF_ERROR(read_unigram());
  } else if (!files_.tokenizer.empty() && type == "BPE") {
    EDGELLM_RETURN_IF_ERROR(read_byte_pair(files_.tokenizer));
  } else if (!files_.tokenizer.empty() || !files_.word_pieces.empty()) {
    EDGELLM_RETURN_IF_ERROR(read_word_piece());
  } else if (!files_.byte_pairs.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(std::string tokenizer, tokenizer_of_byte_pairs());
    EDGELLM_RETURN_IF_ERROR(read_byte_pair(tokenizer));
    add_roles({{"cls_token", "<s>"},
               {"sep_token", "</s>"},
               {"unk_token", "<unk>"},
               {"pad_token", "<pad>"},
               {"mask_token", "<mask>"}});
    made_.prefixes_text = boolean(member(&tokenizer_config_, "add_prefix_space")).value_or(false);
  } else if (!files_.sentencepiece.empty()) {
    EDGELLM_RETURN_IF_ERROR(read_sentencepiece());
  } else {
    return Error{
        "it has no tokenizer: wanted tokenizer.json, vocab.txt, vocab.json with merges.txt, or a "
        "SentencePiece model (spiece.model, sentencepiece.bpe.model, spm.model)"};
  }
  if (!made_.word_piece) read_surrounding();
  return std::move(made_);
}

}  // namespace

Result<EncoderTokenizerParts> read_encoder_tokenizer(const EncoderTokenizerFiles& files) {
  return Reader(files).read();
}

}  // namespace edgellm
