#include <fmt/format.h>
#include <memory>

#include "apps/cli/calibration_option.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "core/base/output_file.h"
#include "recipes/calibration_statistics.h"
#include "recipes/calibration_text.h"

namespace edgellm {
namespace {

struct Options {
  std::string model, output;
  std::vector<std::string> texts;
  size_t n_context = 512, n_windows = 0, n_threads = 0;
};

Status collect(const Options& o) {
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(o.model));
  auto source = std::make_shared<GgufFile>(std::move(file));
  EDGELLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_metadata(source->metadata()));
  EDGELLM_ASSIGN_OR_RETURN(const std::vector<TextSource> texts, parse_text_sources(o.texts));
  EDGELLM_RETURN_IF_ERROR(check_output(o.output, files_of(texts)));
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(o.output, source->paths()));
  EDGELLM_ASSIGN_OR_RETURN(CalibrationText text,
                           read_calibration_text(texts, *source, tokenizer, o.n_context, 1));
  if (o.n_windows && o.n_windows < text.windows.size()) text.windows.resize(o.n_windows);
  RuntimeModelOptions options;
  options.n_context = options.n_batch = o.n_context;
  options.n_threads = o.n_threads;
  EDGELLM_ASSIGN_OR_RETURN(auto model, RuntimeLanguageModel::load(source, options));
  EDGELLM_ASSIGN_OR_RETURN(CalibrationStatistics statistics,
                           collect_calibration_statistics(*model, text.windows, terminal_progress()));
  statistics.importance.datasets = text.source_names();
  EDGELLM_RETURN_IF_ERROR(write_importance_matrix(statistics.importance, o.output));
  fmt::print(stderr, "{}: {} tensors, {} windows of {} tokens\n", o.output,
             statistics.importance.entries.size(), text.windows.size(), o.n_context);
  return {};
}

}  // namespace

void add_importance(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("importance", "Measure which weight columns matter on a text (an imatrix)");
  command->add_option("MODEL", o->model, "GGUF file")->required();
  command->add_option("--text", o->texts, fmt::format("calibration text: {}", kTextSourceHelp))->required();
  command->add_option("-o,--output", o->output, "GGUF file to write; llama.cpp reads it as an imatrix")
      ->required();
  command->add_option("--context", o->n_context, "tokens in each window")
      ->capture_default_str()
      ->check(CLI::Range(8, 1 << 20));
  command->add_option("--windows", o->n_windows, "windows to use, drawn at random (default: all)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->footer(
      "Example:\n  edgellm importance model-f16.gguf --text notes.txt --text code.txt -o importance.gguf");
  command->callback([o, &status] { status = collect(*o); });
}

}  // namespace edgellm
