#include "query/budget.hpp"

#include <chrono>
#include <string>

namespace cdp {

void Budget::charge(std::uint64_t size_bytes) {
  const std::uint64_t used = used_bytes_.fetch_add(size_bytes, std::memory_order_relaxed) + size_bytes;
  if (used <= memory_bytes_) return;
  throw Error(Family::kLimitExceeded, code::kQueryMemory,
              "the query needs over " + std::to_string(memory_bytes_) + " bytes; narrow its breakdown or range");
}

void Budget::check() const {
  if (cancelled_.load(std::memory_order_relaxed) || (stop_ != nullptr && stop_->load(std::memory_order_relaxed))) {
    throw Error(Family::kTimeout, code::kQueryCancelled, "the query was cancelled");
  }
  if (deadline_ns_ == INT64_MAX) return;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  if (std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() >= deadline_ns_) {
    throw Error(Family::kTimeout, code::kQueryDeadline, "the query's deadline has passed");
  }
}

}  // namespace cdp
