#include "core/blocks/tensor_type.h"

#include <cassert>

#include "core/blocks/binary.h"
#include "core/blocks/iq1.h"
#include "core/blocks/iq2.h"
#include "core/blocks/iq3.h"
#include "core/blocks/iq4.h"
#include "core/blocks/k_quants.h"
#include "core/blocks/legacy.h"
#include "core/blocks/microscaling.h"
#include "core/blocks/plain.h"
#include "core/blocks/ternary.h"

namespace edgellm {
namespace {

template <class Block>
constexpr TensorTypeInfo row(TensorType type, std::string_view name, DecodeFunction decode,
                             EncodeFunction encode = nullptr) {
  return {type, name, Block::n_values, sizeof(Block), decode, encode};
}

constexpr TensorTypeInfo number(TensorType type, std::string_view name, size_t n_bytes,
                                DecodeFunction decode = nullptr, EncodeFunction encode = nullptr) {
  return {type, name, 1, n_bytes, decode, encode};
}

constexpr TensorTypeInfo kTypes[] = {
    number(TensorType::F32, "F32", 4, decode_f32, encode_f32),
    number(TensorType::F16, "F16", 2, decode_f16, encode_f16),
    row<BlockQ4_0>(TensorType::Q4_0, "Q4_0", decode_q4_0, encode_q4_0),
    row<BlockQ4_1>(TensorType::Q4_1, "Q4_1", decode_q4_1, encode_q4_1),
    row<BlockQ5_0>(TensorType::Q5_0, "Q5_0", decode_q5_0, encode_q5_0),
    row<BlockQ5_1>(TensorType::Q5_1, "Q5_1", decode_q5_1, encode_q5_1),
    row<BlockQ8_0>(TensorType::Q8_0, "Q8_0", decode_q8_0, encode_q8_0),
    row<BlockQ8_1>(TensorType::Q8_1, "Q8_1", decode_q8_1),
    row<BlockQ2_K>(TensorType::Q2_K, "Q2_K", decode_q2_k, encode_q2_k),
    row<BlockQ3_K>(TensorType::Q3_K, "Q3_K", decode_q3_k, encode_q3_k),
    row<BlockQ4_K>(TensorType::Q4_K, "Q4_K", decode_q4_k, encode_q4_k),
    row<BlockQ5_K>(TensorType::Q5_K, "Q5_K", decode_q5_k, encode_q5_k),
    row<BlockQ6_K>(TensorType::Q6_K, "Q6_K", decode_q6_k, encode_q6_k),
    row<BlockQ8_K>(TensorType::Q8_K, "Q8_K", decode_q8_k, encode_q8_k),
    row<BlockIQ2_XXS>(TensorType::IQ2_XXS, "IQ2_XXS", decode_iq2_xxs, encode_iq2_xxs),
    row<BlockIQ2_XS>(TensorType::IQ2_XS, "IQ2_XS", decode_iq2_xs, encode_iq2_xs),
    row<BlockIQ3_XXS>(TensorType::IQ3_XXS, "IQ3_XXS", decode_iq3_xxs, encode_iq3_xxs),
    row<BlockIQ1_S>(TensorType::IQ1_S, "IQ1_S", decode_iq1_s, encode_iq1_s),
    row<BlockIQ4_NL>(TensorType::IQ4_NL, "IQ4_NL", decode_iq4_nl, encode_iq4_nl),
    row<BlockIQ3_S>(TensorType::IQ3_S, "IQ3_S", decode_iq3_s, encode_iq3_s),
    row<BlockIQ2_S>(TensorType::IQ2_S, "IQ2_S", decode_iq2_s, encode_iq2_s),
    row<BlockIQ4_XS>(TensorType::IQ4_XS, "IQ4_XS", decode_iq4_xs, encode_iq4_xs),
    number(TensorType::I8, "I8", 1),
    number(TensorType::I16, "I16", 2),
    number(TensorType::I32, "I32", 4),
    number(TensorType::I64, "I64", 8),
    number(TensorType::F64, "F64", 8, decode_f64),
    row<BlockIQ1_M>(TensorType::IQ1_M, "IQ1_M", decode_iq1_m, encode_iq1_m),
    number(TensorType::BF16, "BF16", 2, decode_bf16, encode_bf16),
    row<BlockTQ1_0>(TensorType::TQ1_0, "TQ1_0", decode_tq1_0),
    row<BlockTQ2_0>(TensorType::TQ2_0, "TQ2_0", decode_tq2_0),
    row<BlockMXFP4>(TensorType::MXFP4, "MXFP4", decode_mxfp4),
    row<BlockNVFP4>(TensorType::NVFP4, "NVFP4", decode_nvfp4),
    row<BlockQ1_0>(TensorType::Q1_0, "Q1_0", decode_q1_0),
    row<BlockQ2_0>(TensorType::Q2_0, "Q2_0", decode_q2_0, encode_q2_0),
};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
}

bool same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

}  // namespace

std::span<const TensorTypeInfo> tensor_types() {
  return kTypes;
}

const TensorTypeInfo* find_tensor_type(uint32_t id) {
  for (const TensorTypeInfo& row : kTypes)
    if (uint32_t(row.type) == id) return &row;
  return nullptr;
}

const TensorTypeInfo* find_tensor_type(std::string_view name) {
  for (const TensorTypeInfo& row : kTypes)
    if (same_word(row.name, name)) return &row;
  return nullptr;
}

const TensorTypeInfo& info(TensorType type) {
  const TensorTypeInfo* row = find_tensor_type(uint32_t(type));
  assert(row);
  return *row;
}

std::optional<size_t> row_bytes(TensorType type, size_t n_values) {
  const TensorTypeInfo& row = info(type);
  if (n_values % row.n_values_per_block) return std::nullopt;
  return n_values / row.n_values_per_block * row.n_bytes_per_block;
}

}  // namespace edgellm
