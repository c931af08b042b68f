#include <fmt/format.h>
#include <memory>

#include "apps/cli/byte_size.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "core/base/progress.h"
#include "recipes/convert.h"

namespace edgellm {
namespace {

struct Options {
  std::string input, output, type = "auto", shard_size;
  size_t n_threads = 0;
};

Status convert(const Options& o) {
  ConvertOptions options;
  options.n_threads = o.n_threads;
  options.progress = terminal_progress();
  if (o.type != "auto") options.type = find_tensor_type(o.type)->type;
  if (!o.shard_size.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(options.most_shard_bytes, parse_byte_size(o.shard_size));
  }
  double started = monotonic_seconds();
  EDGELLM_ASSIGN_OR_RETURN(ConvertReport report, convert_model(o.input, o.output, options));
  fmt::print(stderr, "{}: {} model, {} tensors, {} in {:.1f} s\n", o.output, report.architecture,
             report.n_tensors, byte_size_text(report.n_bytes), monotonic_seconds() - started);
  return {};
}

}  // namespace

void add_convert(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("convert", "Hugging Face folder to GGUF file, or the way back");
  command->add_option("IN", o->input, "folder with config.json and safetensors, or a GGUF file")->required();
  command->add_option("-o,--output", o->output, "GGUF file, or folder, to write")->required();
  command
      ->add_option(
          "-t,--type", o->type,
          "of the matrices: f32, f16, bf16, q8_0 (GGUF only), or auto: as they are, quantized ones as f16")
      ->check(CLI::IsMember({"auto", "f32", "f16", "bf16", "q8_0"}, CLI::ignore_case))
      ->transform([](std::string name) {
        for (char& c : name) c = char(std::tolower(static_cast<unsigned char>(c)));
        return name;
      });
  command
      ->add_option("--shard-size", o->shard_size,
                   "most bytes of a safetensors file, as 2GB (default: one file)")
      ->check(byte_size_check());
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->footer(
      "Examples:\n"
      "  edgellm convert Qwen2.5-0.5B-Instruct/ -o qwen.gguf\n"
      "  edgellm convert Llama-3.2-1B/ -o llama-q8.gguf --type q8_0\n"
      "  edgellm convert model-Q4_K_M.gguf -o model-folder --type bf16 --shard-size 2GB");
  command->callback([o, &status] { status = convert(*o); });
}

}  // namespace edgellm
