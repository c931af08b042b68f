// For tests: tiny models (runtime/graph/tiny_model.h) as LibTorch sees them.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <vector>

#include "compress/torch_model/torch_decoder.h"
#include "recipes/quantize.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm::tiny {

const Shape kLlama = {.family = "llama"};
const Shape kQwen2 = {.family = "qwen2", .biases = true};
const Shape kGemma3 = {.family = "gemma3", .n_layers = 7, .n_kv_heads = 1, .sliding_window = 9};

// With rows that fill blocks of 256.
const Shape kWide = {.family = "qwen2",
                     .n_layers = 2,
                     .n_embedding = 256,
                     .head_width = 64,
                     .n_feed_forward = {256},
                     .biases = true};

inline std::vector<Token> random_tokens(size_t n, uint32_t n_vocabulary, uint32_t seed = 7) {
  std::mt19937 random(seed);
  std::vector<Token> tokens(n);
  for (Token& t : tokens) t = Token(random() % n_vocabulary);
  return tokens;
}

inline std::vector<std::vector<Token>> random_windows(size_t n_windows, size_t n_tokens,
                                                      uint32_t n_vocabulary) {
  std::vector<std::vector<Token>> windows;
  for (size_t i = 0; i < n_windows; ++i)
    windows.push_back(random_tokens(n_tokens, n_vocabulary, uint32_t(100 + i)));
  return windows;
}

// Every matrix in one type.
inline QuantizationPlan plan_in(TensorType type, const GgufFile& source) {
  QuantizationPlan plan;
  for (const GgufTensor& tensor : source.tensors())
    if (tensor.dimensions.size() == 2) plan.types[tensor.name] = type;
  return plan;
}

// The value of a Result that a test needs to go on; a failure is thrown, and fails the test with its message.
template <class T>
T value_of(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

inline std::unique_ptr<TorchDecoder> load_torch(const std::shared_ptr<const GgufFile>& file) {
  return value_of(TorchDecoder::load(file, {}));
}

// The largest difference as a share of the largest value.
inline double relative_difference(const at::Tensor& got, const at::Tensor& wanted) {
  return (got - wanted).abs().max().item<double>() / wanted.abs().max().item<double>();
}

}  // namespace edgellm::tiny
