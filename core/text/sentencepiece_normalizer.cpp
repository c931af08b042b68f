#include "core/text/sentencepiece_normalizer.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/text/word_piece_normalizer.h"

namespace edgellm {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";         // U+2581
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr int32_t kUserDefined = 4;

}  // namespace

Result<SentencePieceNormalizer> SentencePieceNormalizer::create(const SentencePieceModel& model) {
  SentencePieceNormalizer made;
  EDGELLM_ASSIGN_OR_RETURN(made.map_, CharacterMap::parse(model.character_map));
  for (const auto& piece : model.pieces)
    if (piece.type == kUserDefined && !piece.text.empty()) made.user_defined_.push_back(piece.text);
  for (const std::string& piece : made.user_defined_) made.begins_user_defined_[uint8_t(piece[0])] = true;
  std::stable_sort(made.user_defined_.begin(), made.user_defined_.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  made.add_dummy_prefix_ = model.add_dummy_prefix;
  made.remove_extra_ = model.remove_extra_whitespaces;
  made.escape_ = model.escape_whitespaces;
  made.mark_after_ = model.treat_whitespace_as_suffix;
  return made;
}

SentencePieceNormalizer::Step SentencePieceNormalizer::first_step(std::string_view text) const {
  if (begins_user_defined_[uint8_t(text[0])])
    for (const std::string& piece : user_defined_)
      if (text.starts_with(piece)) return {text.substr(0, piece.size()), piece.size()};
  if (auto found = map_.longest(text); found.n_bytes > 0) return {found.replacement, found.n_bytes};
  std::string_view rest = text;
  next_code_point(rest);
  size_t n_bytes = text.size() - rest.size();
  // One byte beyond ASCII is no UTF-8.
  if (n_bytes == 1 && uint8_t(text[0]) >= 0x80) return {kReplacement, 1};
  return {text.substr(0, n_bytes), n_bytes};
}

std::string SentencePieceNormalizer::normalize(std::string_view text) const {
  if (remove_extra_) {
    while (!text.empty()) {
      Step step = first_step(text);
      if (step.replacement != " ") break;
      text.remove_prefix(step.n_bytes);
    }
  }
  if (text.empty()) return {};
  std::string_view space = escape_ ? kMark : " ";
  std::string normalized;
  normalized.reserve(text.size() + text.size() / 2);
  if (!mark_after_ && add_dummy_prefix_) normalized += space;
  bool after_space = remove_extra_;
  while (!text.empty()) {
    Step step = first_step(text);
    text.remove_prefix(step.n_bytes);
    std::string_view replacement = step.replacement;
    while (after_space && replacement.starts_with(' ')) replacement.remove_prefix(1);
    for (char c : replacement) {
      if (c == ' ')
        normalized += space;
      else
        normalized += c;
    }
    if (!replacement.empty()) after_space = replacement.ends_with(' ');
    if (!remove_extra_) after_space = false;
  }
  if (remove_extra_)
    while (normalized.ends_with(space)) normalized.resize(normalized.size() - space.size());
  if (mark_after_ && add_dummy_prefix_) normalized += space;
  return normalized;
}

}  // namespace edgellm
