// BERTScore (Zhang et al., "BERTScore: Evaluating Text Generation with BERT", arXiv 1904.09675): every token
// of an answer is matched with the token of the reference whose vector is nearest, and the other way round.
//   precision = sum over candidate tokens of weight * largest cosine to a reference token / sum of weights
//   recall    = the same over the reference's tokens;  F1 = their harmonic mean
// The figures are those of the bert-score package 0.3.13, its peculiarities included:
// - Weights are 1, or with idf the token's inverse document frequency among the references; [CLS] and [SEP]
//   weigh 0 but may be matched with.
// - Pairs are taken in batches in their order and padded to the longest texts of the batch; padding counts as
//   a cosine of 0, so a negative largest cosine becomes 0 unless the other text is the longest of its side.
// - An empty candidate or reference gives 0. Where all weights of a text are 0 (with idf, when every
// reference
//   has all its tokens) precision or recall is not a number and F1 is 0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/text/encoder_tokenizer.h"
#include "core/text_encoder.h"
#include "evaluate/text_pair.h"

namespace edgellm {

struct BertScore {
  double precision = 0, recall = 0, f1 = 0;
};

struct BertScoreOptions {
  size_t layer = 0;                                  // whose hidden states are compared: bert_score_layers.h
  bool idf = false;                                  // from the references of the pairs
  size_t n_pairs_in_batch = 64;                      // of the padding, at least 1
  std::optional<BertScore> baseline = std::nullopt;  // scores become (score - baseline) / (1 - baseline)
};

// The row of `layer` in a baseline file of the package (comma-separated, first line "LAYER,P,R,F").
Result<BertScore> read_bert_score_baseline(const std::filesystem::path& path, size_t layer);

// The ids of a text as it is encoded here: stripped of white space at both ends, cut to the smaller limit of
// tokenizer and encoder, RoBERTa's with a space before it.
std::vector<int32_t> bert_score_ids(std::string_view text, const EncoderTokenizer& tokenizer,
                                    size_t most_tokens);

// Inverse document frequency: log((n_texts + 1) / (n_texts with the token + 1)).
class TokenRarity {
 public:
  void add(std::span<const int32_t> ids);  // one text
  size_t n_texts() const { return n_texts_; }
  double weight(int32_t id) const;

 private:
  std::unordered_map<int32_t, size_t> n_texts_with_;
  size_t n_texts_ = 0;
};

// One score for each pair. Every different text is encoded once, and its vectors are kept until its last pair
// is scored. Errors are the encoder's.
Result<std::vector<BertScore>> bert_scores(TextEncoder& encoder, const EncoderTokenizer& tokenizer,
                                           std::span<const TextPair> pairs, const BertScoreOptions& options,
                                           const Progress& progress = {});

// The mean of each figure; zeros for no scores.
BertScore mean(std::span<const BertScore> scores);

}  // namespace edgellm
