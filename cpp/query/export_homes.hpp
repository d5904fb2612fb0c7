// The profiles of an export by id, a stripe of every shard at a time, those alone for which `where` holds.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "query/export_columns.hpp"
#include "query/predicate.hpp"
#include "query/scan_plan.hpp"

namespace cdp {

class ExportHomes {
 public:
  // REQUIRES: all of these outlive it.
  ExportHomes(const Version& version, const ScanPlan& plan, const std::optional<Predicate>& where, std::int64_t now_ms,
              const std::atomic<bool>* stop)
      : version_(version), plan_(plan), where_(where), now_ms_(now_ms), stop_(stop) {}

  // Appends the profiles of the next stripe, ascending; false when there is none.
  bool next(std::vector<Origin>& homes) {
    if (stripe_ >= plan_.stripe_count()) return false;
    const std::size_t before = homes.size();
    plan_.each_task(stripe_++, [&](const Task& task) { add_task(task, homes); });
    std::sort(homes.begin() + static_cast<std::ptrdiff_t>(before), homes.end());
    return true;
  }

 private:
  void add_task(const Task& task, std::vector<Origin>& homes) {
    check_not_stopped(stop_);
    const std::span<const std::uint64_t> all = plan_.everyone(version_).words(task);
    std::vector<std::uint64_t> words(all.begin(), all.end());
    if (where_) {
      std::fill(words.begin(), words.end(), 0);
      where_->evaluate_task(task, now_ms_, scratch_, all, words);
    }
    for (std::size_t word = 0; word < words.size(); ++word) {
      for (std::uint64_t bits = words[word]; bits != 0; bits &= bits - 1) {
        homes.push_back(
            task.origin(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(__builtin_ctzll(bits))));
      }
    }
  }

  const Version& version_;
  const ScanPlan& plan_;
  const std::optional<Predicate>& where_;
  std::int64_t now_ms_;
  const std::atomic<bool>* stop_;
  Scratch scratch_;
  std::size_t stripe_ = 0;
};

}  // namespace cdp
