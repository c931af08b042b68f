// What the tasks' readers share: the items of a data file, record by record.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "evaluate/tasks/task.h"
#include "evaluate/tasks/task_data.h"

namespace edgellm {

// Appends the items of a record, or none and an Error that says what is broken about it. Their source is set
// by the reader.
using MakeItems =
    std::function<Status(const nlohmann::json& record, size_t line, std::vector<TaskItem>& items)>;

// read_json_lines or read_csv.
using ReadRecords = Result<TaskDataReport>(const std::filesystem::path& path, size_t n_most,
                                           const TakeRecord& take);

// The items of the first `n_most` good records. Errors: as `read_records`.
Result<TaskItems> read_items(ReadRecords& read_records, const std::filesystem::path& path, size_t n_most,
                             const MakeItems& make);

}  // namespace edgellm
