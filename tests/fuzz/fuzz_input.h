// What the fuzz targets share: the entry point, and inputs as files for readers that open a path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

// libFuzzer calls it with each input; the replay driver with each file of the corpus.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes);

namespace edgellm {

inline std::string_view as_text(const uint8_t* data, size_t n_bytes) {
  return {reinterpret_cast<const char*>(data), n_bytes};
}

// A file in memory that holds the input, under a path of the process's own.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t n_bytes) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
    size_t n_written = 0;
    while (n_written < n_bytes) {
      const ssize_t n = write(descriptor_, data + n_written, n_bytes - n_written);
      if (n <= 0) break;
      n_written += static_cast<size_t>(n);
    }
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace edgellm
