// safetensors files: read through a memory map, written as a stream. The byte layout is in docs/formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/output_file.h"
#include "core/base/result.h"

namespace edgellm {

enum class SafetensorsType {
  BOOL,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  F64,
  I64,
  U64
};

std::string_view to_string(SafetensorsType type);  // as the header spells it: "BF16"
std::optional<SafetensorsType> find_safetensors_type(std::string_view name);
size_t value_bytes(SafetensorsType type);
// False for integers and booleans, which are no weights.
bool is_real(SafetensorsType type);
// n_values of a real type into floats; `data` need not be aligned. F64 is rounded.
void decode_values(SafetensorsType type, const std::byte* data, float* values, size_t n_values);

struct SafetensorsTensor {
  std::string name;
  SafetensorsType type = SafetensorsType::F32;
  std::vector<uint64_t> shape;      // outermost first, as PyTorch prints it
  std::span<const std::byte> data;  // mapped, row-major, aligned to nothing
  uint64_t n_values() const;
};

class SafetensorsFile {
 public:
  // The header is checked before it is used: its length, its nesting, names given twice, types, shapes that
  // overflow or disagree with the offsets, overlaps, and bytes that no tensor claims.
  static Result<SafetensorsFile> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }
  const SafetensorsTensor* find(std::string_view name) const;  // null if absent
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  uint64_t n_file_bytes() const { return file_.n_bytes(); }
  void give_back(const SafetensorsTensor& tensor) const { file_.give_back(tensor.data); }

 private:
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {}
  MappedFile file_;
  std::vector<SafetensorsTensor> tensors_;
  std::unordered_map<std::string, size_t> index_;
  std::map<std::string, std::string> metadata_;
};

// Writes model.safetensors into a folder, or model-00001-of-0000N.safetensors and their index.
class SafetensorsWriter {
 public:
  struct Declaration {
    std::string name;
    SafetensorsType type;
    std::vector<uint64_t> shape;  // outermost first
  };
  // A shard holds at most `most_shard_bytes` of data unless one tensor alone has more; 0: one file.
  static Result<SafetensorsWriter> create(const std::filesystem::path& folder,
                                          std::vector<Declaration> tensors, uint64_t most_shard_bytes = 0);

  // Data of the next tensor, in one or several pieces; it ends when its bytes are complete.
  Status write(std::span<const std::byte> bytes);
  // Error when data is missing. Gives the last shard its name and writes the index.
  Status commit();

 private:
  SafetensorsWriter() = default;
  std::string shard_name(size_t shard) const;
  Status open_shard();
  Status close_tensors();

  std::filesystem::path folder_;
  std::vector<Declaration> tensors_;
  std::vector<uint64_t> n_bytes_;     // of each tensor
  std::vector<size_t> shard_begin_;   // first tensor of each shard, and the tensor count at the end
  std::optional<OutputFile> output_;  // of the shard in work
  size_t shard_ = 0, next_ = 0;
  uint64_t n_written_of_it_ = 0;
};

}  // namespace edgellm
