#include "core/text/sentencepiece_encoder.h"

#include <algorithm>

namespace edgellm {
namespace {

// Order of a heap whose top is the highest score, then the leftmost.
constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.score != b.score ? a.score < b.score : a.left > b.left;
};

// By the lead byte alone, so that wrong UTF-8 is still cut into pieces and comes back byte for byte.
uint32_t character_bytes(char lead) {
  auto byte = uint8_t(lead);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

}  // namespace

SentencePieceEncoder::SentencePieceEncoder(const Vocabulary& vocabulary) {
  for (size_t byte = 0; byte < 256; ++byte) {
    byte_tokens_[byte] = vocabulary.find_byte(uint8_t(byte));
    if (byte_tokens_[byte] < 0) byte_tokens_[byte] = vocabulary.unknown;
  }
}

void SentencePieceEncoder::encode(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch,
                                  std::vector<int32_t>& tokens) const {
  constexpr size_t kMost = size_t{1} << 31;
  for (size_t done = 0; done < text.size(); done += kMost)
    encode_piece(vocabulary, text.substr(done, kMost), scratch, tokens);
}

void SentencePieceEncoder::offer(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch,
                                 int32_t left, int32_t right) const {
  if (left < 0 || right < 0) return;
  const Scratch::Symbol& first = scratch.symbols[size_t(left)];
  uint32_t n_bytes = first.n_bytes + scratch.symbols[size_t(right)].n_bytes;
  int32_t merged = vocabulary.find(text.substr(first.start, n_bytes));
  if (merged < 0) return;
  scratch.queue.push_back({vocabulary.score(merged), left, right, n_bytes, merged});
  std::push_heap(scratch.queue.begin(), scratch.queue.end(), kLater);
}

void SentencePieceEncoder::encode_piece(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch,
                                        std::vector<int32_t>& tokens) const {
  auto& symbols = scratch.symbols;
  symbols.clear();
  scratch.queue.clear();
  for (size_t start = 0; start < text.size();) {
    auto n_bytes = uint32_t(std::min<size_t>(character_bytes(text[start]), text.size() - start));
    auto index = int32_t(symbols.size());
    // The token of a lone character is looked up only if the character stays alone.
    symbols.push_back({uint32_t(start), n_bytes, index - 1, index + 1, -1});
    start += n_bytes;
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;
  for (int32_t i = 1; i < int32_t(symbols.size()); ++i) offer(vocabulary, text, scratch, i - 1, i);

  while (!scratch.queue.empty()) {
    Scratch::Candidate best = scratch.queue.front();
    std::pop_heap(scratch.queue.begin(), scratch.queue.end(), kLater);
    scratch.queue.pop_back();
    Scratch::Symbol& left = symbols[size_t(best.left)];
    Scratch::Symbol& right = symbols[size_t(best.right)];
    // A candidate is stale when either side has been joined with something else since.
    if (left.n_bytes == 0 || right.n_bytes == 0 || left.n_bytes + right.n_bytes != best.n_bytes) continue;
    left.n_bytes = best.n_bytes;
    left.token = best.merged;
    right.n_bytes = 0;
    left.next = right.next;
    if (left.next >= 0) symbols[size_t(left.next)].previous = best.left;
    offer(vocabulary, text, scratch, left.previous, best.left);
    offer(vocabulary, text, scratch, best.left, left.next);
  }

  for (const Scratch::Symbol& symbol : symbols) {
    if (symbol.n_bytes == 0) continue;
    std::string_view piece = text.substr(symbol.start, symbol.n_bytes);
    int32_t token = symbol.token >= 0 ? symbol.token : vocabulary.find(piece);
    if (token >= 0) {
      tokens.push_back(token);
      continue;
    }
    for (char c : piece)
      if (int32_t byte = byte_tokens_[uint8_t(c)]; byte >= 0) tokens.push_back(byte);
  }
}

}  // namespace edgellm
