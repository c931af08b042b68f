#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/cli/byte_size.h"
#include "apps/cli/calibration_option.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/duration.h"
#include "apps/cli/fit_print.h"
#include "apps/cli/kv_option.h"
#include "apps/cli/results_options.h"
#include "apps/cli/torch_program.h"
#include "core/base/output_file.h"
#include "recipes/compress/compress.h"
#include "recipes/fit.h"
#include "recipes/fit_record.h"

namespace edgellm {
namespace {

struct Options {
  std::string model, output, memory, size, kv = kAutoKv, work, json, optimize = "accuracy", device_profile,
                                           effort = "fast", time, torch_device = "cpu";
  double seconds_per_token = 0;
  std::vector<std::string> calibrate;
  size_t n_context = 1024, n_threads = 0;
  bool keep_work = false, keep_layers = false;
  ResultsOptions results;
};

Status keep_fit_record(const nlohmann::json& report, const Options& o) {
  if (o.results.off) return {};
  EDGELLM_ASSIGN_OR_RETURN(GgufFile output, GgufFile::open(o.output));
  EDGELLM_ASSIGN_OR_RETURN(ResultRecord record, begin_record(output, o.results));
  fill_fit_record(report, record);
  if (!o.results.method.empty()) record.model.method = o.results.method;
  return keep_record(record, o.results);
}

Status run_fit(const Options& o) {
  FitOptions f;
  EDGELLM_ASSIGN_OR_RETURN(f.effort, fit_effort(o.effort));
  if (!o.time.empty()) {
    EDGELLM_RETURN_IF_ERROR(need_torch("'edgellm fit --time'"));
    EDGELLM_ASSIGN_OR_RETURN(f.seconds, parse_duration(o.time));
  }
  if (f.effort.n_compensation_windows)
    EDGELLM_RETURN_IF_ERROR(need_torch(fmt::format("'edgellm fit --effort {}'", o.effort)));
  if (f.effort.n_compensation_windows || f.seconds) {
    EDGELLM_RETURN_IF_ERROR(check_torch_device(o.torch_device));
  } else if (o.torch_device != "cpu") {
    return Error{
        "fit: --device goes with --effort balanced, --effort best or --time: 'fast' computes on the CPU"};
  }
  EDGELLM_RETURN_IF_ERROR(check_output(o.json, {{o.model}}));
  EDGELLM_RETURN_IF_ERROR(check_results_folder(o.results));
  f.model = o.model;
  f.output = o.output;
  if (!o.memory.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(f.memory_bytes, parse_byte_size(o.memory));
  } else if (o.size.ends_with('%')) {
    EDGELLM_ASSIGN_OR_RETURN(f.size_share, parse_share(o.size));
  } else {
    EDGELLM_ASSIGN_OR_RETURN(f.size_bytes, parse_byte_size(o.size));
  }
  f.n_context = o.n_context;
  if (o.kv != kAutoKv) {
    EDGELLM_ASSIGN_OR_RETURN(f.kv_type, parse_kv_type(o.kv));
  }
  EDGELLM_ASSIGN_OR_RETURN(f.calibrate, parse_text_sources(o.calibrate));
  f.work = o.work;
  f.keep_work = o.keep_work;
  f.drop_layers = !o.keep_layers;
  f.n_threads = o.n_threads;
  if (o.optimize == "balanced") f.goal = FitGoal::balanced;
  if (o.optimize == "speed") f.goal = FitGoal::speed;
  if (o.seconds_per_token > 0) f.most_seconds_per_token = o.seconds_per_token;
  f.device_profile = o.device_profile;
  f.torch_device = o.torch_device;
  f.program = program_without_torch();
  EDGELLM_ASSIGN_OR_RETURN(nlohmann::json report, fit(f, terminal_progress()));
  print_fit(report);
  fmt::print("\n{} is ready. Try: edgellm run {} --prompt \"Hello\"\n", o.output, o.output);
  if (report["budget"]["kv"] == "q8_0")
    fmt::print("With llama.cpp, give it the same KV cache: -fa on -ctk q8_0 -ctv q8_0\n");
  fmt::print("The whole report: {}.json\n", o.output);
  if (!o.json.empty()) EDGELLM_RETURN_IF_ERROR(write_text_file(o.json, report.dump(2) + "\n"));
  return keep_fit_record(report, o);
}

}  // namespace

void add_fit(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("fit", "Shrink a model into a memory budget with the least harm, and report");
  command->add_option("MODEL", o->model, "GGUF file, or Hugging Face folder")->required();
  command
      ->add_option("-o,--output", o->output, "GGUF file to write; the report goes beside it as OUTPUT.json")
      ->required();
  auto* budget = command->add_option_group("budget");
  budget
      ->add_option("--memory", o->memory,
                   "memory a run may take in all: weights, KV cache at --context, buffers, process")
      ->check(byte_size_check());
  budget->add_option("--size", o->size, "size of the file: 500MB, or a share of the model's own size: 60%")
      ->check(byte_size_check(true));
  budget->require_option(1);
  command->add_option("--context", o->n_context, "context the run must hold")
      ->capture_default_str()
      ->check(CLI::Range(16, 1 << 24));
  command
      ->add_option(
          "--kv", o->kv,
          "type of the KV cache that a run will have: f16, q8_0, or auto: under --memory the one that "
          "leaves the model more accurate, else f16; runs of the file take it by themselves")
      ->capture_default_str()
      ->check(CLI::IsMember({kAutoKv, "f16", "q8_0"}));
  auto* effort =
      command
          ->add_option(
              "--effort", o->effort,
              "fast; balanced: plans are made of codebook types (IQ2, IQ3) too, and the best plan's rounding "
              "errors are fed back (GPTQ; needs LibTorch); best: a longer search, and training of what "
              "the formats store beside their levels, each layer as it is rounded and then all together")
          ->capture_default_str()
          ->check(CLI::IsMember({"fast", "balanced", "best"}));
  command
      ->add_option(
          "--time", o->time,
          "instead of --effort, about how long it may take, as 90m or 3h: what goes beyond fast is done "
          "as far as this machine has time for it (needs LibTorch)")
      ->check(duration_check())
      ->excludes(effort);
  command->add_option("--calibrate", o->calibrate,
                      fmt::format("text like what the model will be used for (default: drawn from the model "
                                  "itself): {}",
                                  kTextSourceHelp));
  command->add_option("--work", o->work,
                      "folder for what can be used again (default: OUTPUT.work, removed at the end)");
  command->add_flag("--keep-work", o->keep_work, "keep the work folder, for another budget");
  command->add_flag("--keep-layers", o->keep_layers, "leave out neither layers nor parts of them");
  auto* optimize =
      command
          ->add_option(
              "--optimize", o->optimize,
              "within the budget: accuracy, or the fastest plan that does at most a tenth (balanced) or "
              "half (speed) more predicted harm than the most accurate")
          ->capture_default_str()
          ->check(CLI::IsMember({"accuracy", "balanced", "speed"}));
  command
      ->add_option("--seconds-per-token", o->seconds_per_token,
                   "the most accurate plan whose matrix products take at most so long a token, as 0.2")
      ->check(CLI::PositiveNumber)
      ->excludes(optimize);
  command->add_option("--device-profile", o->device_profile,
                      "speeds of the device the model is for, from 'edgellm bench --profile' there "
                      "(default: measured on this machine where they are needed)");
  command
      ->add_option(
          "--device", o->torch_device,
          "where feedback and training compute: cpu, cuda, cuda:1 ('edgellm torch' lists them); --time "
          "counts on the CPU's speed until it has seen the device's")
      ->capture_default_str();
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->add_option("--json", o->json, "write the report to this file too");
  add_results_options(*command, o->results);
  command->footer(
      "Examples:\n"
      "  edgellm fit model-f16.gguf --memory 2GB --context 2048 -o model-2gb.gguf\n"
      "  edgellm fit Qwen2.5-7B-Instruct/ --memory 2GB --kv q8_0 -o qwen-2gb.gguf\n"
      "  edgellm fit model-f16.gguf --size 500MB --calibrate my-notes.txt -o model-500mb.gguf\n"
      "  edgellm fit model-f16.gguf --memory 2GB --effort balanced -o model-2gb.gguf\n"
      "  edgellm fit model-f16.gguf --memory 2GB --time 3h -o model-2gb.gguf\n"
      "  edgellm fit model-f16.gguf --memory 2GB --optimize speed --device-profile board.json -o board.gguf\n"
      "A kill at any moment loses little: the same command goes on where it stopped and gives the same "
      "file.");
  command->callback([o, &status] { status = run_fit(*o); });
}

}  // namespace edgellm
