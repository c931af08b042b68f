#include "recipes/mixed_inputs.h"

#include <algorithm>
#include <cmath>

namespace edgellm {
namespace {

// Half the queries tell as much as all of them, for half the time.
constexpr size_t kQueryStride = 2;
constexpr size_t kLanes = 8;

float dot(const float* a, const float* b, size_t n) {
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  float sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (float lane : lanes) sum += lane;
  return sum;
}

void softmax(std::vector<float>& scores) {
  const float highest = *std::max_element(scores.begin(), scores.end());
  float sum = 0;
  for (float& s : scores) sum += s = std::exp(s - highest);
  for (float& s : scores) s /= sum;
}

}  // namespace

void add_mixed_squares(const ObservedAttention& a, const Hyperparameters& h, std::vector<float>& sums) {
  const size_t n_columns = h.n_embedding, width = h.head_width_k, n_heads = h.n_heads[a.layer],
               n_kv_heads = h.n_kv_heads[a.layer];
  const size_t window = h.layer_is_sliding(a.layer) ? h.sliding_window : 0;
  sums.resize(n_columns, 0.0f);
  std::vector<float> weights, mixed(n_columns);
  for (size_t query = 0; query < a.n_tokens; query += kQueryStride) {
    const size_t head = query / kQueryStride % n_heads, kv_head = head / (n_heads / n_kv_heads);
    const size_t first = window && query + 1 > window ? query + 1 - window : 0;
    weights.resize(query + 1 - first);
    for (size_t j = 0; j < weights.size(); ++j) {
      float score = h.attention_scale * dot(a.q + (query * n_heads + head) * width,
                                            a.k + ((first + j) * n_kv_heads + kv_head) * width, width);
      weights[j] =
          h.attention_soft_cap > 0 ? h.attention_soft_cap * std::tanh(score / h.attention_soft_cap) : score;
    }
    softmax(weights);
    std::fill(mixed.begin(), mixed.end(), 0.0f);
    for (size_t j = 0; j < weights.size(); ++j) {
      const float* x = a.x + (first + j) * n_columns;
      const float weight = weights[j];
      for (size_t c = 0; c < n_columns; ++c) mixed[c] += weight * x[c];
    }
    for (size_t c = 0; c < n_columns; ++c) sums[c] += float(kQueryStride) * mixed[c] * mixed[c];
  }
}

}  // namespace edgellm
