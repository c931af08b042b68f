#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/cli/byte_size.h"
#include "apps/cli/calibration_option.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/compensation_text.h"
#include "apps/cli/torch_program.h"
#include "core/base/output_file.h"
#include "core/base/progress.h"
#include "recipes/calibrated_model.h"
#include "recipes/compress/compress.h"
#include "recipes/pruned_weights.h"
#include "recipes/quantize.h"
#include "recipes/type_plan.h"

namespace edgellm {
namespace {

struct Options {
  std::string model, output, type, types, importance, method = "nearest", work, json, memory;
  std::vector<std::string> calibrate;
  CalibratedModelOptions calibrated;
  bool drop_mask = false;
  size_t n_threads = 0;
};

std::string description_of(const Options& o) {
  if (o.types.empty()) return std::string((*find_preset(o.type))->name);
  if (o.type.empty()) return fmt::format("types of {}", o.types);
  return fmt::format("types of {}, the rest {}", o.types, (*find_preset(o.type))->name);
}

Status write_calibrated(const Options& o, GgufFile source, const QuantizationPlan& plan,
                        const ImportanceMatrix* importance) {
  CalibratedModelOptions options = o.calibrated;
  options.is_awq = o.method == "awq";
  options.model = o.model;
  options.output = o.output;
  options.report = o.json;
  EDGELLM_ASSIGN_OR_RETURN(options.calibrate, parse_text_sources(o.calibrate));
  options.work = o.work;
  options.n_threads = o.n_threads;
  if (!o.memory.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(options.memory_limit, parse_byte_size(o.memory));
  }
  EDGELLM_ASSIGN_OR_RETURN(nlohmann::json report,
                           quantize_calibrated_model(std::make_shared<const GgufFile>(std::move(source)),
                                                     plan, importance, options, terminal_progress()));
  fmt::print(stderr,
             "{}: output errors of the matrices are {:.2f} of what rounding to nearest gives (mean)\n",
             options.is_awq ? "AWQ" : "GPTQ", report["mean_error_ratio"].get<double>());
  fmt::print(stderr, "{}", raised_damping_text(report["tensors"]));
  if (report.contains("layers") && !report["layers"].empty())
    fmt::print(stderr, "{}", trained_layers_text(report["layers"]));
  if (report.contains("training")) {
    const auto& training = report["training"];
    if (const std::string text = ended_training_text(training); !text.empty())
      fmt::print(stderr, "warning: {}", text);
    fmt::print(stderr, "training: KL on text held back {:.4f} before, {:.4f} {}\n",
               training["held_kl_before"].get<double>(), training["held_kl"].get<double>(),
               training["best_epoch"] == 0 ? "after: no epoch helped, nothing is changed" : "after");
  }
  return {};
}

Status check_method(const Options& o, const CLI::App& gptq) {
  const bool is_awq = o.method == "awq";
  if (is_awq || o.method == "gptq") {
    EDGELLM_RETURN_IF_ERROR(need_torch(fmt::format("'edgellm quantize --method {}'", o.method)));
    for (const char* name : {"--damping", "--weigh-tokens", "--train-layers", "--device"})
      if (is_awq && gptq.get_option(name)->count())
        return Error{fmt::format("{} goes with --method gptq", name)};
    return check_torch_device(o.calibrated.device);
  }
  for (const CLI::Option* option : gptq.get_options())
    if (option->count()) return Error{fmt::format("{} goes with --method gptq or awq", option->get_name())};
  return {};
}

Status quantize(const Options& o) {
  std::vector<std::filesystem::path> inputs = {o.importance, o.types};
  EDGELLM_ASSIGN_OR_RETURN(const std::vector<TextSource> sources, parse_text_sources(o.calibrate));
  std::ranges::copy(files_of(sources), std::back_inserter(inputs));
  EDGELLM_RETURN_IF_ERROR(check_output(o.json, inputs));
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(o.output, inputs));
  EDGELLM_ASSIGN_OR_RETURN(GgufFile source, GgufFile::open(o.model));
  ImportanceMatrix importance;
  if (!o.importance.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(importance, read_importance_matrix(o.importance));
  }
  QuantizationPlan plan;
  plan.file_type = kMixedFileType;
  if (!o.type.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(const Preset* preset, find_preset(o.type));
    EDGELLM_ASSIGN_OR_RETURN(plan, preset_plan(source, *preset));
  }
  if (!o.types.empty()) EDGELLM_RETURN_IF_ERROR(apply_type_plan(o.types, source, plan));
  if (Status kept = check_keeps_pruned_weights(source, plan); !kept.ok() && !o.drop_mask)
    return Error{kept.error().message + "; --drop-mask lets them go"};
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, planned_file_bytes(source, plan));
  ThreadPool threads(o.n_threads);
  double started = monotonic_seconds();
  const uint64_t n_source_bytes = source.n_file_bytes();
  const ImportanceMatrix* weights = o.importance.empty() ? nullptr : &importance;
  EDGELLM_RETURN_IF_ERROR(
      o.method != "nearest" ? write_calibrated(o, std::move(source), plan, weights)
                            : quantize_model(source, plan, weights, o.output, threads, terminal_progress()));
  fmt::print(stderr, "{}: {} -> {} ({}) in {:.1f} s\n", o.output, byte_size_text(n_source_bytes),
             byte_size_text(n_bytes), description_of(o), monotonic_seconds() - started);
  return {};
}

}  // namespace

void add_quantize(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("quantize", "Write a GGUF model in another type or preset mixture");
  command->add_option("MODEL", o->model, "GGUF file, best F16, BF16 or F32")->required();
  command->add_option("-o,--output", o->output, "GGUF file to write")->required();
  auto* wanted = command->add_option_group("what to write");
  wanted->add_option("-t,--type", o->type, "Q2_K Q3_K_M Q4_K_M Q5_K_M Q6_K Q8_0 IQ4_XS Q4_0 F16 ...")
      ->check([](const std::string& name) {
        auto found = find_preset(name);
        return found.ok() ? std::string() : found.error().message;
      });
  wanted->add_option(
      "--types", o->types,
      "file with a type per tensor, lines of NAME TYPE or PATTERN TYPE (blk.*.ffn_down.weight Q5_K), "
      "or the report OUTPUT.json of a fit of this model; the rest is as --type says, or stays");
  wanted->require_option(1, 2);
  command->add_option("--importance", o->importance,
                      "importance matrix (edgellm importance, or llama.cpp's imatrix in GGUF form)");
  command
      ->add_option(
          "--method", o->method,
          "nearest: each weight to the nearest level; gptq: so that the outputs of the layers are met, "
          "on text that goes through the model (needs LibTorch, takes minutes to hours); awq: columns of "
          "large "
          "inputs are scaled up first, and what gives these inputs down (needs LibTorch too, takes minutes)")
      ->check(CLI::IsMember({"nearest", "gptq", "awq"}))
      ->capture_default_str();
  command->add_flag("--drop-mask", o->drop_mask,
                    "let weights that 'edgellm prune' set to zero one by one take other values, where a type "
                    "holds no exact zero");
  auto* gptq = command->add_option_group("GPTQ and AWQ");
  gptq->add_option("--calibrate", o->calibrate,
                   fmt::format("text (default: drawn from the model itself): {}", kTextSourceHelp));
  gptq->add_option("--windows", o->calibrated.n_windows, "windows of text that are used")
      ->check(CLI::Range(8, 1 << 20))
      ->capture_default_str();
  gptq->add_option("--window-tokens", o->calibrated.n_window_tokens, "tokens of a window")
      ->check(CLI::Range(16, 1 << 16))
      ->capture_default_str();
  gptq->add_option("--damping", o->calibrated.damping,
                   "share of each entry of H's diagonal that is added to it (default: 0.1)")
      ->check(CLI::Range(1e-6, 10.0));
  gptq->add_flag(
      "--weigh-tokens", o->calibrated.weigh_tokens,
      "count the errors of each token by how much the model's expectations feel them, which takes "
      "about twice the time and, beside --calibration-memory, the output matrix in float and half a "
      "gigabyte");
  gptq->add_option(
          "--train-layers", o->calibrated.n_layer_epochs,
          "train each layer, before the next one is rounded, to give what the original's gives: its scales, "
          "from three times on levels too, so many times over the text, each as long as the rounding or "
          "more, and 34 bytes a weight of a layer; kept where text held back says it helped (default: 0)")
      ->check(CLI::Range(size_t{0}, size_t{100}));
  gptq->add_option("--train-epochs", o->calibrated.n_training_epochs,
                   "then train scales, minima, norms and biases on the same text, so many times over it; "
                   "kept where text held back says it helped (default: 0)")
      ->check(CLI::Range(size_t{0}, size_t{100}));
  gptq->add_option(
          "--calibration-memory", o->memory,
          "bytes the calibration may take, as 4GB; more goes to disk (default: half of the machine's "
          "memory). The statistics "
          "and the rounding of one matrix come on top, and what --train-epochs keeps of every scale; layers "
          "stay unpacked between its steps where they fit (default: a quarter of the machine's memory)")
      ->check(byte_size_check());
  gptq->add_option("--device", o->calibrated.device,
                   "where the text goes through the model and what is trained is computed: cpu, cuda, cuda:1 "
                   "('edgellm torch' lists them); weights are rounded on the CPU")
      ->capture_default_str();
  gptq->add_option("--work", o->work, "folder for what a stopped run goes on from (default: OUTPUT.work)");
  gptq->add_option("--json", o->json, "also write the errors of all tensors to this file");
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->footer(
      "Examples:\n"
      "  edgellm quantize model-f16.gguf --type Q4_K_M -o model-q4.gguf\n"
      "  edgellm importance model-f16.gguf --text text.txt -o importance.gguf\n"
      "  edgellm quantize model-f16.gguf --type Q3_K_M --importance importance.gguf -o model-q3.gguf\n"
      "  edgellm quantize model-f16.gguf --type Q3_K_M --method gptq --calibrate text.txt -o model-q3.gguf\n"
      "  edgellm quantize model-f16.gguf --type Q2_K --method gptq --train-epochs 2 -o model-q2.gguf\n"
      "  edgellm quantize model-f16.gguf --type Q4_0 --method awq --calibrate text.txt -o model-q4.gguf\n"
      "  edgellm quantize model-f16.gguf --types my-types.txt --type Q4_K_M -o model-mixed.gguf\n"
      "  edgellm quantize model-f16.gguf --types model-2gb.gguf.json -o model-again.gguf");
  command->callback([o, gptq, &status] {
    status = check_method(*o, *gptq);
    if (status.ok()) status = quantize(*o);
  });
}

}  // namespace edgellm
