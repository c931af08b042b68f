// What encoders need of the kernel table, over the vector type of float_ops.inl.h, which includes this file
// after float_ops_attention.inl.h: attention without mask within a sequence, layer norm, and activations
// without a gate.
#include "runtime/kernels/kernels.h"

namespace edgellm::EDGELLM_ISA {
namespace {

constexpr size_t kQueriesPerTile = 48;
// K and V go through the first cache in tiles of about 16 KB for heads of 64 values.
constexpr size_t kKeysPerStep = 64;

// The arrays of one head in the scratch.
struct HeadArrays {
  size_t key_stride, value_width;
  float* keys;    // [head_width, key_stride], transposed
  float* values;  // [n_tokens, value_width], padded to whole vectors with zeros
  float* scores;  // [kQueriesPerTile, key_stride]
  float* output;  // [kQueriesPerTile, value_width]
};

// Lays the arrays out from `base` (null to measure) and returns their bytes.
inline size_t place_head(size_t n_tokens, size_t head_width, float* base, HeadArrays* head) {
  // Sixteen more, so that rows are no power of two apart and do not compete for the same cache lines.
  head->key_stride = (n_tokens + 15) / 16 * 16 + 16;
  head->value_width = padded(head_width);
  size_t n = 0;
  auto take = [&](size_t count) {
    float* at = base ? base + n : nullptr;
    n += (count + 15) / 16 * 16;
    return at;
  };
  head->keys = take(head_width * head->key_stride);
  head->values = take(n_tokens * head->value_width);
  head->scores = take(kQueriesPerTile * head->key_stride);
  head->output = take(kQueriesPerTile * head->value_width);
  return n * sizeof(float);
}

// Turns a row's scores into weights e^(scale * (score - maximum)); returns 1 / their sum. The row has room
// for whole vectors.
inline float soften_scores(float* scores, size_t n, float scale) {
  const size_t end = padded(n);
  for (size_t j = n; j < end; ++j) scores[j] = kMasked;
  Vector most = load(scores);
  for (size_t j = kWidth; j < end; j += kWidth) most = maximum(most, load(scores + j));
  Vector factor = splat(scale), shift = splat(-scale * largest(most)), total = splat(0.0f);
  for (size_t j = 0; j < end; j += kWidth) {
    Vector weight = exponential(multiply_add(load(scores + j), factor, shift));
    total = total + weight;
    store(weight, scores + j);
  }
  // Masked keys have weights of e^-87, nothing beside the largest, which is 1.
  return 1.0f / sum(total);
}

void attend(const SequenceAttentionArguments& a, const HeadArrays& head, size_t first, size_t n_queries) {
  const float* q = a.q + first * a.stride;
  const size_t n_padded = padded(a.n_tokens);
  for (size_t key = 0; key < n_padded; key += kKeysPerStep) {
    size_t n_keys = n_padded - key < kKeysPerStep ? n_padded - key : kKeysPerStep;
    multiply<false>(q, a.stride, head.keys + key, head.key_stride, head.scores + key, head.key_stride,
                    n_queries, a.head_width, n_keys);
  }
  float factors[kQueriesPerTile];
  for (size_t r = 0; r < n_queries; ++r)
    factors[r] = soften_scores(head.scores + r * head.key_stride, a.n_tokens, a.scale);
  for (size_t key = 0; key < a.n_tokens; key += kKeysPerStep) {
    size_t n_keys = a.n_tokens - key < kKeysPerStep ? a.n_tokens - key : kKeysPerStep;
    const float *weights = head.scores + key, *values = head.values + key * head.value_width;
    if (key == 0)
      multiply<false>(weights, head.key_stride, values, head.value_width, head.output, head.value_width,
                      n_queries, n_keys, head.value_width);
    else
      multiply<true>(weights, head.key_stride, values, head.value_width, head.output, head.value_width,
                     n_queries, n_keys, head.value_width);
  }
  for (size_t r = 0; r < n_queries; ++r) {
    const float* from = head.output + r * head.value_width;
    float* to = a.output + (first + r) * a.output_stride;
    Vector factor = splat(factors[r]);
    size_t d = 0;
    for (; d + kWidth <= a.head_width; d += kWidth) store(load(from + d) * factor, to + d);
    if (d < a.head_width) store_first(load(from + d) * factor, to + d, a.head_width - d);
  }
}

inline Vector sum_of_squares(Vector x, Vector mean, Vector total) {
  Vector rest = x - mean;
  return multiply_add(rest, rest, total);
}

// x Phi(x) = max(x, 0) - a Phi(-a), a = |x|, Phi(-a) = e^(-a^2 / 2) N(a) / D(a). N and D are our own least
// maximum fit of the product with a: 2e-10 off in exact arithmetic, and nothing cancels far to the left.
inline Vector gelu_by_erf(Vector x) {
  // Beyond 16 the product is nothing, and D would overflow. Zero comes first, so that NaN stays NaN.
  Vector zero = splat(0.0f), right = maximum(zero, x), a = minimum(maximum(right, zero - x), splat(16.0f));
  Vector n = multiply_add(a, splat(0.0107652095f), splat(0.0906372593f));
  n = multiply_add(n, a, splat(0.306694235f));
  n = multiply_add(n, a, splat(0.499999989f));
  Vector d = multiply_add(a, splat(0.0270459881f), splat(0.225974892f));
  d = multiply_add(d, a, splat(0.807312422f));
  d = multiply_add(d, a, splat(1.41127242f));
  d = multiply_add(d, a, splat(1.0f));
  return right - exponential(splat(-0.5f) * a * a) * a * n / d;
}

inline Vector relu_of(Vector x) {
  return maximum(splat(0.0f), x);
}

template <Vector (*activation)(Vector)>
inline void activate(float* x, size_t n) {
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(activation(load(x + i)), x + i);
  if (i < n) store_first(activation(load_first(x + i, n - i)), x + i, n - i);
}

}  // namespace

size_t sequence_attention_scratch_bytes(size_t n_tokens, size_t head_width) {
  HeadArrays head;
  return place_head(n_tokens, head_width, nullptr, &head);
}

void sequence_attention(const SequenceAttentionArguments& a) {
  HeadArrays head;
  place_head(a.n_tokens, a.head_width, static_cast<float*>(a.scratch), &head);
  transpose(a.k, a.stride, a.n_tokens, a.head_width, head.keys, head.key_stride);
  // The columns past the last key are multiplied like the others and must hold numbers.
  for (size_t d = 0; d < a.head_width; ++d)
    for (size_t j = a.n_tokens; j < padded(a.n_tokens); ++j) head.keys[d * head.key_stride + j] = 0;
  for (size_t j = 0; j < a.n_tokens; ++j) {
    float* to = head.values + j * head.value_width;
    memcpy(to, a.v + j * a.stride, a.head_width * sizeof(float));
    for (size_t d = a.head_width; d < head.value_width; ++d) to[d] = 0;
  }
  for (size_t first = 0; first < a.n_tokens; first += kQueriesPerTile)
    attend(a, head, first, a.n_tokens - first < kQueriesPerTile ? a.n_tokens - first : kQueriesPerTile);
}

void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y, size_t n) {
  const size_t whole = n / kWidth * kWidth, rest = n - whole;
  Vector totals[2] = {splat(0.0f), splat(0.0f)};
  size_t i = 0;
  for (; i + 2 * kWidth <= whole; i += 2 * kWidth) {
    totals[0] = totals[0] + load(x + i);
    totals[1] = totals[1] + load(x + i + kWidth);
  }
  if (i < whole) totals[0] = totals[0] + load(x + i);
  if (rest) totals[1] = totals[1] + load_first(x + whole, rest);
  const float mean_value = sum(totals[0] + totals[1]) / float(n);
  Vector mean = splat(mean_value);
  Vector squares[2] = {splat(0.0f), splat(0.0f)};
  for (i = 0; i + 2 * kWidth <= whole; i += 2 * kWidth) {
    squares[0] = sum_of_squares(load(x + i), mean, squares[0]);
    squares[1] = sum_of_squares(load(x + i + kWidth), mean, squares[1]);
  }
  if (i < whole) squares[0] = sum_of_squares(load(x + i), mean, squares[0]);
  float total = sum(squares[0] + squares[1]);
  for (i = whole; i < n; ++i) total += (x[i] - mean_value) * (x[i] - mean_value);
  Vector factor = splat(1.0f / __builtin_sqrtf(total / float(n) + epsilon));
  for (i = 0; i < whole; i += kWidth)
    store(multiply_add((load(x + i) - mean) * factor, load(weight + i), load(bias + i)), y + i);
  if (rest)
    store_first(multiply_add((load_first(x + i, rest) - mean) * factor, load_first(weight + i, rest),
                             load_first(bias + i, rest)),
                y + i, rest);
}

void gelu(float* x, size_t n) {
  activate<gelu_by_erf>(x, n);
}

void gelu_tanh(float* x, size_t n) {
  activate<gelu_by_tanh>(x, n);
}

void relu(float* x, size_t n) {
  activate<relu_of>(x, n);
}

}  // namespace edgellm::EDGELLM_ISA
