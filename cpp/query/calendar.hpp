// Local calendars: where an hour, day, week, month, quarter, year begins in a zone. Zones are tables of transitions that
// Python's zoneinfo gives (g++ 12 has none); UTC is built in.
//
// An instant belongs to the day, week, month that the wall clock shows, so days have 23 or 25 hours where they have them. A
// bucket is named by the UTC time of its start, the first instant at which the wall clock shows it or something later: where
// a jump skips midnight, the first instant after the jump; of two midnights the earlier. A clock set back across midnight
// (St. John's at 00:01) shows the day before once more, so a bucket may come back: it is then not one stretch of time. Hours
// are local hours, and a change of offset begins a new one: each repeated hour is a bucket of its own. So are steps of minutes,
// which are laid from local midnight.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "query/spec.hpp"

namespace cdp {

namespace code {
inline constexpr std::string_view kQueryZoneUnknown = "query.zone.unknown";
}  // namespace code

// An offset in force from utc_ms on.
struct ZoneTransition {
  std::int64_t utc_ms = 0;
  std::int64_t offset_ms = 0;  // local = utc + offset
};

class Zone {
 public:
  // The first transition's offset holds before it too. REQUIRES: ascending utc_ms, at least one, |offset| < 26 h; else
  // BadQuery.
  // `table`: which release of the tables it comes from, for the answer; empty: of none (UTC).
  Zone(std::string name, std::vector<ZoneTransition> transitions, std::string table = {});
  [[nodiscard]] static const Zone& utc();
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& table() const noexcept { return table_; }
  [[nodiscard]] std::int64_t offset_ms(std::int64_t utc_ms) const noexcept;
  // The earliest UTC instant whose local time is ≥ local_ms.
  [[nodiscard]] std::int64_t utc_of_local(std::int64_t local_ms) const noexcept;
  [[nodiscard]] bool is_fixed() const noexcept { return transitions_.size() == 1; }
  [[nodiscard]] const std::vector<ZoneTransition>& transitions() const noexcept { return transitions_; }

 private:
  std::string name_;
  std::string table_;
  std::vector<ZoneTransition> transitions_;
};

// Zones that Python has handed over. Threads: add and find lock.
class ZoneTable {
 public:
  ZoneTable();
  ~ZoneTable();
  void add(Zone zone);  // an equal name is kept: tables do not change while a process lives
  [[nodiscard]] bool has(std::string_view name) const;
  // BadQuery query.zone.unknown when nobody added it: whoever has tables adds it and asks again.
  [[nodiscard]] const Zone& find(std::string_view name, const Path& path) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};
// The process's table: zones are facts of the world, not state of an engine.
[[nodiscard]] ZoneTable& zones();

// One unit in one zone. Value type, cheap to copy (points to the zone). Cost of bucket_start ~20 ns.
class Calendar {
 public:
  // `origin_ms`: start of {"days": n} steps (the local day that holds it begins the first step).
  Calendar(const Zone& zone, Unit unit, int week_start, std::int64_t origin_ms = 0);
  // UTC start of the bucket that holds the instant.
  [[nodiscard]] std::int64_t bucket_start(std::int64_t time_ms) const noexcept;
  // UTC start of the bucket after the one that starts at `start_ms`.
  [[nodiscard]] std::int64_t next_start(std::int64_t start_ms) const noexcept;
  // UTC start of the bucket so many steps (distance) behind the one that starts at `start_ms`. O(steps) for hours and minutes over
  // changes of offset.
  [[nodiscard]] std::int64_t start_after(std::int64_t start_ms, std::int64_t steps) const noexcept;
  // The first instant behind this one that may lie in another bucket.
  [[nodiscard]] std::int64_t next_border(std::int64_t time_ms) const noexcept;
  // Steps of the calendar from the bucket that starts at `from` to the one that starts at `to` (retention periods): a day
  // that the zone skipped counts. Hours and minutes are counted as they passed. REQUIRES: both starts.
  [[nodiscard]] std::int64_t distance(std::int64_t from_start_ms, std::int64_t to_start_ms) const noexcept;
  [[nodiscard]] const Zone& zone() const noexcept { return *zone_; }
  [[nodiscard]] const Unit& unit() const noexcept { return unit_; }

 private:
  [[nodiscard]] std::int64_t index_of_local(std::int64_t local_ms) const noexcept;  // number of the bucket
  [[nodiscard]] std::int64_t local_start(std::int64_t index) const noexcept;
  const Zone* zone_;
  Unit unit_;
  int week_start_;
  std::int64_t origin_day_ = 0;
};

// The buckets over [first_ms, last_ms], the coordinate system of a query: numbered from 0 by their starts, the same for every
// task. Throws LimitExceeded when there are over 65,534.
class Buckets {
 public:
  // A stretch of time whose instants lie in one bucket; it ends where the next begins.
  struct Piece {
    std::int64_t first_ms = 0;
    std::uint32_t bucket = 0;
  };
  Buckets(const Calendar& calendar, std::int64_t first_ms, std::int64_t last_ms);
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(starts_.size()); }
  [[nodiscard]] std::int64_t start_ms(std::uint32_t bucket) const noexcept { return starts_[bucket]; }
  // Bucket of an instant. REQUIRES: inside [first_ms, last_ms]. ~2 ns.
  [[nodiscard]] std::uint32_t bucket_of(std::int64_t time_ms) const noexcept;
  [[nodiscard]] const std::vector<std::int64_t>& starts() const noexcept { return starts_; }
  // Ascending; neighbours lie in different buckets. Piece i is of bucket i but where a clock was set back across a border.
  [[nodiscard]] const std::vector<Piece>& pieces() const noexcept { return pieces_; }

 private:
  static constexpr std::size_t kStretchesMost = 1u << 16;
  void lay_stretches();

  std::vector<std::int64_t> starts_;
  std::vector<Piece> pieces_;
  // Where to look: of each stretch of 2^shift_ ms from the first piece on, the piece that its first instant lies in.
  std::vector<std::uint32_t> piece_at_;
  int shift_ = 0;
};

}  // namespace cdp
