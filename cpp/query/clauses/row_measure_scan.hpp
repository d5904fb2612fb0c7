// The measures of row_measure.hpp over a task: edges of the rows found, and their local days. ~3 ns a row found.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "query/clauses/edge_rows.hpp"
#include "query/clauses/row_measure.hpp"

namespace cdp {

// How many different local days the rows found lie in.
class DayScan {
 public:
  DayScan(const SlotDays& days, const Task& task, Scratch& scratch);
  void add(const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count);
  // To be called once, behind the last `add`.
  void group();
  [[nodiscard]] std::uint64_t count(std::uint32_t profile) const noexcept;

 private:
  static constexpr std::uint32_t kDaysMost = 1'024;  // as bits of a profile
  const SlotDays& days_;
  Scratch& scratch_;
  std::uint32_t size_;
  std::int32_t first_day_ = 0;
  std::uint32_t words_ = 0;             // of a profile; 0: listed
  Scratch::Lease<std::uint64_t> bits_;  // day by day from the first on
  std::vector<std::uint64_t> listed_;   // profile << 32 | day
  std::vector<std::uint32_t> counts_;   // of those
};

class RowMeasureScan {
 public:
  RowMeasureScan(const RowMeasure& measure, const Task& task, Scratch& scratch);
  void add(const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count);
  void group() {
    if (days_) days_->group();
  }
  // REQUIRES: rows of the profile were added.
  [[nodiscard]] bool holds(std::uint32_t profile, std::int64_t now_ms) const;
  void mark_unsure(std::span<std::uint64_t> bits) const noexcept {
    if (edges_) edges_->mark_unsure(bits);
  }

 private:
  const RowMeasure& measure_;
  Scratch& scratch_;
  std::optional<EdgeRows> edges_;
  std::optional<DayScan> days_;
};

}  // namespace cdp
