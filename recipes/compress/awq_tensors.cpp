#include "recipes/compress/awq_tensors.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "compress/calibrate/calibration.h"
#include "compress/quantize/awq.h"
#include "compress/quantize/gptq.h"
#include "compress/torch_model/torch_call.h"
#include "compress/torch_model/torch_threads.h"
#include "compress/torch_model/torch_weights.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "recipes/candidate_store.h"
#include "recipes/compensation_report.h"
#include "recipes/compress/planned_matrices.h"
#include "recipes/role_tensor.h"

namespace edgellm {
namespace {

using enum TensorRole;

// Rows of a matrix that scales are chosen by, evenly spread.
constexpr int64_t kSampledRows = 512;
// Neighbours that are clipped alike: the run of most formats.
constexpr int64_t kClippedGroup = 32;
// Rows are clipped and rounded in parts of this many weights.
constexpr int64_t kWeightsPerPart = int64_t{1} << 23;

// What is scaled together: the matrices of one input, and what gives that input.
struct ScaledInput {
  TensorRole previous;
  TensorRole previous_bias;  // of a matrix; the norm again where that comes before
  std::vector<TensorRole> matrices;
};

const std::vector<ScaledInput>& scaled_inputs() {
  static const std::vector<ScaledInput> all = {
      {attention_norm, attention_norm, {attention_q, attention_k, attention_v}},
      {attention_v, attention_v_bias, {attention_output}},
      {ffn_norm, ffn_norm, {ffn_gate, ffn_up}},
      {ffn_up, ffn_up_bias, {ffn_down}}};
  return all;
}

at::Tensor sampled_rows(const at::Tensor& weights) {
  const int64_t stride = std::max<int64_t>(1, (weights.size(0) + kSampledRows - 1) / kSampledRows);
  return weights.slice(0, 0, weights.size(0), stride);
}

// Encoded and decoded again, all columns alike.
at::Tensor rounded_plainly(const at::Tensor& weights, TensorType type) {
  const at::Tensor from = weights.to(at::kCPU, at::kFloat).contiguous();
  at::Tensor to = at::empty_like(from);
  const int64_t n_columns = from.size(1);
  const size_t n_bytes = *row_bytes(type, size_t(n_columns));
  at::parallel_for(0, from.size(0), 4, [&](int64_t begin, int64_t end) {
    std::vector<std::byte> row(n_bytes);
    for (int64_t r = begin; r < end; ++r) {
      info(type).encode(from.data_ptr<float>() + r * n_columns, nullptr, row.data(), size_t(n_columns));
      info(type).decode(row.data(), to.data_ptr<float>() + r * n_columns, size_t(n_columns));
    }
  });
  return to;
}

class AwqRun {
 public:
  AwqRun(std::shared_ptr<const GgufFile> source, const QuantizationPlan& plan,
         std::span<const std::vector<Token>> windows, const CompensationOptions& options,
         const Progress& progress)
      : source_(std::move(source)), plan_(plan), windows_(windows), options_(options), progress_(progress) {
    rounding_.n_threads = options.n_threads;
    rounding_.keeps_decoded = true;
  }

  Result<Compensation> run() {
    std::error_code code;
    std::filesystem::create_directories(options_.folder, code);
    if (code) return Error{fmt::format("cannot make {}: {}", options_.folder.string(), code.message())};
    read_log();
    EDGELLM_ASSIGN_OR_RETURN(TorchCompute compute, torch_compute("cpu", "f32"));
    EDGELLM_ASSIGN_OR_RETURN(model_, TorchModel::open(source_, compute));
    matrices_.emplace(*source_, model_->hyperparameters(), plan_);
    EDGELLM_RETURN_IF_ERROR(round_all());
    Compensation found;
    for (auto& [name, tensor] : tensors_) found.tensors.push_back(tensor);
    for (auto& [layer, changed] : layers_)
      found.scaled.insert(found.scaled.end(), changed.begin(), changed.end());
    found.n_tokens = windows_.size() * windows_[0].size();
    return found;
  }

 private:
  std::filesystem::path log_path() const { return options_.folder / "awq.jsonl"; }

  // What earlier runs finished: a line each; a torn last line is left out.
  void read_log() {
    std::ifstream in(log_path());
    for (std::string line; std::getline(in, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (auto tensor = compensated_tensor_from(json)) tensors_[tensor->name] = *tensor;
      if (json.is_object() && json.contains("scaled_layer"))
        layers_[json["scaled_layer"].get<uint32_t>()] = json["changed"].get<std::vector<std::string>>();
    }
  }

  Status log(const nlohmann::json& line) const {
    std::ofstream out(log_path(), std::ios::app);
    out << line.dump() << std::endl;
    return out ? Status() : Error{fmt::format("cannot write {}", log_path().string())};
  }

  Status round_all() {
    double n_weights = 0;
    for (uint32_t layer = 0; layer < model_->n_layers(); ++layer)
      for (TensorRole role : layer_matrix_roles())
        if (const GgufTensor* tensor = matrices_->of_layer(role, layer))
          n_weights += double(tensor->n_values());
    const GgufTensor* head = matrices_->head();
    if (head) n_weights += double(head->n_values());
    meter_.emplace(progress_, "scaling and rounding", n_weights);
    CalibrationOptions calibration;
    calibration.sequential = false;
    calibration.memory_limit = options_.memory_limit;
    calibration.work_folder = options_.folder;
    calibration.key = "awq " + plan_hash(plan_);
    CalibrationCallbacks callbacks;
    callbacks.on_layer = [&](LayerCalibration& layer) { return round_layer(layer); };
    if (head)
      callbacks.on_head = [&](HeadCalibration& states) { return round_head(*head, states.moments()); };
    auto done = calibrate(*model_, windows_, calibration, callbacks, {});
    if (!done.ok()) return done.error();
    meter_->finish();
    return {};
  }

  const GgufTensor* tensor_of(TensorRole role, uint32_t layer) const {
    return find_tensor(*source_, model_->hyperparameters(), role, layer);
  }

  // A layer whose last line is there.
  bool is_stored(uint32_t layer) const {
    auto known = layers_.find(layer);
    if (known == layers_.end()) return false;
    auto is_there = [&](const GgufTensor& tensor, TensorType type) {
      return PlannedMatrices::is_stored(options_.folder, tensor, type);
    };
    for (TensorRole role : layer_matrix_roles())
      if (const GgufTensor* tensor = matrices_->of_layer(role, layer))
        if (!is_there(*tensor, plan_.types.at(tensor->name))) return false;
    return std::ranges::all_of(known->second, [&](const std::string& name) {
      const GgufTensor* tensor = source_->find(name);
      return tensor && is_there(*tensor, tensor->type);
    });
  }

  // A layer's matrices and vectors as they become, and the statistics of their inputs as they become.
  struct Scaled {
    uint32_t layer = 0;
    std::map<TensorRole, at::Tensor> matrices;  // those that are rounded
    std::map<TensorRole, at::Tensor> moments;   // by input role
    std::map<TensorRole, at::Tensor> vectors;   // norms and biases that changed
  };

  Status round_layer(LayerCalibration& calibration) {
    const uint32_t layer = calibration.number();
    double n_weights = 0;
    for (TensorRole role : layer_matrix_roles())
      if (const GgufTensor* tensor = matrices_->of_layer(role, layer))
        n_weights += double(tensor->n_values());
    if (is_stored(layer)) {
      meter_->add(n_weights);
      return {};
    }
    Scaled scaled;
    scaled.layer = layer;
    for (TensorRole role : layer_matrix_roles()) {
      const at::Tensor& weights = calibration.layer().parameter(role);
      if (!matrices_->of_layer(role, layer) || !weights.defined()) continue;
      scaled.matrices[role] = weights.to(at::kFloat).clone();
      const TensorRole input = product_input_role(role);
      if (!scaled.moments.contains(input))
        scaled.moments[input] = calibration.moments().at(input).matrix().clone();
    }
    for (const ScaledInput& input : scaled_inputs())
      EDGELLM_RETURN_IF_ERROR(scale(input, calibration, scaled));
    for (const auto& [role, weights] : scaled.matrices) {
      const GgufTensor& tensor = *matrices_->of_layer(role, layer);
      const TensorRole input = product_input_role(role);
      EDGELLM_RETURN_IF_ERROR(write_matrix(tensor, weights, scaled.moments.at(input),
                                           calibration.layer().parameter(role),
                                           calibration.moments().at(input).matrix(), is_clipped(role)));
    }
    std::vector<std::string> changed;
    for (const auto& [role, values] : scaled.vectors) {
      const GgufTensor& tensor = *tensor_of(role, layer);
      EDGELLM_RETURN_IF_ERROR(write_vector(tensor, values));
      changed.push_back(tensor.name);
    }
    EDGELLM_RETURN_IF_ERROR(log({{"scaled_layer", layer}, {"changed", changed}}));
    layers_[layer] = changed;
    return {};
  }

  // Query and key meet in a product that clipping would distort (as the official program leaves them).
  static bool is_clipped(TensorRole role) { return role != attention_q && role != attention_k; }

  // Whether the input can be given in another measure, and every matrix take it.
  bool can_scale(const ScaledInput& input, const TorchLayer& layer, const Scaled& scaled) const {
    for (TensorRole role : input.matrices)
      if (layer.parameter(role).defined() && !scaled.matrices.contains(role)) return false;
    auto first =
        std::ranges::find_if(input.matrices, [&](TensorRole r) { return scaled.matrices.contains(r); });
    if (first == input.matrices.end()) return false;
    if (input.previous == attention_norm || input.previous == ffn_norm)
      return is_written(input.previous, scaled);
    auto previous = scaled.matrices.find(input.previous);
    return previous != scaled.matrices.end() &&
           previous->second.size(0) == scaled.matrices.at(*first).size(1) &&
           (!layer.parameter(input.previous_bias).defined() || is_written(input.previous_bias, scaled));
  }

  bool is_written(TensorRole vector, const Scaled& scaled) const {
    const GgufTensor* tensor = tensor_of(vector, scaled.layer);
    return tensor && tensor->type == TensorType::F32;
  }

  Status scale(const ScaledInput& input, LayerCalibration& calibration, Scaled& scaled) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    if (!can_scale(input, calibration.layer(), scaled)) return {};
    const TensorRole of = product_input_role(input.matrices.front());
    SecondMoments& moments = calibration.moments().at(of);
    std::vector<AwqMatrix> matrices;
    for (TensorRole role : input.matrices) {
      auto weights = scaled.matrices.find(role);
      if (weights == scaled.matrices.end()) continue;
      const TensorType type = plan_.types.at(tensor_of(role, scaled.layer)->name);
      matrices.push_back(
          {sampled_rows(weights->second), [type](const at::Tensor& w) { return rounded_plainly(w, type); }});
    }
    EDGELLM_ASSIGN_OR_RETURN(AwqScales found,
                             search_awq_scales(matrices, {moments.column_magnitudes(), scaled.moments.at(of),
                                                          double(moments.n_tokens())}));
    if (found.ratio == 0) return {};
    for (TensorRole role : input.matrices)
      if (auto weights = scaled.matrices.find(role); weights != scaled.matrices.end())
        weights->second = scale_columns(weights->second, found.scales);
    scaled.moments[of] = scale_moments(scaled.moments.at(of), found.scales);
    auto divide_vector = [&](TensorRole role) {
      auto before = scaled.vectors.find(role);
      const at::Tensor& values =
          before != scaled.vectors.end() ? before->second : calibration.layer().parameter(role);
      if (values.defined()) scaled.vectors[role] = divide_outputs(values, found.scales);
    };
    auto previous = scaled.matrices.find(input.previous);
    if (previous != scaled.matrices.end()) previous->second = divide_outputs(previous->second, found.scales);
    divide_vector(input.previous_bias);
    return {};
  }

  // Relative output error of a sample of the rows.
  static double relative_error(const at::Tensor& weights, const at::Tensor& rounded,
                               const at::Tensor& moments) {
    const at::Tensor wanted = sampled_rows(weights), got = sampled_rows(rounded);
    const double energy = output_error(wanted.t(), moments);
    return energy > 0 ? output_error((wanted - got).t(), moments) / energy : 0;
  }

  // weights and moments: scaled, or as they were.
  Status write_matrix(const GgufTensor& tensor, const at::Tensor& weights, const at::Tensor& moments,
                      const at::Tensor& original, const at::Tensor& original_moments, bool clips) {
    CompensatedTensor done;
    done.name = tensor.name;
    done.type = plan_.types.at(tensor.name);
    const ErrorFactor factor = {moments, {}, {}, 0, 0};
    auto round = [&](const at::Tensor& rows, const ErrorFactor& by) -> Result<GptqTensor> {
      auto rounded = quantize_nearest(rows, by, done.type, rounding_);
      if (!rounded.ok()) return Error{fmt::format("tensor {}: {}", tensor.name, rounded.error().message)};
      return rounded;
    };
    clips = clips && weights.size(1) % kClippedGroup == 0;
    if (clips) {
      // Our encoders look for the best scale themselves, so that clipping beforehand can also lose.
      const at::Tensor sample = sampled_rows(weights).contiguous();
      EDGELLM_ASSIGN_OR_RETURN(GptqTensor plain, round(sample, factor));
      EDGELLM_ASSIGN_OR_RETURN(GptqTensor clipped, round(clipped_rows(sample, moments, done.type), factor));
      clips =
          relative_error(sample, clipped.decoded, moments) < relative_error(sample, plain.decoded, moments);
    }
    EDGELLM_ASSIGN_OR_RETURN(
        OutputFile out, OutputFile::create(CandidateStore::path_of(options_.folder, tensor.name, done.type)));
    const int64_t n_rows = weights.size(0), n_part = std::max<int64_t>(1, kWeightsPerPart / weights.size(1));
    at::Tensor decoded = at::empty_like(weights);
    for (int64_t first = 0; first < n_rows; first += n_part) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      at::Tensor rows = weights.narrow(0, first, std::min(n_part, n_rows - first));
      if (clips) rows = clipped_rows(rows, moments, done.type);
      EDGELLM_ASSIGN_OR_RETURN(GptqTensor rounded, round(rows, factor));
      EDGELLM_RETURN_IF_ERROR(out.write(std::as_bytes(std::span(rounded.bytes))));
      decoded.narrow(0, first, rows.size(0)).copy_(rounded.decoded);
      meter_->add(double(rows.numel()), tensor.name);
    }
    EDGELLM_RETURN_IF_ERROR(out.commit());
    done.error = relative_error(weights, decoded, moments);
    EDGELLM_ASSIGN_OR_RETURN(GptqTensor nearest, round(sampled_rows(original.to(at::kFloat)).contiguous(),
                                                       ErrorFactor{original_moments, {}, {}, 0, 0}));
    done.nearest_error = nearest.relative_error;
    EDGELLM_RETURN_IF_ERROR(log(to_json(done)));
    tensors_[done.name] = done;
    source_->give_back(tensor);
    return {};
  }

  static at::Tensor clipped_rows(const at::Tensor& rows, const at::Tensor& moments, TensorType type) {
    return clip_groups(rows, search_awq_clip(rows, moments, kClippedGroup, [type](const at::Tensor& w) {
                         return rounded_plainly(w, type);
                       }));
  }

  Status write_vector(const GgufTensor& tensor, const at::Tensor& values) const {
    const at::Tensor floats = values.to(at::kCPU, at::kFloat).contiguous();
    EDGELLM_ASSIGN_OR_RETURN(OutputFile out, OutputFile::create(CandidateStore::path_of(
                                                 options_.folder, tensor.name, tensor.type)));
    EDGELLM_RETURN_IF_ERROR(
        out.write(std::as_bytes(std::span(floats.data_ptr<float>(), size_t(floats.numel())))));
    return out.commit();
  }

  // What enters it is not scaled: the last norm is another role, and a tied embedding is looked up too.
  Status round_head(const GgufTensor& tensor, SecondMoments& moments) {
    std::vector<int64_t> rows(tensor.n_rows());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = int64_t(i);
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor weights, read_weight_rows(tensor, rows));
    const at::Tensor& matrix = moments.matrix();
    return write_matrix(tensor, weights, matrix, weights, matrix, false);
  }

  std::shared_ptr<const GgufFile> source_;
  const QuantizationPlan& plan_;
  std::span<const std::vector<Token>> windows_;
  const CompensationOptions& options_;
  const Progress& progress_;
  GptqOptions rounding_;
  std::unique_ptr<TorchModel> model_;
  std::optional<PlannedMatrices> matrices_;
  std::map<std::string, CompensatedTensor> tensors_;
  std::map<uint32_t, std::vector<std::string>> layers_;  // norms and biases that hold scales
  std::optional<ProgressMeter> meter_;
};

}  // namespace

Result<Compensation> awq_tensors(std::shared_ptr<const GgufFile> source, const QuantizationPlan& plan,
                                 std::span<const std::vector<Token>> windows,
                                 const CompensationOptions& options, const Progress& progress) {
  set_torch_threads(options.n_threads);
  return torch_call("AWQ", [&] { return AwqRun(std::move(source), plan, windows, options, progress).run(); });
}

}  // namespace edgellm
