// The options by which eval, score, bench and fit are told where their result record goes, and the record
// itself.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "core/base/result.h"
#include "core/model_file/gguf.h"
#include "results/result_record.h"

namespace edgellm {

struct ResultsOptions {
  std::string folder;        // --results; empty: default_results_folder()
  bool off = false;          // --no-results
  std::string name, method;  // --model-name, --method: instead of what the model's file says
};

// Adds --results, --no-results, --model-name and --method.
void add_results_options(CLI::App& command, ResultsOptions& options);

// A record with program and machine filled in; the rest is the caller's.
ResultRecord begin_record();
// The same with the model.
Result<ResultRecord> begin_record(const GgufFile& model, const ResultsOptions& options);

// Appends the record and prints where. A default folder that cannot be written is a warning only, for nobody
// asked for it; a folder of --results is an Error.
Status keep_record(const ResultRecord& record, const ResultsOptions& options);
// For before long work: the Error that keep_record would end with.
Status check_results_folder(const ResultsOptions& options);

}  // namespace edgellm
