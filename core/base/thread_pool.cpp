#include "core/base/thread_pool.h"

#include <algorithm>
#include <fstream>
#include <pthread.h>
#include <sched.h>
#include <string>

namespace edgellm {
namespace {

constexpr int kSpins = 20000;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void pin_to(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

long capacity_of(int core) {
  std::ifstream in("/sys/devices/system/cpu/cpu" + std::to_string(core) + "/cpu_capacity");
  long capacity = 0;
  return in >> capacity ? capacity : 0;
}

}  // namespace

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set)) cores.push_back(i);
  if (cores.empty()) cores.push_back(0);
  long largest = 0;
  for (int core : cores) largest = std::max(largest, capacity_of(core));
  if (largest > 0) std::erase_if(cores, [&](int core) { return capacity_of(core) < largest; });
  return cores;
}

ThreadPool::ThreadPool(size_t n_threads, bool pin) : cores_(usable_cores()) {
  n_threads_ = n_threads ? n_threads : cores_.size();
  if (!pin || n_threads_ > cores_.size()) cores_.clear();
  for (size_t i = 1; i < n_threads_; ++i) threads_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stopping_ = true;
  round_.fetch_add(1);
  round_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void ThreadPool::dispatch(Call call, void* argument) {
  if (n_threads_ == 1) return call(argument, 0);
  call_ = call;
  argument_ = argument;
  n_left_.store(0, std::memory_order_relaxed);
  // Everything above is published to a thread by its entering the gate.
  uint64_t number = (gate_.load(std::memory_order_relaxed) / kRound + 1) * kRound;
  gate_.store(number, std::memory_order_release);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  call(argument, 0);
  auto n_entered = uint32_t(gate_.fetch_or(kClosed, std::memory_order_acq_rel) % kClosed);
  for (int spins = 0; n_left_.load(std::memory_order_acquire) != n_entered; ++spins) {
    relax();
    if (spins > kSpins) std::this_thread::yield();
  }
}

void ThreadPool::work(size_t thread) {
  if (!cores_.empty()) pin_to(cores_[thread]);
  uint32_t seen = 0;
  for (;;) {
    for (int spins = 0; round_.load(std::memory_order_acquire) == seen && spins < kSpins; ++spins) relax();
    while (round_.load(std::memory_order_acquire) == seen) round_.wait(seen, std::memory_order_acquire);
    seen = round_.load(std::memory_order_acquire);
    if (stopping_) return;
    uint64_t gate = gate_.load(std::memory_order_acquire);
    while (!(gate & kClosed) && !gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) {
    }
    if (gate & kClosed) continue;
    call_(argument_, thread);
    n_left_.fetch_add(1, std::memory_order_release);
  }
}

}  // namespace edgellm
