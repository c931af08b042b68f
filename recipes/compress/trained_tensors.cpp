#include "recipes/compress/trained_tensors.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <optional>

#include "compress/calibrate/calibration.h"
#include "compress/torch_model/torch_call.h"
#include "compress/torch_model/torch_threads.h"
#include "compress/torch_model/torch_weights.h"
#include "compress/train/end_training.h"
#include "core/base/folder.h"
#include "core/base/interrupt.h"
#include "core/base/machine.h"
#include "core/base/output_file.h"
#include "core/base/thread_pool.h"
#include "core/base/write_failure.h"
#include "core/blocks/block_grid.h"
#include "core/blocks/codebook_grid.h"
#include "recipes/candidate_store.h"
#include "recipes/compress/rounded_products.h"
#include "recipes/role_tensor.h"

namespace edgellm {
namespace {

class GridTrainingRun {
 public:
  GridTrainingRun(std::shared_ptr<const GgufFile> source, const QuantizationPlan& plan,
                  std::span<const std::vector<Token>> windows, const GridTrainingOptions& options,
                  const Progress& progress)
      : source_(std::move(source)),
        plan_(plan),
        windows_(windows),
        options_(options),
        progress_(progress),
        threads_(options.n_threads),
        store_(options.encoded, *source_, nullptr, threads_) {
    for (const std::string& name : options.changed) store_.use_changed(name);
  }

  Result<GridTraining> run() {
    if (windows_.size() < 8)
      return Error{fmt::format("training wants at least 8 windows of text, got {}", windows_.size())};
    EDGELLM_RETURN_IF_ERROR(make_folder(options_.folder));
    EDGELLM_ASSIGN_OR_RETURN(TorchCompute compute,
                             torch_compute_in_float(options_.device, rounds_products(*source_, plan_)));
    EDGELLM_ASSIGN_OR_RETURN(model_, TorchModel::open(source_, compute));
    const int64_t n_tokens = int64_t(windows_[0].size());
    TeacherLogits teacher(int64_t(windows_.size()), n_tokens, model_->hyperparameters().n_vocabulary);
    EDGELLM_RETURN_IF_ERROR(ask_original(teacher));

    EDGELLM_ASSIGN_OR_RETURN(GridModel student, quantized_model(n_tokens));
    EndTrainingOptions training;
    training.n_epochs = options_.n_epochs;
    training.learning_rate = options_.learning_rate;
    training.n_held_windows = n_held_windows(windows_.size());
    training.checkpoint = options_.folder / "training.state";
    training.key = fmt::format("3 {} {} {} {} {} {}", int(model_->compute().product_type()), plan_hash(plan_),
                               options_.encoded.filename().string(), training.n_epochs,
                               training.learning_rate, windows_.size());
    EndTraining run(student, windows_, teacher, training);
    EDGELLM_ASSIGN_OR_RETURN(EndTrainingResult done, run.run(progress_));
    GridTraining found;
    found.held_before = done.held_before, found.held_after = done.held_after;
    found.best_epoch = done.best_epoch, found.learning_rate = done.learning_rate;
    found.stopped = std::move(done.stopped), found.stopped_layer = done.stopped_layer;
    found.epoch_held = std::move(done.epoch_held), found.epoch_trained = std::move(done.epoch_trained);
    found.step_divergence = std::move(done.step_divergence);
    const size_t n_trained = windows_.size() - training.n_held_windows;
    found.n_tokens = n_trained / training.n_batch_windows * training.n_batch_windows * size_t(n_tokens);
    if (found.best_epoch) EDGELLM_RETURN_IF_ERROR(write(run, found.changed));
    return found;
  }

 private:
  // One pass of the text through the original, layer by layer, unless an earlier run made it.
  Status ask_original(TeacherLogits& teacher) {
    const std::filesystem::path path = options_.folder / "teacher.logits";
    if (teacher.load(path).ok()) return {};
    CalibrationOptions calibration;
    calibration.roles = {};
    calibration.hidden_type = at::kFloat;
    calibration.memory_limit = options_.memory_limit;
    calibration.work_folder = options_.folder;
    calibration.key = "teacher";
    CalibrationCallbacks callbacks;
    std::unique_ptr<TorchModel> other;
    if (options_.original) {
      EDGELLM_ASSIGN_OR_RETURN(other, TorchModel::open(options_.original, model_->compute()));
    }
    TorchModel& original = other ? *other : *model_;
    callbacks.on_head = [&](HeadCalibration& states) -> Status {
      EDGELLM_ASSIGN_OR_RETURN(TorchHead head, original.load_head());
      ProgressMeter meter(progress_, "the original's expectations", double(windows_.size()));
      for (size_t window = 0; window < windows_.size(); ++window) {
        EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, states.inputs(window, 1));
        hidden = hidden.to(model_->compute().device);
        for (int64_t row = 0; row < hidden.size(1); row += kLogitRows) {
          EDGELLM_RETURN_IF_ERROR(check_interrupt());
          const int64_t n_rows = std::min(kLogitRows, hidden.size(1) - row);
          teacher.put(int64_t(window), row, head.logits(hidden[0].narrow(0, row, n_rows)));
        }
        meter.add(1);
      }
      meter.finish();
      return {};
    };
    auto asked = calibrate(original, windows_, calibration, callbacks, [&](ProgressReport report) {
      report.stage = "asking the original";
      if (progress_) progress_(report);
    });
    if (!asked.ok()) return asked.error();
    return teacher.save(path);
  }

  // As the plan's file has it: the source's own where it stays as it is.
  Result<GgufTensor> encoded(const GgufTensor& tensor) {
    GgufTensor as_planned = tensor;
    auto planned = plan_.types.find(tensor.name);
    if (planned == plan_.types.end() || planned->second == tensor.type) return as_planned;
    as_planned.type = planned->second;
    EDGELLM_ASSIGN_OR_RETURN(as_planned.data, store_.get(tensor, planned->second));
    return as_planned;
  }

  // The planned matrix of a layer; no value where there is none.
  Result<std::optional<GgufTensor>> matrix(TensorRole role, uint32_t layer) {
    const GgufTensor* tensor = find_tensor(*source_, model_->hyperparameters(), role, layer);
    if (!tensor) return std::optional<GgufTensor>();
    EDGELLM_ASSIGN_OR_RETURN(GgufTensor found, encoded(*tensor));
    return std::optional<GgufTensor>(std::move(found));
  }

  // Bytes of all layers as they are kept, about.
  uint64_t unpacked_bytes() const {
    double n_bytes = 0;
    for (uint32_t layer = 0; layer < model_->n_layers(); ++layer)
      for (TensorRole role : layer_matrix_roles()) {
        const GgufTensor* tensor = find_tensor(*source_, model_->hyperparameters(), role, layer);
        if (!tensor || plan_.dropped_layers.contains(layer)) continue;
        auto planned = plan_.types.find(tensor->name);
        const TensorType type = planned == plan_.types.end() ? tensor->type : planned->second;
        const double per_weight = find_codebook_grid(type) ? 2.5 : find_block_grid(type) ? 1.5 : 4;
        n_bytes += per_weight * double(tensor->n_values());
      }
    return uint64_t(n_bytes);
  }

  bool keeps_layers() const {
    if (!options_.keeps_layers) return false;
    if (!model_->compute().device.is_cpu()) return true;
    if (options_.memory_limit) return unpacked_bytes() <= options_.memory_limit;
    const Result<uint64_t> memory = describe_machine().n_memory_bytes;
    return memory.ok() && unpacked_bytes() <= *memory / 4;
  }

  Result<std::shared_ptr<GridLayer>> layer(uint32_t number) {
    if (!kept_layers_.empty() && kept_layers_[number]) return kept_layers_[number];
    EDGELLM_ASSIGN_OR_RETURN(GridLayer loaded, load_layer(number));
    auto layer = std::make_shared<GridLayer>(std::move(loaded));
    if (!kept_layers_.empty()) kept_layers_[number] = layer;
    return layer;
  }

  Result<GridLayer> load_layer(uint32_t number) {
    EDGELLM_ASSIGN_OR_RETURN(TorchLayer layer, model_->load_vectors(number));
    if (plan_.dropped_layers.contains(number)) {
      layer.set_attention_dropped(true);
      layer.set_ffn_dropped(true);
      return GridLayer(std::move(layer));
    }
    std::vector<TensorRole> vectors = layer.roles();
    for (TensorRole role : vectors) {
      const GgufTensor& tensor = *find_tensor(*source_, model_->hyperparameters(), role, number);
      if (std::ranges::find(options_.changed, tensor.name) == options_.changed.end()) continue;
      EDGELLM_ASSIGN_OR_RETURN(std::span<const std::byte> bytes, store_.get(tensor, tensor.type));
      at::Tensor values = at::empty_like(layer.parameter(role), at::kCPU);
      std::memcpy(values.data_ptr<float>(), bytes.data(), bytes.size());
      layer.set_parameter(role, values.to(model_->compute().device));
    }
    GridLayer grid(std::move(layer));
    // What is trained must be what the file stores.
    for (TensorRole role : vectors)
      if (find_tensor(*source_, model_->hyperparameters(), role, number)->type != TensorType::F32)
        grid.leave(role);
    for (TensorRole role : layer_matrix_roles()) {
      EDGELLM_ASSIGN_OR_RETURN(std::optional<GgufTensor> tensor, matrix(role, number));
      if (!tensor) continue;
      auto unpacked = unpack_trained_matrix(tensor->data, tensor->type, int64_t(tensor->n_rows()),
                                            int64_t(tensor->n_columns()));
      if (unpacked.ok()) {
        (*unpacked)->move_to(model_->compute().device);
        grid.put(role, std::move(*unpacked));
      } else {
        EDGELLM_ASSIGN_OR_RETURN(at::Tensor weights, all_rows(*tensor));
        grid.put(role, std::move(weights));
      }
    }
    return grid;
  }

  Result<at::Tensor> all_rows(const GgufTensor& tensor) const {
    std::vector<int64_t> rows(tensor.n_rows());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = int64_t(i);
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor weights, read_weight_rows(tensor, rows));
    return weights.to(model_->compute().device);
  }

  Result<GridModel> quantized_model(int64_t n_tokens) {
    GridModel student;
    student.n_layers = model_->n_layers();
    student.positions = model_->positions(n_tokens);
    kept_layers_.resize(keeps_layers() ? student.n_layers : 0);
    student.load_layer = [this](uint32_t number) { return layer(number); };
    EDGELLM_ASSIGN_OR_RETURN(GgufTensor table, encoded(*source_->find("token_embd.weight")));
    student.embed = [this, table](std::span<const std::vector<Token>> windows) {
      return model_->embed(windows, table);
    };
    EDGELLM_ASSIGN_OR_RETURN(student.head, model_->load_head());
    const GgufTensor* output = source_->find("output.weight");
    EDGELLM_ASSIGN_OR_RETURN(GgufTensor head, output ? encoded(*output) : Result<GgufTensor>(table));
    student.head.matrix = at::Tensor();  // the original's goes first
    EDGELLM_ASSIGN_OR_RETURN(student.head.matrix, all_rows(head));
    student.trains_output_norm = source_->find("output_norm.weight")->type == TensorType::F32;
    return student;
  }

  // The folder gets what is not trained too, so that one store has everything. A tensor that is not encoded
  // yet is left to the store.
  Status link_encoded() const {
    for (const auto& [name, type] : plan_.types) {
      const auto from = CandidateStore::path_of(options_.encoded, name, type),
                 to = CandidateStore::path_of(options_.folder, name, type);
      std::error_code code;
      if (!std::filesystem::exists(from, code)) continue;
      std::filesystem::remove(to, code);
      std::filesystem::create_hard_link(from, to, code);
      // A file system without links.
      if (code) std::filesystem::copy_file(from, to, code);
      if (code) return Error{fmt::format("cannot write {}: {}", to.string(), write_failure(code.value()))};
    }
    return {};
  }

  Status write(const EndTraining& run, std::vector<std::string>& changed) {
    auto put = [&](const std::string& name, TensorType type, std::span<const std::byte> bytes) -> Status {
      EDGELLM_ASSIGN_OR_RETURN(OutputFile out,
                               OutputFile::create(CandidateStore::path_of(options_.folder, name, type)));
      EDGELLM_RETURN_IF_ERROR(out.write(bytes));
      EDGELLM_RETURN_IF_ERROR(out.commit());
      changed.push_back(name);
      return {};
    };
    auto put_vector = [&](const GgufTensor& tensor, const at::Tensor& values) -> Status {
      at::Tensor flat = values.detach().to(at::kCPU).contiguous();
      return put(tensor.name, tensor.type,
                 std::as_bytes(std::span(flat.data_ptr<float>(), size_t(flat.numel()))));
    };
    const Hyperparameters& h = model_->hyperparameters();
    EDGELLM_RETURN_IF_ERROR(link_encoded());
    for (uint32_t number = 0; number < model_->n_layers(); ++number) {
      if (plan_.dropped_layers.contains(number)) continue;
      EDGELLM_ASSIGN_OR_RETURN(std::shared_ptr<GridLayer> layer, run.layer(number));
      for (const auto& [role, trained] : layer->matrices()) {
        const std::vector<uint8_t> bytes = trained->pack();
        EDGELLM_RETURN_IF_ERROR(put(find_tensor(*source_, h, role, number)->name, trained->type(),
                                    std::as_bytes(std::span(bytes))));
      }
      for (const auto& [role, values] : layer->trained_vectors())
        EDGELLM_RETURN_IF_ERROR(put_vector(*find_tensor(*source_, h, role, number), values));
    }
    const GgufTensor& norm = *source_->find("output_norm.weight");
    return norm.type == TensorType::F32 ? put_vector(norm, run.output_norm()) : Status();
  }

  std::shared_ptr<const GgufFile> source_;
  const QuantizationPlan& plan_;
  std::span<const std::vector<Token>> windows_;
  const GridTrainingOptions& options_;
  const Progress& progress_;
  ThreadPool threads_;
  CandidateStore store_;
  std::unique_ptr<TorchModel> model_;
  std::vector<std::shared_ptr<GridLayer>> kept_layers_;  // empty: none are kept
};

}  // namespace

Result<GridTraining> train_tensors(std::shared_ptr<const GgufFile> source, const QuantizationPlan& plan,
                                   std::span<const std::vector<Token>> windows,
                                   const GridTrainingOptions& options, const Progress& progress) {
  set_torch_threads(options.n_threads);
  return torch_call(
      "training", [&] { return GridTrainingRun(std::move(source), plan, windows, options, progress).run(); });
}

}  // namespace edgellm
