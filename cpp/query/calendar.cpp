#include "query/calendar.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>

namespace cdp {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kOffsetMaxMs = 26 * kHourMs;
constexpr std::size_t kBucketsMax = 65'534;
constexpr std::int64_t kTimeFarMs =
    400'000LL * kDayMs;  // about the year 3065: calendars are asked for no later instants

std::int64_t floor_div(std::int64_t value, std::int64_t by) noexcept { return value / by - (value % by < 0 ? 1 : 0); }

struct Civil {
  std::int64_t year;
  int month;  // 0..11
};

// Proleptic Gregorian; days from 1970-01-01. Source: Howard Hinnant, "chrono-compatible low-level date algorithms".
Civil civil_of(std::int64_t days) noexcept {
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = floor_div(shifted, 146'097);
  const std::int64_t day = shifted - era * 146'097;
  const std::int64_t year = (day - day / 1'460 + day / 36'524 - day / 146'096) / 365;
  const std::int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
  const std::int64_t march_month = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(march_month < 10 ? march_month + 2 : march_month - 10);
  return {year + era * 400 + (month <= 1 ? 1 : 0), month};
}

std::int64_t days_of_month_start(std::int64_t month_index) noexcept {
  const std::int64_t civil_year = floor_div(month_index, 12);
  const std::int64_t month = month_index - civil_year * 12;
  const std::int64_t year = civil_year - (month <= 1 ? 1 : 0);
  const std::int64_t era = floor_div(year, 400);
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t march_month = month > 1 ? month - 2 : month + 10;
  const std::int64_t day_of_year = (153 * march_month + 2) / 5;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

}  // namespace

Zone::Zone(std::string name, std::vector<ZoneTransition> transitions, std::string table)
    : name_(std::move(name)), table_(std::move(table)), transitions_(std::move(transitions)) {
  bool valid = !transitions_.empty();
  for (std::size_t i = 0; i < transitions_.size(); ++i) {
    const std::int64_t offset_ms = transitions_[i].offset_ms;
    valid &= offset_ms > -kOffsetMaxMs && offset_ms < kOffsetMaxMs;
    valid &= i == 0 || transitions_[i - 1].utc_ms < transitions_[i].utc_ms;
  }
  if (!valid)
    throw Error(Family::kBadQuery, code::kQueryInvalid, "the table of zone " + name_ + " is not valid", "zone");
}

const Zone& Zone::utc() {
  static const Zone zone("UTC", {{0, 0}});
  return zone;
}

namespace {
// The transition in force at an instant.
std::size_t segment_of(const std::vector<ZoneTransition>& transitions, std::int64_t utc_ms) noexcept {
  const auto after = std::upper_bound(transitions.begin(), transitions.end(), utc_ms,
                                      [](std::int64_t at, const ZoneTransition& t) { return at < t.utc_ms; });
  return after == transitions.begin() ? 0 : static_cast<std::size_t>(after - transitions.begin()) - 1;
}
}  // namespace

std::int64_t Zone::offset_ms(std::int64_t utc_ms) const noexcept {
  return transitions_[segment_of(transitions_, utc_ms)].offset_ms;
}

std::int64_t Zone::utc_of_local(std::int64_t local_ms) const noexcept {
  std::size_t segment = segment_of(transitions_, local_ms - kOffsetMaxMs);
  for (;; ++segment) {
    const std::int64_t exact = local_ms - transitions_[segment].offset_ms;
    const std::int64_t utc = segment == 0 ? exact : std::max(exact, transitions_[segment].utc_ms);
    if (segment + 1 == transitions_.size() || utc < transitions_[segment + 1].utc_ms) return utc;
  }
}

struct ZoneTable::State {
  mutable std::shared_mutex mutex;
  std::map<std::string, Zone, std::less<>> zones;  // nodes never move: references stay good
};

ZoneTable::ZoneTable() : state_(std::make_unique<State>()) { add(Zone::utc()); }
ZoneTable::~ZoneTable() = default;

void ZoneTable::add(Zone zone) {
  const std::unique_lock lock(state_->mutex);
  std::string name = zone.name();
  state_->zones.try_emplace(std::move(name), std::move(zone));
}

bool ZoneTable::has(std::string_view name) const {
  const std::shared_lock lock(state_->mutex);
  return state_->zones.find(name) != state_->zones.end();
}

const Zone& ZoneTable::find(std::string_view name, const Path& path) const {
  const std::shared_lock lock(state_->mutex);
  const auto found = state_->zones.find(name);
  if (found == state_->zones.end()) {
    throw Error(Family::kBadQuery, code::kQueryZoneUnknown,
                "unknown zone \"" + std::string(shown(name)) + "\"; expected an IANA name", path.text());
  }
  return found->second;
}

ZoneTable& zones() {
  static ZoneTable table;
  return table;
}

Calendar::Calendar(const Zone& zone, Unit unit, int week_start, std::int64_t origin_ms)
    : zone_(&zone), unit_(unit), week_start_(week_start) {
  origin_day_ = floor_div(origin_ms + zone.offset_ms(origin_ms), kDayMs);
}

std::int64_t Calendar::index_of_local(std::int64_t local_ms) const noexcept {
  const std::int64_t days = floor_div(local_ms, kDayMs);
  const auto months = [days] {
    const Civil civil = civil_of(days);
    return civil.year * 12 + civil.month;
  };
  switch (unit_.type) {
    case Unit::Type::kHour:
    case Unit::Type::kMinutes: return floor_div(local_ms, unit_.clock_ms());
    case Unit::Type::kDay: return days;
    case Unit::Type::kWeek: return floor_div(days + 3 - week_start_, 7);  // 1970-01-01 was a Thursday
    case Unit::Type::kMonth: return months();
    case Unit::Type::kQuarter: return floor_div(months(), 3);
    case Unit::Type::kYear: return floor_div(months(), 12);
    case Unit::Type::kDays: return floor_div(days - origin_day_, unit_.days);
  }
  return 0;
}

std::int64_t Calendar::local_start(std::int64_t index) const noexcept {
  switch (unit_.type) {
    case Unit::Type::kHour:
    case Unit::Type::kMinutes: return index * unit_.clock_ms();
    case Unit::Type::kDay: return index * kDayMs;
    case Unit::Type::kWeek: return (index * 7 - 3 + week_start_) * kDayMs;
    case Unit::Type::kMonth: return days_of_month_start(index) * kDayMs;
    case Unit::Type::kQuarter: return days_of_month_start(index * 3) * kDayMs;
    case Unit::Type::kYear: return days_of_month_start(index * 12) * kDayMs;
    case Unit::Type::kDays: return (origin_day_ + index * unit_.days) * kDayMs;
  }
  return 0;
}

namespace {
// Steps of the clock follow the offset in force, so that a repeated hour is told from the first.
std::int64_t step_start(const Zone& zone, std::int64_t step_ms, std::int64_t time_ms) noexcept {
  const std::vector<ZoneTransition>& transitions = zone.transitions();
  const std::size_t segment = segment_of(transitions, time_ms);
  const std::int64_t offset = transitions[segment].offset_ms;
  const std::int64_t start = floor_div(time_ms + offset, step_ms) * step_ms - offset;
  return segment == 0 ? start : std::max(start, transitions[segment].utc_ms);
}

std::int64_t step_next(const Zone& zone, std::int64_t step_ms, std::int64_t start_ms) noexcept {
  const std::vector<ZoneTransition>& transitions = zone.transitions();
  const std::size_t segment = segment_of(transitions, start_ms);
  const std::int64_t offset = transitions[segment].offset_ms;
  const std::int64_t next = (floor_div(start_ms + offset, step_ms) + 1) * step_ms - offset;
  return segment + 1 < transitions.size() ? std::min(next, transitions[segment + 1].utc_ms) : next;
}
}  // namespace

std::int64_t Calendar::bucket_start(std::int64_t time_ms) const noexcept {
  if (unit_.is_of_clock()) return step_start(*zone_, unit_.clock_ms(), time_ms);
  return zone_->utc_of_local(local_start(index_of_local(time_ms + zone_->offset_ms(time_ms))));
}

std::int64_t Calendar::next_start(std::int64_t start_ms) const noexcept {
  if (unit_.is_of_clock()) return step_next(*zone_, unit_.clock_ms(), start_ms);
  std::int64_t index = index_of_local(start_ms + zone_->offset_ms(start_ms));
  std::int64_t next = start_ms;
  while (next <= start_ms) next = zone_->utc_of_local(local_start(++index));
  return next;
}

std::int64_t Calendar::next_border(std::int64_t time_ms) const noexcept {
  if (unit_.is_of_clock()) return step_next(*zone_, unit_.clock_ms(), time_ms);
  const std::vector<ZoneTransition>& transitions = zone_->transitions();
  const std::size_t segment = segment_of(transitions, time_ms);
  const std::int64_t offset = transitions[segment].offset_ms;
  const std::int64_t next = local_start(index_of_local(time_ms + offset) + 1) - offset;
  return segment + 1 < transitions.size() ? std::min(next, transitions[segment + 1].utc_ms) : next;
}

std::int64_t Calendar::start_after(std::int64_t start_ms, std::int64_t steps) const noexcept {
  if (!unit_.is_of_clock())
    return zone_->utc_of_local(local_start(index_of_local(start_ms + zone_->offset_ms(start_ms)) + steps));
  const std::int64_t plain = start_ms + steps * unit_.clock_ms();
  if (segment_of(zone_->transitions(), start_ms) == segment_of(zone_->transitions(), plain) &&
      step_start(*zone_, unit_.clock_ms(), plain) == plain) {
    return plain;
  }
  for (; steps > 0; --steps) start_ms = next_start(start_ms);
  for (; steps < 0; ++steps) start_ms = bucket_start(start_ms - 1);
  return start_ms;
}

std::int64_t Calendar::distance(std::int64_t from_start_ms, std::int64_t to_start_ms) const noexcept {
  if (!unit_.is_of_clock()) {
    const auto index = [&](std::int64_t start) { return index_of_local(start + zone_->offset_ms(start)); };
    return index(to_start_ms) - index(from_start_ms);
  }
  const std::vector<ZoneTransition>& transitions = zone_->transitions();
  const std::size_t first = segment_of(transitions, from_start_ms), last = segment_of(transitions, to_start_ms);
  const std::int64_t step_ms = unit_.clock_ms();
  bool whole_steps = (from_start_ms + transitions[first].offset_ms) % step_ms == 0;  // else a change of offset began it
  for (std::size_t i = first; i < last; ++i) {
    whole_steps &= (transitions[i + 1].offset_ms - transitions[i].offset_ms) % step_ms == 0 &&
                   (transitions[i + 1].utc_ms + transitions[i].offset_ms) % step_ms == 0;
  }
  if (whole_steps) return (to_start_ms - from_start_ms) / step_ms;
  std::int64_t count = 0;
  for (std::int64_t at = from_start_ms; at < to_start_ms; at = next_start(at)) ++count;
  return count;
}

Buckets::Buckets(const Calendar& calendar, std::int64_t first_ms, std::int64_t last_ms) {
  first_ms = std::clamp(first_ms, -kTimeFarMs, kTimeFarMs);
  last_ms = std::clamp(last_ms, first_ms, kTimeFarMs);
  std::vector<std::pair<std::int64_t, std::int64_t>> found;  // (first instant, start of its bucket)
  for (std::int64_t at = first_ms; at <= last_ms; at = calendar.next_border(at)) {
    const std::int64_t start = calendar.bucket_start(at);
    if (!found.empty() && found.back().second == start) continue;
    found.emplace_back(at, start);
    if (found.size() <= kBucketsMax) continue;
    throw Error(Family::kLimitExceeded, code::kQueryInvalid,
                "over 65,534 intervals in the range; take a longer interval or a shorter range", "interval");
  }
  for (const auto& [at, start] : found) starts_.push_back(start);
  std::sort(starts_.begin(), starts_.end());
  starts_.erase(std::unique(starts_.begin(), starts_.end()), starts_.end());
  for (const auto& [at, start] : found) {
    const auto place = std::lower_bound(starts_.begin(), starts_.end(), start);
    pieces_.push_back({at, static_cast<std::uint32_t>(place - starts_.begin())});
  }
  lay_stretches();
}

// Four stretches a piece, so that hardly any holds two borders where pieces are of a length.
void Buckets::lay_stretches() {
  const auto since_first = [&](std::int64_t at) { return static_cast<std::uint64_t>(at - pieces_.front().first_ms); };
  const std::uint64_t span_ms = since_first(pieces_.back().first_ms);
  while ((span_ms >> shift_) >= std::min(kStretchesMost, 4 * pieces_.size())) ++shift_;
  std::uint32_t piece = 0;
  for (std::uint64_t stretch = 0; stretch <= span_ms >> shift_; ++stretch) {
    while (piece + 1 < pieces_.size() && since_first(pieces_[piece + 1].first_ms) <= stretch << shift_) ++piece;
    piece_at_.push_back(piece);
  }
}

std::uint32_t Buckets::bucket_of(std::int64_t time_ms) const noexcept {
  if (time_ms <= pieces_.front().first_ms) return pieces_.front().bucket;
  const auto stretch =
      (static_cast<std::uint64_t>(time_ms) - static_cast<std::uint64_t>(pieces_.front().first_ms)) >> shift_;
  std::size_t piece = piece_at_[std::min<std::uint64_t>(stretch, piece_at_.size() - 1)];
  while (piece + 1 < pieces_.size() && pieces_[piece + 1].first_ms <= time_ms) ++piece;
  return pieces_[piece].bucket;
}

}  // namespace cdp
