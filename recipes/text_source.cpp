#include "recipes/text_source.h"

#include <charconv>
#include <cmath>
#include <fmt/format.h>

#include "core/base/output_file.h"
#include "core/text/pre_tokenizer.h"

namespace edgellm {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Of the first byte that is no part of a character, from 0. Only for text that has one.
size_t first_wrong_byte(std::string_view text, std::string_view mended) {
  size_t at = 0;
  while (at < text.size() && at < mended.size() && text[at] == mended[at]) ++at;
  return at;
}

}  // namespace

Result<TextSource> parse_text_source(const std::string& text) {
  const size_t equals = text.rfind('=');
  std::error_code code;
  if (equals == std::string::npos || std::filesystem::exists(text, code)) return TextSource{text, {}};
  const std::string number = text.substr(equals + 1);
  double weight = 0;
  const char* end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, weight);
  if (equals == 0 || error != std::errc() || stop != end || !(weight > 0) || !std::isfinite(weight))
    return Error{fmt::format("'{}': wanted FILE or FILE=WEIGHT with a weight above 0", text)};
  return TextSource{text.substr(0, equals), weight};
}

Result<std::vector<TextSource>> parse_text_sources(const std::vector<std::string>& texts) {
  std::vector<TextSource> sources;
  for (const std::string& text : texts) {
    EDGELLM_ASSIGN_OR_RETURN(TextSource source, parse_text_source(text));
    sources.push_back(std::move(source));
  }
  return sources;
}

std::vector<std::filesystem::path> files_of(std::span<const TextSource> sources) {
  std::vector<std::filesystem::path> files;
  for (const TextSource& source : sources) files.push_back(source.file);
  return files;
}

Result<std::string> read_source_text(const std::filesystem::path& file) {
  EDGELLM_ASSIGN_OR_RETURN(std::string text, read_text_file(file));
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  if (text.find_first_not_of(" \t\r\n\f\v") == std::string::npos)
    return Error{fmt::format("{}: it is empty; wanted text", file.string())};
  if (const size_t zero = text.find('\0'); zero != std::string::npos)
    return Error{fmt::format("{}: it has a zero byte at {}: this is no text, or text in UTF-16; wanted UTF-8",
                             file.string(), zero)};
  std::string mended;
  if (std::string_view valid = valid_utf8(text, mended); valid.data() != text.data())
    return Error{fmt::format("{}: byte {} is not UTF-8; convert it, as with: iconv -f LATIN1 -t UTF-8",
                             file.string(), first_wrong_byte(text, valid))};
  return text;
}

}  // namespace edgellm
