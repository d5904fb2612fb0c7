// In which bucket each row of a task lies: by one plan, or by that of each profile's own clock (clock_plans.hpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "query/kinds/bucket_plan.hpp"
#include "query/kinds/event_rows.hpp"

namespace cdp {

class TaskBuckets {
 public:
  static constexpr std::uint16_t kNoPlan = 0xFFFF;  // no row of the profile counts here

  explicit TaskBuckets(const BucketPlan& plan) : size_(plan.size()), plans_{&plan} {}
  // `number`: of each profile of the task, its plan. Empty: there is but one. Both outlive this.
  TaskBuckets(std::uint32_t size, std::vector<const BucketPlan*> plans, std::span<const std::uint16_t> number)
      : size_(size), plans_(std::move(plans)), number_(number) {}

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }  // buckets
  // Null: profiles have several.
  [[nodiscard]] const BucketPlan* single() const noexcept { return number_.empty() ? plans_.front() : nullptr; }
  [[nodiscard]] bool covers(std::int32_t partition) const noexcept {
    return std::ranges::any_of(plans_, [&](const BucketPlan* plan) { return plan->covers(partition); });
  }

  // visit(i, bucket) for each of the rows, of a chunk of this partition, that lies in one.
  template <class Visit>
  void each(const EventRows& rows, std::int32_t partition, Visit&& visit) const {
    const auto laid = [&](const BucketPlan& plan) { return plan.covers(partition) ? &plan.of(partition) : nullptr; };
    const auto put = [&](std::uint32_t i, const PartitionBuckets& buckets) {
      const std::uint16_t local = buckets.by_slot ? buckets.slot_bucket[rows.slot(i)] : buckets.bucket(rows.time(i));
      if (local != PartitionBuckets::kOutside) visit(i, buckets.first_bucket + local);
    };
    if (const BucketPlan* plan = single()) {
      const PartitionBuckets* const buckets = laid(*plan);
      for (std::uint32_t i = 0; buckets != nullptr && i < rows.count(); ++i) put(i, *buckets);
      return;
    }
    std::vector<const PartitionBuckets*> of_plan;
    for (const BucketPlan* plan : plans_) of_plan.push_back(laid(*plan));
    for (std::uint32_t i = 0; i < rows.count(); ++i) {
      const std::uint16_t number = number_[rows.profile(i)];
      if (number != kNoPlan && of_plan[number] != nullptr) put(i, *of_plan[number]);
    }
  }

 private:
  std::uint32_t size_;
  std::vector<const BucketPlan*> plans_;
  std::span<const std::uint16_t> number_;
};

}  // namespace cdp
