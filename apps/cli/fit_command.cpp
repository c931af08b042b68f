#include <fmt/format.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/cli/byte_size.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/compensation_text.h"
#include "apps/cli/duration.h"
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

void print_row(const char* what, const std::string& before, const std::string& after,
               const std::string& change = "") {
  fmt::print("  {:<26}{:>14}{:>14}  {}\n", what, before, after, change);
}

void print_kv_choice(const nlohmann::json& r) {
  std::string text = r["budget"]["kv"];
  if (r.contains("kv_choice")) {
    const auto& choice = r["kv_choice"];
    auto kl = [&](const char* key) {
      return choice[key].is_number() ? fmt::format("{:.4f}", choice[key].get<double>()) : std::string("none");
    };
    text += fmt::format(", predicted KL of the weights: {} beside q8_0, {} beside f16",
                        kl("predicted_kl_with_q8_0"), kl("predicted_kl_with_f16"));
    if (choice["kl_of_q8_0"].is_number()) text += fmt::format("; q8_0 itself adds {}", kl("kl_of_q8_0"));
  } else if (text == "f16") {
    return;
  }
  fmt::print("    {:<18}{}\n", "KV cache", text);
}

void print_report(const nlohmann::json& r) {
  const auto &b = r["before"], &a = r["after"];
  auto bytes = [](const nlohmann::json& side, const char* key) {
    return side[key].is_number() ? byte_size_text(side[key].get<uint64_t>()) : std::string("-");
  };
  auto number = [](const nlohmann::json& side, const char* key, int digits) {
    return side[key].is_number() ? fmt::format("{:.{}f}", side[key].get<double>(), digits) : std::string("-");
  };
  fmt::print("\n  {:<26}{:>14}{:>14}\n", "", "before", "after");
  print_row("file", bytes(b, "file_bytes"), bytes(a, "file_bytes"),
            fmt::format("{:.1f}%", 100 * a["file_bytes"].get<double>() / b["file_bytes"].get<double>()));
  print_row("memory of a run, predicted", bytes(b, "predicted_memory_bytes"),
            bytes(a, "predicted_memory_bytes"));
  print_row("memory of a run, measured", bytes(b, "peak_resident_bytes"), bytes(a, "peak_resident_bytes"));
  print_row("perplexity", number(b, "perplexity", 3), number(a, "perplexity", 3));
  print_row("KL to the original", "-", number(a, "mean_kl", 4),
            fmt::format("+- {}", number(a, "mean_kl_standard_error", 4)));
  print_row("same most likely token", "-", fmt::format("{:.1f}%", 100 * a["same_top"].get<double>()));
  print_row("prompt tokens/s", number(b, "prompt_tokens_per_second", 1),
            number(a, "prompt_tokens_per_second", 1));
  print_row("generated tokens/s", number(b, "generated_tokens_per_second", 1),
            number(a, "generated_tokens_per_second", 1));
  if (r.contains("speed")) {
    auto seconds = [&](const char* key) {
      const auto& value = r["speed"][key];
      return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : std::string("-");
    };
    print_row("s/token of the products", seconds("predicted_seconds_per_token_before"),
              seconds("predicted_seconds_per_token"), r["speed"]["device"]["backend"].get<std::string>());
  }

  std::map<std::string, std::map<std::string, int>> by_role;
  for (const auto& t : r["tensors"]) ++by_role[t["role"]][t["type"]];
  fmt::print("\n  what was done ({} plan):\n", r["chosen"].get<std::string>());
  for (const auto& [role, types] : by_role) {
    std::string text;
    for (const auto& [type, n] : types) text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", type, n);
    fmt::print("    {:<18}{}\n", role, text);
  }
  print_kv_choice(r);
  for (const auto& [label, key] : {std::pair{"layers left out", "dropped_layers"},
                                   {"without attention", "dropped_attention"},
                                   {"without feed-fwd.", "dropped_ffn"},
                                   {"narrower ffn", "ffn_widths"}})
    if (!r[key].empty()) fmt::print("    {:<18}{}\n", label, r[key].dump());
  if (r["output_tied"].get<bool>())
    fmt::print("    output matrix     repeats the embedding: left out, the embedding takes its place\n");
  fmt::print("\n  plans measured on the search text:\n");
  for (const auto& t : r["tried"])
    fmt::print("    {:<12}{:>12}  KL {:.4f}\n", t["name"].get<std::string>(),
               byte_size_text(t["file_bytes"].get<uint64_t>()), t["search_kl"].get<double>());
  for (const auto& t : r["not_measured"])
    fmt::print("    {:<12}{:>12}  not measured: predicted KL {:.4f}, the plan's is {:.4f}\n",
               t["name"].get<std::string>(), byte_size_text(t["file_bytes"].get<uint64_t>()),
               t["predicted_kl"].get<double>(), r["predicted_kl"].get<double>());
  if (r.contains("compensation")) {
    fmt::print("  judged on text that only the choice among these is made by:\n");
    for (const auto& t : r["verified"])
      fmt::print("    {:<31} KL {:.4f} +- {:.4f}\n", t["name"].get<std::string>(), t["mean_kl"].get<double>(),
                 t["mean_kl_standard_error"].get<double>());
    if (const std::string text = raised_damping_text(r["compensation"]["tensors"]); !text.empty())
      fmt::print("  {}", text);
    if (r["compensation"].contains("layers"))
      fmt::print("  {}", trained_layers_text(r["compensation"]["layers"]));
    if (r["compensation"].contains("layers_lack_bytes"))
      fmt::print(
          "  layers were not trained one by one: that takes {}, more than half of this machine's memory\n",
          byte_size_text(r["compensation"]["layers_lack_bytes"].get<uint64_t>()));
  }
  if (r.contains("training"))
    if (const std::string text = ended_training_text(r["training"]); !text.empty())
      fmt::print("  WARNING: {}", text);
  const auto& c = r["calibration"];
  fmt::print("\n  text: {} windows of {} tokens, {}; {} of them kept apart for the figures above\n",
             c["windows"].get<int>(), c["window_tokens"].get<int>(),
             c["drawn_from_model"].get<bool>() ? "drawn from the model itself (give --calibrate for your own)"
                                               : "from " + c["sources"].dump(),
             c["verify_windows"].get<int>());
  double total = 0;
  std::string stages;
  for (const auto& s : r["stages"]) {
    total += s["seconds"].get<double>();
    stages += fmt::format("{}{} {}", stages.empty() ? "" : ", ", s["stage"].get<std::string>(),
                          duration_text(s["seconds"]));
  }
  fmt::print("  time: {} ({})\n", duration_text(total), stages);
  if (r.contains("time")) {
    const auto& t = r["time"];
    fmt::print("  of {} asked for: {}\n", duration_text(t["seconds_asked"]),
               t["compensation_windows"] == 0
                   ? "no time for more than a fast fit"
                   : fmt::format("errors fed back on {} windows, {} epochs of training",
                                 t["compensation_windows"].get<int>(), t["training_epochs"].get<int>()));
  }
  if (r["generation"]["collapsed"].get<bool>()) {
    fmt::print("\n  WARNING: the result answers with nothing or in loops; give it more bytes.\n");
    return;
  }
  for (const auto& name : r["generation"]["collapsed_plans"])
    fmt::print(
        "\n  {} is nearer to the original, but answers with nothing or in loops: the next was taken.\n",
        name.get<std::string>());
}

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
  f.calibrate.assign(o.calibrate.begin(), o.calibrate.end());
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
  print_report(report);
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
                      "text like what the model will be used for; several may be given "
                      "(default: drawn from the model itself)");
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
