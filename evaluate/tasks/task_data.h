// Data files of tasks, read record by record: JSON lines and CSV. A broken record is named by file and line,
// counted and skipped; more than 1% broken is an Error, so that a file of another kind is not judged by the
// lines that happen to fit.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct TaskDataReport {
  size_t n_records = 0;             // good ones
  std::vector<std::string> broken;  // "data.jsonl:12: what was wanted, what was got"
};

// What to do with a record: a JSON object, or of a CSV row an array of strings. `line` is its first line,
// from 1. An Error says what is broken about it, without file and line.
using TakeRecord = std::function<Status(const nlohmann::json& record, size_t line)>;

// Stops after `n_most` good records. Empty lines are skipped. Both read one record at a time.
// Errors: the file cannot be read, has no good record, or more than 1% of the records read are broken.
Result<TaskDataReport> read_json_lines(const std::filesystem::path& path, size_t n_most,
                                       const TakeRecord& take);

// RFC 4180: fields in double quotes may hold commas, line ends and doubled quotes. No header row is expected.
Result<TaskDataReport> read_csv(const std::filesystem::path& path, size_t n_most, const TakeRecord& take);

}  // namespace edgellm
