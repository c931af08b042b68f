// The float operations written plainly: what every instruction set's version is tested against.
#include <cmath>
#include <cstring>

#include "core/base/float16.h"
#include "runtime/kernels/generic/generic.h"

namespace edgellm::generic {
namespace {

// Value d of a cache row.
float cache_value(const uint8_t* row, bool q8_0, size_t d) {
  uint16_t half;
  if (!q8_0) {
    memcpy(&half, row + 2 * d, sizeof(half));
    return float_from_half(half);
  }
  const uint8_t* block = row + d / 32 * 34;
  memcpy(&half, block, sizeof(half));
  return float_from_half(half) * float(int8_t(block[2 + d % 32]));
}

float sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

}  // namespace

void rms_norm(const float* x, const float* weight, float epsilon, float* y, size_t n) {
  double squares = 0;
  for (size_t i = 0; i < n; ++i) squares += double(x[i]) * x[i];
  float factor = 1.0f / std::sqrt(float(squares / double(n)) + epsilon);
  for (size_t i = 0; i < n; ++i) y[i] = x[i] * factor * weight[i];
}

void rope_interleaved(float* head, const float* cosine, const float* sine, size_t n_rotated) {
  for (size_t i = 0; i < n_rotated / 2; ++i) {
    float a = head[2 * i], b = head[2 * i + 1];
    head[2 * i] = a * cosine[i] - b * sine[i];
    head[2 * i + 1] = a * sine[i] + b * cosine[i];
  }
}

void rope_halves(float* head, const float* cosine, const float* sine, size_t n_rotated) {
  size_t half = n_rotated / 2;
  for (size_t i = 0; i < half; ++i) {
    float a = head[i], b = head[half + i];
    head[i] = a * cosine[i] - b * sine[i];
    head[half + i] = a * sine[i] + b * cosine[i];
  }
}

void silu_times(const float* gate, const float* up, float* y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

// x * (1 + tanh(u)) / 2 = x * sigmoid(2u), u = sqrt(2 / pi) * (x + 0.044715 x^3).
void gelu_times(const float* gate, const float* up, float* y, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    float x = gate[i], u = 0.79788456f * (x + 0.044715f * x * x * x);
    y[i] = x * sigmoid(2 * u) * up[i];
  }
}

void add(const float* x, float* y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] += x[i];
}

void halves_from_floats(const float* x, uint16_t* y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] = half_from_float(x[i]);
}

void q8_0_from_floats(const float* x, void* blocks, size_t n) {
  uint8_t* block = static_cast<uint8_t*>(blocks);
  for (size_t i = 0; i < n; i += 32, block += 34) {
    float largest = 0;
    for (size_t k = 0; k < 32; ++k) largest = std::fmax(largest, std::fabs(x[i + k]));
    float scale = largest / 127.0f, inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    uint16_t half = half_from_float(scale);
    memcpy(block, &half, sizeof(half));
    for (size_t k = 0; k < 32; ++k) block[2 + k] = uint8_t(int8_t(std::round(x[i + k] * inverse)));
  }
}

size_t attention_scratch_bytes(size_t, size_t, size_t, size_t head_width_v) {
  return head_width_v * sizeof(float);
}

// Softmax in one pass: the sums so far are rescaled whenever a larger score appears.
void attention(const AttentionArguments& a) {
  float* gathered = static_cast<float*>(a.scratch);
  for (size_t row = 0; row < a.n_tokens * a.n_heads; ++row) {
    size_t token = row / a.n_heads, head = a.first_head + row % a.n_heads,
           position = a.first_position + token;
    const float* q = a.q + token * a.q_stride + head * a.head_width_k;
    float most = -INFINITY, total = 0;
    memset(gathered, 0, a.head_width_v * sizeof(float));
    for (size_t p = a.window && position >= a.window ? position + 1 - a.window : 0; p <= position; ++p) {
      const uint8_t* key = static_cast<const uint8_t*>(a.keys) + p * a.key_stride;
      const uint8_t* value = static_cast<const uint8_t*>(a.values) + p * a.value_stride;
      float score = 0;
      for (size_t d = 0; d < a.head_width_k; ++d) score += q[d] * cache_value(key, a.cache_is_q8_0, d);
      score *= a.scale;
      if (a.soft_cap > 0) score = a.soft_cap * std::tanh(score / a.soft_cap);
      if (score > most) {
        float factor = std::exp(most - score);
        total *= factor;
        for (size_t d = 0; d < a.head_width_v; ++d) gathered[d] *= factor;
        most = score;
      }
      float weight = std::exp(score - most);
      total += weight;
      for (size_t d = 0; d < a.head_width_v; ++d)
        gathered[d] += weight * cache_value(value, a.cache_is_q8_0, d);
    }
    float* output = a.output + token * a.output_stride + head * a.head_width_v;
    for (size_t d = 0; d < a.head_width_v; ++d) output[d] = gathered[d] / total;
  }
}

size_t sequence_attention_scratch_bytes(size_t n_tokens, size_t) {
  return n_tokens * sizeof(float);
}

void sequence_attention(const SequenceAttentionArguments& a) {
  float* weights = static_cast<float*>(a.scratch);
  for (size_t token = 0; token < a.n_tokens; ++token) {
    const float* q = a.q + token * a.stride;
    float most = -INFINITY, total = 0;
    for (size_t p = 0; p < a.n_tokens; ++p) {
      float score = 0;
      for (size_t d = 0; d < a.head_width; ++d) score += q[d] * a.k[p * a.stride + d];
      weights[p] = score * a.scale;
      most = std::fmax(most, weights[p]);
    }
    for (size_t p = 0; p < a.n_tokens; ++p) total += weights[p] = std::exp(weights[p] - most);
    float* output = a.output + token * a.output_stride;
    for (size_t d = 0; d < a.head_width; ++d) {
      float gathered = 0;
      for (size_t p = 0; p < a.n_tokens; ++p) gathered += weights[p] * a.v[p * a.stride + d];
      output[d] = gathered / total;
    }
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y, size_t n) {
  double total = 0, squares = 0;
  for (size_t i = 0; i < n; ++i) total += x[i];
  double mean = total / double(n);
  for (size_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  double factor = 1 / std::sqrt(squares / double(n) + epsilon);
  for (size_t i = 0; i < n; ++i) y[i] = float((x[i] - mean) * factor) * weight[i] + bias[i];
}

void gelu(float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = 0.5f * x[i] * std::erfc(-0.70710678f * x[i]);
}

void gelu_tanh(float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    float u = 0.79788456f * (x[i] + 0.044715f * x[i] * x[i] * x[i]);
    x[i] *= sigmoid(2 * u);
  }
}

void relu(float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = std::fmax(x[i], 0.0f);
}

}  // namespace edgellm::generic
