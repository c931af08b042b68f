#include "core/text/vocabulary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <fmt/format.h>
#include <limits>
#include <xxhash.h>

namespace edgellm {
namespace {

uint32_t hash_of(std::string_view text) {
  return uint32_t(XXH3_64bits(text.data(), text.size()));
}

// Names by which models mark the end of what they generate; GGUF files do not say it reliably.
constexpr std::string_view kEndNames[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<eos>",
    "<turn|>",
    "[e~[",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
};

// Fill-in-the-middle roles: a token of these names is a control token whatever its file says; those of the
// roles that end a completion (padding, repository, file separator) also end generation.
struct FillRole {
  std::string_view key;
  bool ends_generation;
  std::array<std::string_view, 8> names;
};
constexpr FillRole kFillRoles[] = {
    {"fim_pre",
     false,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
      "<|code_prefix|>", "<|prefix|>"}},
    {"fim_suf",
     false,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
      "<|code_suffix|>", "<|suffix|>"}},
    {"fim_mid",
     false,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
      "<|middle|>"}},
    {"fim_pad", true, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {"fim_rep", true, {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {"fim_sep", true, {"<|file_sep|>"}},
};

}  // namespace

TokenAttributes TokenAttributes::of(TokenType type) {
  TokenAttributes a;
  a.normal = type == TokenType::normal;
  a.unknown = type == TokenType::unknown;
  a.control = type == TokenType::control;
  a.user_defined = type == TokenType::user_defined;
  a.unused = type == TokenType::unused;
  a.byte = type == TokenType::byte;
  return a;
}

void TokenIndex::reserve(size_t n_tokens) {
  slots_.assign(std::bit_ceil(n_tokens * 2 + 2), {});
}

int32_t TokenIndex::add(const Vocabulary& vocabulary, int32_t token) {
  std::string_view text = vocabulary.text(token);
  uint32_t hash = hash_of(text);
  size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.token < 0) {
      slot = {hash, token};
      return -1;
    }
    if (slot.hash == hash && vocabulary.text(slot.token) == text) return slot.token;
  }
}

int32_t TokenIndex::find(const Vocabulary& vocabulary, std::string_view text) const {
  if (slots_.empty()) return -1;
  uint32_t hash = hash_of(text);
  size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.token < 0) return -1;
    if (slot.hash == hash && vocabulary.text(slot.token) == text) return slot.token;
  }
}

Result<Vocabulary> Vocabulary::from_metadata(const Metadata& metadata) {
  Vocabulary vocabulary;
  EDGELLM_RETURN_IF_ERROR(vocabulary.read_tokens(metadata));
  EDGELLM_RETURN_IF_ERROR(vocabulary.read_roles(metadata));
  vocabulary.find_ends_of_generation(metadata);
  vocabulary.find_stripping(metadata);
  return vocabulary;
}

Status Vocabulary::read_tokens(const Metadata& metadata) {
  EDGELLM_ASSIGN_OR_RETURN(const auto* tokens, metadata.strings("tokenizer.ggml.tokens"));
  size_t n = tokens->size();
  if (n == 0) return Error{"tokenizer: the vocabulary tokenizer.ggml.tokens is empty"};
  if (n > size_t(std::numeric_limits<int32_t>::max()))
    return Error{fmt::format("tokenizer: {} tokens are more than 32-bit numbers can name", n)};

  if (metadata.contains("tokenizer.ggml.scores")) {
    EDGELLM_ASSIGN_OR_RETURN(std::vector<double> scores, metadata.reals("tokenizer.ggml.scores"));
    if (scores.size() != n) return Error{fmt::format("tokenizer: {} tokens but {} scores", n, scores.size())};
    scores_.assign(scores.begin(), scores.end());
    // A queue ordered by NaN would be in no order at all.
    for (float& score : scores_)
      if (!(score == score)) return Error{"tokenizer: a token's score is not a number"};
  }
  attributes_.assign(n, TokenAttributes::of(TokenType::normal));
  if (metadata.contains("tokenizer.ggml.token_type")) {
    EDGELLM_ASSIGN_OR_RETURN(std::vector<int64_t> types, metadata.integers("tokenizer.ggml.token_type"));
    if (types.size() != n)
      return Error{fmt::format("tokenizer: {} tokens but {} token types", n, types.size())};
    for (size_t i = 0; i < n; ++i) {
      if (types[i] < 0 || types[i] > 6)
        return Error{fmt::format("tokenizer: token {} has the unknown type {}", i, types[i])};
      attributes_[i] = TokenAttributes::of(TokenType(types[i]));
    }
  }

  size_t n_bytes = 0;
  for (const std::string& text : *tokens) n_bytes += text.empty() ? 20 : text.size();
  if (n_bytes > std::numeric_limits<uint32_t>::max())
    return Error{fmt::format("tokenizer: the tokens' text of {} bytes is larger than 4 GiB", n_bytes)};
  texts_.reserve(n_bytes);
  starts_.reserve(n + 1);
  index_.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    starts_.push_back(uint32_t(texts_.size()));
    texts_ += (*tokens)[i].empty() ? fmt::format("[EMPTY_{}]", i) : (*tokens)[i];
    longest_ = std::max(longest_, texts_.size() - starts_.back());
  }
  starts_.push_back(uint32_t(texts_.size()));
  for (size_t i = 0; i < n; ++i) {
    int32_t same = index_.add(*this, int32_t(i));
    if (same >= 0)
      return Error{fmt::format("tokenizer: tokens {} and {} have the same text '{}'", same, i, text(same))};
  }
  return {};
}

Status Vocabulary::read_roles(const Metadata& metadata) {
  // SentencePiece models without these keys have llama's.
  if (metadata.string_or("tokenizer.ggml.model", "") == "llama" && n_tokens() > 2) {
    unknown = 0;
    bos = 1;
    eos = 2;
  }
  struct Role {
    std::string_view name;
    int32_t* token;
  };
  for (auto [name, token] : {Role{"bos", &bos}, Role{"eos", &eos}, Role{"unknown", &unknown}}) {
    std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
    if (!metadata.contains(key)) continue;
    EDGELLM_ASSIGN_OR_RETURN(int64_t id, metadata.integer(key));
    if (!in_range(id))
      return Error{fmt::format("tokenizer: {} is {}, the vocabulary has {} tokens", key, id, n_tokens())};
    *token = int32_t(id);
  }
  for (std::string_view key : {"tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"})
    if (metadata.contains(key)) EDGELLM_RETURN_IF_ERROR(metadata.boolean(key));
  return {};
}

void Vocabulary::find_ends_of_generation(const Metadata& metadata) {
  std::vector<int32_t>& ends = ends_of_generation;
  auto declared = [&](std::string_view role) {
    int64_t id = metadata.integer_or(fmt::format("tokenizer.ggml.{}_token_id", role), -1);
    return in_range(id) ? int32_t(id) : -1;
  };
  for (const FillRole& role : kFillRoles) {
    int32_t token = declared(role.key);
    for (size_t i = 0; token < 0 && i < role.names.size(); ++i) {
      if (role.names[i].empty()) break;
      token = find(role.names[i]);
      if (token >= 0) attributes_[size_t(token)].control = true;
    }
    if (token >= 0 && role.ends_generation) ends.push_back(token);
  }
  for (std::string_view name : kEndNames) {
    int32_t token = find(name);
    if (token < 0) continue;
    attributes_[size_t(token)].control = true;
    ends.push_back(token);
  }
  for (int32_t token : {eos, declared("eot"), declared("eom")})
    if (token >= 0) ends.push_back(token);

  // The harmony format writes these inside an answer, so they are shown, and there "<|end|>" ends a part, not
  // all.
  for (std::string_view name : {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"})
    if (int32_t token = find(name); token >= 0)
      attributes_[size_t(token)] = TokenAttributes::of(TokenType::user_defined);
  bool calls = find("<|call|>") >= 0 || find("<|calls|>") >= 0;
  bool finishes = find("<|return|>") >= 0 || find("<|flush|>") >= 0;
  if (int32_t token = find("<|end|>"); token >= 0 && calls && finishes) {
    std::erase(ends, token);
    attributes_[size_t(token)] = TokenAttributes::of(TokenType::user_defined);
  }
  // Models with this marker use "</s>" as strike-through markup.
  if (int32_t token = find("</s>"); token >= 0 && find("<|tool_response>") >= 0) {
    std::erase(ends, token);
    attributes_[size_t(token)] = TokenAttributes::of(TokenType::normal);
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
}

// GGUF has no place for lstrip and rstrip; llama.cpp knows the models that need them by name.
void Vocabulary::find_stripping(const Metadata& metadata) {
  std::string pre = metadata.string_or("tokenizer.ggml.pre", "");
  std::string name = metadata.string_or("general.name", "");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  auto contains = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  if (contains(pre, "jina-v2-de") || contains(pre, "jina-v2-es") || contains(pre, "jina-v2-code")) {
    if (int32_t token = find("<mask>"); token >= 0) attributes_[size_t(token)].strip_left = true;
  } else if (contains(name, "phi-3") || contains(name, "phi3")) {
    for (TokenAttributes& attributes : attributes_) attributes.strip_right = attributes.special();
    if (int32_t token = find("</s>"); token >= 0) attributes_[size_t(token)].strip_right = true;
    for (std::string_view kept : {"<unk>", "<s>", "<|endoftext|>"})
      if (int32_t token = find(kept); token >= 0) attributes_[size_t(token)].strip_right = false;
  } else if (contains(name, "modern-bert")) {
    if (int32_t token = find("[MASK]"); token >= 0) attributes_[size_t(token)].strip_left = true;
  }
}

int32_t Vocabulary::find_byte(uint8_t byte) const {
  int32_t token = find(fmt::format("<0x{:02X}>", byte));
  char c = char(byte);
  return token >= 0 ? token : find(std::string_view(&c, 1));
}

}  // namespace edgellm
