// Metadata: the ordered key-value pairs of a model file, as GGUF types them. Kept in base because the
// tokenizer and the architecture read it too and must not depend on a file format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

// Numbers are those of the GGUF specification.
enum class MetadataType : uint32_t {
  uint8 = 0,
  int8 = 1,
  uint16 = 2,
  int16 = 3,
  uint32 = 4,
  int32 = 5,
  float32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  uint64 = 10,
  int64 = 11,
  float64 = 12,
};

std::string_view to_string(MetadataType type);

// A value keeps the type it had in the file, so that a copy of the file is exact; integers of every width are
// held as 64 bits, reals as double.
struct MetadataValue {
  using Held =
      std::variant<uint64_t, int64_t, double, bool, std::string, std::vector<uint64_t>, std::vector<int64_t>,
                   std::vector<double>, std::vector<bool>, std::vector<std::string>>;
  MetadataType type = MetadataType::uint32;
  MetadataType element_type = MetadataType::uint32;  // of the elements, when type is array
  Held held;

  static MetadataValue of_uint32(uint32_t value);
  static MetadataValue of_uint64(uint64_t value);
  static MetadataValue of_int32(int32_t value);
  static MetadataValue of_float32(float value);
  static MetadataValue of_boolean(bool value);
  static MetadataValue of_string(std::string value);
  static MetadataValue of_strings(std::vector<std::string> values);
  static MetadataValue of_int32s(const std::vector<int32_t>& values);
  static MetadataValue of_uint32s(const std::vector<uint32_t>& values);
  static MetadataValue of_float32s(const std::vector<float>& values);
  static MetadataValue of_booleans(std::vector<bool> values);

  // The number of elements of an array, 1 for anything else.
  size_t n_elements() const;
  // For people: the value, arrays cut after `most` elements.
  std::string to_text(size_t most = 8) const;

  bool operator==(const MetadataValue&) const = default;
};

class Metadata {
 public:
  using Entry = std::pair<std::string, MetadataValue>;

  const std::vector<Entry>& entries() const { return entries_; }
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  const MetadataValue* find(std::string_view key) const;  // null if absent
  void set(std::string key, MetadataValue value);         // replaces in place, or appends
  bool remove(std::string_view key);

  // Typed reads. An absent key or another kind of value is an Error that names the key. Integers of any width
  // convert when the value fits; an integer reads as a real, never the reverse.
  Result<int64_t> integer(std::string_view key) const;
  Result<double> real(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::string> string(std::string_view key) const;
  Result<std::vector<int64_t>> integers(std::string_view key) const;  // a scalar reads as one element
  Result<std::vector<double>> reals(std::string_view key) const;
  Result<std::vector<bool>> booleans(std::string_view key) const;
  // The strings in place, valid until the key is set or removed.
  Result<const std::vector<std::string>*> strings(std::string_view key) const;

  // The same with a default for an absent key (a value of another kind also gives the default).
  int64_t integer_or(std::string_view key, int64_t otherwise) const;
  double real_or(std::string_view key, double otherwise) const;
  bool boolean_or(std::string_view key, bool otherwise) const;
  std::string string_or(std::string_view key, std::string otherwise) const;

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace edgellm
