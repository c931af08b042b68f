// Generation: for one to three tokens the weights are read once, straight from their blocks, so that memory
// is what limits the speed.
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx2/block_codes.h"
#include "runtime/kernels/avx2/products.h"

namespace edgellm::avx2 {
namespace {

inline float sum_of(__m256 x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

// Sums of two neighbouring products, int16. Unsigned codes are below 64 and so 2 * 63 * 127 fits; for signed
// ones the sign moves over to the activation, and 2 * 128 * 127 fits still.
template <class Block>
inline __m256i pair_products(__m256i codes, __m256i activations) {
  if constexpr (Codes<Block>::kSigned) {
    return _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(activations, codes));
  } else {
    return _mm256_maddubs_epi16(codes, activations);
  }
}

struct Activations {
  const int8_t* codes;
  const float* scales;
  const float* scaled_sums;  // q8_32
  const int16_t* sums;       // q8_256
};

inline Activations activations_of(const MatrixProduct& p, const ActivationPlanes& planes, size_t token) {
  const uint8_t* row = static_cast<const uint8_t*>(p.activations) + token * planes.n_bytes;
  return {reinterpret_cast<const int8_t*>(row), reinterpret_cast<const float*>(row + planes.scales),
          reinterpret_cast<const float*>(row + planes.scaled_sums),
          reinterpret_cast<const int16_t*>(row + planes.sums)};
}

// Where in the 16 sub-block scales those of codes 32 * k .. 32 * k + 31 are: two, eight lanes of int16 each.
inline __m256i scales_at(__m128i scales, int k) {
  __m128i at = _mm_set_epi64x(0x0101010101010101 * (2 * k + 1), 0x0101010101010101 * (2 * k));
  return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, at));
}

// Types of 256: integers all through a block.
template <class Block, size_t TOKENS>
inline void multiply_row_of_256(const Block* blocks, size_t n_blocks, const Activations* x, float* sums) {
  __m256 total[TOKENS];
  for (size_t t = 0; t < TOKENS; ++t) total[t] = _mm256_setzero_ps();
  for (size_t b = 0; b < n_blocks; ++b) {
    const Block& block = blocks[b];
    const SubScales sub = sub_scales_of(block);
    __m256i sum[TOKENS];
    for (size_t t = 0; t < TOKENS; ++t) sum[t] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      const __m256i codes = codes_of(block, k), scales = scales_at(sub.scales, k);
      for (size_t t = 0; t < TOKENS; ++t) {
        __m256i products = pair_products<Block>(codes, load_32(x[t].codes + 256 * b + 32 * k));
        sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(products, scales));
      }
    }
    const float scale = float_of(block.scale), min = min_of(block);
    for (size_t t = 0; t < TOKENS; ++t) {
      const float activation_scale = x[t].scales[b];
      if constexpr (Codes<Block>::kOffset != 0) {
        __m256i offsets =
            _mm256_mullo_epi16(_mm256_cvtepi8_epi16(sub.scales), _mm256_set1_epi16(Codes<Block>::kOffset));
        sum[t] = _mm256_sub_epi32(sum[t], _mm256_madd_epi16(offsets, load_32(x[t].sums + 16 * b)));
      }
      total[t] =
          _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[t]), _mm256_set1_ps(scale * activation_scale), total[t]);
      if constexpr (Codes<Block>::kHasMin) {
        __m256i mins = _mm256_madd_epi16(_mm256_cvtepi8_epi16(sub.mins), load_32(x[t].sums + 16 * b));
        total[t] =
            _mm256_fnmadd_ps(_mm256_cvtepi32_ps(mins), _mm256_set1_ps(min * activation_scale), total[t]);
      }
    }
  }
  for (size_t t = 0; t < TOKENS; ++t) sums[t] = sum_of(total[t]);
}

// Types of 32: a float scale for every block.
template <class Block, size_t TOKENS>
inline void multiply_row_of_32(const Block* blocks, size_t n_blocks, const Activations* x, float* sums) {
  __m256 total[TOKENS][2];
  float shift[TOKENS][2];
  for (size_t t = 0; t < TOKENS; ++t) {
    total[t][0] = total[t][1] = _mm256_setzero_ps();
    shift[t][0] = shift[t][1] = 0;
  }
  auto multiply_block = [&](size_t b, size_t lane) __attribute__((always_inline)) {
    const Block& block = blocks[b];
    const __m256i codes = codes_of(block, 0);
    const float scale = float_of(block.scale);
    for (size_t t = 0; t < TOKENS; ++t) {
      __m256i products = pair_products<Block>(codes, load_32(x[t].codes + 32 * b));
      __m256 dots = _mm256_cvtepi32_ps(_mm256_madd_epi16(products, _mm256_set1_epi16(1)));
      total[t][lane] = _mm256_fmadd_ps(dots, _mm256_set1_ps(scale * x[t].scales[b]), total[t][lane]);
      if constexpr (Codes<Block>::kHasMin) shift[t][lane] += min_of(block) * x[t].scaled_sums[b];
      if constexpr (Codes<Block>::kOffset != 0) shift[t][lane] -= scale * x[t].scaled_sums[b];
    }
  };
  size_t b = 0;
  for (; b + 2 <= n_blocks; b += 2) {
    multiply_block(b, 0);
    multiply_block(b + 1, 1);
  }
  if (b < n_blocks) multiply_block(b, 0);
  constexpr float unit = Codes<Block>::kOffset ? float(Codes<Block>::kOffset) : 1.0f;
  for (size_t t = 0; t < TOKENS; ++t) {
    sums[t] = sum_of(_mm256_add_ps(total[t][0], total[t][1])) + unit * (shift[t][0] + shift[t][1]);
  }
}

template <class Block, size_t TOKENS>
void multiply_rows(const MatrixProduct& p) {
  constexpr bool is_super = Block::n_values == 256;
  const ActivationPlanes planes =
      activation_planes(is_super ? ActivationFormat::q8_256 : ActivationFormat::q8_32, p.n_columns);
  Activations x[TOKENS];
  for (size_t t = 0; t < TOKENS; ++t) x[t] = activations_of(p, planes, t);
  const size_t n_blocks = p.n_columns / Block::n_values;
  for (size_t row = p.first_row; row < p.end_row; ++row) {
    const Block* blocks = static_cast<const Block*>(p.weights) + row * n_blocks;
    float sums[TOKENS];
    if constexpr (is_super) {
      multiply_row_of_256<Block, TOKENS>(blocks, n_blocks, x, sums);
    } else {
      multiply_row_of_32<Block, TOKENS>(blocks, n_blocks, x, sums);
    }
    for (size_t t = 0; t < TOKENS; ++t) p.output[t * p.output_stride + row] = sums[t];
  }
}

template <class Block>
void multiply_few_tokens(const MatrixProduct& p) {
  switch (p.n_tokens) {
    case 1:
      return multiply_rows<Block, 1>(p);
    case 2:
      return multiply_rows<Block, 2>(p);
    case 3:
      return multiply_rows<Block, 3>(p);
    default:
      return;
  }
}

}  // namespace

void multiply_in_place(const MatrixProduct& p) {
  switch (p.type) {
    case TensorType::Q4_0:
      return multiply_few_tokens<BlockQ4_0>(p);
    case TensorType::Q4_1:
      return multiply_few_tokens<BlockQ4_1>(p);
    case TensorType::Q5_0:
      return multiply_few_tokens<BlockQ5_0>(p);
    case TensorType::Q5_1:
      return multiply_few_tokens<BlockQ5_1>(p);
    case TensorType::Q8_0:
      return multiply_few_tokens<BlockQ8_0>(p);
    case TensorType::IQ4_NL:
      return multiply_few_tokens<BlockIQ4_NL>(p);
    case TensorType::Q2_K:
      return multiply_few_tokens<BlockQ2_K>(p);
    case TensorType::Q3_K:
      return multiply_few_tokens<BlockQ3_K>(p);
    case TensorType::Q4_K:
      return multiply_few_tokens<BlockQ4_K>(p);
    case TensorType::Q5_K:
      return multiply_few_tokens<BlockQ5_K>(p);
    case TensorType::Q6_K:
      return multiply_few_tokens<BlockQ6_K>(p);
    case TensorType::IQ4_XS:
      return multiply_few_tokens<BlockIQ4_XS>(p);
    default:
      return;
  }
}

}  // namespace edgellm::avx2
