#include "recipes/item_log.h"

#include <fmt/format.h>
#include <set>

#include "core/base/output_file.h"
#include "recipes/json_lines.h"

namespace edgellm {
namespace {

constexpr const char* kHeader = "edgellm_items";
constexpr int kSchema = 1;

}  // namespace

Result<ItemLog> ItemLog::open(const std::filesystem::path& path, const nlohmann::json& key, bool begin_anew) {
  ItemLog log;
  log.path_ = path;
  log.key_ = {{kHeader, kSchema}, {"key", key}};
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    const std::vector<nlohmann::json> lines = read_json_lines(path);
    if (lines.empty() || !lines[0].is_object() || !lines[0].contains(kHeader))
      return Error{
          fmt::format("{}: is no file of an evaluation's items and is not written over; "
                      "name another",
                      path.string())};
    if (lines[0] == log.key_ && !begin_anew) {
      for (const nlohmann::json& item : lines)
        if (item.is_object() && item.contains("id") && item["id"].is_string())
          log.items_[item["id"].get<std::string>()] = item;
    }
  } else if (path.has_parent_path()) {
    std::filesystem::create_directories(path.parent_path(), error);
  }
  // Rewritten, not appended to: a line torn by a kill would take the next with it.
  std::string text = json_line(log.key_);
  for (const auto& [id, item] : log.items_) text += json_line(item);
  EDGELLM_RETURN_IF_ERROR(write_text_file(path, text));
  log.out_.open(path, std::ios::app);
  if (!log.out_) return Error{fmt::format("cannot write {}", path.string())};
  return log;
}

const nlohmann::json* ItemLog::find(const std::string& id) const {
  auto found = items_.find(id);
  return found == items_.end() ? nullptr : &found->second;
}

Status ItemLog::put(nlohmann::json item) {
  out_ << json_line(item) << std::flush;
  if (!out_) return Error{fmt::format("cannot write {}", path_.string())};
  std::string id = item.at("id");
  items_[id] = std::move(item);
  return {};
}

Status ItemLog::rewrite(std::span<const std::string> ids) {
  std::string text = json_line(key_);
  for (const std::string& id : ids)
    if (const nlohmann::json* item = find(id)) text += json_line(*item);
  const std::set<std::string> first(ids.begin(), ids.end());
  for (const auto& [id, item] : items_)
    if (!first.contains(id)) text += json_line(item);
  out_.close();
  EDGELLM_RETURN_IF_ERROR(write_text_file(path_, text));
  out_.open(path_, std::ios::app);
  return {};
}

}  // namespace edgellm
