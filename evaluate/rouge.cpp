#include "evaluate/rouge.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "evaluate/rouge_tokens.h"

namespace edgellm {
namespace {

using Words = std::span<const uint32_t>;

// A text as numbers of words: equal words of a pair have equal numbers.
struct NumberedText {
  std::vector<uint32_t> words;
  std::vector<size_t> line_ends;  // into words; lines without words are left out
};

class WordNumbers {
 public:
  NumberedText number(std::string_view text, bool stem) {
    NumberedText numbered;
    while (!text.empty()) {
      size_t n_bytes = std::min(text.find('\n'), text.size());
      for (std::string& token : rouge_tokens(text.substr(0, n_bytes), stem))
        numbered.words.push_back(
            numbers_.try_emplace(std::move(token), uint32_t(numbers_.size())).first->second);
      size_t line_start = numbered.line_ends.empty() ? 0 : numbered.line_ends.back();
      if (numbered.words.size() > line_start) numbered.line_ends.push_back(numbered.words.size());
      text.remove_prefix(std::min(n_bytes + 1, text.size()));
    }
    return numbered;
  }
  size_t n_words() const { return numbers_.size(); }

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
};

std::vector<Words> lines_of(const NumberedText& text) {
  std::vector<Words> lines;
  size_t start = 0;
  for (size_t end : text.line_ends) {
    lines.push_back(Words(text.words).subspan(start, end - start));
    start = end;
  }
  return lines;
}

RougeScore score(size_t n_hits, size_t n_reference, size_t n_candidate) {
  RougeScore score;
  if (n_hits == 0) return score;
  score.precision = double(n_hits) / double(n_candidate);
  score.recall = double(n_hits) / double(n_reference);
  score.f1 = 2 * score.precision * score.recall / (score.precision + score.recall);
  return score;
}

// Where the n-grams of `words` start, equal n-grams side by side.
std::vector<size_t> sorted_n_grams(Words words, size_t n) {
  std::vector<size_t> starts(words.size() < n ? 0 : words.size() - n + 1);
  std::iota(starts.begin(), starts.end(), size_t(0));
  std::sort(starts.begin(), starts.end(), [&](size_t a, size_t b) {
    return std::ranges::lexicographical_compare(words.subspan(a, n), words.subspan(b, n));
  });
  return starts;
}

RougeScore rouge_n(Words reference, Words candidate, size_t n) {
  std::vector<size_t> wanted = sorted_n_grams(reference, n), given = sorted_n_grams(candidate, n);
  size_t n_shared = 0;
  for (size_t i = 0, j = 0; i < wanted.size() && j < given.size();) {
    Words a = reference.subspan(wanted[i], n), b = candidate.subspan(given[j], n);
    if (std::ranges::equal(a, b)) {
      ++n_shared, ++i, ++j;
    } else if (std::ranges::lexicographical_compare(a, b)) {
      ++i;
    } else {
      ++j;
    }
  }
  return score(n_shared, wanted.size(), given.size());
}

RougeScore rouge_l(Words reference, Words candidate) {
  std::vector<uint32_t> above(candidate.size() + 1, 0), row(candidate.size() + 1, 0);
  for (uint32_t word : reference) {
    for (size_t j = 0; j < candidate.size(); ++j)
      row[j + 1] = candidate[j] == word ? above[j] + 1 : std::max(above[j + 1], row[j]);
    above.swap(row);
  }
  return score(above.back(), reference.size(), candidate.size());
}

// Marks the words of `reference` ([reference.size()]) that lie in a longest common subsequence with
// `candidate`. Of several it is the official program's: read from the ends, dropping the reference's word
// where dropping either keeps the length.
void mark_common_subsequence(Words reference, Words candidate, std::vector<bool>& marked) {
  size_t n_columns = candidate.size();
  std::vector<uint32_t> above(n_columns + 1, 0), row(n_columns + 1, 0);
  std::vector<bool> drops_candidate(reference.size() * n_columns);
  for (size_t i = 0; i < reference.size(); ++i) {
    for (size_t j = 0; j < n_columns; ++j) {
      if (candidate[j] == reference[i]) {
        row[j + 1] = above[j] + 1;
      } else if (row[j] > above[j + 1]) {
        row[j + 1] = row[j];
        drops_candidate[i * n_columns + j] = true;
      } else {
        row[j + 1] = above[j + 1];
      }
    }
    above.swap(row);
  }
  for (size_t i = reference.size(), j = n_columns; i > 0 && j > 0;) {
    if (candidate[j - 1] == reference[i - 1]) {
      --i, --j;
      marked[i] = true;
    } else if (drops_candidate[(i - 1) * n_columns + j - 1]) {
      --j;
    } else {
      --i;
    }
  }
}

RougeScore rouge_lsum(const NumberedText& reference, const NumberedText& candidate, size_t n_words) {
  std::vector<uint32_t> n_left(n_words, 0);  // of each word of the candidate, those not yet counted
  for (uint32_t word : candidate.words) ++n_left[word];
  std::vector<Words> candidate_lines = lines_of(candidate);
  size_t n_hits = 0;
  for (Words line : lines_of(reference)) {
    std::vector<bool> marked(line.size(), false);
    for (Words other : candidate_lines) mark_common_subsequence(line, other, marked);
    for (size_t i = 0; i < line.size(); ++i) {
      if (!marked[i] || n_left[line[i]] == 0) continue;
      --n_left[line[i]];
      ++n_hits;
    }
  }
  return score(n_hits, reference.words.size(), candidate.words.size());
}

void add_to(RougeScore& sum, const RougeScore& score) {
  sum.precision += score.precision;
  sum.recall += score.recall;
  sum.f1 += score.f1;
}

RougeScore divided(const RougeScore& sum, double n) {
  return {sum.precision / n, sum.recall / n, sum.f1 / n};
}

}  // namespace

RougeScores rouge(std::string_view reference, std::string_view candidate, const RougeOptions& options) {
  WordNumbers numbers;
  NumberedText wanted = numbers.number(reference, options.stem),
               given = numbers.number(candidate, options.stem);
  RougeScores scores;
  for (size_t n : options.n_gram_lengths) {
    assert(n > 0);
    scores.rouge_n.push_back(rouge_n(wanted.words, given.words, n));
  }
  scores.rouge_l = rouge_l(wanted.words, given.words);
  scores.rouge_lsum = rouge_lsum(wanted, given, numbers.n_words());
  return scores;
}

RougeMeter::RougeMeter(RougeOptions options) : options_(std::move(options)) {
  sums_.rouge_n.resize(options_.n_gram_lengths.size());
}

RougeScores RougeMeter::add(std::string_view reference, std::string_view candidate) {
  RougeScores scores = rouge(reference, candidate, options_);
  for (size_t i = 0; i < scores.rouge_n.size(); ++i) add_to(sums_.rouge_n[i], scores.rouge_n[i]);
  add_to(sums_.rouge_l, scores.rouge_l);
  add_to(sums_.rouge_lsum, scores.rouge_lsum);
  ++n_pairs_;
  return scores;
}

RougeScores RougeMeter::value() const {
  if (n_pairs_ == 0) return sums_;
  double n = double(n_pairs_);
  RougeScores mean;
  for (const RougeScore& sum : sums_.rouge_n) mean.rouge_n.push_back(divided(sum, n));
  mean.rouge_l = divided(sums_.rouge_l, n);
  mean.rouge_lsum = divided(sums_.rouge_lsum, n);
  return mean;
}

}  // namespace edgellm
