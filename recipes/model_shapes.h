// Shapes of published models: what `edgellm synthesize --like NAME` writes. A new one is a row in the table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

struct ModelShape {
  std::string_view name;
  std::string_view architecture;             // of core/arch
  std::string_view hf_class, hf_model_type;  // as the published config.json names them
  uint32_t n_layers, n_embedding, n_heads, n_kv_heads, n_feed_forward, n_vocabulary, n_context;
  float rope_base, norm_epsilon;
  bool tied_embedding;
  bool attention_biases;  // of q, k and v
};

std::span<const ModelShape> model_shapes();
// Error lists the known names.
Result<const ModelShape*> find_model_shape(std::string_view name);

// The family's keys of GGUF metadata, as a converted file of this shape has them.
Metadata shape_metadata(const ModelShape& shape);

}  // namespace edgellm
