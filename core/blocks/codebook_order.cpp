// Codebooks in the order the search wants them.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <map>
#include <vector>

#include "core/blocks/codebook_fit.h"
#include "core/blocks/codebooks.h"

namespace edgellm {
namespace {

struct Entry {
  int second, index;
};

// The digits of half an entry: its levels' numbers, the first value lowest.
int pattern_of(const float* half, int n_values, const float* levels, int n_levels) {
  int pattern = 0;
  for (int i = n_values - 1; i >= 0; --i)
    pattern = pattern * n_levels + int(std::find(levels, levels + n_levels, half[i]) - levels);
  return pattern;
}

template <class Entries>
Codebook ordered(const Entries& entries, Codebook::Kind kind, bool even_signs,
                 std::initializer_list<float> levels) {
  Codebook book = {kind, even_signs, {}, {}, {}, {}, 0, {}, {}, 0};
  std::copy(levels.begin(), levels.end(), book.levels);
  int n_values = int(sizeof(entries[0])), n_half = n_values / 2, n_levels = int(levels.size());
  for (auto entry : entries)
    for (int i = 0; i < n_values; ++i) {
      uint8_t byte = uint8_t(entry >> (8 * i) & 255);
      book.entry_levels.push_back(kind == Codebook::Kind::iq1 ? float(int8_t(byte)) : float(byte));
    }
  float sum = 0;
  for (float level : book.entry_levels) sum += level * level;
  book.spread = std::sqrt(sum / float(book.entry_levels.size()));
  book.n_patterns = n_levels == 3 ? 81 : 64;
  book.index_of.resize(size_t(book.n_patterns * book.n_patterns));
  std::map<int, std::vector<Entry>> by_first;
  for (int index = 0; index < int(entries.size()); ++index) {
    const float* of = book.entry_levels.data() + index * n_values;
    by_first[pattern_of(of, n_half, book.levels, n_levels)].push_back(
        {pattern_of(of + n_half, n_half, book.levels, n_levels), index});
  }
  std::map<size_t, std::vector<int>> by_length;
  for (auto& [first, run] : by_first) {
    if (run.size() % 2) run.push_back(run.back());
    by_length[run.size()].push_back(first);
  }
  for (const auto& [length, firsts] : by_length) {
    book.runs.push_back({int(firsts.size()), int(length / 2)});
    for (int first : firsts) {
      book.firsts.push_back(uint16_t(4 * first));
      for (const Entry& entry : by_first[first]) {
        book.seconds.push_back(uint16_t(4 * entry.second));
        book.index_of[size_t(first * book.n_patterns + entry.second)] = uint16_t(entry.index);
      }
    }
  }
  return book;
}

}  // namespace

const Codebook& codebook(TensorType type) {
  using Kind = Codebook::Kind;
  static const Codebook kIq1 = ordered(kIq1Codebook, Kind::iq1, false, {-1, 0, 1}),
                        kIq2Xxs = ordered(kIq2XxsCodebook, Kind::iq2, true, {8, 25, 43}),
                        kIq2Xs = ordered(kIq2XsCodebook, Kind::iq2, true, {8, 25, 43}),
                        kIq2S = ordered(kIq2SCodebook, Kind::iq2, false, {8, 25, 43}),
                        kIq3Xxs = ordered(kIq3XxsCodebook, Kind::iq3, true, {4, 12, 20, 28, 36, 44, 52, 62}),
                        kIq3S = ordered(kIq3SCodebook, Kind::iq3, false, {1, 3, 5, 7, 9, 11, 13, 15});
  switch (type) {
    case TensorType::IQ2_XXS:
      return kIq2Xxs;
    case TensorType::IQ2_XS:
      return kIq2Xs;
    case TensorType::IQ2_S:
      return kIq2S;
    case TensorType::IQ3_XXS:
      return kIq3Xxs;
    case TensorType::IQ3_S:
      return kIq3S;
    default:
      return kIq1;
  }
}

}  // namespace edgellm
