#include "recipes/bench.h"

#include "core/base/energy_meter.h"
#include "core/base/thread_pool.h"
#include "recipes/bench_sequences.h"
#include "runtime/decode/sampler.h"
#include "runtime/decode/session.h"

namespace edgellm {
namespace {

// A warm-up touches every weight and fills the caches; more tokens change nothing.
constexpr size_t kWarmUpTokens = 32;
// For the time left: a token of a prompt costs about so much less than one that is generated.
constexpr double kPromptShare = 0.125;

// Joules so far, as long as the machine tells them.
class EnergyReader {
 public:
  EnergyReader() {
    auto started = EnergyMeter::start();
    if (started.ok())
      meter_ = std::move(started).value();
    else
      why_not_ = started.error().message;
  }
  double joules() {
    if (!meter_) return 0;
    auto now = meter_->joules();
    if (now.ok()) return *now;
    why_not_ = now.error().message;
    meter_.reset();
    return 0;
  }
  // At the end of a measurement: a virtual machine may show counters that never move.
  void check_that_it_moved(double joules) {
    if (meter_ && joules <= 0) why_not_ = meter_->source() + " does not move", meter_.reset();
  }
  bool works() const { return meter_ != nullptr; }
  std::string source() const { return meter_ ? meter_->source() : ""; }
  const std::string& why_not() const { return why_not_; }

 private:
  std::unique_ptr<EnergyMeter> meter_;
  std::string why_not_;
};

// Token ids that are the same work for every engine.
Token work_token(size_t i, size_t n_vocabulary) {
  return Token(((i * 7919) % 15000 + 1000) % n_vocabulary);
}

// Since some moment.
struct Mark {
  double seconds = 0, joules = 0;
};

struct Timing {
  Mark prompt;                  // its logits are there
  double first_token = 0;       // and its most likely token chosen
  std::vector<Mark> ends;       // by output length, from the prompt's end: the logits after so many tokens
  std::vector<double> answers;  // from the prompt's beginning: an answer of that length is complete
};

// Output lengths ascending. The prompt's logits already choose the first token of an answer, so that one of n
// tokens is complete after n - 1 steps; figures per token are of n steps.
Result<Timing> time_once(Session& session, size_t n_prompt, const std::vector<size_t>& lengths,
                         EnergyReader& energy, ProgressMeter& progress) {
  size_t n_vocabulary = session.decoder().hyperparameters().n_vocabulary;
  std::vector<Token> prompt(n_prompt);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = work_token(i, n_vocabulary);
  session.reset();
  Timing timing;
  double joules_before = energy.joules(), started = monotonic_seconds();
  auto elapsed = [&] { return monotonic_seconds() - started; };
  EDGELLM_ASSIGN_OR_RETURN(std::span<const float> logits, session.feed(prompt));
  timing.prompt.seconds = elapsed();
  Token first = most_likely(logits);
  timing.first_token = elapsed();
  if (first < 0) return Error{"bench: no token was chosen"};
  double joules_start = energy.joules();
  timing.prompt.joules = joules_start - joules_before;
  progress.add(kPromptShare * double(n_prompt));
  double generation_starts = elapsed();
  for (size_t i = 0, next = 0; i < lengths.back(); ++i) {
    bool is_end = lengths[next] == i + 1;
    if (is_end) timing.answers.push_back(timing.first_token + elapsed() - generation_starts);
    Token token = work_token(i, n_vocabulary);
    EDGELLM_RETURN_IF_ERROR(session.feed({&token, 1}));
    if (is_end) {
      double seconds = elapsed() - generation_starts;
      timing.ends.push_back({seconds, energy.joules() - joules_start});
      ++next;
    }
    progress.add(1);
  }
  return timing;
}

RunMemory memory_of(const GgufFile& file, const Decoder& decoder, const BenchOptions& o, size_t n_context) {
  uint64_t n_weight_bytes = 0;
  for (const GgufTensor& tensor : file.tensors()) n_weight_bytes += tensor.data.size();
  const GgufTensor* embedding = file.find("output.weight") ? file.find("token_embd.weight") : nullptr;
  RunMemory memory = estimate_run_memory(decoder.hyperparameters(), file.metadata(), n_weight_bytes,
                                         {.n_context = n_context,
                                          .kv_type = o.kv_type,
                                          .n_batch = decoder.options().n_batch,
                                          .n_threads = decoder.backend().n_threads(),
                                          .n_lookup_bytes = embedding ? embedding->data.size() : 0});
  uint64_t most = 0;
  for (size_t n : o.n_sequences)
    most = std::max(
        most, n * KvCache::n_bytes(decoder.hyperparameters(), o.kv_type,
                                   kSequencePromptTokens + o.n_generate.front(), decoder.options().n_batch));
  memory.kv_cache += most;
  return memory;
}

// The figures of all repetitions.
BenchRun summary(const std::vector<Timing>& timings, const BenchOptions& o, EnergyReader& energy) {
  auto spread = [&](auto value) {
    std::vector<double> values;
    for (const Timing& timing : timings) values.push_back(value(timing));
    return spread_of(std::move(values));
  };
  BenchRun run;
  energy.check_that_it_moved(spread([](const Timing& t) { return t.ends.back().joules; }).most);
  run.prompt_tokens_per_second =
      spread([&](const Timing& t) { return double(o.n_prompt) / t.prompt.seconds; });
  run.first_token_seconds = spread([](const Timing& t) { return t.first_token; });
  if (energy.works())
    run.joules_per_prompt_token =
        spread([&](const Timing& t) { return t.prompt.joules / double(o.n_prompt); });
  for (size_t i = 0; i < o.n_generate.size(); ++i) {
    auto n = double(o.n_generate[i]);
    GenerationFigures figures;
    figures.n_tokens = o.n_generate[i];
    figures.seconds_per_token = spread([&](const Timing& t) { return t.ends[i].seconds / n; });
    figures.seconds_per_token_with_prompt = spread([&](const Timing& t) { return t.answers[i] / n; });
    if (energy.works())
      figures.joules_per_token = spread([&](const Timing& t) { return t.ends[i].joules / n; });
    run.generation.push_back(figures);
  }
  run.energy_source = energy.source();
  run.why_no_energy = energy.why_not();
  return run;
}

Result<BenchRun> measure(const std::shared_ptr<const GgufFile>& file, const BenchOptions& o, size_t n_threads,
                         ProgressMeter& progress) {
  size_t n_context = o.n_prompt + o.n_generate.back(), most_sequences = 1;
  for (size_t n : o.n_sequences) most_sequences = std::max(most_sequences, n);
  EDGELLM_ASSIGN_OR_RETURN(
      std::shared_ptr<Decoder> decoder,
      Decoder::load(file, {.n_threads = n_threads,
                           .n_batch = std::max(std::min(o.n_batch, n_context), most_sequences),
                           .n_logit_rows = most_sequences}));
  EDGELLM_ASSIGN_OR_RETURN(Session session,
                           Session::create(decoder, {.n_context = n_context, .kv_type = o.kv_type}));
  EnergyReader energy;
  std::vector<Timing> timings;
  EDGELLM_ASSIGN_OR_RETURN(
      Timing warm_up,
      time_once(session, o.n_prompt, {std::min(kWarmUpTokens, o.n_generate.back())}, energy, progress));
  (void)warm_up;
  for (size_t i = 0; i < o.n_runs; ++i) {
    EDGELLM_ASSIGN_OR_RETURN(Timing timing, time_once(session, o.n_prompt, o.n_generate, energy, progress));
    timings.push_back(std::move(timing));
  }
  BenchRun run = summary(timings, o, energy);
  run.device = "cpu";
  run.n_threads = decoder->backend().n_threads();
  run.backend = decoder->backend().description();
  run.memory = memory_of(*file, *decoder, o, n_context);
  for (size_t n : o.n_sequences) {
    std::vector<double> per_second;
    for (size_t i = 0; i < o.n_runs; ++i) {
      EDGELLM_ASSIGN_OR_RETURN(double value, time_sequences(*decoder, o.kv_type, n, o.n_generate.front()));
      per_second.push_back(value);
      progress.add(double(o.n_generate.front()));
    }
    run.sequences_per_second.push_back(spread_of(per_second));
  }
  return run;
}

}  // namespace

Result<std::vector<BenchRun>> bench_model(const std::shared_ptr<const GgufFile>& file,
                                          const BenchOptions& options, const Progress& progress) {
  BenchOptions o = options;
  std::sort(o.n_generate.begin(), o.n_generate.end());
  o.n_generate.erase(std::unique(o.n_generate.begin(), o.n_generate.end()), o.n_generate.end());
  if (o.n_threads.empty()) o.n_threads = {usable_cores().size()};
  auto prompts = kPromptShare * double(o.n_prompt * (o.n_runs + 1));
  size_t n_tokens = std::min(kWarmUpTokens, o.n_generate.back()) + o.n_runs * o.n_generate.back() +
                    o.n_runs * o.n_sequences.size() * o.n_generate.front();
  ProgressMeter meter(progress, "measuring", double(o.n_threads.size()) * (prompts + double(n_tokens)));
  std::vector<BenchRun> runs;
  for (size_t n_threads : o.n_threads) {
    EDGELLM_ASSIGN_OR_RETURN(BenchRun run, measure(file, o, n_threads, meter));
    runs.push_back(std::move(run));
  }
  meter.finish();
  return runs;
}

}  // namespace edgellm
