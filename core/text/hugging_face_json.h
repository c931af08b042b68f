// Reading the JSON of Hugging Face tokenizers, where any part may be missing, null or of another type: every
// reader takes a null pointer and gives nothing for what is not there.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace edgellm {

// A vocabulary of more is taken for a damaged file rather than padded up to.
inline constexpr int64_t kMostTokens = int64_t{1} << 22;

inline const nlohmann::json* member(const nlohmann::json* object, const char* key) {
  if (!object || !object->is_object()) return nullptr;
  auto found = object->find(key);
  return found == object->end() || found->is_null() ? nullptr : &*found;
}

inline std::optional<int64_t> integer(const nlohmann::json* value) {
  if (!value || !value->is_number_integer()) return std::nullopt;
  if (value->is_number_unsigned() && value->get<uint64_t>() > uint64_t(INT64_MAX)) return std::nullopt;
  return value->get<int64_t>();
}

inline std::optional<bool> boolean(const nlohmann::json* value) {
  return value && value->is_boolean() ? std::optional(value->get<bool>()) : std::nullopt;
}

// A token named as "text" or {"content": "text"}.
inline std::optional<std::string> token_text(const nlohmann::json* value) {
  if (value && value->is_object()) value = member(value, "content");
  return value && value->is_string() ? std::optional(value->get<std::string>()) : std::nullopt;
}

// The "type" of a step of a pipeline, empty when it has none.
inline std::string type_of(const nlohmann::json* step) {
  return token_text(member(step, "type")).value_or("");
}

}  // namespace edgellm
