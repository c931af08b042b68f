#include "core/text/hugging_face_pre_tokenizer.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace edgellm {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Short =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr std::string_view kDigit = R"(\p{N})";

std::string utf8(uint32_t point) {
  if (point < 0x80) return {char(point)};
  if (point < 0x800) return {char(0xC0 | point >> 6), char(0x80 | (point & 0x3F))};
  if (point < 0x10000)
    return {char(0xE0 | point >> 12), char(0x80 | (point >> 6 & 0x3F)), char(0x80 | (point & 0x3F))};
  return {char(0xF0 | point >> 18), char(0x80 | (point >> 12 & 0x3F)), char(0x80 | (point >> 6 & 0x3F)),
          char(0x80 | (point & 0x3F))};
}

// With \x{...} as the characters themselves, as the files have them.
std::string with_characters(std::string_view pattern) {
  std::string written;
  for (size_t i = 0; i < pattern.size();) {
    if (pattern.substr(i).starts_with("\\x{")) {
      size_t end = pattern.find('}', i);
      written +=
          utf8(uint32_t(std::strtoul(std::string(pattern.substr(i + 3, end - i - 3)).c_str(), nullptr, 16)));
      i = end + 1;
    } else if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      // Line ends stand in some files as themselves and in some as an escape.
      char c = pattern[i + 1];
      if (c == 'r')
        written += '\r';
      else if (c == 'n')
        written += '\n';
      else
        written += pattern.substr(i, 2);
      i += 2;
    } else {
      written += pattern[i++];
    }
  }
  return written == kGpt2Short ? std::string(kGpt2) : written;
}

std::string type_of(const Json& step) {
  auto type = step.is_object() ? step.find("type") : step.end();
  return step.is_object() && type != step.end() && type->is_string() ? type->get<std::string>() : "";
}

// The steps of a "Sequence", or the one step itself.
std::vector<const Json*> steps_of(const Json& step) {
  std::vector<const Json*> steps;
  if (type_of(step) == "Sequence")
    for (const char* key : {"pretokenizers", "decoders", "processors"})
      if (auto inner = step.find(key); inner != step.end() && inner->is_array())
        for (const Json& one : *inner) steps.push_back(&one);
  if (steps.empty()) steps.push_back(&step);
  return steps;
}

bool flag(const Json& step, const char* key, bool otherwise) {
  auto found = step.find(key);
  return found != step.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

std::vector<std::string> patterns_of(const PreTokenizerKind& kind) {
  std::vector<std::string> patterns;
  for (std::string_view one : kind.hugging_face.empty() ? kind.patterns : kind.hugging_face)
    patterns.push_back(with_characters(one));
  return patterns;
}

}  // namespace

bool has_byte_level(const Json& step) {
  for (const Json* one : steps_of(step))
    if (type_of(*one) == "ByteLevel") return true;
  return false;
}

Result<const PreTokenizerKind*> recognize_pre_tokenizer(const Json& pre_tokenizer, bool ignore_merges) {
  std::vector<std::string> patterns;
  for (const Json* step : steps_of(pre_tokenizer)) {
    std::string type = type_of(*step);
    if (type == "ByteLevel") {
      if (flag(*step, "use_regex", true)) patterns.emplace_back(kGpt2);
    } else if (type == "Digits" && flag(*step, "individual_digits", false)) {
      patterns.emplace_back(kDigit);
    } else if (type == "Digits") {
      patterns.emplace_back(R"(\p{N}+)");
    } else if (type == "Punctuation") {
      patterns.emplace_back(R"([\p{P}$+<=>^~|]+)");
    } else if (type == "Split") {
      auto pattern = step->find("pattern");
      if (pattern == step->end() || !pattern->is_object())
        return Error{"tokenizer.json: a pre-tokenizer of type 'Split' has no pattern"};
      for (const char* kind : {"Regex", "String"})
        if (auto text = pattern->find(kind); text != pattern->end() && text->is_string())
          patterns.push_back(with_characters(text->get<std::string>()));
    } else {
      return Error{fmt::format("tokenizer.json: unknown kind of pre-tokenizer '{}'", type)};
    }
  }
  const PreTokenizerKind* alike = nullptr;
  for (const PreTokenizerKind& kind : pre_tokenizer_kinds()) {
    std::vector<std::string> applied;
    for (std::string_view one : kind.patterns) applied.push_back(with_characters(one));
    if (patterns != patterns_of(kind) && patterns != applied) continue;
    if (kind.ignore_merges == ignore_merges) return &kind;
    if (!alike) alike = &kind;
  }
  if (alike) return alike;
  return Error{fmt::format("tokenizer.json: no known pre-tokenizer has the patterns \"{}\"",
                           fmt::join(patterns, "\", \""))};
}

nlohmann::ordered_json hugging_face_pre_tokenizer(const PreTokenizerKind& kind) {
  using Ordered = nlohmann::ordered_json;
  std::vector<std::string> patterns = patterns_of(kind);
  // Hugging Face's ByteLevel applies GPT-2's pattern itself.
  bool ends_with_gpt2 = patterns.back() == kGpt2;
  if (ends_with_gpt2) patterns.pop_back();
  Ordered steps = Ordered::array();
  for (const std::string& pattern : patterns) {
    if (pattern == kDigit)
      steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
    else
      steps.push_back({{"type", "Split"},
                       {"pattern", {{"Regex", pattern}}},
                       {"behavior", "Isolated"},
                       {"invert", false}});
  }
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", ends_with_gpt2}});
  if (steps.size() == 1) return steps[0];
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

}  // namespace edgellm
