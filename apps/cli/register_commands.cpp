#include "apps/cli/command.h"
#include "apps/cli/commands.h"

namespace edgellm {

void register_commands(CLI::App& app, Status& status) {
  (void)app;
  (void)status;
}

}  // namespace edgellm
