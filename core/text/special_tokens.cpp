#include "core/text/special_tokens.h"

#include <algorithm>

namespace edgellm {
namespace {

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

// Which bytes of the text belong to a special token or are swallowed beside one.
struct SpecialTokens::Taken {
  struct Range {
    size_t begin, end, token_begin;
    int32_t token;
  };
  std::string_view text;
  std::vector<bool> bytes;
  std::vector<Range> ranges;

  bool any(size_t begin, size_t end) const {
    for (size_t i = begin; i < end; ++i)
      if (bytes[i]) return true;
    return false;
  }
};

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) {
  for (size_t i = 0; i < vocabulary.n_tokens(); ++i)
    if (vocabulary.attributes(int32_t(i)).special()) tokens_.push_back(int32_t(i));
  std::stable_sort(tokens_.begin(), tokens_.end(), [&](int32_t a, int32_t b) {
    return vocabulary.text(a).size() > vocabulary.text(b).size();
  });
  rank_at_.push_back(-1);
  for (size_t rank = 0; rank < tokens_.size(); ++rank) {
    const TokenAttributes& attributes = vocabulary.attributes(tokens_[rank]);
    strips_ |= attributes.strip_left || attributes.strip_right;
    uint32_t node = 0;
    for (char c : vocabulary.text(tokens_[rank])) {
      auto [edge, added] = edges_.try_emplace(uint64_t{node} << 8 | uint8_t(c), uint32_t(rank_at_.size()));
      if (added) rank_at_.push_back(-1);
      node = edge->second;
    }
    rank_at_[node] = int32_t(rank);
    starts_[uint8_t(vocabulary.text(tokens_[rank])[0])] = true;
  }
}

std::vector<TextPart> SpecialTokens::partition(const Vocabulary& vocabulary, std::string_view text,
                                               bool all) const {
  if (text.empty()) return {};
  Taken taken{text, {}, {}};
  std::vector<Occurrence> occurrences;
  size_t reach = 0;  // end of the last occurrence that may overlap a next one
  for (size_t i = 0; i < text.size(); ++i) {
    if (!starts_[uint8_t(text[i])]) continue;
    uint32_t node = 0;
    for (size_t k = i; k < text.size(); ++k) {
      auto edge = edges_.find(uint64_t{node} << 8 | uint8_t(text[k]));
      if (edge == edges_.end()) break;
      node = edge->second;
      int32_t rank = rank_at_[node];
      if (rank < 0) continue;
      const TokenAttributes& attributes = vocabulary.attributes(tokens_[size_t(rank)]);
      if (!all && (attributes.control || attributes.unknown)) continue;
      // Occurrences that touch none before them are decided independently, unless white space is swallowed
      // between.
      if (i >= reach && !strips_ && !occurrences.empty()) take(vocabulary, occurrences, taken);
      occurrences.push_back({uint32_t(rank), i});
      reach = std::max(reach, k + 1);
    }
  }
  take(vocabulary, occurrences, taken);

  std::sort(taken.ranges.begin(), taken.ranges.end(),
            [](const Taken::Range& a, const Taken::Range& b) { return a.token_begin < b.token_begin; });
  std::vector<TextPart> parts;
  size_t done = 0;
  for (const Taken::Range& range : taken.ranges) {
    if (range.begin > done) parts.push_back({text.substr(done, range.begin - done)});
    parts.push_back({vocabulary.text(range.token), range.token});
    done = range.end;
  }
  if (done < text.size()) parts.push_back({text.substr(done)});
  return parts;
}

void SpecialTokens::take(const Vocabulary& vocabulary, std::vector<Occurrence>& occurrences,
                         Taken& taken) const {
  if (occurrences.empty()) return;
  if (taken.bytes.empty()) taken.bytes.resize(taken.text.size());
  std::sort(occurrences.begin(), occurrences.end(), [](const Occurrence& a, const Occurrence& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.position < b.position;
  });
  for (const Occurrence& occurrence : occurrences) {
    int32_t token = tokens_[occurrence.rank];
    size_t begin = occurrence.position, end = begin + vocabulary.text(token).size(), token_begin = begin;
    if (taken.any(begin, end)) continue;
    const TokenAttributes& attributes = vocabulary.attributes(token);
    if (attributes.strip_left)
      while (begin > 0 && !taken.bytes[begin - 1] && is_space(taken.text[begin - 1])) --begin;
    if (attributes.strip_right)
      while (end < taken.text.size() && !taken.bytes[end] && is_space(taken.text[end])) ++end;
    std::fill(taken.bytes.begin() + ptrdiff_t(begin), taken.bytes.begin() + ptrdiff_t(end), true);
    taken.ranges.push_back({begin, end, token_begin, token});
  }
  occurrences.clear();
}

}  // namespace edgellm
