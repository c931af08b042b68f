// One function per subcommand, each in a file of its own (add_inspect in inspect_command.cpp, ...).
#pragma once

#include <CLI/CLI.hpp>

#include "core/base/result.h"

namespace edgellm {

void add_fit(CLI::App& app, Status& status);
void add_convert(CLI::App& app, Status& status);
void add_inspect(CLI::App& app, Status& status);
void add_quantize(CLI::App& app, Status& status);
void add_prune(CLI::App& app, Status& status);
void add_importance(CLI::App& app, Status& status);
void add_eval(CLI::App& app, Status& status);
void add_score(CLI::App& app, Status& status);
void add_run(CLI::App& app, Status& status);
void add_chat(CLI::App& app, Status& status);
void add_bench(CLI::App& app, Status& status);
void add_report(CLI::App& app, Status& status);
void add_torch(CLI::App& app, Status& status);
void add_synthesize(CLI::App& app, Status& status);

}  // namespace edgellm
