#include "apps/cli/bench_print.h"

#include <fmt/format.h>

namespace edgellm {
namespace {

// "%median %unit   (%least to %most)"
std::string figure(const Spread& s, int digits, const char* unit) {
  return fmt::format("{:9.{}f} {:<10}({:.{}f} to {:.{}f})", s.median, digits, unit, s.least, digits, s.most,
                     digits);
}

std::string row(const std::string& name, const std::string& value) {
  return fmt::format("  {:<20}{}\n", name, value);
}

}  // namespace

std::string bench_text(const BenchRun& run, const BenchOptions& o) {
  std::string text = run.backend + "\n";
  text += row(fmt::format("prompt of {}", o.n_prompt), figure(run.prompt_tokens_per_second, 2, "tokens/s"));
  text += row("first token after", figure(run.first_token_seconds, 3, "s"));
  for (const GenerationFigures& g : run.generation) {
    const Spread& s = g.seconds_per_token;
    text += row(fmt::format("generation of {}", g.n_tokens),
                fmt::format("{:9.2f} tokens/s  {:.2f} ms each ({:.2f} to {:.2f})", 1 / s.median,
                            s.median * 1e3, s.least * 1e3, s.most * 1e3));
  }
  for (size_t i = 0; i < run.sequences_per_second.size(); ++i)
    text += row(fmt::format("{:>3} at once", o.n_sequences[i]),
                figure(run.sequences_per_second[i], 2, "tokens/s"));
  if (!run.joules_per_prompt_token) return text + row("energy", "not known: " + run.why_no_energy);
  text += row("energy of a prompt", figure(*run.joules_per_prompt_token, 4, "J/token"));
  for (const GenerationFigures& g : run.generation)
    text += row(fmt::format("energy over {}", g.n_tokens), figure(*g.joules_per_token, 4, "J/token"));
  return text + row("energy from", run.energy_source + ", its idle share included");
}

std::string bench_table(const std::string& model, uint64_t n_model_bytes, const std::vector<BenchRun>& runs) {
  bool has_energy = false;
  for (const BenchRun& run : runs) has_energy = has_energy || run.joules_per_prompt_token.has_value();
  std::string text =
      "| model | size | device | threads | output tokens | s/token | least to most | tokens/s | with prompt, "
      "s/token |";
  std::string rule = "|---|---:|---|---:|---:|---:|---:|---:|---:|";
  text += (has_energy ? " J/token |\n" : "\n") + rule + (has_energy ? "---:|\n" : "\n");
  for (const BenchRun& run : runs)
    for (const GenerationFigures& g : run.generation) {
      const Spread& s = g.seconds_per_token;
      text += fmt::format("| {} | {:.1f} MB | {} | {} | {} | {:.5f} | {:.5f} to {:.5f} | {:.2f} | {:.5f} |",
                          model, double(n_model_bytes) / 1e6, run.device, run.n_threads, g.n_tokens, s.median,
                          s.least, s.most, 1 / s.median, g.seconds_per_token_with_prompt.median);
      if (has_energy)
        text += g.joules_per_token ? fmt::format(" {:.4f} |", g.joules_per_token->median) : " |";
      text += "\n";
    }
  return text;
}

std::string device_profile_text(const DeviceProfile& profile) {
  std::string text = fmt::format(
      "{}\nmatrices of {:.0f} MB for one token, prompts of {} tokens\n\n  {:<10}{:>8}{:>22}{:>10}{:>24}\n",
      profile.backend, double(profile.n_matrix_bytes) / 1e6, profile.n_prompt_tokens, "type", "bits",
      "10^9 weights/s, one", "GB/s", "10^9 weights/s, prompt");
  for (const auto& [type, speed] : profile.types) {
    double per_second = 1e-9 / speed.generation.median, bits = info(type).bits_per_value();
    text += fmt::format("  {:<10}{:>8.4g}{:>22.2f}{:>10.2f}{:>24}\n", to_string(type), bits, per_second,
                        per_second * bits / 8,
                        speed.prompt ? fmt::format("{:.1f}", 1e-9 / speed.prompt->median) : "-");
  }
  return text;
}

}  // namespace edgellm
