#include <fmt/format.h>
#include <memory>

#include "apps/cli/byte_size.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "core/base/progress.h"
#include "recipes/synthesize.h"

namespace edgellm {
namespace {

struct Options {
  std::string like, output, tokenizer, type = "bf16";
  uint32_t n_layers = 0;
  uint64_t seed = 1;
  size_t n_threads = 0;
};

Status run_synthesize(const Options& o) {
  SynthesizeOptions s;
  EDGELLM_ASSIGN_OR_RETURN(const ModelShape* shape, find_model_shape(o.like));
  s.shape = *shape;
  s.output = o.output;
  s.tokenizer = o.tokenizer;
  s.type = find_tensor_type(o.type)->type;
  s.n_layers = o.n_layers;
  s.seed = o.seed;
  s.n_threads = o.n_threads;
  double started = monotonic_seconds();
  EDGELLM_ASSIGN_OR_RETURN(SynthesizeReport report, synthesize(s, terminal_progress()));
  fmt::print(stderr,
             "{}: random weights like {}, {} parameters in {} tensors, {} in {:.1f} s\n"
             "tokenizer of {}: {} of its {} tokens{}\n",
             o.output, shape->name, report.n_parameters, report.n_tensors, byte_size_text(report.n_bytes),
             monotonic_seconds() - started, report.tokenizer.string(), report.n_tokens,
             report.n_source_tokens,
             report.n_tokens < shape->n_vocabulary ? fmt::format(", padded to {}", shape->n_vocabulary)
                                                   : std::string());
  return {};
}

std::string known_shapes() {
  std::string names;
  for (const ModelShape& shape : model_shapes())
    names += fmt::format("{}{}", names.empty() ? "" : " ", shape.name);
  return names;
}

}  // namespace

void add_synthesize(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "synthesize", "Write a model of a known shape with random weights, to measure time, memory and disk");
  command->add_option("--like", o->like, "shape to write: " + known_shapes())
      ->required()
      ->check([](const std::string& name) {
        auto found = find_model_shape(name);
        return found.ok() ? std::string() : found.error().message;
      });
  command->add_option("-o,--output", o->output, "Hugging Face folder to write")->required();
  command->add_option(
      "--tokenizer", o->tokenizer,
      "GGUF file or Hugging Face folder to take the tokenizer from; it is cut or padded to the "
      "shape's vocabulary (default: the best fit in the models folder of quickstart)");
  command->add_option("-t,--type", o->type, "bf16 or f16")
      ->capture_default_str()
      ->check(CLI::IsMember({"bf16", "f16"}, CLI::ignore_case));
  command->add_option("--layers", o->n_layers, "write only so many layers, for quick trials (default: all)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--seed", o->seed, "other random numbers")->capture_default_str();
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->footer(
      "Examples:\n"
      "  edgellm synthesize --like llama-2-7b -o llama-7b-random\n"
      "  edgellm synthesize --like qwen2.5-7b --layers 2 --tokenizer qwen.gguf -o qwen-random\n"
      "  edgellm fit llama-7b-random/ --memory 2GB -o random-2gb.gguf\n"
      "The same options give the same bytes. The model says nothing of any use.");
  command->callback([o, &status] { status = run_synthesize(*o); });
}

}  // namespace edgellm
