#include "runtime/decode/text_stream.h"

#include <cstddef>
#include <cstdint>

namespace edgellm {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Sequence {
  size_t n_bytes;  // taken from the text; 0: more bytes are needed
  bool valid;
};

// The first character of a non-empty text (RFC 3629).
Sequence first_sequence(std::string_view text) {
  auto byte = [&](size_t i) { return uint8_t(text[i]); };
  uint8_t lead = byte(0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  size_t n = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (size_t i = 1; i < n; ++i) {
    if (i == text.size()) return {0, false};
    uint8_t low = 0x80, high = 0xBF;
    if (i == 1 && lead == 0xE0) low = 0xA0;
    if (i == 1 && lead == 0xED) high = 0x9F;
    if (i == 1 && lead == 0xF0) low = 0x90;
    if (i == 1 && lead == 0xF4) high = 0x8F;
    if (byte(i) < low || byte(i) > high) return {i, false};
  }
  return {n, true};
}

}  // namespace

std::string TextStream::add(std::string_view bytes) {
  waiting_ += bytes;
  std::string text;
  size_t at = 0;
  while (at < waiting_.size()) {
    std::string_view rest = std::string_view(waiting_).substr(at);
    Sequence sequence = first_sequence(rest);
    if (sequence.n_bytes == 0) break;
    text += sequence.valid ? rest.substr(0, sequence.n_bytes) : kReplacement;
    at += sequence.n_bytes;
  }
  waiting_.erase(0, at);
  return text;
}

std::string TextStream::finish() {
  std::string text = waiting_.empty() ? std::string() : std::string(kReplacement);
  waiting_.clear();
  return text;
}

}  // namespace edgellm
