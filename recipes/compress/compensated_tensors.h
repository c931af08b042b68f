// The matrices of a plan rounded by GPTQ over a whole model: layer by layer, each calibrated with what the
// rounded ones before it give, and within a layer product by product.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/language_model.h"
#include "core/model_file/gguf.h"
#include "recipes/quantize.h"

namespace edgellm {

// What training a layer takes at most.
constexpr uint64_t layer_training_bytes(uint64_t n_weights) {
  return 34 * n_weights;
}

struct CompensationOptions {
  // Where the encoded tensors go, under the names that a CandidateStore on this folder looks for; made if
  // missing. What a stopped run finished in it is not done again, so it must belong to this source, plan and
  // text.
  std::filesystem::path folder;
  double damping = 0;  // of each entry of H's diagonal; 0: compress/quantize's own
  // Tokens weigh by how much the model's expectations feel an error there
  // (compress/calibrate/token_weights.h): about twice the time, and memory for the head in float and half a
  // gigabyte whatever memory_limit says.
  bool weigh_tokens = false;
  // Times that each layer is then trained on its grid over the same text, before the next one is rounded
  // (compress/train/layer_training.h); the last eighth of the windows is kept from both and judges it. On top
  // come layer_training_bytes() of the layer's weights.
  size_t n_layer_epochs = 0;
  // Bytes of the calibration's layer, states and intermediate values; 0: half of the machine's, and more only
  // where the least takes that. The statistics of a matrix and
  // the solver come on top: about 16 bytes a pair of its columns, and as many a weight.
  uint64_t memory_limit = 0;
  // Where the text goes through the model and products with H are computed, as of torch_compute; weights are
  // rounded on the CPU.
  std::string device = "cpu";
  size_t n_threads = 0;  // 0: one per usable core
};

// Output errors are relative to the output of the original weights: tr((W - Q) H (W - Q)^T) / tr(W H W^T).
struct CompensatedTensor {
  std::string name;
  TensorType type = TensorType::F32;
  double error = 0;
  double nearest_error = 0;        // of rounding to nearest with the importance diag(H)
  bool is_compensated = true;      // false: its type has no grid, so it is rounded to nearest
  double damping = 0;              // of each entry of H's diagonal; 0: none was used
  bool is_damping_raised = false;  // beyond what was asked for: H is not positive definite otherwise
};

// Errors are of the layer's outputs on windows held back (LayerTrainingResult).
struct TrainedLayer {
  uint32_t layer = 0;
  double held_before = 0, held_after = 0;
  size_t best_epoch = 0;                  // 0: none helped, the layer is as it was rounded
  std::string stopped;                    // where a loss was no number: which
  std::vector<std::string> changed = {};  // norms and biases
};

struct Compensation {
  std::vector<CompensatedTensor> tensors;  // those of earlier runs too
  std::vector<TrainedLayer> layers;        // with n_layer_epochs
  std::vector<std::string> scaled;         // norms and biases that hold scales (awq_tensors)
  size_t n_tokens = 0;                     // of calibration

  // Tensors in the folder that differ from the source's in its own type.
  std::vector<std::string> changed() const;
};

// Encodes every matrix of the layers, and the output matrix, that the plan gives another type than it has.
// Layers that the plan drops are passed by. A tied embedding is met as an output matrix and, for the rows
// looked up, as it is, half and half. Error: what calibrate() reports; a matrix of inputs that no damping
// makes positive definite; "interrupted"; what is finished is kept then.
Result<Compensation> compensate_tensors(std::shared_ptr<const GgufFile> source, const QuantizationPlan& plan,
                                        std::span<const std::vector<Token>> windows,
                                        const CompensationOptions& options, const Progress& progress);

}  // namespace edgellm
