// Streaming calibration: the text goes through the model block by block, straight from the mapped file. Of
// the model there is one layer in memory, of the text the hidden states between two layers. For each layer,
// statistics of the inputs of its matrix products are collected and given to a callback, which may replace
// the layer's weights; the following layers then see what the replaced ones give, as GPTQ (arXiv 2210.17323)
// asks.
//
//   for each layer:  statistics of (layer, hidden)  ->  callback(layer, statistics)  ->  hidden =
//   layer(hidden)
#pragma once

#include <ATen/ATen.h>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "compress/calibrate/hidden_store.h"
#include "compress/calibrate/second_moments.h"
#include "compress/calibrate/token_weights.h"
#include "compress/torch_model/torch_model.h"
#include "core/base/progress.h"
#include "core/base/result.h"

namespace edgellm {

struct CalibrationOptions {
  // True: weights that a callback replaces are what the text goes through, and callbacks can read the hidden
  // states. False: statistics of the model as it is, in one pass a layer instead of two.
  bool sequential = true;
  // Sequential only: also carries the original model's hidden states along, for Block Influence and for
  // training towards the original's outputs. Costs a pass and the states' memory once more.
  bool keep_original = false;
  // Sequential only: collecting inputs of the feed-forward half keeps what comes to it, and those of ffn_down
  // are kept themselves, so that attention is not computed again, and the way to the next layer costs that
  // last product alone. The callback then changes nothing any more of what led to the inputs it collected.
  // Costs the memory of the inputs, the widest of all.
  bool keep_ffn_inputs = false;
  // Sequential only, without keep_ffn_inputs: statistics are of the first so many windows, the others only go
  // through, for callbacks that judge what they do by text it is new to. 0: of all.
  size_t n_counted_windows = 0;
  // Sequential only: the weights of tokens in what callbacks collect, of the same windows; must outlive the
  // calibration. Null: all alike.
  const TokenWeights* token_weights = nullptr;
  // Of every layer's statistics before its callback; the callback may collect others
  // (LayerCalibration::collect).
  std::vector<TensorRole> roles = {product_input_roles().begin(), product_input_roles().end()};
  MomentKind moments = MomentKind::full;
  // The text passes them by, and their callbacks have no statistics; not told to a sequential calibration,
  // whose callbacks drop what they want.
  std::set<uint32_t> dropped_layers = {};
  at::ScalarType hidden_type = at::kBFloat16;  // as the states are stored between layers
  size_t n_batch_tokens = 2048;                // computed together; less where memory_limit asks for it
  // Bytes this may take together (layer, statistics, hidden states, intermediate values), what callbacks take
  // not counted. Hidden states beyond it go to disk. 0: usual_memory where that is enough, and else what the
  // least takes.
  uint64_t memory_limit = 0;
  uint64_t usual_memory = 0;  // 0: half of the machine's
  // Where states on disk and checkpoints lie. Empty: the system's folder for temporary files, no checkpoints.
  std::filesystem::path work_folder;
  // Names the model, and whatever else decides what callbacks do: only a checkpoint of the same key (and the
  // same windows and options) is gone on with.
  std::string key;
};

// Second moments by the role that product_input_role gives.
using LayerMoments = std::map<TensorRole, SecondMoments>;

// Inputs that take more are kept on disk (keep_ffn_inputs).
inline constexpr uint64_t kMostKeptBytes = uint64_t{1} << 29;

// The bytes a calibration needs at once.
struct CalibrationMemory {
  uint64_t n_layer_bytes = 0;   // weights of the widest layer, and of those that replace them
  uint64_t n_moment_bytes = 0;  // of the widest layer
  uint64_t n_hidden_bytes = 0;  // all states and inputs kept, if in memory
  uint64_t n_batch_bytes = 0;   // intermediate values of a batch
  size_t n_batch_windows = 0;   // windows computed together
  bool hidden_on_disk = false;

  uint64_t n_bytes() const {
    return n_layer_bytes + n_moment_bytes + n_batch_bytes + (hidden_on_disk ? 0 : n_hidden_bytes);
  }
};
// What the options' memory allows: smaller batches first, then states on disk. Error when even that needs
// more than memory_limit, with the bytes that would do.
Result<CalibrationMemory> plan_calibration_memory(const Hyperparameters& hyperparameters, size_t n_windows,
                                                  size_t n_tokens, const TorchCompute& compute,
                                                  const CalibrationOptions& options);

// Error for windows that calibrate() refuses: none, of less than 2 tokens, longer than the model's context.
Status check_calibration_windows(const TorchModel& model, std::span<const std::vector<Token>> windows);

class CalibrationStates;

// One layer, as its callback sees it. What it gives is valid during the callback.
class LayerCalibration {
 public:
  LayerCalibration(TorchLayer& layer, CalibrationStates& states) : layer_(layer), states_(states) {}

  uint32_t number() const { return layer_.number(); }
  // Replacing its parameters changes what later layers see (sequential).
  TorchLayer& layer() { return layer_; }
  LayerMoments& moments() { return moments_; }
  // 1 - mean over tokens of the cosine between the layer's input and its output in the original model
  // (ShortGPT, arXiv 2403.03853). Negative where it is not known: sequential without keep_original.
  double block_influence() const { return block_influence_; }

  size_t n_windows() const;
  // Windows first .. first + n - 1, [n, n_tokens, n_embedding], float on the CPU: what enters this layer
  // (sequential), and what the original layer makes of the original model's states (keep_original).
  Result<at::Tensor> inputs(size_t first, size_t n) const;
  Result<at::Tensor> original_outputs(size_t first, size_t n) const;
  const TorchPositions& positions() const;

  // Statistics of these product inputs with the layer's parameters as they are now, for quantizers that let a
  // layer's later products see its earlier ones quantized. Sequential only. Error "interrupted" once asked to
  // stop.
  Result<LayerMoments> collect(std::span<const TensorRole> roles);
  // Attention only mixes what the value matrix gives, so an error of that matrix reaches the layer's output
  // as its product with inputs that are mixed alike. An error of the key matrix moves a query's scores, and
  // what all of them have in common falls out of the softmax: left is its product with the inputs less their
  // mean, each weighed as the query weighs it. These are the statistics of either (AttentionSample). Tokens
  // that all others look at, as the first of a text, weigh in them as they do in the output; among the inputs
  // themselves they are one in hundreds.
  Result<SecondMoments> collect_value_inputs() const;
  Result<SecondMoments> collect_key_inputs() const;

 private:
  friend class CalibrationRun;
  struct AttentionMoments {
    SecondMoments mixed, received;
  };
  Result<AttentionMoments> collect_attention(bool with_received) const;

  // keep_ffn_inputs: what the feed-forward half is computed from and added to, and the input of ffn_down,
  // once they were collected.
  struct FfnInputs {
    std::optional<HiddenStore> residual, gated;
  };
  Status make_room(const LayerMoments& moments);

  TorchLayer& layer_;
  CalibrationStates& states_;
  LayerMoments moments_;
  FfnInputs ffn_inputs_;
  double block_influence_ = -1;
};

// What leaves the last layer, for the output matrix: its statistics, and the states as in LayerCalibration.
class HeadCalibration {
 public:
  explicit HeadCalibration(CalibrationStates& states) : states_(states) {}
  // Of the normed states, the input of the output matrix.
  SecondMoments& moments() { return moments_; }
  size_t n_windows() const;
  Result<at::Tensor> inputs(size_t first, size_t n) const;
  Result<at::Tensor> original_inputs(size_t first, size_t n) const;

 private:
  friend class CalibrationRun;
  CalibrationStates& states_;
  SecondMoments moments_;
};

struct CalibrationCallbacks {
  // Called for each layer in order. After a resume, not for layers that are done: whoever replaces weights
  // keeps them. The layer in work when a run was killed is told again.
  std::function<Status(LayerCalibration&)> on_layer;
  std::function<Status(HeadCalibration&)> on_head;  // empty: the head is left out
};

struct CalibrationResult {
  std::vector<double> block_influence;  // [n_layers]; empty where it is not known
  uint32_t first_layer = 0;             // layers before it were done by an earlier run
  CalibrationMemory memory;
};

// windows: at least one, all of one length within the model's context. Errors: those, a callback's, out of
// memory or disk, "interrupted"; the last checkpoint then stays good.
Result<CalibrationResult> calibrate(const TorchModel& model, std::span<const std::vector<Token>> windows,
                                    const CalibrationOptions& options, const CalibrationCallbacks& callbacks,
                                    const Progress& progress);

}  // namespace edgellm
