// What one query may use: memory, time, and whether somebody cancelled it. Looked at between tasks, never in a hot loop.
//
// Threads: any; `charge` is a relaxed add. Time is a steady clock given as a deadline in nanoseconds, so tests own it.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/error.hpp"

namespace cdp {

inline constexpr std::uint64_t kQueryMemoryBytes = 1u << 30;

class Budget {
 public:
  // deadline_ns on std::chrono::steady_clock; INT64_MAX: none. `stop`: cancels it from outside, with others.
  explicit Budget(std::uint64_t memory_bytes = kQueryMemoryBytes, std::int64_t deadline_ns = INT64_MAX,
                  const std::atomic<bool>* stop = nullptr)
      : memory_bytes_(memory_bytes), deadline_ns_(deadline_ns), stop_(stop) {}

  // Notes memory that a partial grew by. Throws LimitExceeded query.memory when over: call it outside hot loops.
  void charge(std::uint64_t size_bytes);
  void release(std::uint64_t size_bytes) noexcept { used_bytes_.fetch_sub(size_bytes, std::memory_order_relaxed); }
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  // Throws Timeout query.deadline or query.cancelled.
  void check() const;
  [[nodiscard]] std::uint64_t used_bytes() const noexcept { return used_bytes_.load(std::memory_order_relaxed); }

 private:
  std::uint64_t memory_bytes_;
  std::int64_t deadline_ns_;
  const std::atomic<bool>* stop_;
  std::atomic<std::uint64_t> used_bytes_{0};
  std::atomic<bool> cancelled_{false};
};

}  // namespace cdp
