#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>

#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/torch_program.h"
#include "recipes/compress/compress.h"

namespace edgellm {
namespace {

Status show_torch(size_t n_threads) {
  EDGELLM_RETURN_IF_ERROR(need_torch("'edgellm torch'"));
  EDGELLM_ASSIGN_OR_RETURN(TorchDescription found, describe_torch(n_threads));
  fmt::print("LibTorch {}\n", found.version);
  fmt::print("devices: {}\n", fmt::join(found.devices, ", "));
  fmt::print("threads: {}\n", found.n_threads);
  fmt::print("numbers on the CPU: {}\n",
             found.cpu_has_bfloat16 ? "bf16" : "f32 (this CPU has no bf16 products)");
  return {};
}

}  // namespace

void add_torch(CLI::App& app, Status& status) {
  auto n_threads = std::make_shared<size_t>(0);
  auto* command =
      app.add_subcommand("torch", "Show the LibTorch that compression uses: version, devices, threads");
  command->add_option("--threads", *n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->footer(
      "Compression that needs LibTorch runs in edgellm-torch, which edgellm starts when it stands beside "
      "it.");
  command->callback([n_threads, &status] { status = show_torch(*n_threads); });
}

}  // namespace edgellm
