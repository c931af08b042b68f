#include "recipes/fit_record.h"

#include <filesystem>
#include <fmt/format.h>

namespace edgellm {
namespace {

using nlohmann::json;

json kl_of(const json& judged) {
  return {{"mean", judged.at("mean_kl")},
          {"standard_error", judged.at("mean_kl_standard_error")},
          {"percentile_99", judged.at("percentile_99_kl")},
          {"same_top", judged.at("same_top")}};
}

json plan_of(const json& report) {
  json plan = json::array();
  if (!report.contains("tensors")) return plan;
  for (const json& tensor : report["tensors"]) {
    json row = {{"tensor", tensor.at("name")}};
    for (const char* key : {"role", "layer", "type", "bits", "bytes", "predicted_kl"})
      if (tensor.contains(key)) row[key] = tensor[key];
    plan.push_back(std::move(row));
  }
  return plan;
}

json rivals_of(const json& report) {
  json rivals = json::array();
  std::map<std::string, json> n_bytes;
  for (const json& plan : report.at("tried")) {
    n_bytes[plan.at("name")] = plan.at("file_bytes");
    rivals.push_back({{"name", plan.at("name")},
                      {"bytes", plan.at("file_bytes")},
                      {"kl", plan.at("search_kl")},
                      {"text", "search"}});
  }
  for (const json& plan : report.at("verified")) {
    std::string name = plan.at("name");
    rivals.push_back(
        {{"name", name}, {"bytes", n_bytes[name]}, {"kl", plan.at("mean_kl")}, {"text", "verify"}});
  }
  return rivals;
}

}  // namespace

void fill_fit_record(const json& report, ResultRecord& record) {
  const json &before = report.at("before"), &after = report.at("after"), &text = report.at("calibration");
  std::string chosen = report.at("chosen");
  bool searched = chosen == "searched" || chosen == "predicted";
  record.kind = "fit";
  record.model.method = searched ? "fit" : fmt::format("fit: {}", chosen);
  record.model.source = {
      {"name", std::filesystem::path(report.at("model").get<std::string>()).filename().string()},
      {"hash", report.at("model_hash")},
      {"bytes", before.at("file_bytes")}};
  std::string names;
  for (const json& source : text.at("sources")) {
    names += (names.empty() ? "" : ", ") + source.at("name").get<std::string>();
    if (source.contains("weight")) names += fmt::format(" (weight {})", source["weight"].get<double>());
  }
  record.data = RecordedData{names, text.at("hash"), text.at("verify_windows")};
  record.settings = {{"context", text.at("window_tokens")}, {"windows", text.at("verify_windows")}};
  double seconds = 0;
  for (const json& stage : report.at("stages")) seconds += stage.at("seconds").get<double>();
  record.run = {{"seconds", seconds}, {"stages", report.at("stages")}, {"budget", report.at("budget")}};
  record.figures = {
      {"kl", kl_of(after)},
      {"perplexity", {{"perplexity", after.at("perplexity")}, {"original", before.at("perplexity")}}},
      {"bytes", after.at("file_bytes")},
      {"budget_bytes", report.at("budget").at("file_bytes")},
      {"peak_resident_bytes", after.at("peak_resident_bytes")},
      {"chosen", chosen},
      {"dropped_layers", report.at("dropped_layers")},
      {"dropped_attention", report.at("dropped_attention")},
      {"dropped_ffn", report.at("dropped_ffn")},
      {"ffn_widths", report.at("ffn_widths")},
      {"plan", plan_of(report)},
      {"rivals", rivals_of(report)},
      {"seconds", seconds}};
}

}  // namespace edgellm
