#include "recipes/fit_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "core/base/thread_pool.h"
#include "recipes/compensation_report.h"
#include "recipes/fit_budget.h"
#include "recipes/fit_reasons.h"
#include "recipes/training_report.h"

namespace edgellm {
namespace {

nlohmann::json to_json(const FitSide& side) {
  nlohmann::json j = to_json(side.judged);
  j["file_bytes"] = side.n_file_bytes;
  j["predicted_memory_bytes"] = side.n_predicted_memory_bytes;
  auto figure = [&](auto MeasuredRun::*of) { return side.run ? nlohmann::json(*side.run.*of) : nullptr; };
  j["peak_resident_bytes"] = figure(&MeasuredRun::peak_resident_bytes);
  j["prompt_tokens_per_second"] = figure(&MeasuredRun::prompt_tokens_per_second);
  j["generated_tokens_per_second"] = figure(&MeasuredRun::generated_tokens_per_second);
  return j;
}

nlohmann::json to_json(const KvChoice& choice) {
  auto number = [](const std::optional<double>& value) { return value ? nlohmann::json(*value) : nullptr; };
  return {{"type", to_string(choice.type)},
          {"predicted_kl_with_f16", number(choice.harm_with_f16)},
          {"predicted_kl_with_q8_0", number(choice.harm_with_q8_0)},
          {"kl_of_q8_0", number(choice.kl_of_q8_0)}};
}

// Of the products of a token, on the profile's device.
nlohmann::json speed_report(const FitOptions& options, const GgufFile& original, const GgufFile& planned,
                            const FitFindings& found) {
  const DeviceProfile& profile = *found.profile;
  nlohmann::json j = {{"optimize", to_string(options.goal)},
                      {"profile", options.device_profile.empty() ? "measured on this machine"
                                                                 : options.device_profile.string()},
                      {"device", {{"backend", profile.backend}, {"threads", profile.n_threads}}},
                      {"predicted_seconds_per_token", nullptr},
                      {"predicted_seconds_per_token_before", nullptr}};
  if (profile.machine.is_object() && profile.machine.contains("cpu"))
    j["device"]["cpu"] = profile.machine["cpu"];
  if (auto seconds = predicted_seconds_per_token(planned, found.chosen->plan, profile))
    j["predicted_seconds_per_token"] = *seconds;
  if (auto seconds = predicted_seconds_per_token(original, {}, profile))
    j["predicted_seconds_per_token_before"] = *seconds;
  if (found.most_seconds) j["most_seconds_per_token"] = *found.most_seconds;
  if (found.most_harm) j["most_harm"] = *found.most_harm;
  return j;
}

void add_tensors(const FitModel& planned, const FitFindings& found, nlohmann::json& j) {
  const std::vector<TensorCandidates>& candidates = planned.candidates;
  const QuantizationPlan& plan = found.chosen->plan;
  auto items = allocation_items(candidates);
  for (size_t i = 0; i < candidates.size(); ++i) {
    const TensorCandidates& c = candidates[i];
    auto type = plan.types.find(c.tensor->name);
    if (type == plan.types.end()) continue;
    j["tensors"].push_back({{"name", planned.original_name(c.tensor->name)},
                            {"role", to_string(c.role)},
                            {"layer", planned.original_layer(c.layer)},
                            {"type", to_string(type->second)},
                            {"bits", info(type->second).bits_per_value()},
                            {"bytes", *tensor_bytes({c.tensor->name, type->second, c.tensor->dimensions})},
                            {"probe_type", to_string(c.probe)},
                            {"probe_kl", c.probe_kl}});
    // A preset's types need not be among the candidates.
    if (auto known = std::find(c.types.begin(), c.types.end(), type->second); known != c.types.end())
      j["tensors"].back()["predicted_kl"] = items[i].options[size_t(known - c.types.begin())].cost;
  }
}

}  // namespace

FitSide fit_side(const FitOptions& options, const FitModel& model, uint64_t n_file_bytes,
                 const QuantizationPlan& plan, KvType kv, const std::optional<MeasuredRun>& run,
                 const Judged& judged) {
  // Does not fail: the plan has been written or read.
  uint64_t n_counted_bytes = n_file_bytes;
  const FitBudget budget(options, *model.source, model.hyperparameters,
                         ThreadPool(options.n_threads).n_threads());
  if (auto counted = counted_bytes(*model.source, plan, budget.lookup()); counted.ok())
    n_counted_bytes = *counted;
  return {n_file_bytes, budget.run_memory(n_counted_bytes, kv).total(), run, judged};
}

nlohmann::json fit_report(const FitOptions& options, const FitModel& original, const FitModel& planned,
                          const FitFindings& found) {
  nlohmann::json j;
  j["schema"] = 1;
  j["command"] = "fit";
  j["model"] = options.model.string();
  j["model_hash"] = found.model_hash;
  j["output"] = options.output.string();
  j["budget"] = {
      {"file_bytes", found.budget}, {"context", options.n_context}, {"kv", to_string(found.kv_type)}};
  if (options.memory_bytes) j["budget"]["memory_bytes"] = *options.memory_bytes;
  if (found.kv_choice) j["kv_choice"] = to_json(*found.kv_choice);
  j["calibration"] = to_json(*found.text);
  j["calibration"].update({{"drawn_from_model", options.calibrate.empty()},
                           {"search_windows", found.n_search},
                           {"verify_windows", found.n_verify}});
  j["before"] = to_json(found.before);
  j["after"] = to_json(found.after);
  j["chosen"] = found.chosen->name;
  j.update(to_json(planned.shape));
  if (found.left_out)
    j["left_out"] = {{"search_kl", found.left_out->value("search_kl", nlohmann::json())},
                     {"search_kl_of_whole", found.left_out->value("search_kl_of_whole", nlohmann::json())}};
  j["output_tied"] = found.is_output_left_out;
  if (found.profile) j["speed"] = speed_report(options, *original.source, *planned.source, found);
  add_tensors(planned, found, j);
  for (const auto& plan : found.searched->tried)
    j["tried"].push_back({{"name", plan.name}, {"file_bytes", plan.n_file_bytes}, {"search_kl", plan.kl}});
  j["predicted_kl"] = found.searched->predicted_harm;
  j["not_measured"] = nlohmann::json::array();
  for (const auto& plan : found.searched->unlikely)
    j["not_measured"].push_back(
        {{"name", plan.name}, {"file_bytes", plan.n_file_bytes}, {"predicted_kl", plan.predicted_harm}});
  j["pareto"] = nlohmann::json::array();
  for (const ParetoPlan& p : found.pareto)
    j["pareto"].push_back({{"name", p.plan.name},
                           {"file_bytes", p.plan.n_file_bytes},
                           {"search_kl", p.plan.kl},
                           {"lacks_parts", p.lacks_parts}});
  for (const VerifiedPlan& plan : found.verified) {
    j["verified"].push_back(to_json(plan.judged));
    j["verified"].back().update({{"name", plan.name}, {"preset", plan.is_preset}});
  }
  if (found.compensation) {
    std::vector<CompensatedTensor> tensors = found.compensation->tensors;
    for (CompensatedTensor& tensor : tensors) tensor.name = planned.original_name(tensor.name);
    j["compensation"] = {{"tokens", found.compensation->n_tokens},
                         {"tensors", to_json(std::span<const CompensatedTensor>(tensors))}};
    std::vector<TrainedLayer> layers = found.compensation->layers;
    for (TrainedLayer& layer : layers) {
      layer.layer = uint32_t(planned.original_layer(int32_t(layer.layer)));
      for (std::string& name : layer.changed) name = planned.original_name(name);
    }
    if (found.n_layer_training_bytes) j["compensation"]["layers_lack_bytes"] = found.n_layer_training_bytes;
    if (!layers.empty()) j["compensation"]["layers"] = to_json(std::span<const TrainedLayer>(layers));
  }
  if (found.training) {
    GridTraining training = *found.training;
    if (training.stopped_layer)
      training.stopped_layer = uint32_t(planned.original_layer(int32_t(*training.stopped_layer)));
    j["training"] = to_json(training);
  }
  j["generation"] = {{"answers", found.generation->answers},
                     {"empty", found.generation->n_empty},
                     {"looping", found.generation->n_looping},
                     {"collapsed", found.generation->collapsed()},
                     {"collapsed_plans", found.collapsed_plans}};
  if (found.steps)
    j["time"] = {{"seconds_asked", *options.seconds},
                 {"compensation_windows", found.steps->n_compensation_windows},
                 {"training_epochs", found.steps->n_training_epochs}};
  for (const auto& [stage, seconds] : found.stages)
    j["stages"].push_back({{"stage", stage}, {"seconds", seconds}});
  j["why"] = fit_reasons(j);
  return j;
}

}  // namespace edgellm
