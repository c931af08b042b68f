#include "evaluate/log_probabilities.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

// One source, compiled for several instruction sets; the loader picks the one for this CPU.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && defined(__GNUC__) && !defined(__clang__)
#define EDGELLM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EDGELLM_CLONES
#endif

namespace edgellm {
namespace {

constexpr size_t kLanes = 16;

// exp(x) for x <= 0, to 2e-7 relative: 2^n times a polynomial on [-ln2/2, ln2/2]. Below -87 the result is 0.
inline __attribute__((always_inline)) float exp_of_negative(float x) {
  float clamped = x < -87.0f ? -87.0f : x;
  float n = clamped * 1.44269504f;
  // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
  float rounded = (n + 12582912.0f) - 12582912.0f;
  float r = clamped - rounded * 0.693359375f;
  r += rounded * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  float power = std::bit_cast<float>((static_cast<int32_t>(rounded) + 127) << 23);
  return x < -87.0f ? 0.0f : p * power;
}

EDGELLM_CLONES float largest_of(const float* x, size_t n) {
  float lanes[kLanes];
  for (float& lane : lanes) lane = -INFINITY;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t j = 0; j < kLanes; ++j) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
  float largest = -INFINITY;
  for (float lane : lanes) largest = std::max(largest, lane);
  for (; i < n; ++i) largest = std::max(largest, x[i]);
  return largest;
}

// Sums are carried in float over stretches short enough to keep 1e-6, then added in double.
constexpr size_t kStretch = 1024;

EDGELLM_CLONES double sum_exp(const float* x, size_t n, float largest) {
  double sum = 0;
  for (size_t begin = 0; begin < n; begin += kStretch) {
    size_t end = begin + kStretch < n ? begin + kStretch : n, i = begin;
    float lanes[kLanes] = {};
    for (; i + kLanes <= end; i += kLanes)
      for (size_t j = 0; j < kLanes; ++j) lanes[j] += exp_of_negative(x[i + j] - largest);
    for (float lane : lanes) sum += lane;
    for (; i < end; ++i) sum += exp_of_negative(x[i] - largest);
  }
  return sum;
}

EDGELLM_CLONES double sum_kl(const float* p, const float* q, size_t n, float q_log_sum_exp) {
  double sum = 0;
  for (size_t begin = 0; begin < n; begin += kStretch) {
    size_t end = begin + kStretch < n ? begin + kStretch : n, i = begin;
    float lanes[kLanes] = {};
    for (; i + kLanes <= end; i += kLanes)
      for (size_t j = 0; j < kLanes; ++j)
        lanes[j] += exp_of_negative(p[i + j]) * (p[i + j] - (q[i + j] - q_log_sum_exp));
    for (float lane : lanes) sum += lane;
    for (; i < end; ++i) sum += exp_of_negative(p[i]) * (p[i] - (q[i] - q_log_sum_exp));
  }
  return sum;
}

}  // namespace

LogNormalizer log_normalizer(std::span<const float> logits) {
  LogNormalizer result;
  result.largest = largest_of(logits.data(), logits.size());
  result.top = size_t(std::find(logits.begin(), logits.end(), result.largest) - logits.begin());
  result.log_sum_exp = result.largest + std::log(sum_exp(logits.data(), logits.size(), result.largest));
  return result;
}

double kl_divergence(std::span<const float> p, std::span<const float> q, double q_log_sum_exp) {
  return sum_kl(p.data(), q.data(), p.size(), float(q_log_sum_exp));
}

}  // namespace edgellm
