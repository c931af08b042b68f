#include "apps/cli/command.h"
#include "apps/cli/commands.h"

namespace edgellm {

void register_commands(CLI::App& app, Status& status) {
  add_fit(app, status);
  add_convert(app, status);
  add_inspect(app, status);
  add_quantize(app, status);
  add_prune(app, status);
  add_importance(app, status);
  add_eval(app, status);
  add_score(app, status);
  add_run(app, status);
  add_chat(app, status);
  add_bench(app, status);
  add_report(app, status);
  add_torch(app, status);
  add_synthesize(app, status);
}

}  // namespace edgellm
