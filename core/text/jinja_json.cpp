#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "core/text/jinja_text.h"
#include "core/text/jinja_value.h"

namespace edgellm::jinja {
namespace {

std::string json_quoted(std::string_view text, bool ascii) {
  std::string result = "\"";
  for (std::string_view character : code_points(text)) {
    const int32_t code_point = first_code_point(character);
    switch (code_point) {
      case '"':
        result += "\\\"";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\r':
        result += "\\r";
        break;
      case '\t':
        result += "\\t";
        break;
      case '\f':
        result += "\\f";
        break;
      case '\b':
        result += "\\b";
        break;
      default:
        if (code_point >= 0x10000 && ascii) {
          const int32_t rest = code_point - 0x10000;
          result += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
        } else if ((code_point >= 0 && code_point < 0x20) || (code_point > 0x7e && ascii)) {
          result += fmt::format("\\u{:04x}", code_point);
        } else {
          result += character;
        }
    }
  }
  return result + '"';
}

std::string json_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return python_float(value);
}

class JsonWriter {
 public:
  JsonWriter(Environment& environment, const JsonStyle& style) : environment_(environment), style_(style) {}

  Status write(const Value& value, size_t level) {
    EDGELLM_RETURN_IF_ERROR(environment_.charge(Environment::kStepCost));
    switch (value.kind()) {
      case Kind::none:
        return put("null");
      case Kind::boolean:
        return put(value.as_boolean() ? "true" : "false");
      case Kind::integer:
        return put(std::to_string(value.as_integer()));
      case Kind::real:
        return put(json_number(value.as_real()));
      case Kind::string:
        return put(json_quoted(value.as_string(), style_.ascii));
      case Kind::list:
      case Kind::tuple:
        return write_items(value.items(), level);
      case Kind::dict:
        return write_entries(value.as_dict(), level);
      default:
        return Error{fmt::format("Object of type {} is not JSON serializable", type_name(value))};
    }
  }

  std::string text;

 private:
  Status put(std::string_view piece) {
    if (text.size() + piece.size() > Environment::kMaxValueBytes)
      return Error{"tojson: the text is too large"};
    EDGELLM_RETURN_IF_ERROR(environment_.charge(piece.size()));
    text += piece;
    return {};
  }

  Status new_line(size_t level) {
    if (!style_.indent) return {};
    EDGELLM_RETURN_IF_ERROR(put("\n"));
    for (size_t i = 0; i < level; ++i) EDGELLM_RETURN_IF_ERROR(put(*style_.indent));
    return {};
  }

  Status write_items(const Items& items, size_t level) {
    if (items.empty()) return put("[]");
    EDGELLM_RETURN_IF_ERROR(put("["));
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) EDGELLM_RETURN_IF_ERROR(put(style_.item_separator));
      EDGELLM_RETURN_IF_ERROR(new_line(level + 1));
      EDGELLM_RETURN_IF_ERROR(write(items[i], level + 1));
    }
    EDGELLM_RETURN_IF_ERROR(new_line(level));
    return put("]");
  }

  Status write_entries(const Dict& dict, size_t level) {
    if (dict.entries.empty()) return put("{}");
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      for (const auto* entry : entries) {
        const auto order = compare(entries.front()->first, entry->first);
        if (!order.ok()) return order.error();
      }
      std::stable_sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) {
        const auto order = compare(a->first, b->first);
        return order.ok() && *order < 0;
      });
    }
    EDGELLM_RETURN_IF_ERROR(put("{"));
    bool first = true;
    for (const auto* entry : entries) {
      if (!first) EDGELLM_RETURN_IF_ERROR(put(style_.item_separator));
      first = false;
      EDGELLM_RETURN_IF_ERROR(new_line(level + 1));
      EDGELLM_RETURN_IF_ERROR(write_key(entry->first));
      EDGELLM_RETURN_IF_ERROR(put(style_.key_separator));
      EDGELLM_RETURN_IF_ERROR(write(entry->second, level + 1));
    }
    EDGELLM_RETURN_IF_ERROR(new_line(level));
    return put("}");
  }

  Status write_key(const Value& key) {
    switch (key.kind()) {
      case Kind::string:
        return put(json_quoted(key.as_string(), style_.ascii));
      case Kind::none:
        return put("\"null\"");
      case Kind::boolean:
        return put(key.as_boolean() ? "\"true\"" : "\"false\"");
      case Kind::integer:
        return put('"' + std::to_string(key.as_integer()) + '"');
      case Kind::real:
        return put('"' + json_number(key.as_real()) + '"');
      default:
        return Error{fmt::format("tojson: a key cannot be a {}", type_name(key))};
    }
  }

  Environment& environment_;
  const JsonStyle& style_;
};

}  // namespace

Result<std::string> to_json(Environment& environment, const Value& value, const JsonStyle& style) {
  JsonWriter writer(environment, style);
  EDGELLM_RETURN_IF_ERROR(writer.write(value, 0));
  return std::move(writer.text);
}

}  // namespace edgellm::jinja
