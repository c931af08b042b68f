#include "core/text/text_normalizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <cstdlib>
#include <fmt/format.h>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <pcre2.h>
#include <utf8proc.h>
#include <vector>

#include "core/text/base64.h"
#include "core/text/character_map.h"
#include "core/text/hugging_face_json.h"
#include "core/text/word_piece_normalizer.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;
using Step = std::function<std::string(std::string_view)>;

constexpr size_t kDeepest = 8;  // sequences within sequences

std::string unicode_form(std::string_view text, int form) {
  utf8proc_uint8_t* mapped = nullptr;
  auto n_bytes =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), utf8proc_ssize_t(text.size()),
                   &mapped, utf8proc_option_t(UTF8PROC_STABLE | form));
  std::string result =
      n_bytes >= 0 ? std::string(reinterpret_cast<char*>(mapped), size_t(n_bytes)) : std::string(text);
  std::free(mapped);
  return result;
}

// `text` without the characters for which `drops` holds.
template <class Drops>
std::string without(std::string_view text, Drops drops) {
  std::string kept;
  kept.reserve(text.size());
  while (!text.empty()) {
    std::string_view rest = text;
    if (!drops(next_code_point(rest))) kept += text.substr(0, text.size() - rest.size());
    text = rest;
  }
  return kept;
}

bool is_mark(int32_t code_point) {
  auto category = utf8proc_category(code_point);
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
         category == UTF8PROC_CATEGORY_ME;
}

std::string stripped(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    std::string_view rest = text;
    if (!is_white_space(next_code_point(rest))) break;
    text = rest;
  }
  while (right && !text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && (uint8_t(text[start]) & 0xC0) == 0x80) --start;
    std::string_view last = text.substr(start);
    if (!is_white_space(next_code_point(last))) break;
    text = text.substr(0, start);
  }
  return std::string(text);
}

std::string replaced(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string result;
  for (size_t at; (at = text.find(pattern)) != text.npos; text.remove_prefix(at + pattern.size()))
    result.append(text.substr(0, at)).append(content);
  return result.append(text);
}

struct CodeFree {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchFree {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

std::string replaced(std::string_view text, const pcre2_code& code, std::string_view content) {
  std::unique_ptr<pcre2_match_data, MatchFree> match(pcre2_match_data_create_from_pattern(&code, nullptr));
  std::string result;
  size_t done = 0;
  for (size_t at = 0; at <= text.size();) {
    int found = pcre2_match(&code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                            PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, match.get(), nullptr);
    if (found < 0) break;
    const size_t* range = pcre2_get_ovector_pointer(match.get());
    result.append(text.substr(done, range[0] - done)).append(content);
    done = at = range[1];
  }
  return result.append(text.substr(done));
}

Result<Step> read_replace(const Json& step) {
  const Json* pattern = member(&step, "pattern");
  std::string content = token_text(member(&step, "content")).value_or("");
  if (auto text = token_text(member(pattern, "String")); text && !text->empty())
    return Step([text = *text, content](std::string_view given) { return replaced(given, text, content); });
  std::optional<std::string> regex = token_text(member(pattern, "Regex"));
  if (!regex) return Error{"tokenizer.json: a normalizer of type 'Replace' has no pattern"};
  int error = 0;
  size_t position = 0;
  std::shared_ptr<pcre2_code> code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex->data()), regex->size(),
                                                 PCRE2_UTF | PCRE2_UCP, &error, &position, nullptr),
                                   CodeFree());
  if (!code) {
    char message[256] = "";
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
    return Error{
        fmt::format("tokenizer.json: a normalizer's pattern '{}': {} at byte {}", *regex, message, position)};
  }
  return Step([code, content](std::string_view given) { return replaced(given, *code, content); });
}

Result<Step> read_precompiled(const Json& step) {
  auto encoded = token_text(member(&step, "precompiled_charsmap"));
  auto bytes = base64_decode(encoded.value_or(""));
  if (!bytes) return Error{"tokenizer.json: precompiled_charsmap is no Base64"};
  EDGELLM_ASSIGN_OR_RETURN(CharacterMap map, CharacterMap::parse(*bytes));
  return Step([map = std::move(map)](std::string_view given) { return normalize_graphemes(given, map); });
}

Result<Step> read_step(const Json& step) {
  auto flag = [&](const char* key, bool otherwise) {
    return boolean(member(&step, key)).value_or(otherwise);
  };
  auto bert = [](BertNormalizer how) {
    return Step([how](std::string_view given) { return normalize(given, how); });
  };
  auto form = [](int which) {
    return Step([which](std::string_view given) { return unicode_form(given, which); });
  };
  std::string type = type_of(&step);
  if (type == "Precompiled") return read_precompiled(step);
  if (type == "Replace") return read_replace(step);
  if (type == "NFC") return form(UTF8PROC_COMPOSE);
  if (type == "NFD") return form(UTF8PROC_DECOMPOSE);
  if (type == "NFKC") return form(UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  if (type == "NFKD") return form(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
  if (type == "Lowercase") return bert({false, false, false, true});
  if (type == "BertNormalizer") {
    bool lower_case = flag("lowercase", true);
    return bert({flag("clean_text", true), flag("handle_chinese_chars", true),
                 flag("strip_accents", lower_case), lower_case});
  }
  if (type == "StripAccents") return Step([](std::string_view given) { return without(given, is_mark); });
  if (type == "Strip")
    return Step([left = flag("strip_left", true), right = flag("strip_right", true)](std::string_view given) {
      return stripped(given, left, right);
    });
  if (type == "Prepend")
    return Step([before = token_text(member(&step, "prepend")).value_or("")](std::string_view given) {
      return given.empty() ? std::string() : before + std::string(given);
    });
  return Error{fmt::format("tokenizer.json: unknown kind of normalizer '{}'", type)};
}

Status read_steps(const Json& json, size_t depth, std::vector<Step>& steps) {
  if (type_of(&json) == "Sequence") {
    const Json* inner = member(&json, "normalizers");
    if (!inner || !inner->is_array() || depth == kDeepest)
      return Error{"tokenizer.json: a sequence of normalizers has none, or nests too deep"};
    for (const Json& one : *inner) EDGELLM_RETURN_IF_ERROR(read_steps(one, depth + 1, steps));
    return {};
  }
  EDGELLM_ASSIGN_OR_RETURN(Step step, read_step(json));
  steps.push_back(std::move(step));
  return {};
}

}  // namespace

struct TextNormalizer::State {
  std::vector<Step> steps;
};

TextNormalizer::TextNormalizer() : state_(std::make_unique<State>()) {}
TextNormalizer::TextNormalizer(TextNormalizer&&) noexcept = default;
TextNormalizer& TextNormalizer::operator=(TextNormalizer&&) noexcept = default;
TextNormalizer::~TextNormalizer() = default;

Result<TextNormalizer> TextNormalizer::from_json(const Json* normalizer) {
  TextNormalizer made;
  if (normalizer) EDGELLM_RETURN_IF_ERROR(read_steps(*normalizer, 0, made.state_->steps));
  return made;
}

std::string TextNormalizer::normalize(std::string_view text) const {
  std::string result(text);
  for (const Step& step : state_->steps) result = step(result);
  return result;
}

}  // namespace edgellm
