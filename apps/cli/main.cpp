// edgellm: one program, subcommands in the manner of git. Each command is one file that registers itself in
// kCommands.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <new>

#include "apps/cli/command.h"
#include "apps/cli/torch_program.h"
#include "core/base/interrupt.h"

int main(int argc, char** argv) {
  using namespace edgellm;
  CLI::App app{"Fit a language model into a memory budget, measure what it costs, and run it at the edge.",
               "edgellm"};
  app.set_version_flag("--version", "edgellm " EDGELLM_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  install_interrupt_handler();
  keep_arguments_for_torch(argv);
  // A file-size limit then is an error of the write, reported and cleaned up like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);

  Status status;
  register_commands(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    // CLI11 takes a word it does not know for an argument, and misses the command.
    bool no_command = argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty();
    fmt::print(stderr, "edgellm: {}\n",
               no_command ? fmt::format("there is no command '{}'", argv[1]) : error.what());
    fmt::print(stderr, "Run 'edgellm --help' or 'edgellm COMMAND --help' for the options.\n");
    return 2;
  } catch (const std::bad_alloc&) {
    status = Error{"not enough memory"};
  } catch (const std::exception& error) {
    // A library's, or standard output that cannot be written.
    status = Error{error.what()};
  }
  if (status.ok() && std::fflush(stdout) != 0)
    status = Error{fmt::format("cannot write to standard output: {}", std::strerror(errno))};
  if (!status.ok()) {
    end_progress_line();
    fmt::print(stderr, "edgellm: {}\n", status.error().message);
    return interrupt_requested() ? 130 : 1;
  }
  return 0;
}
