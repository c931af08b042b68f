// The named mixtures of GGUF circles (Q4_K_M and the like): which block format each tensor takes by its role
// and layer. They mean here what they mean in llama.cpp, so that `quantize --type Q4_K_M` is what users think
// it is.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/arch/architecture.h"
#include "core/base/result.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

// Which layers a rule holds for, of n.
enum class LayerSet : uint8_t {
  all,
  first_two,
  first_four,
  first_sixteenth,  // i < n / 16
  first_eighth,     // i < n / 8
  middle,           // all but the first and last eighth
  more_bits,        // the first and last eighth, and every third layer between
};

struct PresetRule {
  TensorRole role;
  LayerSet layers;
  TensorType type;
  bool only_when_grouped = false;  // only where 4 or more query heads share a key-value head
};

struct Preset {
  std::string_view name;
  uint32_t file_type;                    // general.file_type of GGUF
  TensorType base;                       // of every weight matrix no rule names
  std::span<const PresetRule> rules;     // the first that matches holds
  TensorType output = TensorType::Q6_K;  // of the output matrix; Q8_0 in rows no 256-block fits
  double bits_per_value() const { return info(base).bits_per_value(); }
};

// In order of size.
std::span<const Preset> presets();
// Case does not matter. Error lists the known names.
Result<const Preset*> find_preset(std::string_view name);

// What the mixture depends on besides the tensor's role and layer.
struct PresetContext {
  uint32_t n_layers = 0;
  uint32_t n_heads = 1, n_kv_heads = 1;
  bool tied_embedding = false;  // the embedding is the output matrix too and takes the output's type
};

// The type of a weight matrix with rows of n_columns values, with llama.cpp's fall-back when the row is no
// multiple of the type's block. layer: -1 outside the layers.
TensorType preset_tensor_type(const Preset& preset, const PresetContext& context, TensorRole role,
                              int32_t layer, size_t n_columns);

// The nearest type that takes rows of n_columns: `type` itself, or the next larger one with a block that
// divides it.
TensorType type_for_row(TensorType type, size_t n_columns);

// Whether a tensor of this role is a weight matrix that is quantized at all; norms and biases stay F32.
bool is_quantizable(TensorRole role);

}  // namespace edgellm
