// The metrics that need a text encoder, over an encoder's Hugging Face folder.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/text/encoder_tokenizer.h"
#include "core/text_encoder.h"
#include "evaluate/bert_score.h"
#include "evaluate/bleurt.h"
#include "evaluate/text_pair.h"

namespace edgellm {

struct TextMetricsOptions {
  bool bert_score = false, bleurt = false;
  // Of BERTScore; the layer by default is bert-score's choice for a model of this name, else the last.
  std::optional<size_t> layer = std::nullopt;
  bool idf = false;
  std::filesystem::path baseline = {};  // file of bert-score to rescale with; empty: scores as they are
  size_t n_threads = 0;                 // 0: one for each core
};

class TextMetrics {
 public:
  // Error for a folder of an unknown kind, without weights or tokenizer, without a layer asked for, and when
  // BLEURT is asked for, without a regression head.
  static Result<TextMetrics> load(const std::filesystem::path& folder, const TextMetricsOptions& options);

  // With the options' metrics only.
  Result<std::vector<BertScore>> bert_scores(std::span<const TextPair> pairs, const Progress& progress = {});
  Result<std::vector<double>> bleurt_scores(std::span<const TextPair> pairs, const Progress& progress = {});

  size_t layer() const { return bert_score_.layer; }
  // Why this layer: "asked for", "bert-score's choice for roberta-large" or "the last layer".
  const std::string& layer_source() const { return layer_source_; }

 private:
  TextMetrics(std::unique_ptr<TextEncoder> encoder, EncoderTokenizer tokenizer)
      : encoder_(std::move(encoder)), tokenizer_(std::move(tokenizer)) {}
  Status choose_layer(const std::filesystem::path& folder, const TextMetricsOptions& options);
  std::unique_ptr<TextEncoder> encoder_;
  EncoderTokenizer tokenizer_;
  BertScoreOptions bert_score_;
  std::optional<BleurtHead> head_;
  std::string layer_source_;
};

}  // namespace edgellm
