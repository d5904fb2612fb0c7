// The clock that a question goes by where its zone is kept in a trait: each profile's own.
//
//   "zone": {"trait": key, "else"?: IANA name ("UTC")}
//
// Meaning: an event counts at the time that the clock of its profile showed, in the zone that the trait names as of now; `else` where
// it is missing or names none. Times of the answer (start_ms, cohort_ms) are what clocks show, written as if in UTC, and so are start_ms
// and end_ms of a range: March is each profile's own. {"last"} and {"last", "until"} stay spans of time that are the same for all;
// of the calendar they begin with the profile's own day. What lies behind now is hidden by the instant. An hour that comes twice
// is one. Lengths of time (rolling periods) are as they passed.
//
// Cost: one by one ~0.1 us a profile; whole tasks from tables (clock_plans.hpp). Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "query/calendar.hpp"
#include "query/kinds/kinds.hpp"
#include "query/scan.hpp"

namespace cdp {

inline constexpr std::int64_t kClockMostMs = 27LL * 3'600'000;  // no clock is further from UTC

// Of one profile; where the question names its zone, the instant itself.
class ProfileClock {
 public:
  explicit ProfileClock(const TimeRange& range) : instants_(range) {}
  ProfileClock(const Zone& zone, const RangeSpec& range, std::int64_t now_ms);
  [[nodiscard]] std::int64_t shown(std::int64_t time_ms) const noexcept {
    return zone_ == nullptr ? time_ms : time_ms + zone_->offset_ms(time_ms);
  }
  // In the question's range, and not behind now.
  [[nodiscard]] bool counts(std::int64_t time_ms) const noexcept {
    return instants_.contains(time_ms) && (zone_ == nullptr || shown_.contains(shown(time_ms)));
  }
  // The instants that count; none where they are no single range: a clock was set back across its end.
  [[nodiscard]] std::optional<TimeRange> counted() const noexcept;
  // Null: the question's.
  [[nodiscard]] const Zone* zone() const noexcept { return zone_; }

 private:
  const Zone* zone_ = nullptr;
  TimeRange instants_;
  TimeRange shown_;
};

class ProfileClocks {
 public:
  explicit ProfileClocks(const Binding& binding);
  ~ProfileClocks();
  ProfileClocks(const ProfileClocks&) = delete;
  ProfileClocks& operator=(const ProfileClocks&) = delete;
  [[nodiscard]] bool are_own() const noexcept { return are_own_; }
  [[nodiscard]] ProfileClock of(const Version& version, Origin home) const;
  // Of those whose trait has this value. REQUIRES: are_own.
  [[nodiscard]] ProfileClock of(const Version& version, const Value& name) const {
    return {zone_of(version, name), asked_, now_ms_};
  }
  // None: nobody has it.
  [[nodiscard]] std::optional<KeyId> trait() const noexcept { return trait_; }
  [[nodiscard]] std::int64_t now_ms() const noexcept { return now_ms_; }

 private:
  struct Known;
  [[nodiscard]] const Zone& zone_of(const Version& version, const Value& name) const;
  bool are_own_;
  TimeRange range_;
  RangeSpec asked_;
  std::int64_t now_ms_;
  const Zone& otherwise_;
  std::optional<KeyId> trait_;
  std::unique_ptr<Known> known_;  // zones by the number of their name
};

// The instants at which events of some profile may count.
[[nodiscard]] TimeRange range_of_all(const CommonSpec& common, std::int64_t now_ms) noexcept;
// What clocks may show then; the same where the question names its zone.
[[nodiscard]] TimeRange shown_range(const CommonSpec& common, const TimeRange& instants) noexcept;

// What {"days": n} steps are counted from: the range's start, as the clock shows it that goes for profiles without a zone of
// their own, so that the steps are the same for all.
[[nodiscard]] std::int64_t steps_origin_ms(const Binding& binding) noexcept;

// Takes the field `zone` where it is a trait, into zone and zone_trait; false, and nothing taken, where it is none.
bool take_profile_zone(Fields& fields, CommonSpec& out);
// Breakdowns by an event's time go by what clocks show. Refuses what has no meaning on them: a range's own zone, units of datetimes.
void use_profile_clocks(CommonSpec& common, const Node* range, const Path& question);
// Of a kind that has no meaning on them at all.
void refuse_profile_zone(const Fields& fields, const CommonSpec& common);

}  // namespace cdp
