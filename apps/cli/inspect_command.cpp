#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/cli/byte_size.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/kv_option.h"
#include "core/base/output_file.h"
#include "core/model_file/printable.h"
#include "recipes/inspect.h"
#include "runtime/decode/run_memory.h"
#include "runtime/decode/session.h"

namespace edgellm {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::string model, json, kv = kAutoKv;
  bool tensors = false, metadata = false;
  size_t n_context = 0;
};

std::string dimensions_text(const std::vector<uint64_t>& dimensions) {
  std::string text;
  for (uint64_t n : dimensions) text += (text.empty() ? "" : " x ") + std::to_string(n);
  return text.empty() ? "scalar" : text;
}

void print_shares(std::string_view title, const std::map<std::string, ModelContents::Share>& shares,
                  uint64_t n_all) {
  std::vector<std::pair<std::string, ModelContents::Share>> sorted(shares.begin(), shares.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.n_bytes > b.second.n_bytes; });
  fmt::print("\n{:<24} {:>8} {:>12} {:>7} {:>12}\n", title, "tensors", "bytes", "share", "bits/weight");
  for (const auto& [name, share] : sorted)
    fmt::print("{:<24} {:>8} {:>12} {:>6.1f}% {:>12.3f}\n", name, share.n_tensors,
               byte_size_text(share.n_bytes), n_all ? 100.0 * double(share.n_bytes) / double(n_all) : 0.0,
               share.bits_per_weight());
}

// "32" when all layers agree, else "24 to 32".
std::string counts_text(const std::vector<uint32_t>& counts) {
  auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  return *least == *most ? std::to_string(*least) : fmt::format("{} to {}", *least, *most);
}

void print_summary(const Options& o, const ModelContents& model) {
  fmt::print("{}: {}, {}\n", o.model, model.format, byte_size_text(model.n_file_bytes));
  if (std::string name = model.metadata.string_or("general.name", ""); !name.empty())
    fmt::print("name          {}\n", printable(name));
  fmt::print("architecture  {}\n", printable(model.architecture));
  fmt::print("weights       {} values in {} tensors, {}, {:.3f} bits each\n", model.all.n_values,
             model.all.n_tensors, byte_size_text(model.all.n_bytes), model.all.bits_per_weight());
  if (!model.hyperparameters) return;
  const Hyperparameters& h = *model.hyperparameters;
  fmt::print("layers        {} of width {}, feed-forward {}\n", h.n_layers, h.n_embedding,
             counts_text(h.n_feed_forward));
  fmt::print("attention     {} query heads, {} key heads, {} values each\n", counts_text(h.n_heads),
             counts_text(h.n_kv_heads), h.head_width_k);
  if (h.sliding_window)
    fmt::print("window        {} tokens, every {}th layer sees all\n", h.sliding_window,
               h.sliding_window_period);
  fmt::print("vocabulary    {} tokens\n", h.n_vocabulary);
  fmt::print("context       {} tokens in training\n", h.n_context_trained);
}

void print_memory(const Options& o, const RunMemory& memory, size_t n_context, bool folder) {
  fmt::print("\nMemory of a run, {} tokens of context, KV cache in {}{}\n", n_context, o.kv,
             folder ? " (with the weights as they are)" : "");
  fmt::print("{:<24} {:>12}\n", "weights", byte_size_text(memory.weights));
  fmt::print("{:<24} {:>12} ({} bytes)\n", "KV cache", byte_size_text(memory.kv_cache), memory.kv_cache);
  fmt::print("{:<24} {:>12}\n", "buffers", byte_size_text(memory.activations));
  fmt::print("{:<24} {:>12}\n", "program and tokenizer", byte_size_text(memory.process));
  fmt::print("{:<24} {:>12}\n", "all", byte_size_text(memory.total()));
}

ordered_json share_json(const ModelContents::Share& share) {
  return {{"tensors", share.n_tensors},
          {"bytes", share.n_bytes},
          {"values", share.n_values},
          {"bits_per_weight", share.bits_per_weight()}};
}

ordered_json value_json(const MetadataValue& value) {
  return std::visit([](const auto& held) { return ordered_json(held); }, value.held);
}

Status write_json(const Options& o, const ModelContents& model, const std::optional<RunMemory>& memory,
                  size_t n_context) {
  ordered_json json = {{"model", o.model},
                       {"format", model.format},
                       {"architecture", model.architecture},
                       {"file_bytes", model.n_file_bytes},
                       {"all", share_json(model.all)}};
  for (const auto& [role, share] : model.by_role) json["by_role"][role] = share_json(share);
  for (const auto& [type, share] : model.by_type) json["by_type"][type] = share_json(share);
  if (memory)
    json["run_memory"] = {{"context", n_context},           {"kv_type", o.kv},
                          {"weights", memory->weights},     {"kv_cache", memory->kv_cache},
                          {"buffers", memory->activations}, {"process", memory->process},
                          {"all", memory->total()}};
  for (const auto& [key, value] : model.metadata.entries()) json["metadata"][key] = value_json(value);
  for (const ModelContents::Tensor& tensor : model.tensors)
    json["tensors"].push_back({{"name", tensor.name},
                               {"type", tensor.type},
                               {"role", tensor.role},
                               {"dimensions", tensor.dimensions},
                               {"bytes", tensor.n_bytes}});
  return write_text_file(o.json, json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

Status inspect(Options o) {
  EDGELLM_RETURN_IF_ERROR(check_output(o.json, {{o.model}}));
  EDGELLM_ASSIGN_OR_RETURN(ModelContents model, inspect_model(o.model));
  EDGELLM_ASSIGN_OR_RETURN(KvType kv, kv_type_for(model.metadata, o.kv));
  o.kv = to_string(kv);
  print_summary(o, model);
  print_shares("role", model.by_role, model.all.n_bytes);
  print_shares("type", model.by_type, model.all.n_bytes);
  std::optional<RunMemory> memory;
  size_t n_context = 0;
  if (model.hyperparameters) {
    n_context = chosen_context(*model.hyperparameters, o.n_context);
    memory = estimate_run_memory(*model.hyperparameters, model.metadata, model.all.n_bytes,
                                 {.n_context = n_context, .kv_type = kv});
    print_memory(o, *memory, n_context, model.format.starts_with("Hugging"));
  }
  if (o.metadata) {
    fmt::print("\n");
    for (const auto& [key, value] : model.metadata.entries())
      fmt::print("{:<44} {:<9} {}\n", printable(key), to_string(value.type), printable(value.to_text(), 200));
  }
  if (o.tensors) {
    fmt::print("\n");
    for (const ModelContents::Tensor& tensor : model.tensors)
      fmt::print("{:<44} {:<8} {:<20} {:>12}  {}\n", printable(tensor.name), tensor.type,
                 dimensions_text(tensor.dimensions), tensor.n_bytes, tensor.role);
  }
  if (!o.json.empty()) EDGELLM_RETURN_IF_ERROR(write_json(o, model, memory, n_context));
  // All that can be shown is shown by now; a script still has to learn that no command can use the model.
  if (!model.hyperparameters) return Error{fmt::format("{}: {}", o.model, model.why_no_hyperparameters)};
  return {};
}

}  // namespace

void add_inspect(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("inspect", "What is inside a model, and what memory a run of it needs");
  command->add_option("MODEL", o->model, "GGUF file or Hugging Face folder")->required();
  command->add_flag("--tensors", o->tensors, "list every tensor");
  command->add_flag("--metadata", o->metadata, "list every metadata key");
  command
      ->add_option("--context", o->n_context, "tokens of context to count memory for (default: up to 4096)")
      ->check(CLI::Range(1, 1 << 24));
  add_kv_option(*command, o->kv);
  command->add_option("--json", o->json, "write all of it to this file too");
  command->footer(
      "Examples:\n"
      "  edgellm inspect model.gguf\n"
      "  edgellm inspect model.gguf --context 8192 --kv q8_0\n"
      "  edgellm inspect model-folder --tensors --json contents.json");
  command->callback([o, &status] { status = inspect(*o); });
}

}  // namespace edgellm
