// A text encoder of the BERT family on a backend: many sequences of any lengths at once, packed without
// padding, each attending to itself only. Computed in float.
#pragma once

#include <filesystem>
#include <memory>

#include "core/arch/text_encoder_architecture.h"
#include "core/model_file/hf_folder.h"
#include "core/text_encoder.h"
#include "runtime/backends/aligned_buffer.h"
#include "runtime/backends/backend.h"
#include "runtime/graph/encoder_weights.h"

namespace edgellm {

struct EncoderOptions {
  size_t n_threads = 0;  // 0: one per usable core
};

class Encoder final : public TextEncoder {
 public:
  // A Hugging Face folder: config.json and safetensors. Errors, one line: no such folder, an unknown kind, no
  // weights or only PyTorch's, a tensor that is missing or of another shape.
  static Result<std::unique_ptr<TextEncoder>> load(const std::filesystem::path& folder,
                                                   EncoderOptions options = {});
  // The backend must compute a token's products alike however many there are.
  static Result<std::unique_ptr<TextEncoder>> load(const std::filesystem::path& folder,
                                                   std::unique_ptr<Backend> backend);

  size_t n_layers() const override { return model_.n_layers; }
  size_t n_embedding() const override { return model_.n_hidden; }
  size_t most_tokens() const override { return model_.most_tokens(); }
  Status encode(std::span<const TextEncoderInput> sequences, size_t layer, std::vector<float>& out) override;

 private:
  Encoder(HfFolder folder, TextEncoderHyperparameters model, EncoderWeights weights,
          std::unique_ptr<Backend> backend);

  Status check(std::span<const TextEncoderInput> sequences, size_t layer) const;
  Status reserve(size_t n_tokens, size_t most_tokens_of_one);
  // Sequences that fit the buffers, to hidden_ and from there to out.
  Status encode_batch(std::span<const TextEncoderInput> sequences, size_t layer, float* out);
  void embed(std::span<const TextEncoderInput> sequences);
  void run_layer(const EncoderLayer& layer);
  void product(const float* x, size_t n_columns, const Matrix& weights, const std::vector<float>& bias,
               float* y, PointwiseActivation activation = PointwiseActivation::none);

  HfFolder folder_;  // keeps the weights mapped
  TextEncoderHyperparameters model_;
  EncoderWeights weights_;
  std::unique_ptr<Backend> backend_;

  // Of one batch.
  size_t n_tokens_ = 0;
  std::vector<size_t> first_tokens_;  // of each sequence, and the number of tokens
  std::vector<Token> tokens_, positions_, segments_;
  AlignedBuffer buffer_;
  size_t n_rows_ = 0, most_tokens_of_one_ = 0;  // that there is room for
  float* hidden_ = nullptr;                     // [n_rows, n_hidden]
  float* attention_ = nullptr;                  // [n_rows, max(n_hidden, n_embedding)]
  float* sum_ = nullptr;                        // [n_rows, max(n_hidden, n_embedding)]
  float* qkv_ = nullptr;                        // [n_rows, qkv_stride]
  float* ffn_ = nullptr;                        // [n_rows, n_feed_forward]
};

}  // namespace edgellm
