#include "core/base/metadata.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

namespace edgellm {
namespace {

constexpr std::string_view kTypeNames[] = {"uint8",  "int8",    "uint16",  "int16",  "uint32",
                                           "int32",  "float32", "boolean", "string", "array",
                                           "uint64", "int64",   "float64"};

template <class T>
MetadataValue array_of(MetadataType element_type, std::vector<T> values) {
  return {MetadataType::array, element_type, std::move(values)};
}

Error wrong_kind(std::string_view key, std::string_view wanted, const MetadataValue* got) {
  if (!got) return {fmt::format("metadata key '{}' is missing (wanted {})", key, wanted)};
  std::string kind(to_string(got->type));
  if (got->type == MetadataType::array) kind += fmt::format(" of {}", to_string(got->element_type));
  return {fmt::format("metadata key '{}': wanted {}, got {}", key, wanted, kind)};
}

}  // namespace

std::string_view to_string(MetadataType type) {
  auto i = static_cast<uint32_t>(type);
  return i < std::size(kTypeNames) ? kTypeNames[i] : "unknown";
}

MetadataValue MetadataValue::of_uint32(uint32_t v) {
  return {MetadataType::uint32, {}, uint64_t{v}};
}
MetadataValue MetadataValue::of_uint64(uint64_t v) {
  return {MetadataType::uint64, {}, v};
}
MetadataValue MetadataValue::of_int32(int32_t v) {
  return {MetadataType::int32, {}, int64_t{v}};
}
MetadataValue MetadataValue::of_float32(float v) {
  return {MetadataType::float32, {}, double{v}};
}
MetadataValue MetadataValue::of_boolean(bool v) {
  return {MetadataType::boolean, {}, v};
}
MetadataValue MetadataValue::of_string(std::string v) {
  return {MetadataType::string, {}, std::move(v)};
}
MetadataValue MetadataValue::of_strings(std::vector<std::string> v) {
  return array_of(MetadataType::string, std::move(v));
}
MetadataValue MetadataValue::of_int32s(const std::vector<int32_t>& v) {
  return array_of(MetadataType::int32, std::vector<int64_t>(v.begin(), v.end()));
}
MetadataValue MetadataValue::of_uint32s(const std::vector<uint32_t>& v) {
  return array_of(MetadataType::uint32, std::vector<uint64_t>(v.begin(), v.end()));
}
MetadataValue MetadataValue::of_float32s(const std::vector<float>& v) {
  return array_of(MetadataType::float32, std::vector<double>(v.begin(), v.end()));
}
MetadataValue MetadataValue::of_booleans(std::vector<bool> v) {
  return array_of(MetadataType::boolean, std::move(v));
}

size_t MetadataValue::n_elements() const {
  return std::visit(
      [](const auto& v) -> size_t {
        using V = std::decay_t<decltype(v)>;
        if constexpr (std::is_arithmetic_v<V> || std::is_same_v<V, std::string>)
          return 1;
        else
          return v.size();
      },
      held);
}

std::string MetadataValue::to_text(size_t most) const {
  auto one = [](const auto& v) -> std::string {
    using V = std::decay_t<decltype(v)>;
    if constexpr (std::is_same_v<V, double>)
      return fmt::format("{:.9g}", v);
    else
      return fmt::format("{}", v);
  };
  return std::visit(
      [&](const auto& v) -> std::string {
        using V = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<V, std::string> || std::is_arithmetic_v<V>) {
          return one(v);
        } else {
          std::string text = "[";
          for (size_t i = 0; i < std::min(v.size(), most); ++i) {
            if (i) text += ", ";
            if constexpr (std::is_same_v<V, std::vector<bool>>)
              text += one(bool(v[i]));
            else
              text += one(v[i]);
          }
          return text + (v.size() > most ? fmt::format(", ... {} in all]", v.size()) : "]");
        }
      },
      held);
}

const MetadataValue* Metadata::find(std::string_view key) const {
  auto found = index_.find(std::string(key));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

void Metadata::set(std::string key, MetadataValue value) {
  auto [at, added] = index_.try_emplace(key, entries_.size());
  if (added)
    entries_.emplace_back(std::move(key), std::move(value));
  else
    entries_[at->second].second = std::move(value);
}

bool Metadata::remove(std::string_view key) {
  auto found = index_.find(std::string(key));
  if (found == index_.end()) return false;
  size_t removed = found->second;
  entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(removed));
  index_.erase(found);
  for (auto& [name, position] : index_)
    if (position > removed) --position;
  return true;
}

Result<int64_t> Metadata::integer(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v) {
    if (auto* s = std::get_if<int64_t>(&v->held)) return *s;
    if (auto* u = std::get_if<uint64_t>(&v->held)) {
      if (*u > uint64_t(std::numeric_limits<int64_t>::max()))
        return Error{fmt::format("metadata key '{}': {} is out of range", key, *u)};
      return int64_t(*u);
    }
  }
  return wrong_kind(key, "an integer", v);
}

Result<double> Metadata::real(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v) {
    if (auto* d = std::get_if<double>(&v->held)) return *d;
    if (auto* s = std::get_if<int64_t>(&v->held)) return double(*s);
    if (auto* u = std::get_if<uint64_t>(&v->held)) return double(*u);
  }
  return wrong_kind(key, "a number", v);
}

Result<bool> Metadata::boolean(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v)
    if (auto* b = std::get_if<bool>(&v->held)) return *b;
  return wrong_kind(key, "a boolean", v);
}

Result<std::string> Metadata::string(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v)
    if (auto* s = std::get_if<std::string>(&v->held)) return *s;
  return wrong_kind(key, "a string", v);
}

Result<std::vector<int64_t>> Metadata::integers(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v) {
    if (auto* s = std::get_if<std::vector<int64_t>>(&v->held)) return *s;
    if (auto* u = std::get_if<std::vector<uint64_t>>(&v->held))
      return std::vector<int64_t>(u->begin(), u->end());
    if (v->type != MetadataType::array) {
      EDGELLM_ASSIGN_OR_RETURN(int64_t one, integer(key));
      return std::vector<int64_t>{one};
    }
  }
  return wrong_kind(key, "an array of integers", v);
}

Result<std::vector<double>> Metadata::reals(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v) {
    if (auto* d = std::get_if<std::vector<double>>(&v->held)) return *d;
    if (auto* s = std::get_if<std::vector<int64_t>>(&v->held))
      return std::vector<double>(s->begin(), s->end());
    if (auto* u = std::get_if<std::vector<uint64_t>>(&v->held))
      return std::vector<double>(u->begin(), u->end());
  }
  return wrong_kind(key, "an array of numbers", v);
}

Result<std::vector<bool>> Metadata::booleans(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v)
    if (auto* b = std::get_if<std::vector<bool>>(&v->held)) return *b;
  return wrong_kind(key, "an array of booleans", v);
}

Result<const std::vector<std::string>*> Metadata::strings(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v)
    if (auto* s = std::get_if<std::vector<std::string>>(&v->held)) return s;
  return wrong_kind(key, "an array of strings", v);
}

int64_t Metadata::integer_or(std::string_view key, int64_t otherwise) const {
  auto read = integer(key);
  return read.ok() ? *read : otherwise;
}
double Metadata::real_or(std::string_view key, double otherwise) const {
  auto read = real(key);
  return read.ok() ? *read : otherwise;
}
bool Metadata::boolean_or(std::string_view key, bool otherwise) const {
  auto read = boolean(key);
  return read.ok() ? *read : otherwise;
}
std::string Metadata::string_or(std::string_view key, std::string otherwise) const {
  auto read = string(key);
  return read.ok() ? std::move(*read) : otherwise;
}

}  // namespace edgellm
