// config.json and GGUF metadata, each from the other, by the rules of core/arch.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/arch/architecture.h"
#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

// The family a config.json names.
Result<const Architecture*> architecture_of_config(const nlohmann::json& config);
// The part that describes the text model: config.json itself, or its text_config (multimodal checkpoints).
const nlohmann::json& text_config(const nlohmann::json& config);

// Sets general.architecture and the family's own keys. Error when a number is missing, or when config.json
// asks for something that GGUF or the family's graph cannot express.
Status metadata_from_config(const nlohmann::json& config, const Architecture& architecture,
                            Metadata& metadata);
// [n_rotated / 2] divisors of the rotation frequencies, of rope_scaling "llama3"; empty for another scaling.
Result<std::vector<float>> rope_factors_from_config(const nlohmann::json& config,
                                                    const Hyperparameters& model);

struct ConfigExtras {
  bool tied_embedding = false;
  bool attention_bias = false, mlp_bias = false;  // written where the family leaves them open
  std::string dtype = {};                         // "float16"
  std::vector<float> rope_factors = {};           // of rope_freqs.weight; empty if there is none
};
Result<nlohmann::ordered_json> config_from_metadata(const Metadata& metadata, const Hyperparameters& model,
                                                    const ConfigExtras& extras);

}  // namespace edgellm
