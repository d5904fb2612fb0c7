// What a ruled retention has counted: cohorts by group and start, and the same as arrays while a task is gone through.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "query/kernel.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/clock_plans.hpp"
#include "query/kinds/retention_amounts.hpp"

namespace cdp {

// One cohort of one group. Cells are kept as where they begin and end: `change` by period, to be summed up.
struct Cohort {
  std::uint64_t size = 0;
  std::map<std::int64_t, std::int64_t> change;
  std::vector<std::int64_t> births;              // what periods roll from, where they do
  std::map<std::int64_t, std::uint64_t> clocks;  // by clocks of profiles: how many births by what those show now
  AmountChanges amounts;
  void count(std::int64_t first, std::int64_t last) {
    ++change[first];
    --change[last + 1];
  }
  void merge(const Cohort& other) {
    size += other.size;
    for (const auto& [period, by] : other.change) change[period] += by;
    births.insert(births.end(), other.births.begin(), other.births.end());
    for (const auto& [now_ms, by] : other.clocks) clocks[now_ms] += by;
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
      const auto far = far_.find(row);
      if (far == far_.end()) continue;
      for (const auto& [period, by] : far->second.change) cohort.change[period] += by;
    }
  }

 private:
  static constexpr std::int64_t kPeriods = 254;   // from 0
  static constexpr std::size_t kWidth = 256;      // the size, and changes up to behind the last period
  static constexpr std::size_t kRoom = 1u << 19;  // of 8 bytes

  Cohort& far(const std::int64_t* dense) { return far_[static_cast<std::size_t>(dense - dense_.data()) / kWidth]; }

  std::uint32_t buckets_;
  RuledPartial* partial_;
  std::vector<std::int64_t> dense_;
  std::map<std::size_t, Cohort> far_;  // by row: what lies behind
};

// Of a task: how many births of each cohort by the zone of their profiles.
class ClockCounts {
 public:
  ClockCounts(const ClockPlans::OfTask& clocks, std::span<const std::int64_t> starts, RuledPartial& partial)
      : clocks_(clocks), starts_(starts), partial_(partial), counts_(clocks.zone_count()) {}
  void add(std::uint16_t zone, std::uint32_t group, std::uint32_t birth) {
    const std::size_t row = std::size_t{group} * starts_.size() + birth;
    if (row >= kRoom / counts_.size()) return add_to(group, birth, zone, 1);
    std::vector<std::uint32_t>& counts = counts_[zone];
    if (row >= counts.size()) counts.resize(std::max(row + 1, 2 * counts.size()));
    ++counts[row];
  }
  void flush() {
    for (std::size_t zone = 0; zone < counts_.size(); ++zone) {
      for (std::size_t row = 0; row < counts_[zone].size(); ++row) {
        if (counts_[zone][row] == 0) continue;
        add_to(static_cast<std::uint32_t>(row / starts_.size()), row % starts_.size(), zone, counts_[zone][row]);
      }
    }
  }

 private:
  static constexpr std::size_t kRoom = 1u << 20;  // of 4 bytes
  void add_to(std::uint32_t group, std::size_t birth, std::size_t zone, std::uint32_t count) {
    partial_.cohorts[{group, starts_[birth]}].clocks[clocks_.now_ms(zone)] += count;
  }
  const ClockPlans::OfTask& clocks_;
  std::span<const std::int64_t> starts_;
  RuledPartial& partial_;
  std::vector<std::vector<std::uint32_t>> counts_;  // of each zone, by group and start
};

}  // namespace cdp
