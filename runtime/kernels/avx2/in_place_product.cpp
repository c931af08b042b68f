// Generation: for one to three tokens the weights are read once, straight from their blocks, so that memory
// is what limits the speed.
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx2/block_codes.h"
#include "runtime/kernels/avx2/codebook_codes.h"
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

// Codes 32 * k to 32 * k + 31 of a block, to be multiplied with several tokens' activations. A codebook's
// magnitudes stay apart from the signs, which move over to the activations: 2 * 62 * 127 fits.
template <class Block, class Parts>
inline auto multiplier(const Parts& parts, int k) {
  if constexpr (Codes<Block>::kSignsApart) {
    return [magnitudes = parts.magnitudes(k), signs = parts.signs(k)](__m256i activations) {
      return _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(activations, signs));
    };
  } else {
    return [codes = codes_of(parts, k)](__m256i activations) {
      return pair_products<Block>(codes, activations);
    };
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

// The sixteen scales as int16, those of even sub-blocks in the lower half.
inline __m256i scales_by_parity(__m128i scales) {
  const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, order));
}

// The scales of codes 32 * k .. 32 * k + 31: of sub-block 2 * k eight times, of sub-block 2 * k + 1 eight
// times.
inline __m256i scales_at(__m256i by_parity, int k) {
  return _mm256_shuffle_epi8(by_parity, _mm256_set1_epi16(short(0x0100 + 0x0202 * k)));
}

// Types of 256: integers all through a block.
template <class Block, size_t TOKENS>
inline void multiply_row_of_256(const Block* blocks, size_t n_blocks, const Activations* x, float* sums) {
  __m256 total[TOKENS];
  for (size_t t = 0; t < TOKENS; ++t) total[t] = _mm256_setzero_ps();
  for (size_t b = 0; b < n_blocks; ++b) {
    const Block& block = blocks[b];
    const auto& parts = apart(block);
    const SubScales sub = sub_scales_of(parts);
    const __m256i by_parity = scales_by_parity(sub.scales);
    __m256i sum[TOKENS];
    for (size_t t = 0; t < TOKENS; ++t) sum[t] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      const __m256i scales = scales_at(by_parity, k);
      const auto multiply = multiplier<Block>(parts, k);
      for (size_t t = 0; t < TOKENS; ++t) {
        __m256i products = multiply(load_32(x[t].codes + 256 * b + 32 * k));
        sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(products, scales));
      }
    }
    const float scale = scale_of(block), min = min_of(block);
    for (size_t t = 0; t < TOKENS; ++t) {
      const float activation_scale = x[t].scales[b];
      if constexpr (Codes<Block>::kOffset != 0 && !Codes<Block>::kSignsApart) {
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

// Scales of four neighbouring blocks and, where the type has them, their minimums.
struct FourScales {
  __m128 scales, mins;
};

template <class Block>
inline FourScales scales_of_four(const Block* blocks) {
  if constexpr (Codes<Block>::kHasMin) {
    uint32_t pairs[4];
    for (int i = 0; i < 4; ++i) memcpy(&pairs[i], &blocks[i].scale, sizeof(pairs[i]));
    __m128i halves = _mm_setr_epi32(int(pairs[0]), int(pairs[1]), int(pairs[2]), int(pairs[3]));
    const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    __m256 both = _mm256_cvtph_ps(_mm_shuffle_epi8(halves, order));
    return {_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1)};
  } else {
    __m128i halves = _mm_cvtsi32_si128(blocks[0].scale);
    halves = _mm_insert_epi16(halves, blocks[1].scale, 1);
    halves = _mm_insert_epi16(halves, blocks[2].scale, 2);
    halves = _mm_insert_epi16(halves, blocks[3].scale, 3);
    return {_mm_cvtph_ps(halves), _mm_setzero_ps()};
  }
}

// Of four blocks' pair products the sum of each, in two halves: lanes 0-3 and 4-7. Codes below 32 leave room
// to add in 16 bits: 8 * 31 * 127 fits.
template <class Block>
inline __m256i sums_of_four(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i one = _mm256_set1_epi16(1);
  if constexpr (Codes<Block>::kSigned) {
    __m256i ab = _mm256_hadd_epi32(_mm256_madd_epi16(a, one), _mm256_madd_epi16(b, one));
    __m256i cd = _mm256_hadd_epi32(_mm256_madd_epi16(c, one), _mm256_madd_epi16(d, one));
    return _mm256_hadd_epi32(ab, cd);
  } else {
    __m256i sums = _mm256_hadd_epi16(_mm256_hadd_epi16(a, b), _mm256_hadd_epi16(c, d));
    return _mm256_madd_epi16(sums, one);
  }
}

// Types of 32: a float scale for every block, so four blocks' sums go to lanes of their own before they
// become floats.
template <class Block, size_t TOKENS>
inline void multiply_row_of_32(const Block* blocks, size_t n_blocks, const Activations* x, float* sums) {
  __m256 total[TOKENS];
  __m128 shift[TOKENS];
  for (size_t t = 0; t < TOKENS; ++t) {
    total[t] = _mm256_setzero_ps();
    shift[t] = _mm_setzero_ps();
  }
  size_t b = 0;
  for (; b + 4 <= n_blocks; b += 4) {
    const FourScales four = scales_of_four(blocks + b);
    __m256i codes[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) codes[i] = codes_of(blocks[b + i], 0);
    for (size_t t = 0; t < TOKENS; ++t) {
      __m256i products[4];
#pragma GCC unroll 4
      for (size_t i = 0; i < 4; ++i) {
        products[i] = pair_products<Block>(codes[i], load_32(x[t].codes + 32 * (b + i)));
      }
      __m256 dots =
          _mm256_cvtepi32_ps(sums_of_four<Block>(products[0], products[1], products[2], products[3]));
      __m128 scales = _mm_mul_ps(four.scales, _mm_loadu_ps(x[t].scales + b));
      total[t] = _mm256_fmadd_ps(dots, _mm256_set_m128(scales, scales), total[t]);
      const __m128 scaled_sums = _mm_loadu_ps(x[t].scaled_sums + b);
      if constexpr (Codes<Block>::kHasMin) shift[t] = _mm_fmadd_ps(four.mins, scaled_sums, shift[t]);
      if constexpr (Codes<Block>::kOffset != 0) shift[t] = _mm_fnmadd_ps(four.scales, scaled_sums, shift[t]);
    }
  }
  for (; b < n_blocks; ++b) {
    const __m256i codes = codes_of(blocks[b], 0);
    const float scale = float_of(blocks[b].scale);
    for (size_t t = 0; t < TOKENS; ++t) {
      __m256i products = pair_products<Block>(codes, load_32(x[t].codes + 32 * b));
      __m256 dots = _mm256_cvtepi32_ps(_mm256_madd_epi16(products, _mm256_set1_epi16(1)));
      total[t] = _mm256_fmadd_ps(dots, _mm256_set1_ps(scale * x[t].scales[b]), total[t]);
      const __m128 scaled_sum = _mm_set_ss(x[t].scaled_sums[b]);
      if constexpr (Codes<Block>::kHasMin) {
        shift[t] = _mm_fmadd_ps(_mm_set_ss(min_of(blocks[b])), scaled_sum, shift[t]);
      }
      if constexpr (Codes<Block>::kOffset != 0)
        shift[t] = _mm_fnmadd_ps(_mm_set_ss(scale), scaled_sum, shift[t]);
    }
  }
  constexpr float unit = Codes<Block>::kOffset ? float(Codes<Block>::kOffset) : 1.0f;
  for (size_t t = 0; t < TOKENS; ++t) {
    __m256 shifts = _mm256_mul_ps(_mm256_zextps128_ps256(shift[t]), _mm256_set1_ps(unit));
    sums[t] = sum_of(_mm256_add_ps(total[t], shifts));
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
    case TensorType::IQ2_XXS:
      return multiply_few_tokens<BlockIQ2_XXS>(p);
    case TensorType::IQ2_XS:
      return multiply_few_tokens<BlockIQ2_XS>(p);
    case TensorType::IQ2_S:
      return multiply_few_tokens<BlockIQ2_S>(p);
    case TensorType::IQ3_XXS:
      return multiply_few_tokens<BlockIQ3_XXS>(p);
    case TensorType::IQ3_S:
      return multiply_few_tokens<BlockIQ3_S>(p);
    case TensorType::IQ1_S:
      return multiply_few_tokens<BlockIQ1_S>(p);
    case TensorType::IQ1_M:
      return multiply_few_tokens<BlockIQ1_M>(p);
    default:
      return;
  }
}

}  // namespace edgellm::avx2
