#include "results/results_folder.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fmt/format.h>
#include <unistd.h>

#include "core/base/content_hash.h"
#include "core/base/output_file.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostRecordBytes = uint64_t{64} << 20;
constexpr size_t kMostNameBytes = 48;  // of the model's name in a file's name

fs::path folder_in(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value ? fs::path(value) : fs::path();
}

std::string utc(std::time_t now, const char* format) {
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

// What every file system takes in a name.
std::string plain_name(const std::string& text) {
  std::string name;
  for (unsigned char c : text.substr(0, kMostNameBytes)) {
    bool plain =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_';
    name += plain ? char(c) : '-';
  }
  return name;
}

// Differs between processes, threads and calls.
std::string new_digits(const std::string& content) {
  static std::atomic<uint64_t> n_calls = 0;
  auto clock = std::chrono::steady_clock::now().time_since_epoch().count();
  return hash_text(fmt::format("{} {} {} {}", ::getpid(), n_calls++, clock, content)).substr(0, 8);
}

}  // namespace

fs::path default_results_folder() {
  if (fs::path given = folder_in("EDGELLM_RESULTS"); !given.empty()) return given;
  if (fs::path data = folder_in("XDG_DATA_HOME"); !data.empty()) return data / "edgellm" / "results";
  if (fs::path home = folder_in("HOME"); !home.empty())
    return home / ".local" / "share" / "edgellm" / "results";
  return {};
}

Result<fs::path> append_record(const fs::path& folder, ResultRecord record) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (!fs::is_directory(folder, code))
    return Error{fmt::format("cannot keep the result in {}: {}", folder.string(),
                             code ? code.message() : "it is no folder")};
  std::time_t now = std::time(nullptr);
  record.time = utc(now, "%Y-%m-%dT%H:%M:%SZ");
  record.id = fmt::format("{}-{}-{}-{}", utc(now, "%Y%m%dT%H%M%SZ"), record.kind,
                          plain_name(record.model.name), new_digits(record.model.hash));
  fs::path path = folder / (record.id + ".json");
  // A model's name may hold bytes that are no UTF-8.
  std::string text = record_json(record).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  EDGELLM_RETURN_IF_ERROR(write_text_file(path, text));
  return path;
}

Result<std::vector<ResultRecord>> read_records(const fs::path& folder) {
  std::error_code code;
  if (!fs::is_directory(folder, code))
    return Error{
        fmt::format("{}: no results folder: {}", folder.string(), code ? code.message() : "it is no folder")};
  std::vector<fs::path> paths;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    if (entry->path().extension() == ".json" && !entry->path().filename().string().starts_with('.'))
      paths.push_back(entry->path());
  if (code) return Error{fmt::format("cannot read {}: {}", folder.string(), code.message())};
  if (paths.empty())
    return Error{
        fmt::format("{}: no results yet: 'edgellm eval', 'score', 'bench' and 'fit' write one there each, "
                    "given --results {}",
                    folder.string(), folder.string())};
  std::sort(paths.begin(), paths.end());
  std::vector<ResultRecord> records;
  for (const fs::path& path : paths) {
    EDGELLM_ASSIGN_OR_RETURN(std::string text, read_text_file(path, kMostRecordBytes));
    auto json = nlohmann::json::parse(text, nullptr, false);
    if (json.is_discarded())
      return Error{fmt::format("{}: broken JSON: mend the file or move it out of the folder", path.string())};
    EDGELLM_ASSIGN_OR_RETURN(ResultRecord record, record_from_json(json, path.string()));
    records.push_back(std::move(record));
  }
  std::stable_sort(records.begin(), records.end(),
                   [](const ResultRecord& a, const ResultRecord& b) { return a.time < b.time; });
  return records;
}

}  // namespace edgellm
