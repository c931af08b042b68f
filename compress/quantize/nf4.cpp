#include "compress/quantize/nf4.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace edgellm {
namespace {

constexpr size_t kNestedBlock = 256;
constexpr uint8_t kNf4Zero = 7;

// Boundaries half way between neighbours; what lies on one goes to the lower.
template <size_t n>
std::array<float, n - 1> boundaries_of(const std::array<float, n>& levels) {
  std::array<float, n - 1> boundaries;
  for (size_t i = 0; i + 1 < n; ++i) boundaries[i] = (levels[i] + levels[i + 1]) / 2;
  return boundaries;
}

template <size_t n>
uint8_t nearest(const std::array<float, n>& boundaries, float value) {
  return uint8_t(std::lower_bound(boundaries.begin(), boundaries.end(), value) - boundaries.begin());
}

float largest_magnitude(std::span<const float> values) {
  float most = 0;
  for (float v : values) most = std::max(most, std::abs(v));
  return most;
}

std::array<float, 256> make_dynamic_map() {
  std::vector<float> values = {0.0f, 1.0f};
  for (int i = 0; i < 7; ++i) {
    // Means of neighbours of 2^i + 1 equal steps from 0.1 to 1, computed as the official table was: each half
    // from its own end, in one rounding.
    const int n_steps = 1 << i;
    const float step = (1.0f - 0.1f) / float(n_steps), power = float(std::pow(10.0, i - 6));
    auto edge = [&](int j) {
      return j < (n_steps + 1) / 2 ? std::fma(step, float(j), 0.1f)
                                   : std::fma(-step, float(n_steps - j), 1.0f);
    };
    for (int j = 0; j < n_steps; ++j) {
      float mean = (edge(j) + edge(j + 1)) / 2;
      values.push_back(power * mean);
      values.push_back(-power * mean);
    }
  }
  std::sort(values.begin(), values.end());
  std::array<float, 256> map;
  assert(values.size() == map.size());
  std::copy(values.begin(), values.end(), map.begin());
  return map;
}

// The official program looks scales up in a table over 65536 equal steps from -1 to 1.
float on_lookup_step(float x) {
  constexpr float kHalf = 65535 / 2.0f;
  return std::floor((x + 1) * kHalf + 0.5f) / kHalf - 1;
}

Nf4NestedScales nest(const std::vector<float>& scales) {
  Nf4NestedScales nested;
  double sum = 0;
  for (float s : scales) sum += s;
  nested.offset = scales.empty() ? 0 : float(sum / double(scales.size()));
  nested.codes.resize(scales.size());
  static const auto boundaries = boundaries_of(dynamic_map());
  std::vector<float> centred(scales);
  for (float& s : centred) s -= nested.offset;
  for (size_t at = 0; at < scales.size(); at += kNestedBlock) {
    std::span block(&centred[at], std::min(kNestedBlock, scales.size() - at));
    float most = largest_magnitude(block);
    nested.scales.push_back(most);
    const float inverse = most > 0 ? 1 / most : 0;
    for (size_t i = 0; i < block.size(); ++i)
      nested.codes[at + i] = nearest(boundaries, on_lookup_step(block[i] * inverse));
  }
  return nested;
}

}  // namespace

const std::array<float, 256>& dynamic_map() {
  static const std::array<float, 256> map = make_dynamic_map();
  return map;
}

uint64_t Nf4Values::n_bytes() const {
  return codes.size() + 4 * scales.size() + nested.codes.size() + 4 * nested.scales.size() +
         (nested.codes.empty() ? 0 : 4);
}

float Nf4Values::scale(size_t block) const {
  if (nested.codes.empty()) return scales[block];
  return dynamic_map()[nested.codes[block]] * nested.scales[block / kNestedBlock] + nested.offset;
}

Nf4Values quantize_nf4(std::span<const float> values, bool double_quantized, size_t n_block) {
  assert(values.size() % 2 == 0 && n_block % 2 == 0);
  static const auto boundaries = boundaries_of(kNf4Values);
  Nf4Values result;
  result.n_values = values.size();
  result.n_block = n_block;
  result.codes.resize(values.size() / 2);
  for (size_t at = 0; at < values.size(); at += n_block) {
    auto block = values.subspan(at, std::min(n_block, values.size() - at));
    float most = largest_magnitude(block);
    result.scales.push_back(most);
    for (size_t i = 0; i < block.size(); ++i) {
      uint8_t code = most > 0 ? nearest(boundaries, block[i] / most) : kNf4Zero;
      uint8_t& byte = result.codes[(at + i) / 2];
      byte = uint8_t(i % 2 ? byte | code : code << 4);
    }
  }
  if (double_quantized) {
    result.nested = nest(result.scales);
    result.scales.clear();
  }
  return result;
}

void dequantize_nf4(const Nf4Values& quantized, std::span<float> values) {
  assert(values.size() == quantized.n_values);
  for (size_t at = 0; at < values.size(); at += quantized.n_block) {
    float scale = quantized.scale(at / quantized.n_block);
    size_t end = std::min(at + quantized.n_block, values.size());
    for (size_t i = at; i < end; ++i) {
      uint8_t byte = quantized.codes[i / 2];
      values[i] = kNf4Values[i % 2 ? byte & 15 : byte >> 4] * scale;
    }
  }
}

}  // namespace edgellm
