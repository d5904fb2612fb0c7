// Buckets on the clock of each profile, laid over partitions once a zone: rows are then put into buckets as by one zone, with a
// look at the number of their profile's zone. ~4 ns a profile of a task, ~10 us a zone and 28 days.
//
// Of a zone that no plan can be made for (its clock was set back across an end of the range, so that what counts is no single
// range; its buckets come back where `in_order` is asked for; plans take more than 64 MiB) profiles are marked late.
// Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "query/budget.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/kinds/task_buckets.hpp"
#include "query/scratch.hpp"

namespace cdp {

class ClockPlans {
 public:
  // One way to put rows into buckets. `starts`: as of BucketPlan.
  struct Axis {
    std::vector<std::int64_t> starts;
    bool until_now = false;  // rows behind the range's end count too
    bool in_order = false;   // buckets must be stretches of time
  };
  ClockPlans(const Version& version, std::shared_ptr<const ProfileClocks> clocks, std::vector<Axis> axes);
  ~ClockPlans();
  ClockPlans(const ClockPlans&) = delete;
  ClockPlans& operator=(const ClockPlans&) = delete;

  // The clocks of a task's profiles.
  class OfTask {
   public:
    OfTask(const ClockPlans& plans, Task& task, Scratch& scratch);
    [[nodiscard]] TaskBuckets buckets(std::size_t axis) const;
    // Number of a profile's zone, below zone_count; TaskBuckets::kNoPlan: late.
    [[nodiscard]] std::uint16_t zone(std::uint32_t profile) const noexcept { return number_[profile]; }
    [[nodiscard]] std::size_t zone_count() const noexcept { return zones_.size(); }
    // What clocks of the zone show now.
    [[nodiscard]] std::int64_t now_ms(std::size_t zone) const noexcept;

   private:
    friend class ClockPlans;
    struct OfZone;
    const ClockPlans& plans_;
    Scratch::Lease<std::uint16_t> number_;
    std::vector<const OfZone*> zones_;
    bool some_late_ = false;
  };
  [[nodiscard]] std::span<const std::int64_t> starts(std::size_t axis) const noexcept { return axes_[axis].starts; }

 private:
  struct Known;
  // Null: none can be made.
  [[nodiscard]] const OfTask::OfZone* of_zone(const ProfileClock& clock, Budget* budget) const;
  TimeRange extent_;
  std::shared_ptr<const ProfileClocks> clocks_;
  std::vector<Axis> axes_;
  std::unique_ptr<Known> known_;
};

}  // namespace cdp
