// Sums over one row of logits that every measure needs, vectorized: the vocabulary has 50 to 260 thousand
// entries.
#pragma once

#include <cstddef>
#include <span>

namespace edgellm {

struct LogNormalizer {
  float largest = 0;       // the largest logit
  size_t top = 0;          // its index (the first, when several are equal)
  double log_sum_exp = 0;  // log of the sum of exp(logit)
};
// logits: [n_vocabulary], finite.
LogNormalizer log_normalizer(std::span<const float> logits);

// sum over i of exp(p[i]) * (p[i] - (q[i] - q_log_sum_exp)), in nats: KL(P||Q) of log-probabilities p against
// logits q. p, q: [n_vocabulary]
double kl_divergence(std::span<const float> p, std::span<const float> q, double q_log_sum_exp);

}  // namespace edgellm
