// edgellm: one program, subcommands in the manner of git. Each command is one file that registers itself in
// kCommands.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/cli/command.h"
#include "core/base/interrupt.h"

int main(int argc, char** argv) {
  using namespace edgellm;
  CLI::App app{"Fit a language model into a memory budget, measure what it costs, and run it at the edge.",
               "edgellm"};
  app.set_version_flag("--version", "edgellm " EDGELLM_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  install_interrupt_handler();

  Status status;
  register_commands(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "edgellm: {}\n", error.what());
    fmt::print(stderr, "Run 'edgellm --help' or 'edgellm COMMAND --help' for the options.\n");
    return 2;
  }
  if (!status.ok()) {
    fmt::print(stderr, "edgellm: {}\n", status.error().message);
    return interrupt_requested() ? 130 : 1;
  }
  return 0;
}
