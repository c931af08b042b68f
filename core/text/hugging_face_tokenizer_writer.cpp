// tokenizer.ggml.* to tokenizer.json and tokenizer_config.json that Hugging Face's tokenizers read, with the
// tokens of llama.cpp.
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"
#include "core/text/hugging_face_pre_tokenizer.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"

namespace edgellm {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSpaceMark = "\xE2\x96\x81";

Json added_token(std::string_view text, const TokenAttributes& attributes) {
  return {{"content", text},
          {"single_word", false},
          {"lstrip", attributes.strip_left},
          {"rstrip", attributes.strip_right},
          {"normalized", false},
          {"special", attributes.control || attributes.unknown}};
}

// The types of the file itself: that a name makes a token end generation is llama.cpp's and our addition.
std::vector<TokenAttributes> file_attributes(const Vocabulary& vocabulary, const Metadata& metadata) {
  std::vector<TokenAttributes> attributes(vocabulary.n_tokens(), TokenAttributes::of(TokenType::normal));
  if (auto types = metadata.integers("tokenizer.ggml.token_type"); types.ok())
    for (size_t i = 0; i < attributes.size(); ++i)
      attributes[i] = TokenAttributes::of(TokenType((*types)[i]));
  for (size_t i = 0; i < attributes.size(); ++i) {
    attributes[i].strip_left = vocabulary.attributes(int32_t(i)).strip_left;
    attributes[i].strip_right = vocabulary.attributes(int32_t(i)).strip_right;
  }
  return attributes;
}

// Padding up to the rows of the embedding is not written: config.json's vocab_size brings it back.
bool is_padding(const Vocabulary& vocabulary, int32_t token) {
  return vocabulary.attributes(token).unused && vocabulary.text(token) == fmt::format("[PAD{}]", token);
}

// Every way to put a token together from two, the best token's first: what SentencePiece does by score, told
// as merges.
Json merges_by_score(const Vocabulary& vocabulary) {
  struct Merge {
    int32_t made, left, right;
  };
  std::vector<Merge> merges;
  auto joins = [&](std::string_view text) {
    int32_t token = vocabulary.find(text);
    return token >= 0 && vocabulary.attributes(token).normal ? token : -1;
  };
  for (int32_t made = 0; made < int32_t(vocabulary.n_tokens()); ++made) {
    if (!vocabulary.attributes(made).normal) continue;
    std::string_view text = vocabulary.text(made);
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((uint8_t(text[cut]) & 0xC0) == 0x80) continue;  // inside a character
      int32_t left = joins(text.substr(0, cut)), right = left < 0 ? -1 : joins(text.substr(cut));
      if (right >= 0) merges.push_back({made, left, right});
    }
  }
  std::stable_sort(merges.begin(), merges.end(), [&](const Merge& a, const Merge& b) {
    return vocabulary.score(a.made) > vocabulary.score(b.made);
  });
  Json written = Json::array();
  for (const Merge& merge : merges)
    written.push_back({vocabulary.text(merge.left), vocabulary.text(merge.right)});
  return written;
}

Json byte_level_merges(const std::vector<std::string>& lines) {
  Json written = Json::array();
  for (const std::string& line : lines) {
    size_t space = line.find(' ', 1);
    written.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  return written;
}

Json replace(const char* pattern, const char* content) {
  return {{"type", "Replace"}, {"pattern", {{"String", pattern}}}, {"content", content}};
}

// The steps around a SentencePiece-like model: spaces become U+2581, one is put before the text if asked for.
void describe_sentencepiece(bool space_prefix, Json& tokenizer) {
  Json to_mark = replace(" ", kSpaceMark);
  Json decoders = Json::array({replace(kSpaceMark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  if (space_prefix) {
    tokenizer["normalizer"] = {{"type", "Sequence"},
                               {"normalizers", {{{"type", "Prepend"}, {"prepend", kSpaceMark}}, to_mark}}};
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  } else {
    tokenizer["normalizer"] = to_mark;
  }
  tokenizer["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
}

Json template_of(const Vocabulary& vocabulary, const char* second) {
  Json steps = Json::array(), special = Json::object();
  auto put = [&](int32_t token) {
    std::string text(vocabulary.text(token));
    steps.push_back({{"SpecialToken", {{"id", text}, {"type_id", 0}}}});
    special[text] = {{"id", text}, {"ids", {token}}, {"tokens", {text}}};
  };
  Json both = Json::array();
  for (const char* sequence : {"A", second}) {
    if (!sequence) continue;
    if (vocabulary.add_bos) put(vocabulary.bos);
    steps.push_back({{"Sequence", {{"id", sequence}, {"type_id", sequence[0] == 'A' ? 0 : 1}}}});
    if (vocabulary.add_eos) put(vocabulary.eos);
  }
  return {{"steps", steps}, {"special", special}};
}

Json post_processor(const Vocabulary& vocabulary, bool byte_level) {
  if (vocabulary.add_bos || vocabulary.add_eos) {
    Json one = template_of(vocabulary, nullptr), pair = template_of(vocabulary, "B");
    return {{"type", "TemplateProcessing"},
            {"single", one["steps"]},
            {"pair", pair["steps"]},
            {"special_tokens", one["special"]}};
  }
  if (!byte_level) return nullptr;
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
}

Json tokenizer_json(const Vocabulary& vocabulary, const Metadata& metadata, const PreTokenizerKind* kind) {
  std::vector<TokenAttributes> attributes = file_attributes(vocabulary, metadata);
  bool byte_level = kind != nullptr;
  Json vocab = Json::object(), added = Json::array();
  // nlohmann's ordered object looks a new key up by going through all it has; its base is a plain vector.
  auto& entries = vocab.get_ref<Json::object_t&>();
  entries.reserve(vocabulary.n_tokens());
  for (int32_t token = 0; token < int32_t(vocabulary.n_tokens()); ++token) {
    if (is_padding(vocabulary, token)) continue;
    std::string text(vocabulary.text(token));
    if (attributes[size_t(token)].special()) {
      Json one = {{"id", token}};
      one.update(added_token(text, attributes[size_t(token)]));
      added.push_back(std::move(one));
    }
    static_cast<std::vector<Json::object_t::value_type>&>(entries).emplace_back(std::move(text), token);
  }

  Json model = {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}};
  if (!byte_level && vocabulary.unknown >= 0) model["unk_token"] = vocabulary.text(vocabulary.unknown);
  model["continuing_subword_prefix"] = nullptr;
  model["end_of_word_suffix"] = nullptr;
  model["fuse_unk"] = !byte_level;
  model["byte_fallback"] = !byte_level;
  model["ignore_merges"] = byte_level && kind->ignore_merges;
  model["vocab"] = std::move(vocab);
  model["merges"] = byte_level ? byte_level_merges(**metadata.strings("tokenizer.ggml.merges"))
                               : merges_by_score(vocabulary);

  Json tokenizer = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  tokenizer["added_tokens"] = std::move(added);
  tokenizer["normalizer"] = nullptr;
  tokenizer["pre_tokenizer"] = nullptr;
  tokenizer["post_processor"] = post_processor(vocabulary, byte_level);
  if (byte_level) {
    tokenizer["pre_tokenizer"] = hugging_face_pre_tokenizer(*kind);
    tokenizer["decoder"] = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  } else {
    describe_sentencepiece(metadata.boolean_or("tokenizer.ggml.add_space_prefix", true), tokenizer);
  }
  tokenizer["model"] = std::move(model);
  return tokenizer;
}

Json configuration_json(const Vocabulary& vocabulary, const Metadata& metadata) {
  Json configuration = {{"add_bos_token", vocabulary.add_bos}, {"add_eos_token", vocabulary.add_eos}};
  if (metadata.contains("tokenizer.ggml.add_space_prefix"))
    configuration["add_prefix_space"] = metadata.boolean_or("tokenizer.ggml.add_space_prefix", false);
  Json added = Json::object();
  std::vector<TokenAttributes> attributes = file_attributes(vocabulary, metadata);
  for (size_t token = 0; token < attributes.size(); ++token)
    if (attributes[token].special())
      added[fmt::format("{}", token)] = added_token(vocabulary.text(int32_t(token)), attributes[token]);
  configuration["added_tokens_decoder"] = std::move(added);
  struct Role {
    const char* name;
    int64_t token;
  };
  for (auto [name, token] : {Role{"bos_token", vocabulary.bos}, Role{"eos_token", vocabulary.eos},
                             Role{"unk_token", vocabulary.unknown},
                             Role{"pad_token", metadata.integer_or("tokenizer.ggml.padding_token_id", -1)}})
    if (vocabulary.in_range(token)) configuration[name] = vocabulary.text(int32_t(token));
  configuration["clean_up_tokenization_spaces"] = false;
  configuration["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (std::string text = metadata.string_or("tokenizer.chat_template", ""); !text.empty())
    configuration["chat_template"] = std::move(text);
  return configuration;
}

}  // namespace

Status write_hf_tokenizer(const Metadata& metadata, const std::filesystem::path& folder) {
  // Everything is checked by making the tokenizer; what is then read below is there.
  EDGELLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_metadata(metadata));
  EDGELLM_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::from_metadata(metadata));
  vocabulary.add_bos = tokenizer.adds_bos();
  vocabulary.add_eos = vocabulary.eos >= 0 && metadata.boolean_or("tokenizer.ggml.add_eos_token", false);
  const PreTokenizerKind* kind = nullptr;
  if (metadata.string_or("tokenizer.ggml.model", "") == "gpt2")
    kind = find_pre_tokenizer(metadata.string_or("tokenizer.ggml.pre", ""));

  std::string storage;
  for (int32_t token = 0; token < int32_t(vocabulary.n_tokens()); ++token)
    if (valid_utf8(vocabulary.text(token), storage).data() == storage.data() &&
        !vocabulary.text(token).empty())
      return Error{fmt::format("{}: token {} is no valid UTF-8, which tokenizer.json cannot hold",
                               (folder / "tokenizer.json").string(), token)};
  EDGELLM_RETURN_IF_ERROR(write_text_file(folder / "tokenizer.json",
                                          tokenizer_json(vocabulary, metadata, kind).dump(1, ' ') + "\n"));
  return write_text_file(folder / "tokenizer_config.json",
                         configuration_json(vocabulary, metadata).dump(2) + "\n");
}

}  // namespace edgellm
