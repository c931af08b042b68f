// What every subcommand shares: registration, and progress on the terminal.
#pragma once

#include <CLI/CLI.hpp>

#include "core/base/progress.h"
#include "core/base/result.h"

namespace edgellm {

// Adds every subcommand to `app`; the one that is run leaves its outcome in `status`.
void register_commands(CLI::App& app, Status& status);

// A Progress that keeps one line on standard error up to date (a terminal), or prints a line now and then (a
// file).
Progress terminal_progress();
// Ends the line a terminal_progress has left open, so that a message begins on a line of its own.
void end_progress_line();

}  // namespace edgellm
