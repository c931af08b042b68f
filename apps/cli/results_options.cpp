#include "apps/cli/results_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/base/build_description.h"
#include "core/base/machine.h"
#include "recipes/recorded_model.h"
#include "results/results_folder.h"
#include "runtime/kernels/kernels.h"

namespace edgellm {
namespace {

std::filesystem::path folder_of(const ResultsOptions& o) {
  return o.folder.empty() ? default_results_folder() : std::filesystem::path(o.folder);
}

}  // namespace

void add_results_options(CLI::App& command, ResultsOptions& options) {
  const char* group = "Result record";
  auto* folder =
      command
          .add_option("--results", options.folder,
                      "folder the figures are kept in, for edgellm report (default: $EDGELLM_RESULTS, "
                      "or edgellm/results in ~/.local/share)")
          ->group(group);
  command.add_flag("--no-results", options.off, "keep no record")->group(group)->excludes(folder);
  command
      .add_option("--model-name", options.name, "the model's name in reports (default: what its file says)")
      ->group(group);
  command
      .add_option("--method", options.method,
                  "what was done to the model, for reports (default: the types its file has)")
      ->group(group);
}

ResultRecord begin_record() {
  ResultRecord record;
  BuildDescription build = describe_build();
  record.program = {{"version", build.version}, {"build", to_string(build)}};
  record.machine = describe_machine();
  record.machine["isa"] = kernels().name;
  return record;
}

Result<ResultRecord> begin_record(const GgufFile& model, const ResultsOptions& options) {
  ResultRecord record = begin_record();
  EDGELLM_ASSIGN_OR_RETURN(record.model, describe_model(model));
  if (!options.name.empty()) record.model.name = options.name;
  if (!options.method.empty()) record.model.method = options.method;
  return record;
}

Status check_results_folder(const ResultsOptions& options) {
  if (options.off || options.folder.empty()) return {};
  std::error_code code;
  std::filesystem::create_directories(options.folder, code);
  if (!std::filesystem::is_directory(options.folder, code) || ::access(options.folder.c_str(), W_OK) != 0)
    return Error{fmt::format("--results {}: no folder that can be written", options.folder)};
  return {};
}

Status keep_record(const ResultRecord& record, const ResultsOptions& options) {
  if (options.off) return {};
  std::filesystem::path folder = folder_of(options);
  auto kept = folder.empty() ? Result<std::filesystem::path>(Error{"no home folder is known"})
                             : append_record(folder, record);
  if (kept.ok()) {
    fmt::print(stderr, "result kept: {}\n", kept->string());
  } else if (options.folder.empty()) {
    fmt::print(stderr, "result not kept: {}; give --results DIR\n", kept.error().message);
  } else {
    return kept.error();
  }
  return {};
}

}  // namespace edgellm
