// The runtime as a LanguageModel, for every judge in evaluate/.
#pragma once

#include <memory>

#include "core/language_model.h"
#include "runtime/graph/decoder.h"

namespace edgellm {

struct RuntimeModelOptions {
  size_t n_context = 2048;  // the most tokens of one evaluation
  KvType kv_type = KvType::f16;
  size_t n_threads = 0;  // 0: one per usable core
  size_t n_batch = 512;
  size_t n_logit_rows = 32;         // rows of logits held at once
  bool gives_back_weights = false;  // as of DecoderOptions
};

class RuntimeLanguageModel final : public LanguageModel {
 public:
  static Result<std::unique_ptr<RuntimeLanguageModel>> load(std::shared_ptr<const GgufFile> file,
                                                            const RuntimeModelOptions& options);

  size_t n_vocabulary() const override { return decoder_->hyperparameters().n_vocabulary; }
  Status evaluate(std::span<const Token> tokens, size_t first_row, const LogitsSink& sink) override;
  // From hidden states [n_tokens, n_embedding] that enter `layer`, in an empty context.
  Status evaluate_from(uint32_t layer, std::span<const float> hidden, size_t first_row,
                       const LogitsSink& sink);

  // For weights to be swapped, layers dropped and inputs observed.
  Decoder& decoder() { return *decoder_; }

 private:
  RuntimeLanguageModel(std::unique_ptr<Decoder> decoder, KvCache cache)
      : decoder_(std::move(decoder)), cache_(std::move(cache)) {}
  std::unique_ptr<Decoder> decoder_;
  KvCache cache_;
};

}  // namespace edgellm
