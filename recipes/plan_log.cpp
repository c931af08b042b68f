#include "recipes/plan_log.h"

#include <nlohmann/json.hpp>

#include "plan/pareto.h"
#include "recipes/json_lines.h"

namespace edgellm {

PlanLog::PlanLog(const std::filesystem::path& path) : path_(path) {
  for (const nlohmann::json& row : read_json_lines(path)) {
    try {
      const double kl = row.at("kl");
      const std::string key = row.at("key");
      known_[key] = kl;
      plans_.push_back({row.at("name"), row.at("file_bytes"), kl});
      described_.insert(key);
    } catch (const nlohmann::json::exception&) {
    }
  }
}

std::optional<double> PlanLog::find(const std::string& key) const {
  auto found = known_.find(key);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

Status PlanLog::add(const std::string& key, const LoggedPlan& plan) {
  known_[key] = plan.kl;
  plans_.push_back(plan);
  described_.insert(key);
  if (path_.empty()) return {};
  return append_json_line(
      path_, {{"key", key}, {"kl", plan.kl}, {"name", plan.name}, {"file_bytes", plan.n_file_bytes}});
}

std::vector<LoggedPlan> pareto_plans(const std::vector<LoggedPlan>& plans) {
  std::vector<TradeOff> points;
  for (const LoggedPlan& plan : plans) points.push_back({double(plan.n_file_bytes), plan.kl});
  std::vector<LoggedPlan> front;
  for (size_t i : pareto_front(points)) front.push_back(plans[i]);
  return front;
}

}  // namespace edgellm
