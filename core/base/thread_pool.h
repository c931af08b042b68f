// A fixed set of threads that run one function at a time together. The caller is thread 0. Dispatch takes
// about a microsecond: idle threads spin briefly before they sleep, and nothing is allocated per call.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace edgellm {

class ThreadPool {
 public:
  // n_threads 0: one per usable core (see usable_cores). With `pin`, thread i stays on the i-th fastest core.
  explicit ThreadPool(size_t n_threads = 0, bool pin = false);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  size_t n_threads() const { return n_threads_; }

  // Calls function(begin, end, thread_index) for pieces of at most `piece` of [0, n), taken as threads become
  // free.
  template <class Function>
  void parallel_for(size_t n, size_t piece, Function&& function) {
    next_.store(0, std::memory_order_relaxed);
    auto take = [&, this](size_t thread) {
      for (;;) {
        size_t begin = next_.fetch_add(piece, std::memory_order_relaxed);
        if (begin >= n) return;
        function(begin, begin + piece < n ? begin + piece : n, thread);
      }
    };
    dispatch([](void* f, size_t thread) { (*static_cast<decltype(take)*>(f))(thread); }, &take);
  }

 private:
  using Call = void (*)(void*, size_t);
  void dispatch(Call call, void* argument);
  void work(size_t thread);

  // The round in work: its number, whether it is closed to threads that have not entered, and how many have.
  static constexpr uint64_t kRound = uint64_t{1} << 32, kClosed = uint64_t{1} << 31;

  size_t n_threads_;
  Call call_ = nullptr;
  void* argument_ = nullptr;
  std::vector<int> cores_;
  std::vector<std::thread> threads_;
  alignas(64) std::atomic<uint32_t> round_{0};  // for sleepers
  alignas(64) std::atomic<uint64_t> gate_{kClosed};
  alignas(64) std::atomic<uint32_t> n_left_{0};  // threads that entered the round and have ended it
  alignas(64) std::atomic<size_t> next_{0};
  std::atomic<bool> stopping_{false};
};

// The cores this process may use, fastest first; where the kernel tells capacities (big.LITTLE), only the
// cores of the largest capacity.
std::vector<int> usable_cores();

}  // namespace edgellm
