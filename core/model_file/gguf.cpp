// Reading GGUF. The file is hostile until proven otherwise: every count is compared with the bytes that are
// left before anything is allocated for it, and every sum is checked before it is used.
#include "core/model_file/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <optional>

#include "core/model_file/printable.h"

namespace edgellm {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place as little-endian");

// Array elements of the whole file: tokenizers have about a million. Held values are wider than those in the
// file (32 bytes for a string), so a file of some GB must not be able to ask for eight times its own size.
constexpr uint64_t kMostArrayElements = uint64_t{1} << 26;
constexpr uint64_t kMostNameBytes = 65535;
constexpr uint64_t kMostAlignment = uint64_t{1} << 20;
constexpr uint64_t kLeastPairBytes = 8 + 4 + 1;        // empty key, type, one byte
constexpr uint64_t kLeastTensorBytes = 8 + 4 + 4 + 8;  // empty name, no dimensions, type, offset

std::optional<uint64_t> product(uint64_t a, uint64_t b) {
  uint64_t result;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// Reads forward through the bytes of one file. Errors name the file and where in it.
class Cursor {
 public:
  explicit Cursor(const MappedFile& file) : file_(file), bytes_(file.bytes()) {}

  uint64_t position() const { return at_; }
  uint64_t n_left() const { return bytes_.size() - at_; }

  Error error(std::string_view what) const {
    return {fmt::format("cannot read {}: {} (at byte {})", file_.path().string(), what, at_)};
  }
  Error truncated(std::string_view in) const { return error(fmt::format("the file ends inside {}", in)); }

  template <class T>
  Result<T> number(std::string_view of) {
    if (n_left() < sizeof(T)) return truncated(of);
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  Result<std::string> text(std::string_view of, uint64_t most_bytes = std::numeric_limits<uint64_t>::max()) {
    EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, number<uint64_t>(of));
    if (n_bytes > n_left())
      return error(fmt::format("{} has {} bytes, the file only {} more", of, n_bytes, n_left()));
    if (n_bytes > most_bytes)
      return error(fmt::format("{} has {} bytes, at most {} are allowed", of, n_bytes, most_bytes));
    std::string value(reinterpret_cast<const char*>(bytes_.data() + at_), n_bytes);
    at_ += n_bytes;
    return value;
  }

 private:
  const MappedFile& file_;
  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
};

// Calls visit(T{}) with a value of the type stored in the file; false for types that are no plain number.
template <class Visit>
bool with_stored_number(MetadataType type, Visit&& visit) {
  switch (type) {
    case MetadataType::uint8:
      visit(uint8_t{});
      return true;
    case MetadataType::int8:
      visit(int8_t{});
      return true;
    case MetadataType::uint16:
      visit(uint16_t{});
      return true;
    case MetadataType::int16:
      visit(int16_t{});
      return true;
    case MetadataType::uint32:
      visit(uint32_t{});
      return true;
    case MetadataType::int32:
      visit(int32_t{});
      return true;
    case MetadataType::float32:
      visit(float{});
      return true;
    case MetadataType::uint64:
      visit(uint64_t{});
      return true;
    case MetadataType::int64:
      visit(int64_t{});
      return true;
    case MetadataType::float64:
      visit(double{});
      return true;
    default:
      return false;
  }
}

template <class T>
using HeldNumber = std::conditional_t<std::is_floating_point_v<T>, double,
                                      std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;

uint64_t least_stored_bytes(MetadataType type) {
  if (type == MetadataType::string) return 8;
  uint64_t n_bytes = 1;
  with_stored_number(type, [&](auto zero) { n_bytes = sizeof(zero); });
  return n_bytes;
}

Result<bool> read_boolean(Cursor& cursor, std::string_view of) {
  EDGELLM_ASSIGN_OR_RETURN(uint8_t byte, cursor.number<uint8_t>(of));
  if (byte > 1) return cursor.error(fmt::format("{}: a boolean has the value {}", of, byte));
  return byte == 1;
}

Result<MetadataValue> read_array(Cursor& cursor, std::string_view of, uint64_t& n_elements_left) {
  EDGELLM_ASSIGN_OR_RETURN(uint32_t element_id, cursor.number<uint32_t>(of));
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n, cursor.number<uint64_t>(of));
  auto element = static_cast<MetadataType>(element_id);
  if (element == MetadataType::array) return cursor.error(fmt::format("{} is an array of arrays", of));
  if (element_id > uint32_t(MetadataType::float64))
    return cursor.error(fmt::format("{} is an array of unknown type {}", of, element_id));
  if (n > cursor.n_left() / least_stored_bytes(element))
    return cursor.error(
        fmt::format("{} has {} elements, the file only {} more bytes", of, n, cursor.n_left()));
  if (n > n_elements_left)
    return cursor.error(fmt::format("{} brings the metadata over {} array elements", of, kMostArrayElements));
  n_elements_left -= n;

  MetadataValue value{MetadataType::array, element, {}};
  if (element == MetadataType::string) {
    std::vector<std::string> texts;
    texts.reserve(n);
    for (uint64_t i = 0; i < n; ++i) {
      EDGELLM_ASSIGN_OR_RETURN(std::string text, cursor.text(of));
      texts.push_back(std::move(text));
    }
    value.held = std::move(texts);
  } else if (element == MetadataType::boolean) {
    std::vector<bool> booleans(n);
    for (uint64_t i = 0; i < n; ++i) {
      EDGELLM_ASSIGN_OR_RETURN(bool boolean, read_boolean(cursor, of));
      booleans[i] = boolean;
    }
    value.held = std::move(booleans);
  } else {
    with_stored_number(element, [&](auto zero) {
      std::vector<HeldNumber<decltype(zero)>> numbers(n);
      for (auto& number : numbers) number = *cursor.number<decltype(zero)>(of);  // room was checked above
      value.held = std::move(numbers);
    });
  }
  return value;
}

Result<MetadataValue> read_value(Cursor& cursor, std::string_view of, uint64_t& n_elements_left) {
  EDGELLM_ASSIGN_OR_RETURN(uint32_t id, cursor.number<uint32_t>(of));
  auto type = static_cast<MetadataType>(id);
  if (type == MetadataType::array) return read_array(cursor, of, n_elements_left);
  MetadataValue value{type, {}, {}};
  if (type == MetadataType::string) {
    EDGELLM_ASSIGN_OR_RETURN(value.held, cursor.text(of));
    return value;
  }
  if (type == MetadataType::boolean) {
    EDGELLM_ASSIGN_OR_RETURN(value.held, read_boolean(cursor, of));
    return value;
  }
  bool complete = true;
  bool known = with_stored_number(type, [&](auto zero) {
    auto number = cursor.number<decltype(zero)>(of);
    complete = number.ok();
    if (complete) value.held = HeldNumber<decltype(zero)>(*number);
  });
  if (!known) return cursor.error(fmt::format("{} has unknown type {}", of, id));
  if (!complete) return cursor.truncated(of);
  return value;
}

// What one file of a model says, its tensors' data not yet looked at.
struct Part {
  uint32_t version = 0;
  Metadata metadata;
  std::vector<GgufTensor> tensors;
};

Result<uint32_t> read_version(Cursor& cursor) {
  EDGELLM_ASSIGN_OR_RETURN(uint32_t magic, cursor.number<uint32_t>("the magic number"));
  if (magic != 0x46554747u) return cursor.error("it is no GGUF file (wanted the letters GGUF at its start)");
  EDGELLM_ASSIGN_OR_RETURN(uint32_t version, cursor.number<uint32_t>("the version"));
  if ((version & 0xffffu) == 0 && version != 0)
    return cursor.error(
        fmt::format("it is a big-endian GGUF file (version {}), only little-endian ones are read",
                    __builtin_bswap32(version)));
  if (version != 2 && version != 3)
    return cursor.error(fmt::format("GGUF version {} is not known, versions 2 and 3 are", version));
  return version;
}

Status read_metadata(Cursor& cursor, uint64_t n_pairs, Metadata& metadata) {
  uint64_t n_elements_left = kMostArrayElements;
  for (uint64_t i = 0; i < n_pairs; ++i) {
    EDGELLM_ASSIGN_OR_RETURN(std::string key, cursor.text("a metadata key", kMostNameBytes));
    std::string of = fmt::format("metadata key '{}'", printable(key));
    if (key.empty()) return cursor.error(fmt::format("metadata key {} is empty", i));
    if (metadata.contains(key)) return cursor.error(of + " appears twice");
    EDGELLM_ASSIGN_OR_RETURN(MetadataValue value, read_value(cursor, of, n_elements_left));
    metadata.set(std::move(key), std::move(value));
  }
  return {};
}

Result<uint64_t> read_alignment(const Cursor& cursor, const Metadata& metadata) {
  const MetadataValue* value = metadata.find("general.alignment");
  if (!value) return uint64_t{32};
  auto alignment = metadata.integer("general.alignment");
  // Under 8 a float could lie across its own alignment, which kernels rely on.
  if (!alignment.ok() || *alignment < 8 || uint64_t(*alignment) > kMostAlignment ||
      !std::has_single_bit(uint64_t(*alignment)))
    return cursor.error(fmt::format("general.alignment is {}, wanted a power of two from 8 to {}",
                                    printable(value->to_text()), kMostAlignment));
  return uint64_t(*alignment);
}

struct TableEntry {
  GgufTensor tensor;
  uint64_t offset = 0;  // from the start of the data
  uint64_t n_bytes = 0;
};

Result<TableEntry> read_table_entry(Cursor& cursor, uint64_t alignment) {
  TableEntry entry;
  GgufTensor& tensor = entry.tensor;
  EDGELLM_ASSIGN_OR_RETURN(tensor.name, cursor.text("a tensor name", kMostNameBytes));
  std::string of = fmt::format("tensor '{}'", printable(tensor.name));
  if (tensor.name.empty()) return cursor.error("a tensor has no name");
  EDGELLM_ASSIGN_OR_RETURN(uint32_t n_dimensions, cursor.number<uint32_t>(of));
  if (n_dimensions > 4)
    return cursor.error(fmt::format("{} has {} dimensions, at most 4 are allowed", of, n_dimensions));
  uint64_t n_values = 1;
  for (uint32_t i = 0; i < n_dimensions; ++i) {
    EDGELLM_ASSIGN_OR_RETURN(uint64_t dimension, cursor.number<uint64_t>(of));
    auto more = product(n_values, dimension);
    // Eight bytes is the widest value, so byte counts cannot overflow either.
    if (!more || *more > std::numeric_limits<uint64_t>::max() / 16)
      return cursor.error(fmt::format("{}: its dimensions multiply beyond 64 bits", of));
    if (dimension == 0) return cursor.error(fmt::format("{}: dimension {} is 0", of, i));
    n_values = *more;
    tensor.dimensions.push_back(dimension);
  }
  EDGELLM_ASSIGN_OR_RETURN(uint32_t type_id, cursor.number<uint32_t>(of));
  const TensorTypeInfo* type = find_tensor_type(type_id);
  if (!type) return cursor.error(fmt::format("{} has unknown type {}", of, type_id));
  tensor.type = type->type;
  if (tensor.n_columns() % type->n_values_per_block)
    return cursor.error(fmt::format("{}: rows of {} values are no multiple of the {} values in a block of {}",
                                    of, tensor.n_columns(), type->n_values_per_block, type->name));
  entry.n_bytes = n_values / type->n_values_per_block * type->n_bytes_per_block;
  EDGELLM_ASSIGN_OR_RETURN(entry.offset, cursor.number<uint64_t>(of));
  if (entry.offset % alignment)
    return cursor.error(
        fmt::format("{}: offset {} is no multiple of the alignment {}", of, entry.offset, alignment));
  return entry;
}

Status place_data(const Cursor& cursor, std::span<const std::byte> bytes, uint64_t data_start,
                  std::vector<TableEntry>& table) {
  uint64_t n_data_bytes = data_start < bytes.size() ? bytes.size() - data_start : 0;
  for (TableEntry& entry : table) {
    if (entry.offset > n_data_bytes || entry.n_bytes > n_data_bytes - entry.offset)
      return cursor.error(
          fmt::format("tensor '{}' takes {} bytes from byte {} of the data, the file has {} bytes of data",
                      printable(entry.tensor.name), entry.n_bytes, entry.offset, n_data_bytes));
    entry.tensor.data = bytes.subspan(data_start + entry.offset, entry.n_bytes);
  }
  std::vector<const TableEntry*> by_offset(table.size());
  std::transform(table.begin(), table.end(), by_offset.begin(), [](const TableEntry& e) { return &e; });
  std::sort(by_offset.begin(), by_offset.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < by_offset.size(); ++i)
    if (by_offset[i - 1]->offset + by_offset[i - 1]->n_bytes > by_offset[i]->offset)
      return cursor.error(fmt::format("tensors '{}' and '{}' overlap",
                                      printable(by_offset[i - 1]->tensor.name),
                                      printable(by_offset[i]->tensor.name)));
  return {};
}

Result<Part> read_part(const MappedFile& file) {
  Cursor cursor(file);
  Part part;
  EDGELLM_ASSIGN_OR_RETURN(part.version, read_version(cursor));
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_tensors, cursor.number<uint64_t>("the tensor count"));
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_pairs, cursor.number<uint64_t>("the metadata count"));
  if (n_pairs > cursor.n_left() / kLeastPairBytes)
    return cursor.error(fmt::format("{} metadata keys do not fit in {} bytes", n_pairs, cursor.n_left()));
  EDGELLM_RETURN_IF_ERROR(read_metadata(cursor, n_pairs, part.metadata));
  EDGELLM_ASSIGN_OR_RETURN(uint64_t alignment, read_alignment(cursor, part.metadata));
  if (n_tensors > cursor.n_left() / kLeastTensorBytes)
    return cursor.error(fmt::format("{} tensors do not fit in {} bytes", n_tensors, cursor.n_left()));

  std::vector<TableEntry> table;
  for (uint64_t i = 0; i < n_tensors; ++i) {
    EDGELLM_ASSIGN_OR_RETURN(TableEntry entry, read_table_entry(cursor, alignment));
    table.push_back(std::move(entry));
  }
  uint64_t data_start = (cursor.position() + alignment - 1) / alignment * alignment;
  EDGELLM_RETURN_IF_ERROR(place_data(cursor, file.bytes(), data_start, table));
  for (TableEntry& entry : table) part.tensors.push_back(std::move(entry.tensor));
  return part;
}

// Split models: name-00001-of-00003.gguf, counted from 1 in the name and from 0 in split.no.
constexpr size_t kSplitSuffixLength = std::string_view("-00001-of-00003.gguf").size();

std::filesystem::path part_path(const std::filesystem::path& any_part, uint64_t part, uint64_t n_parts) {
  std::string name = any_part.filename().string();
  name.resize(name.size() - kSplitSuffixLength);
  return any_part.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", name, part + 1, n_parts);
}

struct SplitPlace {
  uint64_t part = 0, n_parts = 1, n_tensors = 0;
};

Result<SplitPlace> read_split_place(const Metadata& metadata, const std::filesystem::path& path) {
  SplitPlace place;
  if (!metadata.contains("split.count")) return place;
  auto wrong = [&](std::string_view what) {
    return Error{fmt::format("cannot read split model {}: {}", path.string(), what)};
  };
  int64_t n_parts = metadata.integer_or("split.count", -1);
  int64_t part = metadata.integer_or("split.no", -1);
  int64_t n_tensors = metadata.integer_or("split.tensors.count", -1);
  if (n_parts < 0 || n_parts > 65535) return wrong("split.count is no count of files");
  if (n_parts <= 1) return place;
  if (part < 0 || part >= n_parts) return wrong(fmt::format("split.no is {} with {} parts", part, n_parts));
  if (n_tensors < 0) return wrong("split.tensors.count is missing or negative");
  return SplitPlace{uint64_t(part), uint64_t(n_parts), uint64_t(n_tensors)};
}

}  // namespace

size_t GgufTensor::n_rows() const {
  size_t n = 1;
  for (size_t i = 1; i < dimensions.size(); ++i) n *= dimensions[i];
  return n;
}

Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  GgufFile model;
  model.path_ = path;
  EDGELLM_ASSIGN_OR_RETURN(MappedFile first, MappedFile::open(path));
  EDGELLM_ASSIGN_OR_RETURN(Part opened, read_part(first));
  EDGELLM_ASSIGN_OR_RETURN(SplitPlace place, read_split_place(opened.metadata, path));
  std::vector<Part> parts;
  if (place.n_parts == 1) {
    model.files_.push_back(std::move(first));
    parts.push_back(std::move(opened));
  } else {
    auto wrong = [&](std::string_view what) {
      return Error{fmt::format("cannot read split model {}: {}", path.string(), what)};
    };
    std::string name = path.filename().string();
    if (name.size() < kSplitSuffixLength || part_path(path, place.part, place.n_parts).filename() != name)
      return wrong(fmt::format("part {} of {} must be named NAME-{:05}-of-{:05}.gguf", place.part + 1,
                               place.n_parts, place.part + 1, place.n_parts));
    uint64_t n_tensors = 0;
    for (uint64_t i = 0; i < place.n_parts; ++i) {
      std::filesystem::path other = part_path(path, i, place.n_parts);
      EDGELLM_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(other));
      EDGELLM_ASSIGN_OR_RETURN(Part part, read_part(file));
      EDGELLM_ASSIGN_OR_RETURN(SplitPlace its, read_split_place(part.metadata, other));
      if (its.part != i || its.n_parts != place.n_parts || its.n_tensors != place.n_tensors)
        return wrong(fmt::format("{} says it is part {} of {} with {} tensors, wanted part {} of {} with {}",
                                 other.filename().string(), its.part + 1, its.n_parts, its.n_tensors, i + 1,
                                 place.n_parts, place.n_tensors));
      n_tensors += part.tensors.size();
      model.files_.push_back(std::move(file));
      parts.push_back(std::move(part));
    }
    if (n_tensors != place.n_tensors)
      return wrong(
          fmt::format("its parts hold {} tensors, split.tensors.count is {}", n_tensors, place.n_tensors));
  }

  model.version_ = parts[0].version;
  model.metadata_ = std::move(parts[0].metadata);
  // The joined model is whole: a copy written from this metadata must not claim to be a part.
  for (std::string_view key : {"split.no", "split.count", "split.tensors.count"}) model.metadata_.remove(key);
  for (size_t file = 0; file < parts.size(); ++file) {
    for (GgufTensor& tensor : parts[file].tensors) {
      tensor.file = file;
      if (!model.index_.try_emplace(tensor.name, model.tensors_.size()).second)
        return Error{fmt::format("cannot read {}: tensor '{}' appears twice",
                                 model.files_[file].path().string(), printable(tensor.name))};
      model.tensors_.push_back(std::move(tensor));
    }
  }
  return model;
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

void GgufFile::leave_out(std::string_view name) {
  std::erase_if(tensors_, [&](const GgufTensor& tensor) { return tensor.name == name; });
  index_.clear();
  for (size_t i = 0; i < tensors_.size(); ++i) index_[tensors_[i].name] = i;
}

std::vector<std::filesystem::path> GgufFile::paths() const {
  std::vector<std::filesystem::path> paths;
  for (const MappedFile& file : files_) paths.push_back(file.path());
  return paths;
}

uint64_t GgufFile::n_file_bytes() const {
  uint64_t n_bytes = 0;
  for (const MappedFile& file : files_) n_bytes += file.n_bytes();
  return n_bytes;
}

}  // namespace edgellm
