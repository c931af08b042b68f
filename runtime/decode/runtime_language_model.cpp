#include "runtime/decode/runtime_language_model.h"

namespace edgellm {

Result<std::unique_ptr<RuntimeLanguageModel>> RuntimeLanguageModel::load(std::shared_ptr<const GgufFile> file,
                                                                         const RuntimeModelOptions& options) {
  DecoderOptions decoder_options = {.n_threads = options.n_threads,
                                    .n_batch = options.n_batch,
                                    .n_logit_rows = options.n_logit_rows,
                                    .gives_back_weights = options.gives_back_weights};
  EDGELLM_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> decoder, Decoder::load(std::move(file), decoder_options));
  EDGELLM_ASSIGN_OR_RETURN(KvCache cache, KvCache::create(decoder->hyperparameters(), options.kv_type,
                                                          options.n_context, options.n_batch));
  return std::unique_ptr<RuntimeLanguageModel>(
      new RuntimeLanguageModel(std::move(decoder), std::move(cache)));
}

Status RuntimeLanguageModel::evaluate(std::span<const Token> tokens, size_t first_row,
                                      const LogitsSink& sink) {
  cache_.clear();
  return decoder_->evaluate(tokens, cache_, first_row, sink);
}

Status RuntimeLanguageModel::evaluate_from(uint32_t layer, std::span<const float> hidden, size_t first_row,
                                           const LogitsSink& sink) {
  cache_.clear();
  return decoder_->evaluate_from(layer, hidden, cache_, first_row, sink);
}

}  // namespace edgellm
