// Weights that were pruned to zero one by one: how a file tells that it has them, and which types keep them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/arch/architecture.h"
#include "core/model_file/gguf.h"
#include "recipes/quantize.h"

namespace edgellm {

// The matrices of a layer that are pruned so (Wanda, SparseGPT, magnitude), in the order of the computation.
std::span<const TensorRole> roles_pruned_by_weight();
bool is_pruned_by_weight(TensorRole role);

// By the file's metadata, edgellm.pruned_weights.
bool has_pruned_weights(const GgufFile& source);
void tell_pruned_weights(uint64_t n_weights, Metadata& metadata);
void forget_pruned_weights(Metadata& metadata);

// Whether a tensor of this role can be written in this type and every pruned weight stays zero: true for
// files without them. Rounding has to know of them too where it feeds errors into later weights.
bool keeps_pruned_weights(const GgufFile& source, TensorRole role, TensorType type);
// Names of the tensors that do not by the plan.
std::vector<std::string> tensors_losing_zeros(const GgufFile& source, const QuantizationPlan& plan);
// Error that names one of them and the types that could be had instead.
Status check_keeps_pruned_weights(const GgufFile& source, const QuantizationPlan& plan);

}  // namespace edgellm
