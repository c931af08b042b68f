#include "evaluate/tasks/item_reader.h"

namespace edgellm {

Result<TaskItems> read_items(ReadRecords& read_records, const std::filesystem::path& path, size_t n_most,
                             const MakeItems& make) {
  TaskItems read;
  const auto take = [&](const nlohmann::json& record, size_t line) -> Status {
    const size_t n_before = read.items.size();
    EDGELLM_RETURN_IF_ERROR(make(record, line, read.items));
    for (size_t i = n_before; i < read.items.size(); ++i) read.items[i].source = record;
    return {};
  };
  EDGELLM_ASSIGN_OR_RETURN(TaskDataReport report, read_records(path, n_most, take));
  read.broken = std::move(report.broken);
  return read;
}

}  // namespace edgellm
