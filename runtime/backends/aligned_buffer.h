// Uninitialized memory on a cache line boundary. Large buffers come fresh from the system, so that pages
// never written never become resident.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace edgellm {

class AlignedBuffer {
 public:
  static constexpr size_t kAlignment = 64;
  static constexpr size_t rounded(size_t n_bytes) {
    return (n_bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  AlignedBuffer() = default;
  // data() is null when the system has no such memory.
  explicit AlignedBuffer(size_t n_bytes)
      : data_(static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded(n_bytes ? n_bytes : 1)))),
        n_bytes_(data_ ? rounded(n_bytes) : 0) {}

  std::byte* data() const { return data_.get(); }
  size_t n_bytes() const { return n_bytes_; }
  // Keeps nothing of what was in it.
  void grow_to(size_t n_bytes) {
    if (n_bytes > n_bytes_) *this = AlignedBuffer(n_bytes);
  }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t n_bytes_ = 0;
};

}  // namespace edgellm
