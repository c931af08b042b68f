// The python3 that a user's shell would run, and the folders it reads.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct PythonInterpreter {
  std::string program;               // absolute path
  std::string version;               // "3.11.2"
  std::vector<std::string> folders;  // installation and virtual environment, absolute
};

// Asks the python3 on PATH, outside any sandbox. Errors: there is none, or it does not start.
Result<PythonInterpreter> find_python();

}  // namespace edgellm
