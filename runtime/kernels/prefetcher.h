// Weights to come are fetched a few lines at a time while products are computed: many at once would fill the
// queue of misses and hold up everything else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

class Prefetcher {
 public:
  // Fetches n_bytes from `first` on into the second cache; step() will be called about n_steps times. Nothing
  // is read, so that the bytes need not all be there.
  Prefetcher(const void* first, size_t n_bytes, size_t n_steps)
      : next_(reinterpret_cast<uintptr_t>(first)),
        end_(next_ + n_bytes),
        n_bytes_each_((n_bytes / 64 + n_steps) / n_steps * 64) {}
  void step() {
    const uintptr_t end = next_ + n_bytes_each_ < end_ ? next_ + n_bytes_each_ : end_;
    for (; next_ < end; next_ += 64) __builtin_prefetch(reinterpret_cast<const void*>(next_), 0, 2);
  }

 private:
  uintptr_t next_, end_;
  size_t n_bytes_each_;
};

}  // namespace edgellm
