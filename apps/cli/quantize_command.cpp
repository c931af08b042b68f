#include <fmt/format.h>
#include <memory>

#include "apps/cli/byte_size.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "core/base/output_file.h"
#include "core/base/progress.h"
#include "recipes/quantize.h"
#include "recipes/type_plan.h"

namespace edgellm {
namespace {

struct Options {
  std::string model, output, type, types, importance;
  size_t n_threads = 0;
};

std::string description_of(const Options& o) {
  if (o.types.empty()) return std::string((*find_preset(o.type))->name);
  if (o.type.empty()) return fmt::format("types of {}", o.types);
  return fmt::format("types of {}, the rest {}", o.types, (*find_preset(o.type))->name);
}

Status quantize(const Options& o) {
  const std::filesystem::path inputs[] = {o.importance, o.types};
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
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, planned_file_bytes(source, plan));
  ThreadPool threads(o.n_threads);
  double started = monotonic_seconds();
  EDGELLM_RETURN_IF_ERROR(quantize_model(source, plan, o.importance.empty() ? nullptr : &importance, o.output,
                                         threads, terminal_progress()));
  fmt::print(stderr, "{}: {} -> {} ({}) in {:.1f} s\n", o.output, byte_size_text(source.n_file_bytes()),
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
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->footer(
      "Examples:\n"
      "  edgellm quantize model-f16.gguf --type Q4_K_M -o model-q4.gguf\n"
      "  edgellm importance model-f16.gguf --text text.txt -o importance.gguf\n"
      "  edgellm quantize model-f16.gguf --type Q3_K_M --importance importance.gguf -o model-q3.gguf\n"
      "  edgellm quantize model-f16.gguf --types my-types.txt --type Q4_K_M -o model-mixed.gguf\n"
      "  edgellm quantize model-f16.gguf --types model-2gb.gguf.json -o model-again.gguf");
  command->callback([o, &status] { status = quantize(*o); });
}

}  // namespace edgellm
