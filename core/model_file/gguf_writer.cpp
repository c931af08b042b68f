#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <unordered_set>

#include "core/model_file/gguf.h"
#include "core/model_file/printable.h"

namespace edgellm {
namespace {

constexpr uint32_t kMagic = 0x46554747u;  // "GGUF"
constexpr uint32_t kVersion = 3;
// Stock loaders keep names in 64 bytes, the closing zero included.
constexpr size_t kMostTensorNameBytes = 63;

// What serialize() writes to: either the bytes themselves or only their count.
struct ByteBuffer {
  std::vector<std::byte> bytes;
  void append(const void* data, size_t n) {
    auto* begin = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), begin, begin + n);
  }
};
struct ByteCount {
  uint64_t n_bytes = 0;
  void append(const void*, size_t n) { n_bytes += n; }
};

template <class Sink, class T>
void put(Sink& sink, T value) {
  sink.append(&value, sizeof value);
}

template <class Sink>
void put_text(Sink& sink, std::string_view text) {
  put(sink, uint64_t{text.size()});
  sink.append(text.data(), text.size());
}

// Appends one number as the file's type. False when `type` is no number.
template <class Sink, class T>
bool put_number(Sink& sink, MetadataType type, T value) {
  switch (type) {
    case MetadataType::uint8:
      put(sink, uint8_t(value));
      return true;
    case MetadataType::int8:
      put(sink, int8_t(value));
      return true;
    case MetadataType::uint16:
      put(sink, uint16_t(value));
      return true;
    case MetadataType::int16:
      put(sink, int16_t(value));
      return true;
    case MetadataType::uint32:
      put(sink, uint32_t(value));
      return true;
    case MetadataType::int32:
      put(sink, int32_t(value));
      return true;
    case MetadataType::float32:
      put(sink, float(value));
      return true;
    case MetadataType::uint64:
      put(sink, uint64_t(value));
      return true;
    case MetadataType::int64:
      put(sink, int64_t(value));
      return true;
    case MetadataType::float64:
      put(sink, double(value));
      return true;
    default:
      return false;
  }
}

template <class T>
bool is_kind(MetadataType type) {
  switch (type) {
    case MetadataType::uint8:
    case MetadataType::uint16:
    case MetadataType::uint32:
    case MetadataType::uint64:
      return std::is_same_v<T, uint64_t>;
    case MetadataType::int8:
    case MetadataType::int16:
    case MetadataType::int32:
    case MetadataType::int64:
      return std::is_same_v<T, int64_t>;
    case MetadataType::float32:
    case MetadataType::float64:
      return std::is_same_v<T, double>;
    case MetadataType::boolean:
      return std::is_same_v<T, bool>;
    case MetadataType::string:
      return std::is_same_v<T, std::string>;
    case MetadataType::array:
      return false;
  }
  return false;
}

template <class Sink, class T>
void put_element(Sink& sink, MetadataType type, const T& value) {
  if constexpr (std::is_same_v<T, std::string>)
    put_text(sink, value);
  else if constexpr (std::is_same_v<T, bool>)
    put(sink, uint8_t(value));
  else
    put_number(sink, type, value);
}

// False when the value's type and what it holds disagree.
template <class Sink>
bool put_value(Sink& sink, const MetadataValue& value) {
  put(sink, uint32_t(value.type));
  return std::visit(
      [&](const auto& held) {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_arithmetic_v<Held> || std::is_same_v<Held, std::string>) {
          if (!is_kind<Held>(value.type)) return false;
          put_element(sink, value.type, held);
        } else {
          using Element = typename Held::value_type;
          if (value.type != MetadataType::array || !is_kind<Element>(value.element_type)) return false;
          put(sink, uint32_t(value.element_type));
          put(sink, uint64_t{held.size()});
          for (size_t i = 0; i < held.size(); ++i) put_element(sink, value.element_type, Element(held[i]));
        }
        return true;
      },
      value.held);
}

struct Layout {
  uint64_t alignment = 32;
  std::vector<uint64_t> n_bytes, offsets;  // of each tensor; offsets from the start of the data
  uint64_t n_data_bytes = 0;               // padding included
};

Result<Layout> lay_out(const Metadata& metadata, std::span<const GgufWriter::Declaration> tensors) {
  Layout layout;
  if (metadata.contains("general.alignment")) {
    EDGELLM_ASSIGN_OR_RETURN(int64_t alignment, metadata.integer("general.alignment"));
    if (alignment < 8 || alignment > (1 << 20) || !std::has_single_bit(uint64_t(alignment)))
      return Error{fmt::format(
          "cannot write GGUF: general.alignment is {}, wanted a power of two from 8 to 2^20", alignment)};
    layout.alignment = uint64_t(alignment);
  }
  std::unordered_set<std::string_view> names;
  for (const auto& tensor : tensors) {
    if (tensor.name.empty() || tensor.name.size() > kMostTensorNameBytes)
      return Error{fmt::format("cannot write GGUF: tensor name '{}' has {} bytes, wanted 1 to {}",
                               printable(tensor.name), tensor.name.size(), kMostTensorNameBytes)};
    if (!names.insert(tensor.name).second)
      return Error{fmt::format("cannot write GGUF: tensor '{}' is declared twice", printable(tensor.name))};
    EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, tensor_bytes(tensor));
    uint64_t padded = (n_bytes + layout.alignment - 1) / layout.alignment * layout.alignment;
    layout.n_bytes.push_back(n_bytes);
    layout.offsets.push_back(layout.n_data_bytes);
    if (__builtin_add_overflow(layout.n_data_bytes, padded, &layout.n_data_bytes))
      return Error{"cannot write GGUF: the tensors' bytes overflow 64 bits"};
  }
  return layout;
}

template <class Sink>
Status put_head(Sink& sink, const Metadata& metadata, std::span<const GgufWriter::Declaration> tensors,
                const Layout& layout) {
  put(sink, kMagic);
  put(sink, kVersion);
  put(sink, uint64_t{tensors.size()});
  put(sink, uint64_t{metadata.entries().size()});
  for (const auto& [key, value] : metadata.entries()) {
    put_text(sink, key);
    if (!put_value(sink, value))
      return Error{
          fmt::format("cannot write GGUF: metadata key '{}' holds another kind of value than its type {}",
                      printable(key), to_string(value.type))};
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    put_text(sink, tensors[i].name);
    put(sink, uint32_t(tensors[i].dimensions.size()));
    for (uint64_t dimension : tensors[i].dimensions) put(sink, dimension);
    put(sink, uint32_t(tensors[i].type));
    put(sink, layout.offsets[i]);
  }
  return {};
}

}  // namespace

Result<uint64_t> tensor_bytes(const GgufWriter::Declaration& tensor) {
  auto wrong = [&](std::string_view what) {
    return Error{fmt::format("tensor '{}': {}", printable(tensor.name), what)};
  };
  if (tensor.dimensions.size() > 4) return wrong("it has more than 4 dimensions");
  uint64_t n_columns = tensor.dimensions.empty() ? 1 : tensor.dimensions[0];
  const TensorTypeInfo& type = info(tensor.type);
  if (n_columns % type.n_values_per_block)
    return wrong(fmt::format("rows of {} values are no multiple of the {} values in a block of {}", n_columns,
                             type.n_values_per_block, type.name));
  uint64_t n_bytes = type.n_bytes_per_block;
  bool overflow = __builtin_mul_overflow(n_bytes, n_columns / type.n_values_per_block, &n_bytes);
  for (size_t i = 0; i < tensor.dimensions.size(); ++i) {
    if (tensor.dimensions[i] == 0) return wrong(fmt::format("dimension {} is 0", i));
    if (i > 0) overflow |= __builtin_mul_overflow(n_bytes, tensor.dimensions[i], &n_bytes);
  }
  if (overflow || n_bytes > std::numeric_limits<uint64_t>::max() / 2)
    return wrong("its bytes overflow 64 bits");
  return n_bytes;
}

Result<uint64_t> GgufWriter::file_bytes(const Metadata& metadata, std::span<const Declaration> tensors) {
  EDGELLM_ASSIGN_OR_RETURN(Layout layout, lay_out(metadata, tensors));
  ByteCount count;
  EDGELLM_RETURN_IF_ERROR(put_head(count, metadata, tensors, layout));
  uint64_t head = (count.n_bytes + layout.alignment - 1) / layout.alignment * layout.alignment;
  return head + layout.n_data_bytes;
}

Result<GgufWriter> GgufWriter::create(const std::filesystem::path& path, const Metadata& metadata,
                                      std::vector<Declaration> tensors) {
  EDGELLM_ASSIGN_OR_RETURN(Layout layout, lay_out(metadata, tensors));
  ByteBuffer head;
  EDGELLM_RETURN_IF_ERROR(put_head(head, metadata, tensors, layout));
  EDGELLM_ASSIGN_OR_RETURN(OutputFile output, OutputFile::create(path));
  GgufWriter writer(std::move(output));
  writer.alignment_ = layout.alignment;
  writer.tensors_ = std::move(tensors);
  writer.n_bytes_ = std::move(layout.n_bytes);
  EDGELLM_RETURN_IF_ERROR(writer.output_.write(head.bytes));
  EDGELLM_RETURN_IF_ERROR(writer.output_.pad_to(writer.alignment_));
  return writer;
}

Status GgufWriter::write(std::span<const std::byte> bytes) {
  if (next_ == tensors_.size()) return Error{"cannot write GGUF: data after the last tensor"};
  if (bytes.size() > n_bytes_[next_] - n_written_of_it_)
    return Error{fmt::format("cannot write GGUF: tensor '{}' was given {} bytes more than its {}",
                             printable(tensors_[next_].name),
                             bytes.size() - (n_bytes_[next_] - n_written_of_it_), n_bytes_[next_])};
  EDGELLM_RETURN_IF_ERROR(output_.write(bytes));
  n_written_of_it_ += bytes.size();
  if (n_written_of_it_ == n_bytes_[next_]) {
    EDGELLM_RETURN_IF_ERROR(output_.pad_to(alignment_));
    ++next_;
    n_written_of_it_ = 0;
  }
  return {};
}

Status GgufWriter::commit() {
  if (next_ != tensors_.size())
    return Error{fmt::format("cannot write GGUF: tensor '{}' is incomplete ({} of {} bytes)",
                             printable(tensors_[next_].name), n_written_of_it_, n_bytes_[next_])};
  return output_.commit();
}

}  // namespace edgellm
