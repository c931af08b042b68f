#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/cli/byte_size.h"
#include "apps/cli/calibration_option.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/torch_program.h"
#include "core/base/output_file.h"
#include "recipes/compress/prune_matrices.h"
#include "recipes/prune.h"

namespace edgellm {
namespace {

struct Options {
  std::string model, output, method, pattern, json;
  std::vector<std::string> calibrate;
  double fraction = 0;  // 0: the method's own
  size_t n_threads = 0;
  bool halves = false, dry_run = false;
};

// "2:4" as two of every four kept.
Status parse_pattern(const std::string& text, PruneOptions& options) {
  size_t colon = text.find(':');
  auto number = [&](size_t from, size_t to) -> uint32_t {
    std::string digits = text.substr(from, to - from);
    bool good =
        !digits.empty() && digits.size() < 4 && digits.find_first_not_of("0123456789") == std::string::npos;
    return good ? uint32_t(std::stoul(digits)) : 0;
  };
  if (colon != std::string::npos) {
    options.n_kept = number(0, colon);
    options.n_group = number(colon + 1, text.size());
  }
  if (options.n_kept && options.n_kept < options.n_group) return {};
  return Error{fmt::format("--pattern {}: wanted how many of how many weights stay, as 2:4 or 4:8", text)};
}

void print_what_was_done(const nlohmann::json& r) {
  if (r.contains("dropped_layers"))
    fmt::print("{} of {} layers are left out: {}\n", r["dropped_layers"].size(), r["layers"].get<int>(),
               fmt::join(r["dropped_layers"].get<std::vector<int>>(), " "));
  for (const auto& [key, what] :
       {std::pair{"dropped_attention", "attention"}, {"dropped_ffn", "feed-forward part"}})
    if (r.contains(key) && !r[key].empty())
      fmt::print("The {} of {} more is left out: {}\n", what, r[key].size(),
                 fmt::join(r[key].get<std::vector<int>>(), " "));
  if (r.contains("correction"))
    fmt::print("What they did is folded into {}, but for {:.0f}% of it.\n",
               r["correction"]["tensor"].get<std::string>(), 100 * r["correction"]["left"].get<double>());
  if (r.contains("ffn_width"))
    fmt::print("Feed-forward parts have {} channels instead of {}.\n", r["ffn_width"].get<int>(),
               r["ffn_width_before"].get<int>());
  if (r.contains("pruned_weights"))
    fmt::print(
        "{:.1f}% of {} weights are zero now{}. The file is no smaller for it: GGUF has no sparse type, and "
        "no "
        "kernel skips zeros.\n",
        100 * r["pruned_weights"].get<double>() / r["weights"].get<double>(), r["weights"].get<uint64_t>(),
        r.contains("pattern") ? ", " + r["pattern"].get<std::string>() + " stay" : "");
}

void print_report(const nlohmann::json& r) {
  print_what_was_done(r);
  const auto &b = r["before"], &a = r["after"];
  fmt::print("  {:<26}{:>14}{:>14}\n", "", "before", "after");
  fmt::print("  {:<26}{:>14}{:>14}\n", "file", byte_size_text(b["file_bytes"].get<uint64_t>()),
             byte_size_text(a["file_bytes"].get<uint64_t>()));
  if (a.contains("perplexity")) {
    fmt::print("  {:<26}{:>14.3f}{:>14.3f}\n", "perplexity", b["perplexity"].get<double>(),
               a["perplexity"].get<double>());
    fmt::print("  {:<26}{:>14}{:>14.4f}  +- {:.4f}\n", "KL to the original", "-", a["mean_kl"].get<double>(),
               a["mean_kl_standard_error"].get<double>());
    fmt::print("  {:<26}{:>14}{:>13.1f}%\n", "same most likely token", "-",
               100 * a["same_top"].get<double>());
  }
  const auto& c = r["calibration"];
  fmt::print("  text: {} windows of {} tokens, {}; {} of them kept apart for judging\n",
             c["windows"].get<int>(), c["window_tokens"].get<int>(), calibration_sources_text(c),
             c["verify_windows"].get<int>());
}

Status run_prune(const Options& o) {
  PruneOptions p;
  EDGELLM_ASSIGN_OR_RETURN(p.method, parse_prune_method(o.method));
  if (o.output.empty() && !o.dry_run) return Error{"prune: wanted --output, or --dry-run"};
  if (!o.pattern.empty()) {
    if (!prunes_single_weights(p.method))
      return Error{
          fmt::format("--pattern is for single weights; --method {} leaves out whole parts", o.method)};
    EDGELLM_RETURN_IF_ERROR(parse_pattern(o.pattern, p));
  }
  if (o.halves && p.method != PruneMethod::kl)
    return Error{fmt::format("--halves is for --method kl, not for {}", o.method)};
  EDGELLM_RETURN_IF_ERROR(check_output(o.json, {{o.model}}));
  p.model = o.model;
  p.output = o.output;
  p.fraction = o.fraction > 0 ? o.fraction : prunes_single_weights(p.method) ? 0.5 : 0.25;
  EDGELLM_ASSIGN_OR_RETURN(p.calibrate, parse_text_sources(o.calibrate));
  p.n_threads = o.n_threads;
  p.dry_run = o.dry_run;
  p.halves = o.halves;
  nlohmann::json report;
  if (needs_torch(p.method)) {
    EDGELLM_RETURN_IF_ERROR(need_torch(fmt::format("'edgellm prune --method {}'", o.method)));
    EDGELLM_ASSIGN_OR_RETURN(report, prune_matrices(p, terminal_progress()));
  } else {
    EDGELLM_ASSIGN_OR_RETURN(report, prune_layers(p, terminal_progress()));
  }
  end_progress_line();
  print_report(report);
  if (!o.json.empty()) EDGELLM_RETURN_IF_ERROR(write_text_file(o.json, report.dump(2) + "\n"));
  return {};
}

}  // namespace

void add_prune(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("prune", "Leave out layers, channels or weights with the least harm, and report");
  command->add_option("MODEL", o->model, "GGUF file, best F16, BF16 or F32")->required();
  command->add_option("-o,--output", o->output, "GGUF file to write");
  command
      ->add_option(
          "--method", o->method,
          "whole layers: block-influence, kl (slower, better), replace-me; channels: ffn-width; single "
          "weights: magnitude, wanda, sparsegpt")
      ->required()
      ->check([](const std::string& name) {
        auto found = parse_prune_method(name);
        return found.ok() ? std::string() : found.error().message;
      });
  command
      ->add_option("--fraction", o->fraction,
                   "share of the layers, channels or weights that goes (default: 0.25; of weights 0.5)")
      ->check(CLI::Range(0.001, 0.99));
  command->add_option(
      "--pattern", o->pattern,
      "single weights: how many of how many neighbours stay, 2:4 or 4:8, instead of --fraction");
  command->add_option("--calibrate", o->calibrate,
                      fmt::format("text like what the model will be used for (default: drawn from the model "
                                  "itself): {}",
                                  kTextSourceHelp));
  command->add_flag(
      "--halves", o->halves,
      "kl: attention and feed-forward parts go on their own too; the fraction is of the layers' "
      "bytes, and the file is of the architecture deci");
  command->add_flag("--dry-run", o->dry_run,
                    "say what would be left out, and what that costs; write nothing");
  command->add_option("--json", o->json, "write the report to this file too");
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->footer(
      "Examples:\n"
      "  edgellm prune model-f16.gguf --method kl --fraction 0.1 --calibrate text.txt -o smaller.gguf\n"
      "  edgellm prune model-f16.gguf --method block-influence --fraction 0.25 --dry-run");
  command->callback([o, &status] { status = run_prune(*o); });
}

}  // namespace edgellm
