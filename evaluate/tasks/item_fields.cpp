#include "evaluate/tasks/item_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace edgellm {
namespace {

// nullptr where the record has none of the keys.
const nlohmann::json* first_of(const nlohmann::json& record, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    const auto found = record.find(std::string(key));
    if (found != record.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

std::string any_of(std::initializer_list<std::string_view> keys) {
  return fmt::format("'{}'", fmt::join(keys, "' or '"));
}

}  // namespace

Result<std::string> optional_text(const nlohmann::json& record,
                                  std::initializer_list<std::string_view> keys) {
  const nlohmann::json* value = first_of(record, keys);
  if (!value) return std::string();
  if (!value->is_string())
    return Error{fmt::format("wanted a text under {}, got {}", any_of(keys), value->type_name())};
  return value->get<std::string>();
}

Result<std::string> required_text(const nlohmann::json& record,
                                  std::initializer_list<std::string_view> keys) {
  if (!first_of(record, keys))
    return Error{fmt::format("wanted a text under {}, got no such key", any_of(keys))};
  EDGELLM_ASSIGN_OR_RETURN(std::string text, optional_text(record, keys));
  if (text.find_first_not_of(" \t\r\n") == std::string::npos)
    return Error{fmt::format("wanted a text under {}, got an empty one", any_of(keys))};
  return text;
}

std::string record_id(const nlohmann::json& record, size_t line) {
  const nlohmann::json* id = first_of(record, {"id", "task_id"});
  if (id && id->is_string() && !id->get_ref<const std::string&>().empty()) return id->get<std::string>();
  if (id && id->is_number_integer()) return id->dump();
  return fmt::format("line {}", line);
}

}  // namespace edgellm
