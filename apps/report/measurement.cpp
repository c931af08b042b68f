#include "apps/report/measurement.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>

#include "apps/report/json_member.h"

namespace edgellm {
namespace {

using nlohmann::json;

Column figure(std::string key, std::string title, Better better, int digits, Shown shown = Shown::fixed,
              bool within_model = false) {
  return {std::move(key), std::move(title), shown, better, digits, within_model};
}

// A name that may stand as text or as {"name", "hash"}.
std::string name_of(const json& value) {
  return value.is_object() ? text(value, "name") : value.is_string() ? value.get<std::string>() : "";
}

void add_key(Measurement& m, const json& figures, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const json& value = member(figures, key);
    if (value.is_null()) continue;
    m.extra_key += std::string(key) + "=" + value.dump() + ";";
    std::string words = value.is_boolean()  ? (value.get<bool>() ? key : std::string("not ") + key)
                        : value.is_number() ? fmt::format("{} {}", key, value.dump())
                                            : fmt::format("{} {}", key, name_of(value));
    m.extra_about += (m.extra_about.empty() ? "" : ", ") + words;
  }
}

void describe(Measurement& m, const json& figures) {
  const ResultRecord& r = *m.record;
  RecordedData data = r.data.value_or(RecordedData{});
  if (const json& own = member(figures, "data"); own.is_object())
    data = {text(own, "name"), text(own, "hash"), count(own, "items")};
  const json& settings = member(figures, "settings").is_object() ? member(figures, "settings") : r.settings;
  m.run_key =
      fmt::format("{}|{}|{}", data.hash.empty() ? data.name : data.hash, data.n_items, settings.dump());
  m.data_about = data.name;
  if (data.n_items) m.data_about += fmt::format("{}{} items", data.name.empty() ? "" : ", ", data.n_items);
  m.settings_about = words_of(settings);
  add_key(m, figures, {"encoder", "layer", "idf", "rescaled", "checkpoint", "how", "stemming"});
}

SpeedFigure::Spread spread(const json& object, const char* key) {
  const json& value = member(object, key);
  if (value.is_number()) return {value.get<double>(), {}, {}};
  return {number(value, "median"), number(value, "least"), number(value, "most")};
}

// A fact of the machine: as it stands, or as {"value": ...}.
std::string machine_key(const json& machine) {
  std::string key;
  for (const char* fact : {"board", "cpu", "cores", "isa"}) key += member(machine, fact).dump() + "|";
  return key;
}

std::string machine_about(const json& machine) {
  std::string words;
  auto add = [&](const std::string& word) {
    if (!word.empty()) words += (words.empty() ? "" : ", ") + word;
  };
  add(text(machine, "board"));
  add(text(machine, "cpu"));
  if (auto cores = number(machine, "cores"))
    add(fmt::format("{:.0f} core{}", *cores, *cores == 1 ? "" : "s"));
  add(text(machine, "isa"));
  return words.empty() ? "unknown machine" : words;
}

}  // namespace

const std::vector<Metric>& metrics() {
  constexpr auto kMore = Better::more, kLess = Better::less;
  static const std::vector<Metric> kMetrics = [] {
    std::vector<Metric> all = {
        {figure("bertscore_precision", "BERTScore P", kMore, 4), "bertscore", "precision", "", "text",
         "BERTScore"},
        {figure("bertscore_recall", "BERTScore R", kMore, 4), "bertscore", "recall", "", "text", "BERTScore"},
        {figure("bertscore_f1", "BERTScore F1", kMore, 4), "bertscore", "f1", "", "text", "BERTScore"},
        {figure("rouge1_f1", "ROUGE-1", kMore, 4), "rouge1", "f1", "", "text", "ROUGE"},
        {figure("bleurt", "BLEURT", kMore, 4), "bleurt", "score", "", "text", "BLEURT"},
        {figure("perplexity", "perplexity", kLess, 3, Shown::fixed, true), "perplexity", "perplexity",
         "standard_error", "perplexity", "perplexity"},
        {figure("kl", "KL", kLess, 4, Shown::fixed, true), "kl", "mean", "standard_error", "kl",
         "KL to the original"},
        {figure("same_top", "same top", kMore, 1, Shown::percent, true), "kl", "same_top", "", "kl",
         "KL to the original"},
        {figure("ag_news", "ag_news", kMore, 1, Shown::percent), "ag_news", "accuracy", "standard_error",
         "ag_news", "ag_news"},
        {figure("ag_news_generation", "ag_news, generated", kMore, 1, Shown::percent), "ag_news_generation",
         "accuracy", "standard_error", "ag_news_generation", "ag_news, generated"},
        {figure("gsm8k", "GSM8K", kMore, 1, Shown::percent), "gsm8k", "accuracy", "standard_error", "gsm8k",
         "GSM8K"},
        {figure("humaneval", "HumanEval pass@1", kMore, 1, Shown::percent), "humaneval", "pass_at_1",
         "standard_error", "humaneval", "HumanEval"},
    };
    for (auto [object, title] : {std::pair("rouge1", "ROUGE-1"), std::pair("rouge2", "ROUGE-2"),
                                 std::pair("rougeL", "ROUGE-L"), std::pair("rougeLsum", "ROUGE-Lsum")})
      for (auto [field, letters] :
           {std::pair("precision", "P"), std::pair("recall", "R"), std::pair("f1", "F1")})
        all.push_back({figure(fmt::format("detail_{}_{}", object, field),
                              fmt::format("{} {}", title, letters), kMore, 4),
                       object, field, "", "text", "ROUGE", true});
    return all;
  }();
  return kMetrics;
}

const Metric& metric(std::string_view key) {
  auto found =
      std::find_if(metrics().begin(), metrics().end(), [&](const Metric& m) { return m.key() == key; });
  assert(found != metrics().end());
  return *found;
}

std::vector<Measurement> measurements(std::span<const ResultRecord> records) {
  std::vector<Measurement> all;
  for (const ResultRecord& record : records) {
    if (record.kind != "eval" && record.kind != "score") continue;
    for (const Metric& metric : metrics()) {
      const json& figures = member(record.figures, metric.object.c_str());
      auto value = number(figures, metric.field.c_str());
      if (!value) continue;
      Measurement m;
      m.metric = &metric;
      m.record = &record;
      m.value = *value;
      if (!metric.error_field.empty()) m.error = number(figures, metric.error_field.c_str());
      describe(m, figures);
      all.push_back(std::move(m));
    }
  }
  return all;
}

std::vector<SpeedFigure> speed_figures(std::span<const ResultRecord> records) {
  std::vector<SpeedFigure> all;
  for (const ResultRecord& record : records) {
    if (record.kind != "bench") continue;
    for (const json& run : member(record.figures, "runs")) {
      SpeedFigure f;
      f.record = &record;
      f.device = text(run, "device");
      f.n_threads = count(run, "threads");
      f.n_prompt_tokens = count(run, "prompt_tokens");
      f.n_output_tokens = count(run, "output_tokens");
      f.seconds_per_token = spread(run, "seconds_per_token");
      f.prompt_tokens_per_second = spread(run, "prompt_tokens_per_second");
      f.first_token_seconds = spread(run, "first_token_seconds");
      f.energy_joules_per_token = spread(run, "energy_joules_per_token").median;
      f.why_no_energy = text(run, "energy");
      f.n_peak_bytes = number(record.figures, "peak_resident_bytes");
      f.key = fmt::format("{}{}|{}", machine_key(record.machine), record.settings.dump(), f.n_prompt_tokens);
      f.about = fmt::format("{}; prompt of {} tokens", machine_about(record.machine), f.n_prompt_tokens);
      if (std::string settings = words_of(record.settings); !settings.empty()) f.about += "; " + settings;
      all.push_back(std::move(f));
    }
  }
  return all;
}

ModelLabels::ModelLabels(std::span<const ResultRecord> records) {
  std::map<std::string, std::string> fitted;
  for (const ResultRecord& r : records)
    if (r.kind == "fit") fitted[r.model.hash] = r.model.method;
  for (const ResultRecord& r : records) {
    auto fit = fitted.find(r.model.hash);
    labels_[r.model.hash] = {r.model.hash, r.model.name, fit == fitted.end() ? r.model.method : fit->second,
                             r.model.file, double(r.model.n_bytes)};
  }
}

const ModelLabel& ModelLabels::of(const ResultRecord& record) const {
  return labels_.at(record.model.hash);
}

std::string words_of(const json& object) {
  std::string words;
  if (!object.is_object()) return words;
  for (const auto& [key, value] : object.items()) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', ' ');
    std::string word = value.is_null()      ? ""
                       : value.is_boolean() ? (value.get<bool>() ? name : "no " + name)
                       : value.is_string()  ? name + " " + value.get<std::string>()
                       : value.is_object()  ? name + " (" + words_of(value) + ")"
                                            : name + " " + value.dump();
    if (!word.empty()) words += (words.empty() ? "" : ", ") + word;
  }
  return words;
}

}  // namespace edgellm
