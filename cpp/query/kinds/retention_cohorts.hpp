// What a ruled retention has counted: cohorts by group and start, and the same as arrays while a task is gone through.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "query/kernel.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/retention_amounts.hpp"

namespace cdp {

// One cohort of one group. Cells are kept as where they begin and end: `change` by period, to be summed up.
struct Cohort {
  std::uint64_t size = 0;
  std::map<std::int64_t, std::int64_t> change;
  // Where births of a cohort do not have a period over at once: how many of each age. Of periods that roll the age is how many
  // of them are over, by clocks of profiles what those show now.
  std::map<std::int64_t, std::uint64_t> ages;
  AmountChanges amounts;
  void count(std::int64_t first, std::int64_t last) {
    ++change[first];
    --change[last + 1];
  }
  void merge(const Cohort& other) {
    size += other.size;
    for (const auto& [period, by] : other.change) change[period] += by;
    for (const auto& [age, by] : other.ages) ages[age] += by;
    amounts.merge(other.amounts);
  }
};

struct RuledPartial final : Partial {
  explicit RuledPartial(std::size_t operands) : groups(operands) {}
  Groups groups;
  std::map<std::pair<std::uint32_t, std::int64_t>, Cohort> cohorts;  // (group, start)
  std::uint64_t births = 0;
  std::uint64_t amounts = 0;  // added to cohorts
  std::uint64_t charged_bytes = 0;
  GrownGroups grown;
};

// Cohorts of few groups as arrays while a task is gone through: adding to a map costs more than finding what to add.
class CohortsAtHand {
 public:
  CohortsAtHand(std::uint32_t buckets, RuledPartial& partial) : buckets_(buckets), partial_(&partial) {}

  // One cohort of one group.
  class At {
   public:
    At(CohortsAtHand& all, std::int64_t* dense, Cohort* sparse) : all_(&all), dense_(dense), sparse_(sparse) {}
    void add_birth() {
      if (dense_ != nullptr) {
        ++dense_[0];
      } else {
        ++sparse_->size;
      }
      ++all_->partial_->births;
    }
    void add_age(std::int64_t age) {
      if (dense_ == nullptr) {
        ++sparse_->ages[age];
      } else {
        all_->add_age(all_->row_of(dense_), age);
      }
    }
    void count(std::int64_t first, std::int64_t last) {
      if (dense_ == nullptr) return sparse_->count(first, last);
      if (last >= kPeriods) return all_->far(dense_).count(first, last);
      ++dense_[1 + first];
      --dense_[2 + last];
    }

   private:
    CohortsAtHand* all_;
    std::int64_t* dense_;  // size, then changes
    Cohort* sparse_;
  };

  At of(std::uint32_t group, std::uint32_t bucket, std::int64_t start_ms) {
    const std::size_t row = std::size_t{group} * buckets_ + bucket;
    if ((row + 1) * kWidth > kRoom) return {*this, nullptr, &partial_->cohorts[{group, start_ms}]};
    if (dense_.size() < (row + 1) * kWidth) dense_.resize(std::max((row + 1) * kWidth, 2 * dense_.size()));
    return {*this, dense_.data() + row * kWidth, nullptr};
  }

  void flush(std::span<const std::int64_t> starts) {
    for (std::size_t row = 0; row < dense_.size() / kWidth; ++row) {
      const std::int64_t* const from = dense_.data() + row * kWidth;
      if (from[0] == 0) continue;
      Cohort& cohort = partial_->cohorts[{static_cast<std::uint32_t>(row / buckets_), starts[row % buckets_]}];
      cohort.size += static_cast<std::uint64_t>(from[0]);
      for (std::int64_t period = 0; period <= kPeriods; ++period) {
        if (from[1 + period] != 0) cohort.change[period] += from[1 + period];
      }
      if (row < ages_.size()) {
        for (const auto& [age, by] : ages_[row]) cohort.ages[age] += by;
      }
      const auto far = far_.find(row);
      if (far == far_.end()) continue;
      for (const auto& [period, by] : far->second.change) cohort.change[period] += by;
    }
  }

 private:
  static constexpr std::int64_t kPeriods = 254;   // from 0
  static constexpr std::size_t kWidth = 256;      // the size, and changes up to behind the last period
  static constexpr std::size_t kRoom = 1u << 19;  // of 8 bytes

  [[nodiscard]] std::size_t row_of(const std::int64_t* dense) const noexcept {
    return static_cast<std::size_t>(dense - dense_.data()) / kWidth;
  }
  Cohort& far(const std::int64_t* dense) { return far_[row_of(dense)]; }
  // Ages of one cohort are few, and mostly the one before comes again.
  void add_age(std::size_t row, std::int64_t age) {
    if (row >= ages_.size()) ages_.resize(row + 1);
    auto& known = ages_[row];
    const auto found = std::ranges::find(known, age, &std::pair<std::int64_t, std::uint64_t>::first);
    if (found == known.end()) {
      known.emplace_back(age, 1);
    } else {
      ++found->second;
      if (found != known.begin()) std::iter_swap(found, std::prev(found));
    }
  }

  std::uint32_t buckets_;
  RuledPartial* partial_;
  std::vector<std::int64_t> dense_;
  std::map<std::size_t, Cohort> far_;                                      // by row: what lies behind
  std::vector<std::vector<std::pair<std::int64_t, std::uint64_t>>> ages_;  // by row
};

}  // namespace cdp
