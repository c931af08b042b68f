#include "runtime/decode/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

namespace edgellm {
namespace {

// The largest of n values, in lanes that the compiler keeps in vector registers.
float largest(const float* x, size_t n) {
  std::array<float, 16> lanes;
  lanes.fill(-INFINITY);
  size_t i = 0;
  for (; i + lanes.size() <= n; i += lanes.size())
    for (size_t j = 0; j < lanes.size(); ++j) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
  float m = *std::max_element(lanes.begin(), lanes.end());
  for (; i < n; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

}  // namespace

Status check(const SamplerOptions& o) {
  auto wrong = [](std::string_view name, std::string_view wanted, double got) {
    return Error{fmt::format("sampling: {} must be {}, got {:g}", name, wanted, got)};
  };
  if (!(o.temperature >= 0)) return wrong("temperature", "0 or more", o.temperature);
  if (!(o.top_p > 0 && o.top_p <= 1)) return wrong("top-p", "above 0 and at most 1", o.top_p);
  if (!(o.min_p >= 0 && o.min_p <= 1)) return wrong("min-p", "from 0 to 1", o.min_p);
  if (!(o.repetition_penalty > 0)) return wrong("repeat-penalty", "above 0", o.repetition_penalty);
  return {};
}

Token most_likely(std::span<const float> logits) {
  constexpr size_t kBlock = 1024;
  size_t best_block = 0;
  float best = -INFINITY;
  for (size_t at = 0; at < logits.size(); at += kBlock)
    if (float m = largest(logits.data() + at, std::min(kBlock, logits.size() - at)); m > best) {
      best = m;
      best_block = at;
    }
  size_t i = best_block;
  while (i + 1 < logits.size() && !(logits[i] == best)) ++i;
  return Token(i);
}

Sampler::Sampler(const SamplerOptions& options, size_t n_vocabulary)
    : options_(options), state_(options.seed) {
  if (options_.repetition_penalty != 1.0f) penalized_.resize(n_vocabulary);
  if (options_.temperature > 0)
    candidates_.reserve(options_.top_k ? std::min(options_.top_k, n_vocabulary) + 1 : n_vocabulary);
}

// SplitMix64 (Steele, Lea and Flood 2014).
double Sampler::uniform() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return double((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

void Sampler::penalize(std::span<const float> logits, std::span<const Token> recent) {
  std::copy(logits.begin(), logits.end(), penalized_.begin());
  for (Token token : recent.last(std::min(recent.size(), options_.repetition_window))) {
    float logit = logits[size_t(token)];
    penalized_[size_t(token)] =
        logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
  }
}

// The top_k candidates, most likely first; among equals the lower token.
void Sampler::collect(std::span<const float> logits) {
  auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  size_t n_kept = options_.top_k ? std::min(options_.top_k, logits.size()) : logits.size();
  // Below this a token has less than 1e-13 of the best one's probability, or less than min-p leaves.
  float peak = largest(logits.data(), logits.size());
  float reach = 30.0f * std::max(1.0f, options_.temperature);
  float floor = peak - (options_.min_p > 0 ? std::min(reach, -std::log(options_.min_p)) : reach);
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] >= floor)) continue;
    candidates_.push_back({logits[i], Token(i)});
    if (candidates_.size() <= n_kept) {
      if (candidates_.size() == n_kept) {
        // From here on a heap whose front is the least likely candidate.
        std::make_heap(candidates_.begin(), candidates_.end(), before);
        floor = candidates_.front().logit;
      }
      continue;
    }
    std::push_heap(candidates_.begin(), candidates_.end(), before);
    std::pop_heap(candidates_.begin(), candidates_.end(), before);
    candidates_.pop_back();
    floor = candidates_.front().logit;
  }
  std::sort(candidates_.begin(), candidates_.end(), before);
}

Token Sampler::sample(std::span<const float> logits, std::span<const Token> recent) {
  if (options_.repetition_penalty != 1.0f) {
    penalize(logits, recent);
    logits = penalized_;
  }
  if (options_.temperature <= 0) return most_likely(logits);
  collect(logits);
  if (candidates_.empty()) return most_likely(logits);
  float peak = candidates_.front().logit;
  double total = 0;
  for (const Candidate& c : candidates_) total += std::exp(double(c.logit - peak));
  double reached = 0;
  size_t n_kept = 0;
  while (n_kept < candidates_.size() && (n_kept == 0 || reached < double(options_.top_p) * total)) {
    double p = std::exp(double(candidates_[n_kept].logit - peak));
    if (n_kept > 0 && p < double(options_.min_p)) break;
    reached += p;
    ++n_kept;
  }
  total = 0;
  for (size_t i = 0; i < n_kept; ++i)
    total += std::exp(double(candidates_[i].logit - peak) / options_.temperature);
  double left = uniform() * total;
  for (size_t i = 0; i + 1 < n_kept; ++i) {
    left -= std::exp(double(candidates_[i].logit - peak) / options_.temperature);
    if (left < 0) return candidates_[i].token;
  }
  return candidates_[n_kept - 1].token;
}

}  // namespace edgellm
