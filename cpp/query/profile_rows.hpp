// The rows of one profile for several predicates: in event order, and the times of each name's beside one another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "store/event_store.hpp"

namespace cdp {

class ProfileRows {
 public:
  // `rows` in event order; they outlive this.
  explicit ProfileRows(std::span<const Row> rows) : rows_(rows) {
    std::vector<std::uint64_t> by_name;  // name, then place
    by_name.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) by_name.push_back(std::uint64_t{raw(rows[i].name)} << 32 | i);
    std::ranges::sort(by_name);
    times_.reserve(rows.size());
    for (const std::uint64_t at : by_name) {
      const auto name = static_cast<NameId>(at >> 32);
      if (names_.empty() || names_.back() != name) {
        names_.push_back(name);
        begins_.push_back(static_cast<std::uint32_t>(times_.size()));
      }
      times_.push_back(rows[at & UINT32_MAX].time_ms);
    }
    begins_.push_back(static_cast<std::uint32_t>(times_.size()));
  }
  [[nodiscard]] std::span<const Row> all() const noexcept { return rows_; }
  // Of the rows of a name, ascending.
  [[nodiscard]] std::span<const std::int64_t> times(NameId name) const noexcept {
    const auto found = std::ranges::lower_bound(names_, name);
    if (found == names_.end() || *found != name) return {};
    const auto at = static_cast<std::size_t>(found - names_.begin());
    return std::span(times_).subspan(begins_[at], begins_[at + 1] - begins_[at]);
  }

 private:
  std::span<const Row> rows_;
  std::vector<NameId> names_;          // that there are, ascending
  std::vector<std::uint32_t> begins_;  // of each, in times_; and where the last one ends
  std::vector<std::int64_t> times_;
};

}  // namespace cdp
