// Figures that long stages measure one by one, appended to a file of lines {"key": K, "kl": X} so that a
// stopped run measures none of them twice.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/base/result.h"

namespace edgellm {

class MeasureLog {
 public:
  // A torn last line is left out.
  explicit MeasureLog(const std::filesystem::path& path);

  std::optional<double> find(const std::string& key) const;
  // Error when it cannot be written.
  Status add(const std::string& key, double kl);

 private:
  std::filesystem::path path_;
  std::map<std::string, double> known_;
};

}  // namespace edgellm
