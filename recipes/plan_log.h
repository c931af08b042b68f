// The plans that fits of a model have measured, appended to a file of lines {"key": HASH, "kl": X, "name": N,
// "file_bytes": B}, so that no stopped or further fit measures one twice, and all of them can be looked at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct LoggedPlan {
  std::string name;  // "predicted", "candidate" (of a search), or a preset's
  uint64_t n_file_bytes = 0;
  double kl = 0;  // mean, on the text of the log
  bool operator==(const LoggedPlan&) const = default;
};

class PlanLog {
 public:
  // Lines that are torn or say no KL are left out. An empty path: nothing is kept beyond this object.
  explicit PlanLog(const std::filesystem::path& path);

  // Of the plan of a hash (plan_hash()); also of a line that only says the KL, which is none of plans().
  std::optional<double> find(const std::string& key) const;
  bool has_plan(const std::string& key) const { return described_.contains(key); }
  // Error when it cannot be written.
  Status add(const std::string& key, const LoggedPlan& plan);
  // In the order in which they were measured.
  const std::vector<LoggedPlan>& plans() const { return plans_; }

 private:
  std::filesystem::path path_;
  std::map<std::string, double> known_;
  std::set<std::string> described_;  // those of plans_
  std::vector<LoggedPlan> plans_;
};

// Those of the plans that no other is both smaller and nearer than, by rising size.
std::vector<LoggedPlan> pareto_plans(const std::vector<LoggedPlan>& plans);

}  // namespace edgellm
