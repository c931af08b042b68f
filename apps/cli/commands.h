// One function per subcommand, each in a file of its own (add_inspect in inspect_command.cpp, ...).
#pragma once

#include <CLI/CLI.hpp>

#include "core/base/result.h"

namespace edgellm {}  // namespace edgellm
