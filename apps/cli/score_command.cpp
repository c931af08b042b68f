#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/results_options.h"
#include "core/base/content_hash.h"
#include "core/base/output_file.h"
#include "evaluate/rouge.h"
#include "recipes/answer_pairs.h"
#include "recipes/metric_figures.h"
#include "recipes/text_metrics.h"

namespace edgellm {
namespace {

struct Options {
  AnswerFiles files;
  std::vector<std::string> metrics = {"rouge"};
  std::string encoder, bleurt_encoder, baseline, json;
  size_t layer = size_t(-1);
  bool stem = false, idf = false;
  size_t n_threads = 0;
  ResultsOptions results;

  bool has(const char* metric) const {
    return std::find(metrics.begin(), metrics.end(), metric) != metrics.end();
  }
};

template <class Score>
void print_triple(const char* name, const Score& score, const std::string& note = {}) {
  fmt::print("{:<11} {:9.6f} {:9.6f} {:9.6f}{}\n", name, score.precision, score.recall, score.f1,
             note.empty() ? "" : "  " + note);
}

struct Report {
  // Means and settings as --json has them; seconds, of scoring alone, by metric.
  nlohmann::json means = nlohmann::json::object(), settings = nlohmann::json::object(),
                 seconds = nlohmann::json::object();
  std::vector<nlohmann::json> items;                  // one a pair
  nlohmann::json figures = nlohmann::json::object();  // as a result record has them
};

void score_rouge(const Options& o, std::span<const TextPair> pairs, Report& report) {
  double started = monotonic_seconds();
  RougeMeter meter({{1, 2}, o.stem});
  for (size_t i = 0; i < pairs.size(); ++i)
    report.items[i].update(to_json(meter.add(pairs[i].reference, pairs[i].candidate)));
  report.seconds["rouge"] = monotonic_seconds() - started;
  RougeScores mean = meter.value();
  print_triple("ROUGE-1", mean.rouge_n[0]);
  print_triple("ROUGE-2", mean.rouge_n[1]);
  print_triple("ROUGE-L", mean.rouge_l);
  print_triple("ROUGE-Lsum", mean.rouge_lsum);
  report.means.update(to_json(mean));
  report.settings["rouge"] = {{"stemming", o.stem}};
  report.figures.update(to_json(mean));
  for (const char* name : {"rouge1", "rouge2", "rougeL", "rougeLsum"})
    report.figures[name]["stemming"] = o.stem;
}

Status score_bert(const Options& o, const TextMetricsOptions& options, std::span<const TextPair> pairs,
                  TextMetrics& metrics, Report& report) {
  double started = monotonic_seconds();
  EDGELLM_ASSIGN_OR_RETURN(auto scores, metrics.bert_scores(pairs, terminal_progress()));
  report.seconds["bertscore"] = monotonic_seconds() - started;
  end_progress_line();
  for (size_t i = 0; i < pairs.size(); ++i) report.items[i]["bertscore"] = to_json(scores[i]);
  BertScore all = mean(scores);
  print_triple("BERTScore", all,
               fmt::format("layer {} ({}){}{}", metrics.layer(), metrics.layer_source(), o.idf ? ", idf" : "",
                           o.baseline.empty() ? "" : ", rescaled"));
  report.means["bertscore"] = to_json(all);
  report.settings["bertscore"] = {{"encoder", o.encoder},
                                  {"layer", metrics.layer()},
                                  {"layer_source", metrics.layer_source()},
                                  {"idf", o.idf},
                                  {"baseline", o.baseline}};
  report.figures["bertscore"] = bert_score_figure(all, encoder_name(o.encoder), options, metrics);
  return {};
}

Status score_bleurt(const std::string& encoder, std::span<const TextPair> pairs, TextMetrics& metrics,
                    Report& report) {
  double started = monotonic_seconds();
  EDGELLM_ASSIGN_OR_RETURN(auto scores, metrics.bleurt_scores(pairs, terminal_progress()));
  report.seconds["bleurt"] = monotonic_seconds() - started;
  end_progress_line();
  double sum = 0;
  for (size_t i = 0; i < pairs.size(); ++i) {
    report.items[i]["bleurt"] = scores[i];
    sum += scores[i];
  }
  const double mean = sum / double(pairs.size());
  fmt::print("{:<11} {:9.6f}\n", "BLEURT", mean);
  report.means["bleurt"] = mean;
  report.settings["bleurt"] = {{"encoder", encoder}};
  report.figures["bleurt"] = bleurt_figure(mean, encoder_name(encoder));
  return {};
}

// Of the texts, not of the file they lie in: two programs' answers are compared on the same references
// wherever these stand.
std::string hash_of(const std::vector<std::string>& texts) {
  return hash_text(nlohmann::json(texts).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Status keep_score_record(const Options& o, const AnswerPairs& texts, const Report& report) {
  if (o.results.off) return {};
  ResultRecord record = begin_record();
  record.kind = "score";
  record.model.name = o.results.name.empty() ? o.files.candidates.stem().string() : o.results.name;
  record.model.method = o.results.method;
  record.model.file = o.files.candidates.filename().string();
  record.model.hash = hash_of(texts.candidates);
  record.data = RecordedData{o.files.references.filename().string(), hash_of(texts.references),
                             texts.references.size()};
  record.run = {{"seconds", report.seconds}};
  record.figures = report.figures;
  return keep_record(record, o.results);
}

Status score(const Options& o) {
  std::string bleurt_encoder = o.bleurt_encoder.empty() ? o.encoder : o.bleurt_encoder;
  if (o.has("bertscore") && o.encoder.empty())
    return Error{"bertscore needs an encoder: give --encoder DIR, a Hugging Face folder of BERT or RoBERTa"};
  if (o.has("bleurt") && bleurt_encoder.empty())
    return Error{"bleurt needs a BLEURT checkpoint: give --encoder DIR or --bleurt-encoder DIR"};
  EDGELLM_RETURN_IF_ERROR(check_output(o.json, {{o.files.candidates, o.files.references}}));
  EDGELLM_RETURN_IF_ERROR(check_results_folder(o.results));
  EDGELLM_ASSIGN_OR_RETURN(AnswerPairs texts, read_answer_pairs(o.files));
  std::vector<TextPair> pairs = texts.pairs();

  TextMetricsOptions wanted{.bert_score = o.has("bertscore"),
                            .bleurt = o.has("bleurt") && bleurt_encoder == o.encoder,
                            .idf = o.idf,
                            .baseline = o.baseline,
                            .n_threads = o.n_threads};
  if (o.layer != size_t(-1)) wanted.layer = o.layer;
  std::optional<TextMetrics> metrics, bleurt_metrics;
  if (wanted.bert_score || wanted.bleurt) {
    EDGELLM_ASSIGN_OR_RETURN(metrics, TextMetrics::load(o.encoder, wanted));
  }
  if (o.has("bleurt") && !wanted.bleurt) {
    EDGELLM_ASSIGN_OR_RETURN(bleurt_metrics,
                             TextMetrics::load(bleurt_encoder, {.bleurt = true, .n_threads = o.n_threads}));
  }

  Report report;
  report.items.assign(pairs.size(), nlohmann::json::object());
  fmt::print("pairs       {}\n{:<11} {:>9} {:>9} {:>9}\n", pairs.size(), "", "precision", "recall", "F1");
  if (o.has("rouge")) score_rouge(o, pairs, report);
  if (o.has("bertscore")) EDGELLM_RETURN_IF_ERROR(score_bert(o, wanted, pairs, *metrics, report));
  if (o.has("bleurt"))
    EDGELLM_RETURN_IF_ERROR(
        score_bleurt(bleurt_encoder, pairs, bleurt_metrics ? *bleurt_metrics : *metrics, report));
  if (!o.json.empty()) {
    nlohmann::json j = {{"schema", 1},
                        {"command", "score"},
                        {"candidates", o.files.candidates.string()},
                        {"references", o.files.references.string()},
                        {"pairs", pairs.size()},
                        {"settings", report.settings},
                        {"seconds", report.seconds},
                        {"mean", report.means},
                        {"scores", report.items}};
    EDGELLM_RETURN_IF_ERROR(
        write_text_file(o.json, j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"));
  }
  return keep_score_record(o, texts, report);
}

}  // namespace

void add_score(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("score", "Compare answers with references: ROUGE, BERTScore, BLEURT");
  command
      ->add_option("--candidates", o->files.candidates,
                   "answers: a text file, one a line, or JSON lines where it ends in .jsonl")
      ->required();
  command
      ->add_option("--references", o->files.references,
                   "references, one for each answer; may be the same .jsonl")
      ->required();
  command->add_option("--candidate-key", o->files.candidate_key, "key of the answer in JSON lines")
      ->capture_default_str();
  command->add_option("--reference-key", o->files.reference_key, "key of the reference in JSON lines")
      ->capture_default_str();
  command->add_option("--metrics", o->metrics, "any of rouge, bertscore, bleurt, with commas between")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember({"rouge", "bertscore", "bleurt"}));
  command->add_flag("--stem", o->stem, "ROUGE: compare Porter stems");
  command->add_option("--encoder", o->encoder, "folder of the text encoder (BERT, RoBERTa, RemBERT)");
  command->add_option("--bleurt-encoder", o->bleurt_encoder,
                      "folder of the BLEURT checkpoint (default: --encoder)");
  command->add_option(
      "--layer", o->layer,
      "BERTScore: layer to compare (default: bert-score's choice for the model, else the last)");
  command->add_flag("--idf", o->idf, "BERTScore: weigh tokens by their rarity among the references");
  command->add_option("--rescale", o->baseline,
                      "BERTScore: rescale with this baseline file of bert-score (.tsv)");
  command->add_option("--threads", o->n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command->add_option("--json", o->json, "also write the means and every pair's scores to this file");
  add_results_options(*command, o->results);
  command->get_option("--model-name")
      ->description("whose answers these are, for reports (default: the answers file's name)");
  command->get_option("--method")->description("what was done to that model, for reports");
  command->footer(
      "Examples:\n"
      "  edgellm score --candidates answers.txt --references references.txt --metrics rouge --stem\n"
      "  edgellm score --candidates items.jsonl --references items.jsonl --candidate-key answer \\\n"
      "    --metrics rouge,bertscore --encoder roberta-large --json scores.json --model-name 'Llama 2 7B'\n"
      "  edgellm score --candidates answers.txt --references references.txt --metrics bleurt --encoder "
      "BLEURT-20");
  command->callback([o, &status] { status = score(*o); });
}

}  // namespace edgellm
