// The matrices of a plan with AWQ's scales over a whole model (compress/quantize/awq.h): layer by layer,
// columns of large inputs are scaled up, the norm or the matrix before them is scaled down, and all is
// rounded to nearest.
#pragma once

#include "recipes/compress/compensated_tensors.h"

namespace edgellm {

// Encodes every matrix of the layers, and the output matrix, that the plan gives another type than it has,
// into options.folder, with the norms and biases that hold scales (Compensation::changed). Statistics are of
// the model as it is. What enters several matrices is scaled where the plan rounds all of them and, where a
// matrix comes before, that one too; what enters attention_output only where each of its columns has a value
// row of its own. Of the options damping, weigh_tokens and n_layer_epochs are not used. Errors as of
// compensate_tensors.
Result<Compensation> awq_tensors(std::shared_ptr<const GgufFile> source, const QuantizationPlan& plan,
                                 std::span<const std::vector<Token>> windows,
                                 const CompensationOptions& options, const Progress& progress);

}  // namespace edgellm
