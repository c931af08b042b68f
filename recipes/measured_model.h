// A model whose tensors' types and layers are changed at will, to measure the KL of a plan without writing a
// file.
#pragma once

#include <map>
#include <string>

#include "evaluate/divergence.h"
#include "recipes/candidate_store.h"
#include "recipes/quantize.h"
#include "runtime/decode/runtime_language_model.h"

namespace edgellm {

class MeasuredModel {
 public:
  // All references must outlive it. The model must have been loaded from `source`.
  MeasuredModel(RuntimeLanguageModel& model, const GgufFile& source, CandidateStore& store)
      : model_(model), source_(source), store_(store) {}

  // Makes what apply() of the plan needs and the store has not, which takes minutes for a whole model. Error:
  // out of disk, "interrupted"; what is finished stays.
  Status encode(const QuantizationPlan& plan, const Progress& progress);
  // From now on the model computes as the plan's file would.
  Status apply(const QuantizationPlan& plan);
  // The original model again.
  void restore();
  // Mean KL to the reference of the plan on the text.
  Result<DivergenceResult> measure(const QuantizationPlan& plan, const TextWindows& text,
                                   const ReferenceLogits& reference);
  // The states that enter each layer, and the head, of what is applied now: [n_layers + 1], each [n_tokens,
  // n_embedding].
  Result<std::vector<std::vector<float>>> record_hidden(const std::vector<Token>& tokens);
  // Mean KL of what is applied now on one window, from the hidden states that enter `layer` (-1: from the
  // tokens).
  Result<double> measure_from(int32_t layer, std::span<const float> hidden, const TextWindows& text,
                              size_t window, const ReferenceLogits& reference);
  // The same when just this tensor of what is applied now is changed.
  Result<double> measure_one(const GgufTensor& tensor, TensorType type, int32_t layer,
                             std::span<const float> hidden, const TextWindows& text, size_t window,
                             const ReferenceLogits& reference);

  // What is applied again, after the decoder was told to compute with other data for it.
  Status put_back(const GgufTensor& tensor);

  // Gives back the resident pages of all encoded tensors; they are read again when used.
  void give_back() const { store_.give_back(); }

  RuntimeLanguageModel& model() { return model_; }

 private:
  RuntimeLanguageModel& model_;
  const GgufFile& source_;
  CandidateStore& store_;
  std::map<std::string, TensorType> applied_;  // tensors that are not the source's
  std::set<uint32_t> dropped_;
};

}  // namespace edgellm
