// A bench's figures in JSON.
#include "recipes/bench.h"
#include "recipes/bench_sequences.h"

namespace edgellm {
namespace {

using nlohmann::json;

json range_json(double least, double most) {
  return {{"least", least}, {"most", most}};
}

// The median under `key`, the least and the most under KEY_range.
void add(json& j, const std::string& key, const Spread& s) {
  j[key] = s.median;
  j[key + "_range"] = range_json(s.least, s.most);
}

json spread_json(const Spread& s) {
  return {{"median", s.median}, {"least", s.least}, {"most", s.most}};
}

Spread inverse(const Spread& s) {
  return {1 / s.median, 1 / s.most, 1 / s.least};
}

}  // namespace

json bench_json(const BenchRun& run, const BenchOptions& o) {
  json generation = json::array(), sequences = json::array();
  for (const GenerationFigures& figures : run.generation) {
    json g = {{"tokens", figures.n_tokens}};
    add(g, "seconds_per_token", figures.seconds_per_token);
    add(g, "seconds_per_token_with_prompt", figures.seconds_per_token_with_prompt);
    add(g, "tokens_per_second", inverse(figures.seconds_per_token));
    if (figures.joules_per_token) add(g, "energy_joules_per_token", *figures.joules_per_token);
    generation.push_back(std::move(g));
  }
  for (size_t i = 0; i < run.sequences_per_second.size(); ++i) {
    json s = {{"sequences", o.n_sequences[i]},
              {"prompt_tokens", kSequencePromptTokens},
              {"tokens", run.generation.front().n_tokens}};
    add(s, "tokens_per_second", run.sequences_per_second[i]);
    sequences.push_back(std::move(s));
  }
  json j = {{"device", run.device},
            {"threads", run.n_threads},
            {"backend", run.backend},
            {"prompt_tokens", o.n_prompt},
            {"prompt_seconds_per_token", 1 / run.prompt_tokens_per_second.median},
            {"generated_tokens_per_second", 1 / run.generation.front().seconds_per_token.median},
            {"generation", std::move(generation)},
            {"sequences", std::move(sequences)},
            {"estimated_bytes",
             {{"weights", run.memory.weights},
              {"kv_cache", run.memory.kv_cache},
              {"activations", run.memory.activations},
              {"process", run.memory.process},
              {"total", run.memory.total()}}}};
  add(j, "prompt_tokens_per_second", run.prompt_tokens_per_second);
  add(j, "first_token_seconds", run.first_token_seconds);
  if (run.joules_per_prompt_token) {
    j["energy"] = {{"source", run.energy_source}};
    add(j, "energy_joules_per_prompt_token", *run.joules_per_prompt_token);
  } else {
    j["energy"] = {{"absent", run.why_no_energy}};
  }
  return j;
}

json bench_record_runs(const std::vector<BenchRun>& runs, const BenchOptions& o) {
  json all = json::array();
  for (const BenchRun& run : runs)
    for (const GenerationFigures& figures : run.generation) {
      json j = {{"device", run.device},
                {"threads", run.n_threads},
                {"prompt_tokens", o.n_prompt},
                {"output_tokens", figures.n_tokens},
                {"seconds_per_token", spread_json(figures.seconds_per_token)},
                {"seconds_per_token_with_prompt", spread_json(figures.seconds_per_token_with_prompt)},
                {"prompt_tokens_per_second", spread_json(run.prompt_tokens_per_second)},
                {"first_token_seconds", spread_json(run.first_token_seconds)}};
      if (figures.joules_per_token && run.joules_per_prompt_token) {
        j["energy"] = "from " + run.energy_source;
        j["energy_joules_per_token"] = spread_json(*figures.joules_per_token);
        j["energy_joules_per_prompt_token"] = spread_json(*run.joules_per_prompt_token);
      } else {
        j["energy"] = "absent: " + run.why_no_energy;
      }
      all.push_back(std::move(j));
    }
  return all;
}

}  // namespace edgellm
