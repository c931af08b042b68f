// BLEURT (Sellam et al., "BLEURT: Learning Robust Metrics for Text Generation", arXiv 2004.04696): an encoder
// reads reference and candidate together, and a regression head on its first token gives the score.
//   score = w . tanh(P h + p) + b,   h: the last layer's hidden state of [CLS]
// Reference first (segment 0), candidate second (segment 1), as google-research/bleurt does; special tokens
// written in the texts are letters. A pair over the limit loses tokens from the end of the longer text, of
// the candidate when both are equal. The score has no fixed range; near 1 is good for the usual checkpoints.
#pragma once

#include <span>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/model_file/hf_folder.h"
#include "core/text/encoder_tokenizer.h"
#include "core/text_encoder.h"
#include "evaluate/text_pair.h"

namespace edgellm {

class BleurtHead {
 public:
  // Read under the names that PyTorch checkpoints use (bleurt-pytorch, BertForSequenceClassification) or the
  // official TensorFlow ones. Error when there is none, or for another shape than one score of `n_embedding`.
  static Result<BleurtHead> read(const HfFolder& folder, size_t n_embedding);

  double score(std::span<const float> classification) const;  // [n_embedding]

 private:
  std::vector<float> pooler_weights_;  // [n_embedding out, n_embedding in]
  std::vector<float> pooler_bias_;     // [n_embedding]
  std::vector<float> weights_;         // [n_embedding]
  float bias_ = 0;
};

// One score for each pair. Errors are the encoder's.
Result<std::vector<double>> bleurt_scores(TextEncoder& encoder, const EncoderTokenizer& tokenizer,
                                          const BleurtHead& head, std::span<const TextPair> pairs,
                                          const Progress& progress = {});

}  // namespace edgellm
