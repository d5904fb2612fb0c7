#include "query/kinds/clock_plans.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include "query/kinds/breakdown.hpp"
#include "query/kinds/task_traits.hpp"

namespace cdp {
namespace {

constexpr std::size_t kPlanBytesMost = std::size_t{64} << 20;

}  // namespace

struct ClockPlans::OfTask::OfZone {
  std::vector<BucketPlan> axes;
  std::int64_t now_ms = 0;
};

struct ClockPlans::Known {
  std::mutex mutex;
  std::map<const Zone*, std::unique_ptr<const OfTask::OfZone>> zones;  // null: none can be made
  std::size_t size_bytes = 0;
};

ClockPlans::ClockPlans(const Version& version, std::shared_ptr<const ProfileClocks> clocks, std::vector<Axis> axes)
    : extent_(extent_of(version)),
      clocks_(std::move(clocks)),
      axes_(std::move(axes)),
      known_(std::make_unique<Known>()) {}

ClockPlans::~ClockPlans() = default;

const ClockPlans::OfTask::OfZone* ClockPlans::of_zone(const ProfileClock& clock, Budget* budget) const {
  const std::lock_guard lock(known_->mutex);
  const auto [found, is_new] = known_->zones.try_emplace(clock.zone());
  const std::optional<TimeRange> counted = clock.counted();
  if (!is_new || !counted || known_->size_bytes > kPlanBytesMost) return found->second.get();
  auto made = std::make_unique<OfTask::OfZone>();
  made->now_ms = clock.shown(clocks_->now_ms());
  std::size_t bytes = 0;
  for (const Axis& axis : axes_) {
    const TimeRange rows{counted->start_ms, axis.until_now ? clocks_->now_ms() + 1 : counted->end_ms};
    const BucketPlan& plan = made->axes.emplace_back(extent_, *clock.zone(), axis.starts, rows);
    if (axis.in_order && plan.returns()) return nullptr;
    bytes += plan.size_bytes();
  }
  if (budget != nullptr) budget->charge(bytes);
  known_->size_bytes += bytes;
  found->second = std::move(made);
  return found->second.get();
}

ClockPlans::OfTask::OfTask(const ClockPlans& plans, Task& task, Scratch& scratch)
    : plans_(plans), number_(scratch.lease<std::uint16_t>(task.size())) {
  const Version& version = *task.version;
  GroupTable names;  // of zones, as profiles have them
  const auto name = scratch.zeroed<std::uint32_t>(task.size());
  if (const std::optional<KeyId> trait = plans.clocks_->trait()) {
    const auto values = traits_of_task(task, *trait, plans.clocks_->now_ms(), scratch);
    names.find_or_add(values.data(), task.size(), name.data());
  } else {
    names.find_or_add(0, Value{});
  }
  std::vector<std::uint16_t> number_of(names.size());
  for (std::uint32_t i = 0; i < names.size(); ++i) {
    const OfZone* const zone = plans.of_zone(plans.clocks_->of(version, names.value(i)), task.budget);
    const auto known = std::ranges::find(zones_, zone);
    number_of[i] = zone == nullptr ? TaskBuckets::kNoPlan : static_cast<std::uint16_t>(known - zones_.begin());
    if (zone != nullptr && known == zones_.end()) zones_.push_back(zone);
  }
  for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
    number_[profile] = number_of[name[profile]];
    if (number_[profile] != TaskBuckets::kNoPlan) continue;
    some_late_ = true;
    const Origin home = task.origin(profile);
    if (raw(home) < version.origin_count && version.links->home(home) == home && !task.is_slow(profile))
      task.mark_late(profile);
  }
}

TaskBuckets ClockPlans::OfTask::buckets(std::size_t axis) const {
  std::vector<const BucketPlan*> plans;
  for (const OfZone* zone : zones_) plans.push_back(&zone->axes[axis]);
  const bool is_single = zones_.size() == 1 && !some_late_;
  return {static_cast<std::uint32_t>(plans_.starts(axis).size()), std::move(plans),
          is_single ? std::span<const std::uint16_t>() : number_.span()};
}

std::int64_t ClockPlans::OfTask::now_ms(std::size_t zone) const noexcept { return zones_[zone]->now_ms; }

}  // namespace cdp
