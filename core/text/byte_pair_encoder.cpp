#include "core/text/byte_pair_encoder.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

#include "core/text/byte_level.h"

namespace edgellm {
namespace {

uint64_t pair_of(int32_t left, int32_t right) {
  return uint64_t(uint32_t(left)) << 32 | uint32_t(right);
}

size_t slot_of(uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15u;
  return size_t(pair ^ pair >> 32);
}

// Order of a heap whose top is the lowest rank, then the leftmost.
constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
};

}  // namespace

Result<BytePairEncoder> BytePairEncoder::create(const Vocabulary& vocabulary, const Metadata& metadata,
                                                bool ignore_merges) {
  EDGELLM_ASSIGN_OR_RETURN(const auto* merges, metadata.strings("tokenizer.ggml.merges"));
  BytePairEncoder encoder;
  encoder.ignore_merges_ = ignore_merges;
  encoder.whole_ = std::make_unique<std::atomic<uint8_t>[]>(vocabulary.n_tokens());
  for (size_t byte = 0; byte < 256; ++byte)
    encoder.byte_tokens_[byte] = vocabulary.find(byte_level_character(uint8_t(byte)));

  encoder.merges_.resize(std::bit_ceil(merges->size() * 2 + 2));
  size_t mask = encoder.merges_.size() - 1;
  std::string joined;
  for (size_t rank = 0; rank < merges->size(); ++rank) {
    std::string_view line = (*merges)[rank];
    size_t space = line.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == line.size())
      return Error{
          fmt::format("tokenizer: merge {} is '{}', wanted two tokens with a space between", rank, line)};
    std::string_view left = line.substr(0, space), right = line.substr(space + 1);
    joined.assign(left).append(right);
    Merge merge{pair_of(vocabulary.find(left), vocabulary.find(right)), uint32_t(rank),
                vocabulary.find(joined)};
    for (std::string_view part : {left, right, std::string_view(joined)})
      if (vocabulary.find(part) < 0)
        return Error{
            fmt::format("tokenizer: merge {} ('{}') names '{}', which is no token", rank, line, part)};
    size_t i = slot_of(merge.pair) & mask;
    while (encoder.merges_[i].merged >= 0 && encoder.merges_[i].pair != merge.pair) i = (i + 1) & mask;
    if (encoder.merges_[i].merged < 0) encoder.merges_[i] = merge;
  }
  return encoder;
}

const BytePairEncoder::Merge* BytePairEncoder::find(int32_t left, int32_t right) const {
  uint64_t pair = pair_of(left, right);
  size_t mask = merges_.size() - 1;
  for (size_t i = slot_of(pair) & mask;; i = (i + 1) & mask) {
    if (merges_[i].merged < 0) return nullptr;
    if (merges_[i].pair == pair) return &merges_[i];
  }
}

void BytePairEncoder::encode(const Vocabulary& vocabulary, std::string_view word, Scratch& scratch,
                             std::vector<int32_t>& tokens) const {
  int32_t whole = -1;
  if (word.size() <= vocabulary.longest()) {
    scratch.characters.clear();
    for (char c : word) scratch.characters += byte_level_character(uint8_t(c));
    whole = vocabulary.find(scratch.characters);
  }
  uint8_t known = whole < 0 ? 2 : ignore_merges_ ? 1 : whole_[size_t(whole)].load(std::memory_order_relaxed);
  if (known == 1) {
    tokens.push_back(whole);
    return;
  }
  size_t n_before = tokens.size();
  merge(word, scratch);
  for (const Scratch::Symbol& symbol : scratch.symbols)
    if (symbol.token >= 0) tokens.push_back(symbol.token);
  if (known == 0) {
    bool is_whole = tokens.size() == n_before + 1 && tokens.back() == whole;
    whole_[size_t(whole)].store(is_whole ? 1 : 2, std::memory_order_relaxed);
  }
}

void BytePairEncoder::offer(Scratch& scratch, int32_t left, int32_t right) const {
  if (left < 0 || right < 0) return;
  int32_t left_token = scratch.symbols[size_t(left)].token,
          right_token = scratch.symbols[size_t(right)].token;
  if (left_token < 0 || right_token < 0) return;
  const Merge* merge = find(left_token, right_token);
  if (!merge) return;
  scratch.queue.push_back({merge->rank, left, left_token, right_token, merge->merged});
  std::push_heap(scratch.queue.begin(), scratch.queue.end(), kLater);
}

void BytePairEncoder::merge(std::string_view word, Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  auto n = int32_t(word.size());
  symbols.clear();
  for (int32_t i = 0; i < n; ++i)
    symbols.push_back({byte_tokens_[uint8_t(word[size_t(i)])], i - 1, i + 1 < n ? i + 1 : -1});
  scratch.queue.clear();
  for (int32_t i = 1; i < n; ++i) offer(scratch, i - 1, i);

  while (!scratch.queue.empty()) {
    Scratch::Candidate best = scratch.queue.front();
    std::pop_heap(scratch.queue.begin(), scratch.queue.end(), kLater);
    scratch.queue.pop_back();
    Scratch::Symbol& left = symbols[size_t(best.left)];
    // A candidate is stale when either side has been joined with something else since.
    if (left.token != best.left_token || left.next < 0) continue;
    Scratch::Symbol& right = symbols[size_t(left.next)];
    if (right.token != best.right_token) continue;
    left.token = best.merged;
    right.token = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[size_t(left.next)].previous = best.left;
    offer(scratch, left.previous, best.left);
    offer(scratch, best.left, left.next);
  }
}

}  // namespace edgellm
