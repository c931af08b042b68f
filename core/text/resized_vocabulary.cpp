#include "core/text/resized_vocabulary.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/byte_level.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"

namespace edgellm {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens", kTypes = "tokenizer.ggml.token_type",
                           kScores = "tokenizer.ggml.scores", kMerges = "tokenizer.ggml.merges";
constexpr float kPaddingScore = -1000.0f;

struct Parts {
  const std::vector<std::string>* texts = nullptr;
  std::vector<TokenType> types;
  std::vector<double> scores;  // empty when there are none
};

Result<Parts> read_parts(const Metadata& tokenizer) {
  Parts parts;
  EDGELLM_ASSIGN_OR_RETURN(parts.texts, tokenizer.strings(kTokens));
  size_t n = parts.texts->size();
  parts.types.assign(n, TokenType::normal);
  if (tokenizer.contains(kTypes)) {
    EDGELLM_ASSIGN_OR_RETURN(std::vector<int64_t> types, tokenizer.integers(kTypes));
    if (types.size() != n) return Error{fmt::format("tokenizer: {} tokens have {} types", n, types.size())};
    for (size_t i = 0; i < n; ++i) parts.types[i] = TokenType(types[i]);
  }
  if (tokenizer.contains(kScores)) {
    EDGELLM_ASSIGN_OR_RETURN(parts.scores, tokenizer.reals(kScores));
    if (parts.scores.size() != n)
      return Error{fmt::format("tokenizer: {} tokens have {} scores", n, parts.scores.size())};
  }
  return parts;
}

size_t count_used(const Parts& parts) {
  size_t n = parts.types.size();
  while (n > 0 && parts.types[n - 1] == TokenType::unused) --n;
  return n;
}

struct Selection {
  std::vector<size_t> tokens;  // numbers in the source, in the new order
  std::vector<std::string> merges;
};

// The bytes, what the first merges make of them, and all special tokens, as many as n_tokens.
Result<Selection> cut_byte_level(const Metadata& tokenizer, const Parts& parts, size_t n_tokens) {
  EDGELLM_ASSIGN_OR_RETURN(const std::vector<std::string>* merges, tokenizer.strings(kMerges));
  const std::vector<std::string>& texts = *parts.texts;
  std::unordered_map<std::string_view, size_t> ids;
  std::vector<size_t> special;
  std::vector<bool> kept(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    if (TokenAttributes::of(parts.types[i]).special())
      special.push_back(i);
    else if (parts.types[i] != TokenType::unused)
      ids.emplace(texts[i], i);
  }
  size_t n_bytes = 0;
  for (int byte = 0; byte < 256; ++byte) {
    auto found = ids.find(byte_level_character(uint8_t(byte)));
    if (found == ids.end()) continue;
    kept[found->second] = true;
    ++n_bytes;
  }
  if (n_bytes + special.size() > n_tokens)
    return Error{fmt::format(
        "tokenizer: it cannot be cut to {} tokens: {} bytes and {} special tokens have to be kept", n_tokens,
        n_bytes, special.size())};
  size_t room = n_tokens - n_bytes - special.size();

  Selection selection;
  std::string joined;
  for (const std::string& line : *merges) {
    size_t space = line.find(' ', 1);
    if (space == std::string::npos) continue;
    std::string_view left = std::string_view(line).substr(0, space),
                     right = std::string_view(line).substr(space + 1);
    joined.assign(left).append(right);
    auto is_kept = [&](std::string_view text) {
      auto found = ids.find(text);
      return found != ids.end() && kept[found->second];
    };
    if (!is_kept(left) || !is_kept(right)) continue;
    auto made = ids.find(joined);
    if (made == ids.end() || (!kept[made->second] && room == 0)) continue;
    if (!kept[made->second]) --room;
    kept[made->second] = true;
    selection.merges.push_back(line);
  }
  // Tokens that no merge makes: words of tokenizers that look whole words up first.
  for (size_t i = 0; i < texts.size() && room > 0; ++i) {
    auto found = ids.find(texts[i]);
    if (found == ids.end() || found->second != i || kept[i]) continue;
    kept[i] = true;
    --room;
  }
  for (size_t i = 0; i < texts.size(); ++i)
    if (kept[i]) selection.tokens.push_back(i);
  selection.tokens.insert(selection.tokens.end(), special.begin(), special.end());
  return selection;
}

}  // namespace

Result<size_t> n_used_tokens(const Metadata& tokenizer) {
  EDGELLM_ASSIGN_OR_RETURN(Parts parts, read_parts(tokenizer));
  return count_used(parts);
}

Result<Metadata> resize_vocabulary(const Metadata& tokenizer, size_t n_tokens) {
  EDGELLM_ASSIGN_OR_RETURN(Parts parts, read_parts(tokenizer));
  size_t n_used = count_used(parts);
  Metadata resized;
  for (const auto& [key, value] : tokenizer.entries())
    if (key.starts_with("tokenizer.")) resized.set(key, value);

  std::vector<size_t> chosen(std::min(n_used, n_tokens));
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = i;
  if (n_used > n_tokens) {
    std::string kind = tokenizer.string_or("tokenizer.ggml.model", "");
    if (kind != "gpt2")
      return Error{
          fmt::format("tokenizer: it has {} tokens and cannot be cut to {}: it is of kind '{}', and "
                      "only byte-level BPE ('gpt2') can be cut",
                      n_used, n_tokens, kind)};
    EDGELLM_ASSIGN_OR_RETURN(Selection selection, cut_byte_level(tokenizer, parts, n_tokens));
    chosen = std::move(selection.tokens);
    resized.set(std::string(kMerges), MetadataValue::of_strings(std::move(selection.merges)));
  }

  std::vector<std::string> texts;
  std::vector<int32_t> types;
  std::vector<float> scores;
  std::vector<int64_t> number_of(parts.texts->size(), -1);
  for (size_t old : chosen) {
    number_of[old] = int64_t(texts.size());
    texts.push_back((*parts.texts)[old]);
    types.push_back(int32_t(parts.types[old]));
    if (!parts.scores.empty()) scores.push_back(float(parts.scores[old]));
  }
  while (texts.size() < n_tokens) {
    texts.push_back(fmt::format("[PAD{}]", texts.size()));
    types.push_back(int32_t(TokenType::unused));
    if (!parts.scores.empty()) scores.push_back(kPaddingScore);
  }
  resized.set(std::string(kTokens), MetadataValue::of_strings(std::move(texts)));
  resized.set(std::string(kTypes), MetadataValue::of_int32s(types));
  if (!scores.empty()) resized.set(std::string(kScores), MetadataValue::of_float32s(scores));

  for (const auto& [key, value] : tokenizer.entries()) {
    if (!key.starts_with("tokenizer.ggml.") || !key.ends_with("_token_id")) continue;
    EDGELLM_ASSIGN_OR_RETURN(int64_t old, tokenizer.integer(key));
    int64_t number = old >= 0 && size_t(old) < number_of.size() ? number_of[size_t(old)] : -1;
    if (number >= 0)
      resized.set(key, MetadataValue::of_uint32(uint32_t(number)));
    else
      resized.remove(key);
  }
  EDGELLM_RETURN_IF_ERROR(Tokenizer::from_metadata(resized));
  return resized;
}

}  // namespace edgellm
