#include "core/text/added_tokens.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/text/hugging_face_json.h"
#include "core/text/word_piece_normalizer.h"

namespace edgellm {
namespace {

// The last character of `text`, which must not be empty.
std::string_view last_character(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && (uint8_t(text[start]) & 0xC0) == 0x80) --start;
  return text.substr(start);
}

bool begins_with_word(std::string_view text) {
  return !text.empty() && is_word_character(next_code_point(text));
}

bool ends_with_word(std::string_view text) {
  return !text.empty() && begins_with_word(last_character(text));
}

size_t n_bytes_white_before(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view last = last_character(rest), read = last;
    if (!is_white_space(next_code_point(read))) break;
    rest.remove_suffix(last.size());
  }
  return text.size() - rest.size();
}

size_t n_bytes_white_after(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view after = rest;
    if (!is_white_space(next_code_point(after))) break;
    rest = after;
  }
  return text.size() - rest.size();
}

}  // namespace

Result<std::vector<AddedToken>> read_added_tokens(const nlohmann::json* list) {
  std::vector<AddedToken> tokens;
  if (!list || !list->is_array()) return tokens;
  for (const nlohmann::json& token : *list) {
    std::optional<int64_t> id = integer(member(&token, "id"));
    std::optional<std::string> text = token_text(&token);
    if (!id || !text || text->empty())
      return Error{"tokenizer.json: an added token lacks its number or content"};
    if (*id < 0 || *id >= kMostTokens)
      return Error{fmt::format("tokenizer.json: the number {} of token '{}' is out of range", *id, *text)};
    auto flag = [&](const char* key, bool otherwise) {
      return boolean(member(&token, key)).value_or(otherwise);
    };
    bool special = flag("special", false);
    tokens.push_back({.text = *text,
                      .id = int32_t(*id),
                      .special = special,
                      .single_word = flag("single_word", false),
                      .strips_left = flag("lstrip", false),
                      .strips_right = flag("rstrip", false),
                      .normalized = flag("normalized", !special)});
  }
  return tokens;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.text.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.text.size() > b.text.size(); });
  for (uint32_t i = 0; i < tokens_.size(); ++i) with_first_byte_[uint8_t(tokens_[i].text[0])].push_back(i);
}

const AddedToken* AddedTokens::token_at(std::string_view text) const {
  for (uint32_t i : with_first_byte_[uint8_t(text[0])])
    if (text.starts_with(tokens_[i].text)) return &tokens_[i];
  return nullptr;
}

std::vector<AddedTokens::Part> AddedTokens::partition(std::string_view text, bool special) const {
  std::vector<Part> parts;
  size_t done = 0;  // bytes of `text` that are in `parts`
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token = token_at(text.substr(at));
    if (!token) {
      ++at;
      continue;
    }
    size_t start = at, end = at + token->text.size();
    at = end;
    if (token->special && !special) continue;
    if (token->single_word && (ends_with_word(text.substr(0, start)) || begins_with_word(text.substr(end))))
      continue;
    if (token->strips_left) start -= n_bytes_white_before(text.substr(done, start - done));
    if (token->strips_right) end += n_bytes_white_after(text.substr(end));
    if (start > done) parts.push_back({text.substr(done, start - done), -1});
    parts.push_back({text.substr(start, end - start), token->id});
    done = at = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), -1});
  return parts;
}

}  // namespace edgellm
