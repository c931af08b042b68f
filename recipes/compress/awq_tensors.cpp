#include "recipes/compress/awq_tensors.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>

#include "compress/calibrate/calibration.h"
#include "compress/quantize/awq.h"
#include "compress/quantize/gptq.h"
#include "compress/torch_model/torch_call.h"
#include "compress/torch_model/torch_threads.h"
#include "compress/torch_model/torch_weights.h"
#include "core/base/folder.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "recipes/candidate_store.h"
#include "recipes/compensation_report.h"
#include "recipes/compress/planned_matrices.h"
#include "recipes/json_lines.h"
#include "recipes/role_tensor.h"

namespace edgellm {
namespace {

using enum TensorRole;

// Rows of a matrix that scales are chosen by and errors told of, evenly spread.
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

int64_t sample_stride(int64_t n_rows) {
  return std::max<int64_t>(1, (n_rows + kSampledRows - 1) / kSampledRows);
}

at::Tensor sampled_rows(const at::Tensor& weights) {
  return weights.slice(0, 0, weights.size(0), sample_stride(weights.size(0)));
}

// Of sampled rows: tr((W - Q) H (W - Q)^T) / tr(W H W^T).
double relative_error(const at::Tensor& weights, const at::Tensor& rounded, const at::Tensor& moments) {
  const double energy = output_error(weights.t(), moments);
  return energy > 0 ? output_error((weights - rounded).t(), moments) / energy : 0;
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
    EDGELLM_RETURN_IF_ERROR(make_folder(options_.folder));
    for (const auto& line : read_json_lines(log_path())) read_line(line);
    EDGELLM_ASSIGN_OR_RETURN(TorchCompute compute, torch_compute("cpu", "f32"));
    EDGELLM_ASSIGN_OR_RETURN(model_, TorchModel::open(source_, compute));
    matrices_.emplace(*source_, model_->hyperparameters(), plan_);
    if (!is_finished()) EDGELLM_RETURN_IF_ERROR(round_all());
    Compensation found;
    for (auto& [name, tensor] : tensors_) found.tensors.push_back(tensor);
    for (auto& [layer, changed] : layers_)
      found.scaled.insert(found.scaled.end(), changed.begin(), changed.end());
    found.n_tokens = windows_.size() * windows_[0].size();
    return found;
  }

 private:
  std::filesystem::path log_path() const { return options_.folder / "awq.jsonl"; }

  // What an earlier run finished.
  void read_line(const nlohmann::json& line) {
    if (auto tensor = compensated_tensor_from(line)) tensors_[tensor->name] = *tensor;
    if (!line.is_object() || !line.contains("scaled_layer")) return;
    layers_[line["scaled_layer"].get<uint32_t>()] = line["changed"].get<std::vector<std::string>>();
  }

  Status log(const nlohmann::json& line) const { return append_json_line(log_path(), line); }

  bool is_finished() const {
    for (uint32_t layer = 0; layer < model_->n_layers(); ++layer)
      if (!plan_.dropped_layers.contains(layer) && !is_stored(layer)) return false;
    const GgufTensor* head = matrices_->head();
    return !head || (tensors_.contains(head->name) &&
                     CandidateStore::is_stored(options_.folder, *head, matrices_->type_of(*head)));
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
    calibration.dropped_layers = plan_.dropped_layers;
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
      return CandidateStore::is_stored(options_.folder, tensor, type);
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
    std::map<TensorRole, at::Tensor> matrices;    // those that are rounded
    std::map<TensorRole, at::Tensor> row_scales;  // [n_rows], that their rows were divided by
    std::map<TensorRole, at::Tensor> moments;     // by input role
    std::map<TensorRole, at::Tensor> vectors;     // norms and biases that changed
    std::map<TensorRole, double> nearest_errors;  // of rounding to nearest as they were
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
      const GgufTensor* tensor = matrices_->of_layer(role, layer);
      if (!tensor || !weights.defined()) continue;
      scaled.matrices[role] = weights.to(at::kFloat);
      const TensorRole input = product_input_role(role);
      scaled.moments[input] = calibration.moments().at(input).matrix();
      EDGELLM_ASSIGN_OR_RETURN(scaled.nearest_errors[role],
                               nearest_error(*tensor, sampled_rows(weights), scaled.moments.at(input)));
    }
    for (const ScaledInput& input : scaled_inputs())
      EDGELLM_RETURN_IF_ERROR(scale(input, calibration, scaled));
    for (const auto& [role, weights] : scaled.matrices) {
      RoundedMatrix matrix = {*matrices_->of_layer(role, layer), scaled.moments.at(product_input_role(role))};
      matrix.clips = is_clipped(role) && weights.size(1) % kClippedGroup == 0;
      matrix.nearest_error = scaled.nearest_errors.at(role);
      if (auto scales = scaled.row_scales.find(role); scales != scaled.row_scales.end())
        matrix.row_scales = scales->second;
      EDGELLM_RETURN_IF_ERROR(write_matrix(matrix, [&](int64_t first, int64_t n) -> Result<at::Tensor> {
        return weights.narrow(0, first, n);
      }));
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
    // In place: those of the widest input are as large as the layer, and nothing asks for them as they were.
    scaled.moments.at(of).div_(found.scales.reshape({1, -1})).div_(found.scales.reshape({-1, 1}));
    auto previous = scaled.matrices.find(input.previous);
    if (previous != scaled.matrices.end()) {
      previous->second = divide_outputs(previous->second, found.scales);
      scaled.row_scales[input.previous] = found.scales;
    }
    const at::Tensor& vector = calibration.layer().parameter(input.previous_bias);
    if (vector.defined()) scaled.vectors[input.previous_bias] = divide_outputs(vector, found.scales);
    return {};
  }

  // One that is rounded to nearest, weighed by its inputs, and how.
  struct RoundedMatrix {
    const GgufTensor& tensor;
    at::Tensor moments;          // of its inputs
    at::Tensor row_scales = {};  // that its rows were divided by; undefined: they were not
    bool clips = false;
    double nearest_error = 0;
  };

  Result<GptqTensor> round(const GgufTensor& tensor, const at::Tensor& rows,
                           const at::Tensor& moments) const {
    auto rounded =
        quantize_nearest(rows.contiguous(), {moments, {}, {}, {}, 0}, matrices_->type_of(tensor), rounding_);
    if (!rounded.ok()) return Error{fmt::format("tensor {}: {}", tensor.name, rounded.error().message)};
    return rounded;
  }

  Result<double> nearest_error(const GgufTensor& tensor, const at::Tensor& sample,
                               const at::Tensor& moments) const {
    EDGELLM_ASSIGN_OR_RETURN(GptqTensor rounded, round(tensor, sample, moments));
    return relative_error(sample, rounded.decoded, moments);
  }

  // Whether clipping helps: our encoders look for the best scale themselves, so that it can also lose.
  Result<bool> is_better_clipped(const RoundedMatrix& matrix, const at::Tensor& sample) const {
    EDGELLM_ASSIGN_OR_RETURN(GptqTensor plain, round(matrix.tensor, sample, matrix.moments));
    EDGELLM_ASSIGN_OR_RETURN(
        GptqTensor clipped,
        round(matrix.tensor, clipped_rows(sample, matrix.moments, matrices_->type_of(matrix.tensor)),
              matrix.moments));
    return relative_error(sample, clipped.decoded, matrix.moments) <
           relative_error(sample, plain.decoded, matrix.moments);
  }

  // read_rows(first, n): those rows as they are to be rounded.
  template <class ReadRows>
  Status write_matrix(RoundedMatrix matrix, const ReadRows& read_rows) {
    const GgufTensor& tensor = matrix.tensor;
    CompensatedTensor done;
    done.name = tensor.name;
    done.type = matrices_->type_of(tensor);
    done.nearest_error = matrix.nearest_error;
    EDGELLM_ASSIGN_OR_RETURN(
        OutputFile out, OutputFile::create(CandidateStore::path_of(options_.folder, tensor.name, done.type)));
    const int64_t n_rows = int64_t(tensor.n_rows()), stride = sample_stride(n_rows),
                  n_part = std::max<int64_t>(1, kWeightsPerPart / int64_t(tensor.n_columns()));
    if (matrix.clips) {
      std::vector<at::Tensor> sample;
      for (int64_t row = 0; row < n_rows; row += stride) {
        EDGELLM_ASSIGN_OR_RETURN(at::Tensor values, read_rows(row, 1));
        sample.push_back(std::move(values));
      }
      EDGELLM_ASSIGN_OR_RETURN(matrix.clips, is_better_clipped(matrix, at::cat(sample)));
    }
    std::vector<at::Tensor> wanted, got;
    for (int64_t first = 0; first < n_rows; first += n_part) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      EDGELLM_ASSIGN_OR_RETURN(at::Tensor rows, read_rows(first, std::min(n_part, n_rows - first)));
      const int64_t first_sampled = (stride - first % stride) % stride;
      const bool has_sampled = first_sampled < rows.size(0);
      if (has_sampled) wanted.push_back(rows.slice(0, first_sampled, rows.size(0), stride).clone());
      if (matrix.clips) rows = clipped_rows(rows, matrix.moments, done.type);
      EDGELLM_ASSIGN_OR_RETURN(GptqTensor rounded, round(tensor, rows, matrix.moments));
      EDGELLM_RETURN_IF_ERROR(out.write(std::as_bytes(std::span(rounded.bytes))));
      if (has_sampled) got.push_back(rounded.decoded.slice(0, first_sampled, rows.size(0), stride).clone());
      meter_->add(double(rows.numel()), tensor.name);
    }
    EDGELLM_RETURN_IF_ERROR(out.commit());
    // As the outputs were before their scales were taken out.
    const at::Tensor scales =
        matrix.row_scales.defined() ? sampled_rows(matrix.row_scales).unsqueeze(-1) : at::ones({1, 1});
    done.error = relative_error(at::cat(wanted) * scales, at::cat(got) * scales, matrix.moments);
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

  // What enters it is not scaled: the last norm is another role, and a tied embedding is looked up too, so
  // that its inputs and all columns alike weigh the same.
  Status round_head(const GgufTensor& tensor, SecondMoments& moments) {
    at::Tensor matrix = moments.matrix();
    if (has_tied_embedding(*source_)) {
      const double mean = matrix.diagonal().mean().item<double>();
      matrix.diagonal().add_(mean > 0 ? mean : 1.0);
    }
    auto read_rows = [&](int64_t first, int64_t n) {
      std::vector<int64_t> rows(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; ++i) rows[size_t(i)] = first + i;
      return read_weight_rows(tensor, rows);
    };
    RoundedMatrix head = {tensor, matrix};
    EDGELLM_RETURN_IF_ERROR(write_matrix(head, read_rows));
    // Nothing but rounding to nearest was done to it.
    CompensatedTensor& done = tensors_.at(tensor.name);
    done.nearest_error = done.error;
    return log(to_json(done));
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
