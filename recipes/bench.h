// How fast a model runs: prompt, first token, seconds per token by output length, energy, memory.
// docs/methods.md, "Speed", says what each figure counts.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/model_file/gguf.h"
#include "recipes/spread.h"
#include "runtime/decode/run_memory.h"

namespace edgellm {

struct BenchOptions {
  size_t n_prompt = 512, n_runs = 3, n_batch = 512;
  std::vector<size_t> n_generate = {64};  // output lengths
  std::vector<size_t> n_threads;          // empty: one run on all usable cores
  std::vector<size_t> n_sequences;        // also generate so many answers at once
  KvType kv_type = KvType::f16;
};

// Of one output length.
struct GenerationFigures {
  size_t n_tokens = 0;
  Spread seconds_per_token;              // of n_tokens decoding steps after the prompt
  Spread seconds_per_token_with_prompt;  // from the prompt's first token to the answer's last, over n_tokens
  std::optional<Spread> joules_per_token;
};

// On one device with one number of threads.
struct BenchRun {
  std::string device, backend;  // "cpu"; in words
  size_t n_threads = 0;
  Spread prompt_tokens_per_second, first_token_seconds;
  std::optional<Spread> joules_per_prompt_token;
  // Where the joules come from, or why there are none.
  std::string energy_source, why_no_energy;
  std::vector<GenerationFigures> generation;  // shortest first
  std::vector<Spread> sequences_per_second;   // tokens of all answers, by n_sequences
  RunMemory memory;                           // counted beforehand
};

// Of every number of threads, after a warm-up each. Error also when interrupted.
Result<std::vector<BenchRun>> bench_model(const std::shared_ptr<const GgufFile>& file,
                                          const BenchOptions& options, const Progress& progress);

// As in docs/formats.md: an element of "results" of bench's JSON; "runs" of a record's figures.
nlohmann::json bench_json(const BenchRun& run, const BenchOptions& options);
nlohmann::json bench_record_runs(const std::vector<BenchRun>& runs, const BenchOptions& options);

}  // namespace edgellm
