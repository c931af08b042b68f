// The texts of a record, for the tasks that read JSON lines.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

// The text under the first of `keys` that the record has. Errors: none of them is there, or it is no text or
// blank.
Result<std::string> required_text(const nlohmann::json& record, std::initializer_list<std::string_view> keys);

// The same, empty where none is there. Errors: it is there and no text.
Result<std::string> optional_text(const nlohmann::json& record, std::initializer_list<std::string_view> keys);

// The record's "id" or "task_id" if it is a text or a number, otherwise "line 12".
std::string record_id(const nlohmann::json& record, size_t line);

}  // namespace edgellm
