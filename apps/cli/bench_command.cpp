#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/cli/bench_sequences.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/machine.h"
#include "core/base/output_file.h"
#include "core/base/thread_pool.h"
#include "runtime/decode/run_memory.h"
#include "runtime/decode/sampler.h"
#include "runtime/decode/session.h"
#include "runtime/kernels/kernels.h"

namespace edgellm {
namespace {

struct Options {
  std::string model, kv = "f16", json;
  size_t n_prompt = 512, n_runs = 3, n_batch = 512;
  std::vector<size_t> n_generate = {64}, n_threads, n_sequences;
  size_t most_sequences() const {
    return n_sequences.empty() ? 1 : *std::max_element(n_sequences.begin(), n_sequences.end());
  }
};

struct Spread {
  double median, least, most;
};

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t n = values.size();
  return {(values[(n - 1) / 2] + values[n / 2]) / 2, values.front(), values.back()};
}

nlohmann::json range_json(double least, double most) {
  return {{"least", least}, {"most", most}};
}

// Seconds of one run: the prompt, its first token chosen; then the ends of the output lengths asked for,
// ascending.
struct Timing {
  double prompt, first_token;
  std::vector<double> generated;
};

// Token ids that are the same work for every engine.
Token work_token(size_t i, size_t n_vocabulary) {
  return Token(((i * 7919) % 15000 + 1000) % n_vocabulary);
}

Result<Timing> time_once(Session& session, const Options& o) {
  size_t n_vocabulary = session.decoder().hyperparameters().n_vocabulary, n_most = o.n_generate.back();
  std::vector<Token> prompt(o.n_prompt);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = work_token(i, n_vocabulary);
  session.reset();
  Timing timing;
  double started = monotonic_seconds();
  EDGELLM_ASSIGN_OR_RETURN(std::span<const float> logits, session.feed(prompt));
  timing.prompt = monotonic_seconds() - started;
  Token first = most_likely(logits);
  timing.first_token = monotonic_seconds() - started;
  if (first < 0) return Error{"bench: no token was chosen"};
  started = monotonic_seconds();
  for (size_t i = 0, next = 0; i < n_most; ++i) {
    Token token = work_token(i, n_vocabulary);
    EDGELLM_RETURN_IF_ERROR(session.feed({&token, 1}));
    while (next < o.n_generate.size() && o.n_generate[next] == i + 1) {
      timing.generated.push_back(monotonic_seconds() - started);
      ++next;
    }
  }
  return timing;
}

struct Measured {
  size_t n_threads;
  std::string backend;
  Spread prompt_per_second, first_token_seconds;
  std::vector<Spread> seconds_per_token;     // by output length
  std::vector<Spread> sequences_per_second;  // tokens of all, by the number of sequences
  RunMemory memory;
};

Result<Measured> measure(const std::shared_ptr<const GgufFile>& file, const Options& o, KvType kv,
                         size_t n_threads, ProgressMeter& progress) {
  size_t n_context = o.n_prompt + o.n_generate.back() + 64;
  EDGELLM_ASSIGN_OR_RETURN(
      std::shared_ptr<Decoder> decoder,
      Decoder::load(file, {.n_threads = n_threads,
                           .n_batch = std::max(std::min(o.n_batch, n_context), o.most_sequences()),
                           .n_logit_rows = o.most_sequences()}));
  EDGELLM_ASSIGN_OR_RETURN(Session session,
                           Session::create(decoder, {.n_context = n_context, .kv_type = kv}));
  std::vector<double> prompt, first;
  std::vector<std::vector<double>> generated(o.n_generate.size());
  for (size_t run = 0; run <= o.n_runs; ++run) {
    EDGELLM_ASSIGN_OR_RETURN(Timing timing, time_once(session, o));
    progress.add(1);
    if (run == 0) continue;  // warm-up
    prompt.push_back(double(o.n_prompt) / timing.prompt);
    first.push_back(timing.first_token);
    for (size_t i = 0; i < generated.size(); ++i)
      generated[i].push_back(timing.generated[i] / double(o.n_generate[i]));
  }
  Measured m = {decoder->backend().n_threads(),
                decoder->backend().description(),
                spread_of(prompt),
                spread_of(first),
                {},
                {},
                {}};
  for (const auto& seconds : generated) m.seconds_per_token.push_back(spread_of(seconds));
  for (size_t n : o.n_sequences) {
    std::vector<double> per_second;
    for (size_t run = 0; run < o.n_runs; ++run) {
      EDGELLM_ASSIGN_OR_RETURN(double value, time_sequences(*decoder, kv, n, o.n_generate.front()));
      per_second.push_back(value);
      progress.add(1);
    }
    m.sequences_per_second.push_back(spread_of(per_second));
  }
  uint64_t n_weight_bytes = 0;
  for (const GgufTensor& tensor : file->tensors()) n_weight_bytes += tensor.data.size();
  const GgufTensor* embedding = file->find("output.weight") ? file->find("token_embd.weight") : nullptr;
  m.memory = estimate_run_memory(decoder->hyperparameters(), file->metadata(), n_weight_bytes,
                                 {.n_context = n_context,
                                  .kv_type = kv,
                                  .n_batch = o.n_batch,
                                  .n_threads = n_threads,
                                  .n_lookup_bytes = embedding ? embedding->data.size() : 0});
  return m;
}

void print(const Measured& m, const Options& o) {
  auto with_range = [](const Spread& s, double factor, const char* format) {
    return fmt::format(fmt::runtime(format), s.median * factor, s.least * factor, s.most * factor);
  };
  fmt::print("\n{}\n", m.backend);
  fmt::print("  prompt of {:<5}      {}\n", o.n_prompt,
             with_range(m.prompt_per_second, 1, "{:9.2f} tokens/s   ({:.2f} to {:.2f})"));
  fmt::print("  first token after    {}\n",
             with_range(m.first_token_seconds, 1, "{:9.3f} s          ({:.3f} to {:.3f})"));
  for (size_t i = 0; i < o.n_generate.size(); ++i)
    fmt::print("  generation of {:<5}  {:9.2f} tokens/s   {}\n", o.n_generate[i],
               1 / m.seconds_per_token[i].median,
               with_range(m.seconds_per_token[i], 1000, "{:.2f} ms each ({:.2f} to {:.2f})"));
  for (size_t i = 0; i < o.n_sequences.size(); ++i)
    fmt::print("  {:>3} at once          {}\n", o.n_sequences[i],
               with_range(m.sequences_per_second[i], 1, "{:9.2f} tokens/s   ({:.2f} to {:.2f})"));
}

// Figures are medians; the key with _range beside each holds the least and the most of the runs.
nlohmann::json to_json(const Measured& m, const Options& o) {
  nlohmann::json generation = nlohmann::json::array();
  for (size_t i = 0; i < o.n_generate.size(); ++i) {
    const Spread& s = m.seconds_per_token[i];
    generation.push_back({{"tokens", o.n_generate[i]},
                          {"seconds_per_token", s.median},
                          {"seconds_per_token_range", range_json(s.least, s.most)},
                          {"tokens_per_second", 1 / s.median},
                          {"tokens_per_second_range", range_json(1 / s.most, 1 / s.least)}});
  }
  nlohmann::json sequences = nlohmann::json::array();
  for (size_t i = 0; i < o.n_sequences.size(); ++i) {
    const Spread& s = m.sequences_per_second[i];
    sequences.push_back({{"sequences", o.n_sequences[i]},
                         {"prompt_tokens", kSequencePromptTokens},
                         {"tokens", o.n_generate.front()},
                         {"tokens_per_second", s.median},
                         {"tokens_per_second_range", range_json(s.least, s.most)}});
  }
  const Spread &prompt = m.prompt_per_second, &first = m.first_token_seconds;
  return {{"threads", m.n_threads},
          {"backend", m.backend},
          {"prompt_tokens", o.n_prompt},
          {"prompt_tokens_per_second", prompt.median},
          {"prompt_tokens_per_second_range", range_json(prompt.least, prompt.most)},
          {"prompt_seconds_per_token", 1 / prompt.median},
          {"first_token_seconds", first.median},
          {"first_token_seconds_range", range_json(first.least, first.most)},
          {"generated_tokens_per_second", 1 / m.seconds_per_token[0].median},
          {"generation", generation},
          {"sequences", sequences},
          {"estimated_bytes",
           {{"weights", m.memory.weights},
            {"kv_cache", m.memory.kv_cache},
            {"activations", m.memory.activations},
            {"process", m.memory.process},
            {"total", m.memory.total()}}}};
}

Status bench(Options o) {
  std::sort(o.n_generate.begin(), o.n_generate.end());
  if (o.n_threads.empty()) o.n_threads = {usable_cores().size()};
  EDGELLM_RETURN_IF_ERROR(check_output(o.json, {{o.model}}));
  EDGELLM_ASSIGN_OR_RETURN(KvType kv, parse_kv_type(o.kv));
  EDGELLM_ASSIGN_OR_RETURN(GgufFile opened, GgufFile::open(o.model));
  auto file = std::make_shared<const GgufFile>(std::move(opened));
  nlohmann::json j = {
      {"schema", 1},
      {"command", "bench"},
      {"model", o.model},
      {"model_bytes", file->n_file_bytes()},
      {"machine", {{"cpu", cpu_name()}, {"cores", usable_cores().size()}, {"isa", kernels().name}}},
      {"kv", o.kv},
      {"batch", o.n_batch},
      {"runs", o.n_runs},
      {"results", nlohmann::json::array()}};
  fmt::print(
      "model    {}, {:.1f} MB\nmachine  {}, {} cores, {}\nmedian of {} runs after a warm-up, KV cache {}\n",
      o.model, double(file->n_file_bytes()) / 1e6, cpu_name(), usable_cores().size(), kernels().name,
      o.n_runs, o.kv);
  Progress terminal = terminal_progress();
  ProgressMeter progress(terminal, "measuring",
                         double(o.n_threads.size() * (o.n_runs + 1 + o.n_runs * o.n_sequences.size())));
  std::vector<Measured> all;
  for (size_t n_threads : o.n_threads) {
    EDGELLM_ASSIGN_OR_RETURN(Measured m, measure(file, o, kv, n_threads, progress));
    j["results"].push_back(to_json(m, o));
    all.push_back(std::move(m));
  }
  progress.finish();
  uint64_t peak = peak_resident_bytes();
  for (const Measured& m : all) print(m, o);
  fmt::print("\npeak resident memory {:.1f} MB (counted beforehand: {:.1f} MB)\n", double(peak) / 1e6,
             double(all.back().memory.total()) / 1e6);
  j["peak_resident_bytes"] = peak;
  if (!o.json.empty()) EDGELLM_RETURN_IF_ERROR(write_text_file(o.json, j.dump(2) + "\n"));
  return {};
}

}  // namespace

void add_bench(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("bench", "Measure tokens per second, latency and memory of a model");
  command->add_option("MODEL", o->model, "GGUF file")->required();
  command->add_option("--prompt", o->n_prompt, "tokens of the prompt")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--generate", o->n_generate, "output lengths, as 64,256,1024")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--threads", o->n_threads, "numbers of threads, as 1,2 (default: all cores)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("--sequences", o->n_sequences,
                   "also generate for so many prompts at once, as 1,16: tokens of all of them a second")
      ->delimiter(',')
      ->check(CLI::Range(1, 512));
  command->add_option("--runs", o->n_runs, "runs after the warm-up")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--batch", o->n_batch, "tokens of a prompt computed together")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 16));
  command->add_option("--kv", o->kv, "type of the KV cache")
      ->capture_default_str()
      ->check(CLI::IsMember({"f16", "q8_0"}));
  command->add_option("--json", o->json, "also write the figures to this file");
  command->footer(
      "Examples:\n"
      "  edgellm bench model.gguf\n"
      "  edgellm bench model.gguf --prompt 512 --generate 64,256 --threads 1,2 --runs 5 --json figures.json\n"
      "  edgellm bench model.gguf --prompt 32 --sequences 1,4,16");
  command->callback([o, &status] { status = bench(*o); });
}

}  // namespace edgellm
