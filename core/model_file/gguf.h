// GGUF files, versions 2 and 3, read through a memory map and written as a stream. The byte layout is in
// docs/formats.md.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/metadata.h"
#include "core/base/output_file.h"
#include "core/base/result.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

struct GgufTensor {
  std::string name;
  TensorType type = TensorType::F32;
  std::vector<uint64_t> dimensions;  // innermost first: [n_columns, n_rows, ...]; at most 4
  std::span<const std::byte> data;   // mapped; rows contiguous
  size_t file = 0;                   // which file of a split model holds it
  size_t n_columns() const { return dimensions.empty() ? 1 : dimensions[0]; }
  size_t n_rows() const;  // product of the other dimensions
  size_t n_values() const { return n_columns() * n_rows(); }
};

class GgufFile {
 public:
  // Opens one file, or all files of a split model when `path` is any "-00001-of-0000N.gguf" part. Everything
  // the file says is checked before it is used: sizes, counts, offsets, alignment, overlaps, types.
  static Result<GgufFile> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  uint32_t version() const { return version_; }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find(std::string_view name) const;  // null if absent
  uint64_t n_file_bytes() const;                        // of all parts
  std::vector<std::filesystem::path> paths() const;     // of all parts
  // From now on the file seems to have no such tensor. Pointers to tensors are invalid afterwards.
  void leave_out(std::string_view name);
  // Gives back / asks for the pages of one tensor's data.
  void give_back(const GgufTensor& tensor) const { files_[tensor.file].give_back(tensor.data); }
  void will_need(const GgufTensor& tensor) const { files_[tensor.file].will_need(tensor.data); }

 private:
  GgufFile() = default;
  std::filesystem::path path_;
  uint32_t version_ = 3;
  Metadata metadata_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string, size_t> index_;
  std::vector<MappedFile> files_;
};

// Writes a GGUF v3 file: metadata and the whole tensor table first, then the data of each tensor in the order
// declared.
class GgufWriter {
 public:
  struct Declaration {
    std::string name;
    TensorType type;
    std::vector<uint64_t> dimensions;  // innermost first
  };
  // Writes header, metadata and tensor table. Alignment is 32, or metadata's general.alignment.
  static Result<GgufWriter> create(const std::filesystem::path& path, const Metadata& metadata,
                                   std::vector<Declaration> tensors);
  // Exact bytes the file will have; nothing is written.
  static Result<uint64_t> file_bytes(const Metadata& metadata, std::span<const Declaration> tensors);

  const std::vector<Declaration>& tensors() const { return tensors_; }
  // Data of the next tensor, in one or several pieces; it ends when its bytes are complete.
  Status write(std::span<const std::byte> bytes);
  // Error when data is missing. Renames the finished file into place.
  Status commit();

 private:
  GgufWriter(OutputFile output) : output_(std::move(output)) {}
  OutputFile output_;
  size_t alignment_ = 32;
  std::vector<Declaration> tensors_;
  std::vector<uint64_t> n_bytes_;
  size_t next_ = 0;  // tensor in work
  uint64_t n_written_of_it_ = 0;
};

// Bytes of a tensor's data; an Error names the tensor when its row is no multiple of the type's block.
Result<uint64_t> tensor_bytes(const GgufWriter::Declaration& tensor);

}  // namespace edgellm
