#include "core/model_file/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/float16.h"
#include "core/model_file/printable.h"

namespace edgellm {
namespace {

// The reference implementation's limit.
constexpr uint64_t kMostHeaderBytes = 100'000'000;
constexpr size_t kMostDimensions = 8;

struct TypeRow {
  SafetensorsType type;
  std::string_view name;
  size_t n_bytes;
  bool real;
};
constexpr TypeRow kTypes[] = {
    {SafetensorsType::BOOL, "BOOL", 1, false},      {SafetensorsType::U8, "U8", 1, false},
    {SafetensorsType::I8, "I8", 1, false},          {SafetensorsType::F8_E5M2, "F8_E5M2", 1, true},
    {SafetensorsType::F8_E4M3, "F8_E4M3", 1, true}, {SafetensorsType::I16, "I16", 2, false},
    {SafetensorsType::U16, "U16", 2, false},        {SafetensorsType::F16, "F16", 2, true},
    {SafetensorsType::BF16, "BF16", 2, true},       {SafetensorsType::I32, "I32", 4, false},
    {SafetensorsType::U32, "U32", 4, false},        {SafetensorsType::F32, "F32", 4, true},
    {SafetensorsType::F64, "F64", 8, true},         {SafetensorsType::I64, "I64", 8, false},
    {SafetensorsType::U64, "U64", 8, false},
};
const TypeRow& row(SafetensorsType type) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes),
                       [&](const TypeRow& r) { return r.type == type; });
}

// 4 exponent bits of bias 7, no infinity: all ones is NaN.
float float_from_e4m3(uint8_t value) {
  int exponent = (value >> 3) & 15, fraction = value & 7;
  if (exponent == 15 && fraction == 7) return std::numeric_limits<float>::quiet_NaN();
  float magnitude =
      exponent ? std::ldexp(float(8 + fraction), exponent - 10) : std::ldexp(float(fraction), -9);
  return value & 0x80 ? -magnitude : magnitude;
}

struct HeaderEntry {
  std::string name;
  std::optional<SafetensorsType> type;
  std::optional<std::vector<uint64_t>> shape;
  std::optional<std::vector<uint64_t>> offsets;
};

// Takes the header's JSON event by event, so that neither nesting nor repeated names get past, and nothing is
// built that is not asked for: { name: {"dtype": text, "shape": [counts], "data_offsets": [begin, end]},
// "__metadata__": {} }.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<HeaderEntry> entries;
  std::map<std::string, std::string> metadata;
  std::string problem;

  bool null() override { return value_of_wrong_kind("null"); }
  bool boolean(bool) override { return value_of_wrong_kind("a boolean"); }
  bool number_integer(number_integer_t) override { return value_of_wrong_kind("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return value_of_wrong_kind("a fraction"); }
  bool binary(binary_t&) override { return value_of_wrong_kind("bytes"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!list_) return value_of_wrong_kind("a number");
    if (list_->size() == kMostDimensions) return fail(fmt::format("more than {} numbers", kMostDimensions));
    list_->push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      metadata[key_] = value;
      return true;
    }
    if (depth_ != 2 || list_ || key_ != "dtype") return value_of_wrong_kind("a text");
    entries.back().type = find_safetensors_type(value);
    return entries.back().type ? true : fail(fmt::format("unknown dtype '{}'", printable(value)));
  }

  bool start_object(size_t) override {
    if (depth_ == 2 || list_) return value_of_wrong_kind("an object");
    ++depth_;
    if (depth_ == 2 && !in_metadata_) entries.push_back({key_, {}, {}, {}});
    return true;
  }
  bool end_object() override {
    --depth_;
    in_metadata_ = false;
    return true;
  }

  bool key(string_t& value) override {
    key_ = value;
    if (depth_ == 1) in_metadata_ = value == "__metadata__";
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata_ || list_) return value_of_wrong_kind("an array");
    HeaderEntry& entry = entries.back();
    std::optional<std::vector<uint64_t>>* target = nullptr;
    if (key_ == "shape") target = &entry.shape;
    if (key_ == "data_offsets") target = &entry.offsets;
    if (!target) return value_of_wrong_kind("an array");
    if (*target) return fail("given twice");
    target->emplace();
    list_ = &**target;
    return true;
  }
  bool end_array() override {
    list_ = nullptr;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    if (problem.empty()) problem = fmt::format("its header is no JSON (at byte {} of it)", position);
    return false;
  }

 private:
  bool fail(std::string_view what) {
    std::string of = depth_ == 2 && !in_metadata_
                         ? fmt::format("'{}' of tensor '{}'", printable(key_), printable(entries.back().name))
                         : fmt::format("'{}'", printable(key_));
    problem = fmt::format("its header, {}: {}", of, what);
    return false;
  }
  bool value_of_wrong_kind(std::string_view got) {
    return fail(fmt::format("{} is not expected there", got));
  }

  int depth_ = 0;
  bool in_metadata_ = false;
  std::string key_;
  std::vector<uint64_t>* list_ = nullptr;
};

// The bytes of a shape; nullopt when they overflow.
std::optional<uint64_t> shape_bytes(SafetensorsType type, std::span<const uint64_t> shape) {
  // A zero anywhere must not hide an overflow elsewhere.
  uint64_t product = value_bytes(type);
  bool empty = false;
  for (uint64_t dimension : shape) {
    empty |= dimension == 0;
    if (__builtin_mul_overflow(product, std::max<uint64_t>(dimension, 1), &product)) return std::nullopt;
  }
  if (product > std::numeric_limits<uint64_t>::max() / 2) return std::nullopt;
  return empty ? 0 : product;
}

}  // namespace

std::string_view to_string(SafetensorsType type) {
  return row(type).name;
}
size_t value_bytes(SafetensorsType type) {
  return row(type).n_bytes;
}
bool is_real(SafetensorsType type) {
  return row(type).real;
}

std::optional<SafetensorsType> find_safetensors_type(std::string_view name) {
  for (const TypeRow& r : kTypes)
    if (r.name == name) return r.type;
  return std::nullopt;
}

void decode_values(SafetensorsType type, const std::byte* data, float* values, size_t n_values) {
  auto each = [&](auto stored, auto convert) {
    for (size_t i = 0; i < n_values; ++i) {
      std::memcpy(&stored, data + i * sizeof stored, sizeof stored);
      values[i] = convert(stored);
    }
  };
  switch (type) {
    case SafetensorsType::F32:
      std::memcpy(values, data, n_values * sizeof(float));
      break;
    case SafetensorsType::F16:
      each(uint16_t{}, float_from_half);
      break;
    case SafetensorsType::BF16:
      each(uint16_t{}, float_from_bfloat16);
      break;
    case SafetensorsType::F64:
      each(double{}, [](double v) { return float(v); });
      break;
    case SafetensorsType::F8_E4M3:
      each(uint8_t{}, float_from_e4m3);
      break;
    // The upper byte of a half.
    case SafetensorsType::F8_E5M2:
      each(uint8_t{}, [](uint8_t v) { return float_from_half(uint16_t(v << 8)); });
      break;
    default:
      assert(!"decode_values of a type that is no weights type");
  }
}

uint64_t SafetensorsTensor::n_values() const {
  return data.size() / value_bytes(type);
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  EDGELLM_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  SafetensorsFile file(std::move(mapped));
  std::span<const std::byte> bytes = file.file_.bytes();
  auto wrong = [&](std::string_view what) {
    return Error{fmt::format("cannot read {}: {}", path.string(), what)};
  };
  uint64_t n_header = 0;
  if (bytes.size() < sizeof n_header) return wrong("it is too short for a safetensors file");
  std::memcpy(&n_header, bytes.data(), sizeof n_header);
  if (n_header > bytes.size() - sizeof n_header)
    return wrong(fmt::format("its header should have {} bytes, the file has {}", n_header, bytes.size()));
  if (n_header > kMostHeaderBytes)
    return wrong(fmt::format("its header has {} bytes, at most {} are allowed", n_header, kMostHeaderBytes));
  auto* text = reinterpret_cast<const char*>(bytes.data() + sizeof n_header);
  if (n_header == 0 || text[0] != '{')
    return wrong("it is no safetensors file (its header does not begin with '{')");
  HeaderReader header;
  if (!nlohmann::json::sax_parse(text, text + n_header, &header)) return wrong(header.problem);

  std::span<const std::byte> data = bytes.subspan(sizeof n_header + n_header);
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (HeaderEntry& entry : header.entries) {
    std::string of = fmt::format("tensor '{}'", printable(entry.name));
    if (!entry.type || !entry.shape || !entry.offsets || entry.offsets->size() != 2)
      return wrong(of + " lacks its dtype, shape or two data_offsets");
    auto n_bytes = shape_bytes(*entry.type, *entry.shape);
    if (!n_bytes) return wrong(of + ": its shape overflows 64 bits");
    uint64_t begin = (*entry.offsets)[0], end = (*entry.offsets)[1];
    if (begin > end || end > data.size())
      return wrong(fmt::format("{}: data_offsets [{}, {}] are not inside the {} bytes of data", of, begin,
                               end, data.size()));
    if (end - begin != *n_bytes)
      return wrong(fmt::format("{}: data_offsets give it {} bytes, its shape and dtype {}", of, end - begin,
                               *n_bytes));
    if (!file.index_.try_emplace(entry.name, file.tensors_.size()).second)
      return wrong(of + " appears twice");
    ranges.emplace_back(begin, end);
    file.tensors_.push_back(
        {std::move(entry.name), *entry.type, std::move(*entry.shape), data.subspan(begin, end - begin)});
  }
  std::sort(ranges.begin(), ranges.end());
  uint64_t reached = 0;
  for (auto [begin, end] : ranges) {
    if (begin != reached)
      return wrong(fmt::format("its tensors {} at byte {} of the data",
                               begin < reached ? "overlap" : "leave a hole", std::min(begin, reached)));
    reached = end;
  }
  if (reached != data.size())
    return wrong(fmt::format("its tensors take {} bytes of data, the file has {}", reached, data.size()));
  file.metadata_ = std::move(header.metadata);
  return file;
}

const SafetensorsTensor* SafetensorsFile::find(std::string_view name) const {
  auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

Result<SafetensorsWriter> SafetensorsWriter::create(const std::filesystem::path& folder,
                                                    std::vector<Declaration> tensors,
                                                    uint64_t most_shard_bytes) {
  SafetensorsWriter writer;
  writer.folder_ = folder;
  uint64_t n_shard_bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    auto n_bytes = shape_bytes(tensors[i].type, tensors[i].shape);
    if (!n_bytes)
      return Error{fmt::format("cannot write safetensors: the shape of tensor '{}' overflows 64 bits",
                               printable(tensors[i].name))};
    if (i == 0 || (most_shard_bytes && n_shard_bytes + *n_bytes > most_shard_bytes && n_shard_bytes > 0)) {
      writer.shard_begin_.push_back(i);
      n_shard_bytes = 0;
    }
    n_shard_bytes += *n_bytes;
    writer.n_bytes_.push_back(*n_bytes);
  }
  if (tensors.empty()) writer.shard_begin_.push_back(0);
  writer.shard_begin_.push_back(tensors.size());
  writer.tensors_ = std::move(tensors);
  EDGELLM_RETURN_IF_ERROR(writer.open_shard());
  EDGELLM_RETURN_IF_ERROR(writer.close_tensors());
  return writer;
}

std::string SafetensorsWriter::shard_name(size_t shard) const {
  size_t n_shards = shard_begin_.size() - 1;
  if (n_shards == 1) return "model.safetensors";
  return fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, n_shards);
}

Status SafetensorsWriter::open_shard() {
  EDGELLM_ASSIGN_OR_RETURN(OutputFile output, OutputFile::create(folder_ / shard_name(shard_)));
  output_.emplace(std::move(output));
  nlohmann::ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t offset = 0;
  for (size_t i = shard_begin_[shard_]; i < shard_begin_[shard_ + 1]; ++i) {
    header[tensors_[i].name] = {{"dtype", to_string(tensors_[i].type)},
                                {"shape", tensors_[i].shape},
                                {"data_offsets", {offset, offset + n_bytes_[i]}}};
    offset += n_bytes_[i];
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  uint64_t n_header = text.size();
  EDGELLM_RETURN_IF_ERROR(output_->write(std::as_bytes(std::span(&n_header, 1))));
  return output_->write(text);
}

// Moves past every tensor whose bytes are complete (also those of no bytes), and from shard to shard.
Status SafetensorsWriter::close_tensors() {
  while (next_ < tensors_.size() && n_written_of_it_ == n_bytes_[next_]) {
    ++next_;
    n_written_of_it_ = 0;
    if (next_ == shard_begin_[shard_ + 1] && next_ < tensors_.size()) {
      EDGELLM_RETURN_IF_ERROR(output_->commit());
      ++shard_;
      EDGELLM_RETURN_IF_ERROR(open_shard());
    }
  }
  return {};
}

Status SafetensorsWriter::write(std::span<const std::byte> bytes) {
  if (next_ == tensors_.size()) return Error{"cannot write safetensors: data after the last tensor"};
  if (bytes.size() > n_bytes_[next_] - n_written_of_it_)
    return Error{fmt::format("cannot write safetensors: tensor '{}' was given more than its {} bytes",
                             printable(tensors_[next_].name), n_bytes_[next_])};
  EDGELLM_RETURN_IF_ERROR(output_->write(bytes));
  n_written_of_it_ += bytes.size();
  return close_tensors();
}

Status SafetensorsWriter::commit() {
  if (next_ != tensors_.size())
    return Error{fmt::format("cannot write safetensors: tensor '{}' is incomplete ({} of {} bytes)",
                             printable(tensors_[next_].name), n_written_of_it_, n_bytes_[next_])};
  EDGELLM_RETURN_IF_ERROR(output_->commit());
  if (shard_begin_.size() == 2) return {};
  nlohmann::ordered_json index;
  uint64_t n_total = 0;
  for (uint64_t n : n_bytes_) n_total += n;
  index["metadata"]["total_size"] = n_total;
  for (size_t shard = 0; shard + 1 < shard_begin_.size(); ++shard)
    for (size_t i = shard_begin_[shard]; i < shard_begin_[shard + 1]; ++i)
      index["weight_map"][tensors_[i].name] = shard_name(shard);
  return write_text_file(folder_ / "model.safetensors.index.json", index.dump(2) + "\n");
}

}  // namespace edgellm
