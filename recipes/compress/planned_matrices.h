// The matrices that a plan gives another type than they have, by what they do.
#pragma once

#include "core/arch/architecture.h"
#include "core/model_file/gguf.h"
#include "recipes/quantize.h"

namespace edgellm {

class PlannedMatrices {
 public:
  // All references must outlive it.
  PlannedMatrices(const GgufFile& source, const Hyperparameters& hyperparameters,
                  const QuantizationPlan& plan)
      : source_(source), hyperparameters_(hyperparameters), plan_(plan) {}

  // Null where there is none, it stays as it is, or its layer is dropped.
  const GgufTensor* of_layer(TensorRole role, uint32_t layer) const;
  // The output matrix, or the embedding in its place.
  const GgufTensor* head() const;
  TensorType type_of(const GgufTensor& tensor) const { return plan_.types.at(tensor.name); }

 private:
  const GgufTensor* with_new_type(const GgufTensor* tensor) const;

  const GgufFile& source_;
  const Hyperparameters& hyperparameters_;
  const QuantizationPlan& plan_;
};

}  // namespace edgellm
