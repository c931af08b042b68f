// The figures of result records, one by one, each with what decides which others it may be compared with.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/report/table.h"
#include "results/result_record.h"

namespace edgellm {

// One figure of an evaluation: where it stands in a record, and how it is shown.
struct Metric {
  Column column;
  std::string object, field, error_field;  // figures[object][field]
  // Metrics of one family come out of one run over one set of answers and are chosen together.
  std::string family;
  std::string group;    // words for the note below the table: "ROUGE"
  bool detail = false;  // stands in a table of its own
  std::string_view key() const { return column.key; }
};
const std::vector<Metric>& metrics();
const Metric& metric(std::string_view key);

struct Measurement {
  const Metric* metric = nullptr;
  const ResultRecord* record = nullptr;
  double value = 0;
  std::optional<double> error;
  std::string run_key;    // data and settings: equal for figures that may be compared
  std::string extra_key;  // what of the metric itself must be equal too: encoder, layer, checkpoint
  std::string data_about, settings_about, extra_about;  // the same in words
};
// Of all "eval" and "score" records, in their order.
std::vector<Measurement> measurements(std::span<const ResultRecord> records);

struct SpeedFigure {
  const ResultRecord* record = nullptr;
  std::string device;  // "cpu", "gpu", "npu"
  uint64_t n_threads = 0, n_prompt_tokens = 0, n_output_tokens = 0;
  struct Spread {
    std::optional<double> median, least, most;
  };
  Spread seconds_per_token, prompt_tokens_per_second, first_token_seconds;
  std::optional<double> energy_joules_per_token;
  std::string why_no_energy;
  std::optional<double> n_peak_bytes;
  std::string key, about;  // machine, settings and prompt: equal for figures that may be compared
};
// Of all "bench" records, in their order.
std::vector<SpeedFigure> speed_figures(std::span<const ResultRecord> records);

// What a model is called in a report. Records of one hash share one label: the latest name, and the method of
// the fit that made it where there is one.
struct ModelLabel {
  std::string hash, name, method, file;  // no method: not told
  double n_bytes = 0;                    // 0: not known
};
class ModelLabels {
 public:
  explicit ModelLabels(std::span<const ResultRecord> records);
  const ModelLabel& of(const ResultRecord& record) const;

 private:
  std::map<std::string, ModelLabel> labels_;
};

// "greedy sampling" and the like out of an object: "context 512, kv f16".
std::string words_of(const nlohmann::json& object);

}  // namespace edgellm
