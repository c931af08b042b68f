#include <fmt/format.h>
#include <memory>

#include "apps/cli/byte_size.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "core/base/output_file.h"
#include "core/base/progress.h"
#include "recipes/quantize.h"

namespace edgellm {
namespace {

struct Options {
  std::string model, output, type, importance;
  size_t n_threads = 0;
};

Status quantize(const Options& o) {
  EDGELLM_ASSIGN_OR_RETURN(const Preset* preset, find_preset(o.type));
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(o.output, {{o.importance}}));
  EDGELLM_ASSIGN_OR_RETURN(GgufFile source, GgufFile::open(o.model));
  ImportanceMatrix importance;
  if (!o.importance.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(importance, read_importance_matrix(o.importance));
  }
  EDGELLM_ASSIGN_OR_RETURN(QuantizationPlan plan, preset_plan(source, *preset));
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, planned_file_bytes(source, plan));
  ThreadPool threads(o.n_threads);
  double started = monotonic_seconds();
  EDGELLM_RETURN_IF_ERROR(quantize_model(source, plan, o.importance.empty() ? nullptr : &importance, o.output,
                                         threads, terminal_progress()));
  fmt::print(stderr, "{}: {} -> {} ({}) in {:.1f} s\n", o.output, byte_size_text(source.n_file_bytes()),
             byte_size_text(n_bytes), preset->name, monotonic_seconds() - started);
  return {};
}

}  // namespace

void add_quantize(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("quantize", "Write a GGUF model in another type or preset mixture");
  command->add_option("MODEL", o->model, "GGUF file, best F16, BF16 or F32")->required();
  command->add_option("-o,--output", o->output, "GGUF file to write")->required();
  command->add_option("-t,--type", o->type, "Q2_K Q3_K_M Q4_K_M Q5_K_M Q6_K Q8_0 IQ4_XS Q4_0 F16 ...")
      ->required()
      ->check([](const std::string& name) {
        auto found = find_preset(name);
        return found.ok() ? std::string() : found.error().message;
      });
  command->add_option("--importance", o->importance,
                      "importance matrix (edgellm importance, or llama.cpp's imatrix in GGUF form)");
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->footer(
      "Examples:\n"
      "  edgellm quantize model-f16.gguf --type Q4_K_M -o model-q4.gguf\n"
      "  edgellm importance model-f16.gguf --text text.txt -o importance.gguf\n"
      "  edgellm quantize model-f16.gguf --type Q3_K_M --importance importance.gguf -o model-q3.gguf");
  command->callback([o, &status] { status = quantize(*o); });
}

}  // namespace edgellm
