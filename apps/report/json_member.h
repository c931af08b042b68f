// Members of a record's figures, which hold what another version or a user's own hand wrote: what is missing
// or of another type is simply absent.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace edgellm {

inline const nlohmann::json& member(const nlohmann::json& object, const char* key) {
  static const nlohmann::json kNull;
  if (!object.is_object()) return kNull;
  auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

inline std::optional<double> number(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = member(object, key);
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

inline uint64_t count(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = member(object, key);
  bool whole = value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() >= 0);
  return whole ? value.get<uint64_t>() : 0;
}

inline std::string text(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

}  // namespace edgellm
