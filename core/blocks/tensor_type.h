// The ONE table of tensor element types: how many values a block holds, how many bytes it takes, how it is
// decoded and encoded. A new format is a header of its own and a row here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

// Numbers are the type ids of the GGUF specification.
enum class TensorType : uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q8_1 = 9,
  Q2_K = 10,
  Q3_K = 11,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  Q8_K = 15,
  IQ2_XXS = 16,
  IQ2_XS = 17,
  IQ3_XXS = 18,
  IQ1_S = 19,
  IQ4_NL = 20,
  IQ3_S = 21,
  IQ2_S = 22,
  IQ4_XS = 23,
  I8 = 24,
  I16 = 25,
  I32 = 26,
  I64 = 27,
  F64 = 28,
  IQ1_M = 29,
  BF16 = 30,
  TQ1_0 = 34,
  TQ2_0 = 35,
  MXFP4 = 39,
  NVFP4 = 40,
  Q1_0 = 41,
  Q2_0 = 42,
};

// [n_values] values out of n_values / n_values_per_block blocks.
using DecodeFunction = void (*)(const void* blocks, float* values, size_t n_values);

// One row of n_values (a multiple of the block) into blocks. importance: [n_values] non-negative weights of
// the squared error of each value (the mean squared activation of its column), or null for none.
using EncodeFunction = void (*)(const float* values, const float* importance, void* blocks, size_t n_values);

struct TensorTypeInfo {
  TensorType type;
  std::string_view name;  // as GGUF circles write it: "Q4_K"
  size_t n_values_per_block;
  size_t n_bytes_per_block;
  DecodeFunction decode;  // null: no weights type (integers)
  EncodeFunction encode;  // null: read only
  double bits_per_value() const { return 8.0 * double(n_bytes_per_block) / double(n_values_per_block); }
};

std::span<const TensorTypeInfo> tensor_types();
// Null for an id that is not in the table.
const TensorTypeInfo* find_tensor_type(uint32_t id);
const TensorTypeInfo* find_tensor_type(std::string_view name);  // case does not matter
// For a type that is known to be in the table.
const TensorTypeInfo& info(TensorType type);
inline std::string_view to_string(TensorType type) {
  return info(type).name;
}

// Bytes of a row of n_values; nullopt when n_values is no multiple of the block.
std::optional<size_t> row_bytes(TensorType type, size_t n_values);

}  // namespace edgellm
