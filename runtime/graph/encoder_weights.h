// The tensors of a text encoder, found by the names of its family, checked against config.json, and left
// where they lie in the mapped files; only what lies transposed or at an odd address is copied.
#pragma once

#include <vector>

#include "core/arch/text_encoder_architecture.h"
#include "core/model_file/hf_folder.h"
#include "runtime/backends/aligned_buffer.h"
#include "runtime/backends/backend.h"

namespace edgellm {

struct EncoderLayer {
  Matrix q, k, v, attention_output, ffn_up, ffn_down;
  std::vector<float> q_bias, k_bias, v_bias, attention_output_bias, ffn_up_bias, ffn_down_bias;
  std::vector<float> attention_norm, attention_norm_bias, ffn_norm, ffn_norm_bias;
};

struct EncoderWeights {
  Matrix word_embedding, position_embedding, segment_embedding;
  std::vector<float> embedding_norm, embedding_norm_bias;
  Matrix embedding_projection;  // no data: embeddings are as wide as the hidden state
  std::vector<float> embedding_projection_bias;
  std::vector<EncoderLayer> layers;
  std::vector<AlignedBuffer> copies;  // of the matrices that could not stay where they lie
};

// Errors name the tensor that is missing, of another type than F32, F16 or BF16, or of another shape than
// config.json says.
Result<EncoderWeights> bind_encoder_weights(const HfFolder& folder, const FoundTextEncoder& found,
                                            const TextEncoderHyperparameters& model);

}  // namespace edgellm
