// The items of an evaluation in a file of JSON lines: what was asked, what the model said, how it was judged.
// The file is what a resumed run goes on from and what a reader looks a number up in. Layout in
// docs/formats.md.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "core/base/result.h"

namespace edgellm {

class ItemLog {
 public:
  // Opens the log of `key` (an object: model, data, settings), or begins it: when the file is missing, was
  // made with another key, or begin_anew says so. A last line torn by a kill is dropped. Error for a file
  // that is no such log.
  static Result<ItemLog> open(const std::filesystem::path& path, const nlohmann::json& key, bool begin_anew);

  const std::filesystem::path& path() const { return path_; }
  // The item's line, or null. Items are objects with an "id" of their own.
  const nlohmann::json* find(const std::string& id) const;
  size_t n_items() const { return items_.size(); }
  // Appends the item's line and flushes it; a later line of the same id stands for the earlier one.
  Status put(nlohmann::json item);
  // One line an item, all or nothing: those of `ids` in their order, then the others.
  Status rewrite(std::span<const std::string> ids);

 private:
  std::filesystem::path path_;
  nlohmann::json key_;
  std::map<std::string, nlohmann::json> items_;
  std::ofstream out_;
};

}  // namespace edgellm
