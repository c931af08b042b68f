#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "core/base/float16.h"
#include "runtime/kernels/every_table.h"

namespace edgellm {
namespace {

const std::vector<size_t> kLengths = {1, 3, 8, 31, 32, 64, 100, 576, 1537};

TEST(FloatOps, RmsNormDividesByTheRootMeanSquare) {
  for_each_table([](const Kernels& table) {
    for (size_t n : kLengths) {
      std::vector<float> x = random_values(n, 1, 3.0f), weight = random_values(n, 2), y(n + 1, 77.0f);
      table.rms_norm(x.data(), weight.data(), 1e-5f, y.data(), n);
      double squares = 0;
      for (float v : x) squares += double(v) * v;
      double factor = 1 / std::sqrt(squares / double(n) + 1e-5);
      for (size_t i = 0; i < n; ++i) {
        double wanted = x[i] * factor * weight[i];
        ASSERT_NEAR(y[i], wanted, 2e-6 * (1 + std::fabs(wanted))) << n << " values, at " << i;
      }
      ASSERT_EQ(y[n], 77.0f);
      table.rms_norm(x.data(), weight.data(), 1e-5f, x.data(), n);
      y.resize(n);
      ASSERT_EQ(x, y) << "in place";
    }
  });
}

TEST(FloatOps, RopeTurnsPairs) {
  for_each_table([](const Kernels& table) {
    for (size_t n : {2, 6, 20, 64, 80, 128}) {
      std::vector<float> x = random_values(n, 3), cosine(n / 2), sine(n / 2);
      for (size_t i = 0; i < n / 2; ++i) {
        cosine[i] = std::cos(0.3f * float(i) + 1);
        sine[i] = std::sin(0.3f * float(i) + 1);
      }
      std::vector<float> interleaved = x, halves = x;
      table.rope_interleaved(interleaved.data(), cosine.data(), sine.data(), n);
      table.rope_halves(halves.data(), cosine.data(), sine.data(), n);
      for (size_t i = 0; i < n / 2; ++i) {
        float a = x[2 * i], b = x[2 * i + 1];
        ASSERT_NEAR(interleaved[2 * i], a * cosine[i] - b * sine[i], 1e-6);
        ASSERT_NEAR(interleaved[2 * i + 1], a * sine[i] + b * cosine[i], 1e-6);
        a = x[i], b = x[n / 2 + i];
        ASSERT_NEAR(halves[i], a * cosine[i] - b * sine[i], 1e-6);
        ASSERT_NEAR(halves[n / 2 + i], a * sine[i] + b * cosine[i], 1e-6);
      }
    }
  });
}

TEST(FloatOps, ActivationsMatchTheirFormulas) {
  for_each_table([](const Kernels& table) {
    for (size_t n : kLengths) {
      std::vector<float> gate = random_values(n, 4, 6.0f), up = random_values(n, 5), y(n + 1, 77.0f),
                         z(n + 1, 77.0f);
      gate[0] = n % 2 ? -500.0f : 500.0f;
      table.silu_times(gate.data(), up.data(), y.data(), n);
      table.gelu_times(gate.data(), up.data(), z.data(), n);
      for (size_t i = 0; i < n; ++i) {
        double x = gate[i], silu = x / (1 + std::exp(-x)) * up[i];
        double gelu = 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))) * up[i];
        ASSERT_NEAR(y[i], silu, 1e-6 * (1e-3 + std::fabs(silu))) << "silu of " << x;
        // Far to the left the sigmoid's exponent, hundreds in float, costs relative accuracy of what is
        // nearly zero.
        ASSERT_NEAR(z[i], gelu, 2e-6 * (0.1 + std::fabs(gelu))) << "gelu of " << x;
      }
      ASSERT_EQ(y[n], 77.0f);
      ASSERT_EQ(z[n], 77.0f);
    }
  });
}

TEST(FloatOps, AddSumsEveryValue) {
  for_each_table([](const Kernels& table) {
    for (size_t n : kLengths) {
      std::vector<float> x = random_values(n, 6), y = random_values(n, 7), wanted = y;
      for (size_t i = 0; i < n; ++i) wanted[i] += x[i];
      table.add(x.data(), y.data(), n);
      ASSERT_EQ(y, wanted);
    }
  });
}

TEST(FloatOps, HalvesAreRoundedToTheNearestEven) {
  for_each_table([](const Kernels& table) {
    std::vector<float> x = random_values(1000, 8, 10.0f);
    for (float edge : {0.0f, -0.0f, 65504.0f, 65519.9f, 65520.0f, -1e9f, 6.1e-5f, 5.96e-8f, 2.98e-8f,
                       1.0f + 0x1p-11f, 1.0f + 0x3p-11f, 1e-20f, -3.3e-6f}) {
      x.push_back(edge);
    }
    std::vector<uint16_t> y(x.size());
    table.halves_from_floats(x.data(), y.data(), x.size());
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], half_from_float(x[i])) << x[i];
  });
}

// The plain rule, without the search for a better scale that core/blocks' encoder does for weights.
void encode_cache_block(const float* x, uint8_t* block) {
  float largest = 0;
  for (int k = 0; k < 32; ++k) largest = std::fmax(largest, std::fabs(x[k]));
  float scale = largest / 127.0f, inverse = scale > 0 ? 1.0f / scale : 0.0f;
  uint16_t half = half_from_float(scale);
  memcpy(block, &half, sizeof(half));
  for (int k = 0; k < 32; ++k) block[2 + k] = uint8_t(int8_t(std::round(x[k] * inverse)));
}

TEST(FloatOps, CacheBlocksAreBitExact) {
  size_t n = 32 * 300;
  std::vector<float> x = random_values(n, 9);
  for (size_t i = 0; i < 32; ++i) x[i] = 0;
  // Scale 1, so that products end in exact halves.
  for (size_t i = 32; i < 64; ++i) x[i] = i == 40 ? -127.0f : float(i) - 45.5f;
  for (size_t i = 64; i < 32 * 20; ++i) x[i] *= 1000.0f;
  std::vector<uint8_t> wanted(n / 32 * 34);
  for (size_t b = 0; b < n / 32; ++b) encode_cache_block(x.data() + 32 * b, wanted.data() + 34 * b);
  for_each_table([&](const Kernels& table) {
    std::vector<uint8_t> blocks(n / 32 * 34);
    table.q8_0_from_floats(x.data(), blocks.data(), n);
    for (size_t i = 0; i < blocks.size(); ++i) {
      ASSERT_EQ(blocks[i], wanted[i]) << "block " << i / 34 << " byte " << i % 34;
    }
  });
}

struct AttentionCase {
  size_t n_tokens, first_position, n_heads, width_k, width_v, window;
  float soft_cap;
  bool q8_0;
};

// One kv head's cache of a layer with two kv heads, the rows of the other between them.
struct CacheRows {
  size_t stride;
  std::vector<uint8_t> bytes;
  std::vector<float> values;  // what the rows decode to, [n_positions, width]
};

CacheRows cache_rows(size_t n_positions, size_t width, bool q8_0, uint32_t seed) {
  CacheRows rows;
  size_t row_bytes = q8_0 ? width / 32 * 34 : 2 * width;
  rows.stride = 2 * row_bytes;
  // NaN wherever nothing may be read.
  rows.bytes.assign(n_positions * rows.stride, 0xff);
  rows.values.resize(n_positions * width);
  const Kernels& generic = *usable_kernels().front();
  for (size_t p = 0; p < n_positions; ++p) {
    std::vector<float> x = random_values(width, seed + uint32_t(p));
    uint8_t* row = rows.bytes.data() + p * rows.stride;
    float* decoded = rows.values.data() + p * width;
    if (q8_0) {
      generic.q8_0_from_floats(x.data(), row, width);
      for (size_t d = 0; d < width; ++d) {
        uint16_t half;
        memcpy(&half, row + d / 32 * 34, 2);
        decoded[d] = float_from_half(half) * float(int8_t(row[d / 32 * 34 + 2 + d % 32]));
      }
    } else {
      for (size_t d = 0; d < width; ++d) {
        uint16_t half = half_from_float(x[d]);
        memcpy(row + 2 * d, &half, 2);
        decoded[d] = float_from_half(half);
      }
    }
  }
  return rows;
}

// softmax(scale * q k) v over the positions allowed, in double, all scores at once.
std::vector<double> attention_by_definition(const AttentionCase& c, const float* q, size_t token,
                                            const CacheRows& keys, const CacheRows& values, float scale) {
  size_t position = c.first_position + token;
  size_t first = c.window && position >= c.window ? position + 1 - c.window : 0;
  std::vector<double> weights, output(c.width_v, 0.0);
  double most = -1e300, total = 0;
  for (size_t p = first; p <= position; ++p) {
    double score = 0;
    for (size_t d = 0; d < c.width_k; ++d) score += double(q[d]) * keys.values[p * c.width_k + d];
    score *= scale;
    if (c.soft_cap > 0) score = c.soft_cap * std::tanh(score / c.soft_cap);
    weights.push_back(score);
    most = std::max(most, score);
  }
  for (double& w : weights) total += w = std::exp(w - most);
  for (size_t p = first; p <= position; ++p) {
    for (size_t d = 0; d < c.width_v; ++d) {
      output[d] += weights[p - first] / total * values.values[p * c.width_v + d];
    }
  }
  return output;
}

void expect_attention_by_definition(const AttentionCase& c) {
  SCOPED_TRACE(::testing::Message() << c.n_tokens << " tokens at " << c.first_position << ", " << c.n_heads
                                    << " heads, widths " << c.width_k << " " << c.width_v << ", window "
                                    << c.window << ", soft cap " << c.soft_cap << ", q8_0 " << c.q8_0);
  size_t n_positions = c.first_position + c.n_tokens, first_head = 2, all_heads = first_head + c.n_heads + 1;
  CacheRows keys = cache_rows(n_positions, c.width_k, c.q8_0, 100);
  CacheRows values = cache_rows(n_positions, c.width_v, c.q8_0, 90000);
  size_t q_stride = all_heads * c.width_k + 5, output_stride = all_heads * c.width_v + 3;
  std::vector<float> q = random_values(c.n_tokens * q_stride, 10, 2.0f);
  for_each_table([&](const Kernels& table) {
    size_t n_bytes = table.attention_scratch_bytes(c.n_tokens, c.n_heads, c.width_k, c.width_v);
    std::vector<float> scratch(n_bytes / sizeof(float) + 32, std::nanf(""));
    float* aligned =
        scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64 / sizeof(float);
    aligned[n_bytes / sizeof(float)] = 77.0f;
    std::vector<float> output(c.n_tokens * output_stride, 77.0f);
    AttentionArguments a{};
    a.q = q.data();
    a.q_stride = q_stride;
    a.first_head = first_head;
    a.n_heads = c.n_heads;
    a.keys = keys.bytes.data();
    a.values = values.bytes.data();
    a.key_stride = keys.stride;
    a.value_stride = values.stride;
    a.cache_is_q8_0 = c.q8_0;
    a.head_width_k = c.width_k;
    a.head_width_v = c.width_v;
    a.first_position = c.first_position;
    a.n_tokens = c.n_tokens;
    a.window = c.window;
    a.scale = 1.0f / std::sqrt(float(c.width_k));
    a.soft_cap = c.soft_cap;
    a.output = output.data();
    a.output_stride = output_stride;
    a.scratch = aligned;
    table.attention(a);
    ASSERT_EQ(aligned[n_bytes / sizeof(float)], 77.0f) << "wrote past the scratch";
    for (size_t token = 0; token < c.n_tokens; ++token) {
      for (size_t head = 0; head < all_heads; ++head) {
        const float* got = output.data() + token * output_stride + head * c.width_v;
        if (head < first_head || head >= first_head + c.n_heads) {
          for (size_t d = 0; d < c.width_v; ++d) ASSERT_EQ(got[d], 77.0f) << "head of another call";
          continue;
        }
        const float* row = q.data() + token * q_stride + head * c.width_k;
        std::vector<double> wanted = attention_by_definition(c, row, token, keys, values, a.scale);
        for (size_t d = 0; d < c.width_v; ++d) {
          ASSERT_NEAR(got[d], wanted[d], 5e-6 * (1 + std::fabs(wanted[d])))
              << "token " << token << " head " << head << " column " << d;
        }
      }
    }
  });
}

TEST(Attention, IsSoftmaxOverEarlierPositions) {
  for (size_t n_tokens : {1, 2, 3, 5, 7, 16, 17, 33, 64, 70}) {
    for (size_t first_position : {0, 1, 31, 32, 63, 200}) {
      expect_attention_by_definition({n_tokens, first_position, 3, 64, 64, 0, 0.0f, false});
    }
  }
}

TEST(Attention, HandlesEveryHeadWidth) {
  for (size_t width : {8, 20, 32, 48, 64, 80, 96, 128, 256}) {
    for (size_t n_tokens : {1, 40}) {
      expect_attention_by_definition({n_tokens, 70, 2, width, width, 0, 0.0f, false});
      if (width % 32 == 0) expect_attention_by_definition({n_tokens, 70, 2, width, width, 0, 0.0f, true});
    }
  }
  expect_attention_by_definition({1, 70, 2, 192, 128, 0, 0.0f, false});
  expect_attention_by_definition({40, 70, 2, 192, 128, 0, 0.0f, false});
  expect_attention_by_definition({40, 70, 2, 64, 96, 0, 0.0f, true});
}

TEST(Attention, HandlesEveryGroupOfHeads) {
  for (size_t n_heads : {1, 2, 4, 6, 7, 8, 9, 16, 100}) {
    for (size_t n_tokens : {1, 2, 30}) {
      expect_attention_by_definition({n_tokens, 40, n_heads, 32, 32, 0, 0.0f, false});
    }
  }
}

TEST(Attention, SeesOnlyTheWindow) {
  for (size_t window : {1, 5, 32, 63, 64, 65, 150}) {
    for (size_t n_tokens : {1, 4, 70}) {
      expect_attention_by_definition({n_tokens, 130, 2, 64, 64, window, 0.0f, false});
      expect_attention_by_definition({n_tokens, 0, 2, 64, 64, window, 0.0f, true});
    }
  }
}

TEST(Attention, CapsScoresSoftly) {
  for (size_t n_tokens : {1, 50}) {
    expect_attention_by_definition({n_tokens, 100, 4, 64, 64, 0, 2.0f, false});
    expect_attention_by_definition({n_tokens, 100, 4, 64, 64, 40, 50.0f, true});
  }
}

TEST(Attention, StaysExactOverThousandsOfPositions) {
  expect_attention_by_definition({1, 4000, 6, 64, 64, 0, 0.0f, false});
  expect_attention_by_definition({1, 4000, 1, 64, 64, 0, 0.0f, true});
  expect_attention_by_definition({3, 2000, 4, 64, 64, 0, 0.0f, true});
}

}  // namespace
}  // namespace edgellm
