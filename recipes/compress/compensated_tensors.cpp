#include "recipes/compress/compensated_tensors.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>

#include "compress/calibrate/calibration.h"
#include "compress/quantize/gptq.h"
#include "compress/torch_model/torch_call.h"
#include "compress/torch_model/torch_threads.h"
#include "compress/torch_model/torch_weights.h"
#include "core/base/folder.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "core/blocks/exact_zero.h"
#include "recipes/candidate_store.h"
#include "recipes/compensation_report.h"
#include "recipes/compress/planned_matrices.h"
#include "recipes/compress/rounded_products.h"
#include "recipes/compress/trained_layer.h"
#include "recipes/compress/trained_tensors.h"
#include "recipes/json_lines.h"
#include "recipes/pruned_weights.h"

namespace edgellm {
namespace {

// Rows are rounded in parts of this many weights, so that the solver's copies stay small beside the layer.
constexpr int64_t kWeightsPerPart = int64_t{1} << 25;
// A tied embedding's rows are looked up as often as they are multiplied with: H and the identity weigh alike.
constexpr double kTiedDamping = 1.0;

// Of training a layer, beside what rounding it takes: for the time left.
constexpr double kEpochShare = 1.5;

// What earlier runs finished: a line each; a torn last line is left out.
struct FinishedWork {
  std::map<std::string, CompensatedTensor> tensors;
  std::map<uint32_t, TrainedLayer> layers;

  static FinishedWork read(const std::filesystem::path& log) {
    FinishedWork work;
    for (const auto& json : read_json_lines(log)) {
      if (auto tensor = compensated_tensor_from(json)) work.tensors[tensor->name] = *tensor;
      if (auto layer = trained_layer_from(json)) work.layers[layer->layer] = *layer;
    }
    return work;
  }
};

class CompensationRun {
 public:
  CompensationRun(std::shared_ptr<const GgufFile> source, const QuantizationPlan& plan,
                  std::span<const std::vector<Token>> windows, const CompensationOptions& options,
                  const Progress& progress)
      : source_(std::move(source)), plan_(plan), windows_(windows), options_(options), progress_(progress) {
    gptq_.n_threads = options.n_threads;
    gptq_.keeps_decoded = true;
  }

  Result<Compensation> run() {
    EDGELLM_RETURN_IF_ERROR(make_folder(options_.folder));
    known_ = FinishedWork::read(log_path());
    // Weights in bfloat16 would not be those that are to be met.
    EDGELLM_ASSIGN_OR_RETURN(TorchCompute compute,
                             torch_compute_in_float(options_.device, rounds_products(*source_, plan_)));
    EDGELLM_ASSIGN_OR_RETURN(model_, TorchModel::open(source_, compute));
    matrices_.emplace(*source_, model_->hyperparameters(), plan_);
    if (!is_finished()) EDGELLM_RETURN_IF_ERROR(round_all());
    Compensation found;
    for (auto& [name, tensor] : known_.tensors) found.tensors.push_back(tensor);
    for (auto& [number, layer] : known_.layers) found.layers.push_back(layer);
    found.n_tokens = (windows_.size() - n_held()) * windows_[0].size();
    return found;
  }

 private:
  // Whether an earlier run came to its end.
  bool is_finished() const {
    auto is_stored = [&](const GgufTensor* tensor) {
      return !tensor || (known_.tensors.contains(tensor->name) &&
                         CandidateStore::is_stored(options_.folder, *tensor, matrices_->type_of(*tensor)));
    };
    for (uint32_t layer = 0; layer < model_->n_layers(); ++layer) {
      for (TensorRole role : layer_matrix_roles())
        if (!is_stored(matrices_->of_layer(role, layer))) return false;
      if (is_trained(layer) && !is_training_stored(layer)) return false;
    }
    return is_stored(matrices_->head());
  }

  bool is_training_stored(uint32_t layer) const {
    auto known = known_.layers.find(layer);
    return known != known_.layers.end() &&
           std::ranges::all_of(known->second.changed, [&](const std::string& name) {
             const GgufTensor& tensor = *source_->find(name);
             return CandidateStore::is_stored(options_.folder, tensor, tensor.type);
           });
  }

  size_t n_held() const { return options_.n_layer_epochs ? n_held_windows(windows_.size()) : 0; }

  bool is_trained(uint32_t layer) const {
    auto is_rounded = [&](TensorRole role) { return matrices_->of_layer(role, layer) != nullptr; };
    return options_.n_layer_epochs && std::ranges::any_of(layer_matrix_roles(), is_rounded);
  }

  Status round_all() {
    const GgufTensor* head = matrices_->head();
    CalibrationOptions calibration;
    calibration.roles = {};
    calibration.keep_original = options_.n_layer_epochs > 0;
    // Training changes what led to them.
    calibration.keep_ffn_inputs = !calibration.keep_original;
    calibration.n_counted_windows = windows_.size() - n_held();
    calibration.memory_limit = options_.memory_limit;
    calibration.work_folder = options_.folder;
    calibration.key = fmt::format("{} {} {} {}", plan_hash(plan_), options_.damping, options_.weigh_tokens,
                                  options_.n_layer_epochs);
    TokenWeights weights;
    if (options_.weigh_tokens) {
      EDGELLM_RETURN_IF_ERROR(check_calibration_windows(*model_, windows_));
      // Now rather than when all are weighed.
      if (auto memory = plan_calibration_memory(model_->hyperparameters(), windows_.size(),
                                                windows_[0].size(), model_->compute(), calibration);
          !memory.ok())
        return memory.error();
      EDGELLM_ASSIGN_OR_RETURN(
          weights, measure_token_weights(*model_, windows_, options_.folder / "token.weights", progress_));
      calibration.token_weights = &weights;
    }
    CalibrationCallbacks callbacks;
    callbacks.on_layer = [&](LayerCalibration& layer) -> Status {
      begin_progress(layer.number());
      if (!is_trained(layer.number())) return round_layer(layer);
      // A layer that is rounded again is trained again.
      EDGELLM_RETURN_IF_ERROR(forget(layer.number()));
      const TorchLayer original = layer.layer();
      EDGELLM_RETURN_IF_ERROR(round_layer(layer));
      return train_layer(layer, original);
    };
    if (head)
      callbacks.on_head = [&](HeadCalibration& states) {
        begin_progress(model_->n_layers());
        return round_head(*head, states);
      };
    auto done = calibrate(*model_, windows_, calibration, callbacks, {});
    if (!done.ok()) return done.error();
    if (meter_) meter_->finish();
    return {};
  }

  bool keeps_zeros(TensorType type) const { return has_pruned_weights(*source_) && holds_exact_zero(type); }

  std::filesystem::path log_path() const { return options_.folder / "compensation.jsonl"; }

  // Once, when it is known at which layer an earlier run stopped.
  void begin_progress(uint32_t first_layer) {
    if (meter_) return;
    double n_weights = 0, n_done = 0;
    for (uint32_t layer = 0; layer < model_->n_layers(); ++layer)
      for (TensorRole role : layer_matrix_roles())
        if (const GgufTensor* tensor = matrices_->of_layer(role, layer))
          (layer < first_layer ? n_done : n_weights) += (1 + training_share()) * double(tensor->n_values());
    if (const GgufTensor* head = matrices_->head()) n_weights += double(head->n_values());
    meter_.emplace(progress_, "rounding with feedback", n_weights + n_done, n_done);
  }

  // Of a layer's rounding.
  double training_share() const { return kEpochShare * double(options_.n_layer_epochs); }

  double damping() const { return options_.damping > 0 ? options_.damping : kGptqDamping; }

  Status round_layer(LayerCalibration& calibration) {
    TorchLayer& layer = calibration.layer();
    if (plan_.dropped_layers.contains(layer.number())) {
      layer.set_attention_dropped(true);
      layer.set_ffn_dropped(true);
      return {};
    }
    using enum TensorRole;
    auto inputs_of = [&](TensorRole role) {
      return [&calibration, role]() -> Result<SecondMoments> {
        EDGELLM_ASSIGN_OR_RETURN(LayerMoments moments, calibration.collect({{role}}));
        return std::move(moments.at(role));
      };
    };
    EDGELLM_RETURN_IF_ERROR(round_matrices(calibration, {attention_q}, inputs_of(attention_q)));
    EDGELLM_RETURN_IF_ERROR(
        round_matrices(calibration, {attention_k}, [&] { return calibration.collect_key_inputs(); }));
    EDGELLM_RETURN_IF_ERROR(
        round_matrices(calibration, {attention_v}, [&] { return calibration.collect_value_inputs(); }));
    EDGELLM_RETURN_IF_ERROR(round_matrices(calibration, {attention_output}, inputs_of(attention_output)));
    EDGELLM_RETURN_IF_ERROR(round_matrices(calibration, {ffn_gate, ffn_up}, inputs_of(ffn_gate)));
    return round_matrices(calibration, {ffn_down}, inputs_of(ffn_down));
  }

  Status train_layer(LayerCalibration& calibration, const TorchLayer& original) {
    LayerToTrain layer = {calibration, original, *source_, {}, options_.folder, options_.n_layer_epochs,
                          n_held()};
    double n_weights = 0;
    for (TensorRole role : layer_matrix_roles()) {
      const GgufTensor* tensor = matrices_->of_layer(role, calibration.number());
      if (!tensor || !original.parameter(role).defined()) continue;
      n_weights += double(tensor->n_values());
      layer.rounded[role] = *tensor;
      layer.rounded[role].type = plan_.types.at(tensor->name);
    }
    EDGELLM_ASSIGN_OR_RETURN(TrainedLayer trained, train_rounded_layer(layer));
    meter_->add(training_share() * n_weights, fmt::format("layer {} trained", calibration.number() + 1));
    known_.layers[trained.layer] = trained;
    return log(to_json(trained));
  }

  Status forget(uint32_t layer) {
    if (!known_.layers.erase(layer)) return {};
    std::vector<nlohmann::json> kept;
    for (const auto& [name, tensor] : known_.tensors) kept.push_back(to_json(tensor));
    for (const auto& [number, trained] : known_.layers) kept.push_back(to_json(trained));
    std::string lines;
    for (const nlohmann::json& line : kept) lines += line.dump() + "\n";
    return write_text_file(log_path(), lines);
  }

  Status log(const nlohmann::json& line) const { return append_json_line(log_path(), line); }

  // Those of the matrices that the plan changes, all with the statistics that `collect` gives.
  template <class Collect>
  Status round_matrices(LayerCalibration& calibration, const std::vector<TensorRole>& roles,
                        const Collect& collect) {
    TorchLayer& layer = calibration.layer();
    std::vector<std::pair<TensorRole, const GgufTensor*>> matrices;
    for (TensorRole role : roles)
      if (const GgufTensor* tensor = matrices_->of_layer(role, layer.number()))
        if (layer.parameter(role).defined()) matrices.emplace_back(role, tensor);
    if (matrices.empty()) return {};
    std::optional<ErrorFactor> factor;
    {
      EDGELLM_ASSIGN_OR_RETURN(SecondMoments moments, collect());
      EDGELLM_ASSIGN_OR_RETURN(factor, factor_of(moments, damping(), matrices.front().second->name));
    }
    for (const auto& [role, tensor] : matrices) {
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor decoded, round_matrix(*tensor, layer.parameter(role), *factor));
      layer.set_parameter(role, std::move(decoded));
    }
    return {};
  }

  static Result<ErrorFactor> factor_of(SecondMoments& moments, double damping, const std::string& name,
                                       DampedBy damped_by = DampedBy::each_entry) {
    at::Tensor matrix = moments.matrix();
    // Inputs that are always zero, as of a feed-forward part that is left out: no weight matters more than
    // others.
    if (matrix.diagonal().max().item<float>() == 0) matrix = at::eye(matrix.size(0), matrix.options());
    auto factor = factor_error(matrix, damping, damped_by);
    if (!factor.ok()) return Error{fmt::format("tensor {}: {}", name, factor.error().message)};
    return factor;
  }

  // What is in the file decodes to the result, [n_rows, n_columns].
  Result<at::Tensor> round_matrix(const GgufTensor& tensor, const at::Tensor& weights,
                                  const ErrorFactor& factor) {
    at::Tensor decoded = at::empty_like(weights, at::kFloat);
    EDGELLM_RETURN_IF_ERROR(write_rounded(
        tensor, factor,
        [&](int64_t first, int64_t n) -> Result<at::Tensor> { return weights.narrow(0, first, n); },
        [&](int64_t first, const at::Tensor& part) { decoded.narrow(0, first, part.size(0)).copy_(part); }));
    return decoded;
  }

  Status round_head(const GgufTensor& tensor, HeadCalibration& states) {
    const bool is_tied = has_tied_embedding(*source_);
    EDGELLM_ASSIGN_OR_RETURN(ErrorFactor factor,
                             factor_of(states.moments(), is_tied ? kTiedDamping : damping(), tensor.name,
                                       is_tied ? DampedBy::mean : DampedBy::each_entry));
    return write_rounded(
        tensor, factor,
        [&](int64_t first, int64_t n) {
          std::vector<int64_t> rows(static_cast<size_t>(n));
          for (int64_t i = 0; i < n; ++i) rows[size_t(i)] = first + i;
          return read_weight_rows(tensor, rows);
        },
        [](int64_t, const at::Tensor&) {});
  }

  // read_rows(first, n): those rows of the weights. use_decoded(first, part): what they became.
  template <class ReadRows, class UseDecoded>
  Status write_rounded(const GgufTensor& tensor, const ErrorFactor& factor, const ReadRows& read_rows,
                       const UseDecoded& use_decoded) {
    const int64_t n_rows = int64_t(tensor.n_rows()), n_columns = int64_t(tensor.n_columns());
    CompensatedTensor done;
    done.name = tensor.name;
    done.type = plan_.types.at(tensor.name);
    done.is_compensated = find_feedback_grid(done.type).has_value();
    if (done.is_compensated)
      done.damping = factor.damping_ratio, done.is_damping_raised = factor.is_damping_raised;
    EDGELLM_ASSIGN_OR_RETURN(
        OutputFile out, OutputFile::create(CandidateStore::path_of(options_.folder, tensor.name, done.type)));
    const int64_t rows_per_part = std::max<int64_t>(1, kWeightsPerPart / n_columns);
    for (int64_t first = 0; first < n_rows; first += rows_per_part) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      const int64_t n = std::min(rows_per_part, n_rows - first);
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor weights, read_rows(first, n));
      gptq_.keeps_zeros = keeps_zeros(done.type);
      auto rounded = done.is_compensated ? quantize_gptq(weights, factor, done.type, gptq_)
                                         : quantize_nearest(weights, factor, done.type, gptq_);
      if (!rounded.ok()) return Error{fmt::format("tensor {}: {}", tensor.name, rounded.error().message)};
      EDGELLM_RETURN_IF_ERROR(out.write(std::as_bytes(std::span(rounded->bytes))));
      use_decoded(first, rounded->decoded);
      done.error += rounded->relative_error * double(n) / double(n_rows);
      done.nearest_error += rounded->nearest_error * double(n) / double(n_rows);
      meter_->add(double(n * n_columns), tensor.name);
    }
    EDGELLM_RETURN_IF_ERROR(out.commit());
    EDGELLM_RETURN_IF_ERROR(log(to_json(done)));
    known_.tensors[done.name] = done;
    source_->give_back(tensor);
    return {};
  }

  std::shared_ptr<const GgufFile> source_;
  const QuantizationPlan& plan_;
  std::span<const std::vector<Token>> windows_;
  const CompensationOptions& options_;
  const Progress& progress_;
  GptqOptions gptq_;
  std::unique_ptr<TorchModel> model_;
  std::optional<PlannedMatrices> matrices_;
  FinishedWork known_;
  std::optional<ProgressMeter> meter_;
};

}  // namespace

Result<Compensation> compensate_tensors(std::shared_ptr<const GgufFile> source, const QuantizationPlan& plan,
                                        std::span<const std::vector<Token>> windows,
                                        const CompensationOptions& options, const Progress& progress) {
  set_torch_threads(options.n_threads);
  return torch_call(
      "GPTQ", [&] { return CompensationRun(std::move(source), plan, windows, options, progress).run(); });
}

}  // namespace edgellm
