// ROUGE (C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004): how many words, in which
// order, an answer shares with a reference. The figures are those of Google's rouge-score 0.1.2, on the 0 to
// 1 scale.
//   ROUGE-N    n-grams shared (each as often as the text that has it less often) over n-grams of a text
//   ROUGE-L    length of the longest common subsequence of words over the length of a text
//   ROUGE-Lsum ROUGE-L by lines: of every reference line the words that lie in a longest common subsequence
//              with any candidate line; a word counts at most as often as both texts have it
// Precision is over the candidate, recall over the reference, F1 their harmonic mean; all are 0 where a text
// has no words, even when both have none.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace edgellm {

struct RougeScore {
  double precision = 0, recall = 0, f1 = 0;
};

struct RougeOptions {
  std::vector<size_t> n_gram_lengths = {1, 2};  // each at least 1
  bool stem = false;                            // compare Porter stems; papers differ, so say which
};

struct RougeScores {
  std::vector<RougeScore> rouge_n;  // one for each of RougeOptions::n_gram_lengths
  RougeScore rouge_l, rouge_lsum;
};

// reference, candidate: UTF-8; lines end at "\n" (for Lsum put one sentence on a line).
// Time: the product of the two lengths in words; memory: an eighth of a byte times the product of the lengths
// of their longest lines.
RougeScores rouge(std::string_view reference, std::string_view candidate, const RougeOptions& options = {});

// The mean over pairs of each figure: the mean F1 is not the F1 of the mean precision and recall.
class RougeMeter {
 public:
  explicit RougeMeter(RougeOptions options = {});
  // Returns the scores of this pair.
  RougeScores add(std::string_view reference, std::string_view candidate);
  RougeScores value() const;  // zeros before the first pair
  size_t n_pairs() const { return n_pairs_; }

 private:
  RougeOptions options_;
  RougeScores sums_;
  size_t n_pairs_ = 0;
};

}  // namespace edgellm
