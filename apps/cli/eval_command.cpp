#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/eval_tasks.h"
#include "apps/cli/kv_option.h"
#include "apps/cli/results_options.h"
#include "core/base/content_hash.h"
#include "core/base/output_file.h"
#include "core/text/tokenizer.h"
#include "evaluate/divergence.h"
#include "runtime/decode/runtime_language_model.h"

namespace edgellm {
namespace {

struct Options {
  std::string model, text, reference, cache, json, kv = kAutoKv, convention = "llama";
  bool perplexity = false;
  size_t n_context = 512, n_windows = 0, n_threads = 0;
  EvalTasksOptions tasks;
  ResultsOptions results;
};

Result<std::unique_ptr<RuntimeLanguageModel>> load(const std::string& path, const Options& o, KvType kv,
                                                   std::shared_ptr<GgufFile>& file) {
  EDGELLM_ASSIGN_OR_RETURN(GgufFile opened, GgufFile::open(path));
  file = std::make_shared<GgufFile>(std::move(opened));
  RuntimeModelOptions options;
  options.n_context = o.n_context;
  options.n_batch = std::min<size_t>(o.n_context, 512);
  options.kv_type = kv;
  options.n_threads = o.n_threads;
  options.n_logit_rows = 64;
  return RuntimeLanguageModel::load(file, options);
}

struct Reference {
  std::string hash;  // of the model's files
  ReferenceLogits logits;
};

// The reference's logits for this text, from the cache or recorded into it.
Result<Reference> open_reference(const Options& o, const TextWindows& text) {
  EDGELLM_ASSIGN_OR_RETURN(GgufFile reference, GgufFile::open(o.reference));
  EDGELLM_ASSIGN_OR_RETURN(std::string hash, hash_files(reference.paths()));
  std::filesystem::path path = o.cache;
  if (path.empty()) {
    path = o.reference + fmt::format(".{}-{}-{}.logits", std::filesystem::path(o.text).stem().string(),
                                     o.n_context, o.convention);
  }
  auto opened = ReferenceLogits::open(path, text, hash);
  if (!opened.ok()) {
    std::shared_ptr<GgufFile> file;
    EDGELLM_ASSIGN_OR_RETURN(auto model, load(o.reference, o, KvType::f16, file));
    auto recorded = ReferenceLogits::record(*model, text, hash, path, terminal_progress());
    if (!recorded.ok()) return recorded.error();
    opened = ReferenceLogits::open(path, text, hash);
  }
  EDGELLM_ASSIGN_OR_RETURN(ReferenceLogits logits, std::move(opened));
  return Reference{std::move(hash), std::move(logits)};
}

nlohmann::json perplexity_json(const PerplexityResult& p) {
  return {{"perplexity", p.perplexity},
          {"standard_error", p.standard_error},
          {"mean_negative_log_likelihood", p.mean_negative_log_likelihood},
          {"scored_tokens", p.n_scored},
          {"windows", p.n_windows}};
}

// Perplexity and KL on --text: into `j`, the command's own file, and the figures of a record.
Status measure_text(const Options& o, std::shared_ptr<GgufFile>& file, nlohmann::json& j,
                    nlohmann::json& figures) {
  EDGELLM_ASSIGN_OR_RETURN(KvType kv, kv_type_for(file->metadata(), o.kv));
  EDGELLM_ASSIGN_OR_RETURN(std::string content, read_text_file(o.text));
  EDGELLM_ASSIGN_OR_RETURN(auto model, load(o.model, o, kv, file));
  EDGELLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_metadata(file->metadata()));
  std::vector<Token> tokens = tokenizer.encode(content, {.add_special = true, .parse_special = false});
  auto convention = o.convention == "papers" ? WindowConvention::all_tokens : WindowConvention::second_half;
  EDGELLM_ASSIGN_OR_RETURN(TextWindows text, cut_windows(tokens, o.n_context, o.n_windows, convention,
                                                         tokenizer.adds_bos() ? tokenizer.bos() : -1));
  const nlohmann::json settings = {{"context", o.n_context},
                                   {"windows", text.windows.size()},
                                   {"convention", to_string(convention)},
                                   {"kv", to_string(kv)}};
  j.update(settings);
  j["text"] = o.text;
  j["text_hash"] = hash_text(content);
  auto add_figure = [&](const char* name, nlohmann::json figure) {
    figure["settings"] = settings;
    figure["data"] = {{"name", std::filesystem::path(o.text).filename().string()},
                      {"hash", hash_text(content)},
                      {"items", text.windows.size()}};
    figures[name] = std::move(figure);
  };
  fmt::print("text        {}, {} windows of {} tokens\nconvention  {}\n", o.text, text.windows.size(),
             o.n_context, to_string(convention));
  if (o.reference.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(PerplexityResult p, measure_perplexity(*model, text, terminal_progress()));
    end_progress_line();
    fmt::print("perplexity  {:.4f} +- {:.4f}\n", p.perplexity, p.standard_error);
    j["perplexity"] = perplexity_json(p);
    add_figure("perplexity", perplexity_json(p));
    return {};
  }
  EDGELLM_ASSIGN_OR_RETURN(Reference reference, open_reference(o, text));
  EDGELLM_ASSIGN_OR_RETURN(DivergenceResult d,
                           measure_divergence(*model, text, reference.logits, terminal_progress()));
  end_progress_line();
  if (o.perplexity) {
    fmt::print("perplexity  {:.4f} +- {:.4f}\n", d.perplexity.perplexity, d.perplexity.standard_error);
    j["perplexity"] = perplexity_json(d.perplexity);
    add_figure("perplexity", perplexity_json(d.perplexity));
  }
  fmt::print(
      "reference   {}\nmean KL     {:.6f} +- {:.6f} nats\nmedian KL   {:.6f}\n99% KL      {:.6f}\nlargest "
      "KL  {:.6f}\nsame top    {:.2f}%\n",
      o.reference, d.mean_kl, d.standard_error, d.median_kl, d.percentile_99_kl, d.largest_kl,
      100 * d.same_top);
  nlohmann::json kl = {{"mean", d.mean_kl},
                       {"standard_error", d.standard_error},
                       {"median", d.median_kl},
                       {"percentile_90", d.percentile_90_kl},
                       {"percentile_99", d.percentile_99_kl},
                       {"largest", d.largest_kl},
                       {"same_top", d.same_top},
                       {"scored_tokens", d.n_scored}};
  j["reference"] = o.reference;
  j["kl"] = kl;
  kl["reference"] = {{"name", std::filesystem::path(o.reference).filename().string()},
                     {"hash", reference.hash}};
  add_figure("kl", std::move(kl));
  return {};
}

Status check_what_is_asked(Options& o) {
  if (o.tasks.asks_for("perplexity")) {
    o.perplexity = true;
    if (o.text.empty()) o.text = data_file_for("perplexity", o.tasks);
    if (o.text.empty()) return Error{"eval: perplexity needs a text: give --data perplexity=FILE"};
  }
  return {};
}

Status evaluate(Options o) {
  EDGELLM_RETURN_IF_ERROR(check_what_is_asked(o));
  for (const std::string& output : {o.json, o.cache})
    EDGELLM_RETURN_IF_ERROR(check_output(output, {{o.model, o.text, o.reference}}));
  EDGELLM_RETURN_IF_ERROR(check_results_folder(o.results));
  EDGELLM_ASSIGN_OR_RETURN(GgufFile opened, GgufFile::open(o.model));
  auto file = std::make_shared<GgufFile>(std::move(opened));
  const bool other_tasks = std::any_of(o.tasks.names.begin(), o.tasks.names.end(),
                                       [](const std::string& name) { return name != "perplexity"; });
  std::optional<TaskEvaluator> tasks;
  if (other_tasks) {
    EDGELLM_ASSIGN_OR_RETURN(o.tasks.evaluation.answering.kv_type, kv_type_for(file->metadata(), o.kv));
    o.tasks.evaluation.answering.n_threads = o.n_threads;
    EDGELLM_ASSIGN_OR_RETURN(tasks, open_eval_tasks(o.tasks, o.results));
  }
  // Hashing the model takes a second for every 3 GB; items are kept under the hash too.
  ResultRecord record;
  if (!o.results.off || other_tasks) {
    EDGELLM_ASSIGN_OR_RETURN(record, begin_record(*file, o.results));
  }
  nlohmann::json j = {
      {"schema", 1}, {"command", "eval"}, {"model", o.model}, {"model_bytes", file->n_file_bytes()}};
  record.kind = "eval";
  record.figures = nlohmann::json::object();
  const double started = monotonic_seconds();
  fmt::print("model       {}\n", o.model);
  std::fflush(stdout);
  if (o.perplexity || !o.reference.empty()) EDGELLM_RETURN_IF_ERROR(measure_text(o, file, j, record.figures));
  if (tasks) {
    EDGELLM_ASSIGN_OR_RETURN(TaskEvaluation done, run_eval_tasks(*tasks, file, record.model.hash));
    record.figures.update(done.figures);
    j["tasks"] = done.figures;
    j["items"] = nlohmann::json::array();
    for (const auto& log : done.logs) j["items"].push_back(log.string());
  }
  record.run = {{"seconds", monotonic_seconds() - started},
                {"at_once", o.tasks.evaluation.answering.n_at_once}};
  if (!o.json.empty()) EDGELLM_RETURN_IF_ERROR(write_text_file(o.json, j.dump(2) + "\n"));
  return o.results.off ? Status() : keep_record(record, o.results);
}

}  // namespace

void add_eval(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("eval", "Judge a model: tasks, perplexity, KL to a reference model");
  command->add_option("MODEL", o->model, "GGUF file")->required();
  auto* what = command->add_option_group("measures", "what is measured, at least one");
  auto* perplexity = what->add_flag("--perplexity", o->perplexity, "measure perplexity on --text");
  auto* text = command->add_option("--text", o->text, "text file for perplexity and KL");
  perplexity->needs(text);
  command->add_option("--context", o->n_context, "tokens in each window")
      ->capture_default_str()
      ->check(CLI::Range(8, 1 << 20));
  command->add_option("--windows", o->n_windows, "windows from the start of the text (default: all)")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option(
          "--convention", o->convention,
          "llama: second half of each window scored, BOS first, as llama-perplexity does; papers: all tokens")
      ->capture_default_str()
      ->check(CLI::IsMember({"llama", "papers"}));
  what->add_option("--kl-reference", o->reference, "GGUF file of the model to compare with")->needs(text);
  what->add_option("--tasks", o->tasks.names,
                   "as rouge,gsm8k: " + fmt::format("{}", fmt::join(evaluation_names(), ", ")))
      ->delimiter(',')
      ->check(CLI::IsMember(evaluation_names()));
  what->require_option(1, 3);
  command->add_option("--reference-cache", o->cache,
                      "file for the reference's logits (default: beside the reference)");
  add_kv_option(*command, o->kv);
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->add_option("--json", o->json, "also write the figures to this file");
  add_eval_tasks_options(*command, o->tasks);
  add_results_options(*command, o->results);
  command->footer(
      "Examples:\n"
      "  edgellm eval model.gguf --tasks gsm8k --data gsm8k-test.jsonl --limit 100\n"
      "  edgellm eval model.gguf --tasks rouge,humaneval --data rouge=instructions.jsonl --data "
      "humaneval=HumanEval.jsonl\n"
      "  edgellm eval model.gguf --perplexity --text test.txt --windows 16\n"
      "  edgellm eval small.gguf --perplexity --text test.txt --kl-reference model-f16.gguf --json "
      "figures.json");
  command->callback([o, &status] { status = evaluate(*o); });
}

}  // namespace edgellm
