#include "query/clauses/window.hpp"

#include <algorithm>

#include "query/named_keys.hpp"

namespace cdp {

BoundWindow::BoundWindow(const RangeSpec& spec, const Version& version, const Moment& at) : spec_(spec) {
  if (spec.type == RangeSpec::Type::kSince) trait_ = find_trait(spec.since, version, at);
}

BoundWindow::Now BoundWindow::at(const Version& version, Origin home, std::int64_t now_ms) const {
  Now out;
  out.now_ms_ = now_ms;
  switch (spec_.type) {
    case RangeSpec::Type::kAll: break;
    case RangeSpec::Type::kLast:
      out.enters_after_ms_ = spec_.until_ms;
      out.leaves_after_ms_ = spec_.last_ms;
      break;
    case RangeSpec::Type::kAbsolute:
      out.start_ms_ = spec_.start_ms;
      out.end_ms_ = spec_.end_ms;
      break;
    case RangeSpec::Type::kCalendar:
      out.start_ms_ = resolve_range(spec_, now_ms).start_ms;
      if (spec_.is_past) out.end_ms_ = resolve_range(spec_, now_ms).end_ms;
      out.turns_ms_ = range_turns_ms(spec_, now_ms);
      break;
    case RangeSpec::Type::kSince: {
      out.end_ms_ = INT64_MIN;  // nothing is inside
      if (!trait_) break;
      const ProfileView::Seen seen = version.profiles->trait_at(home, *trait_, now_ms, *version.links);
      out.turns_ms_ = seen.next_ms;
      if (seen.value.type != ValueType::kDatetime) break;
      out.start_ms_ = seen.value.as_int();
      if (__builtin_add_overflow(out.start_ms_, spec_.within_ms, &out.end_ms_)) out.end_ms_ = INT64_MAX;
      break;
    }
  }
  return out;
}

TimeRange BoundWindow::Now::inside() const noexcept {
  TimeRange out{start_ms_, std::min(end_ms_, now_ms_ - enters_after_ms_ + 1)};
  if (leaves_after_ms_ != INT64_MAX) out.start_ms = std::max(out.start_ms, now_ms_ - leaves_after_ms_ + 1);
  return out;
}

bool BoundWindow::Now::holds(std::int64_t time_ms, std::int64_t& until_ms) const noexcept {
  until_ms = std::min(until_ms, turns_ms_);
  if (time_ms < start_ms_ || time_ms >= end_ms_) return false;
  const std::int64_t enters_ms = time_ms + enters_after_ms_;
  if (now_ms_ < enters_ms) {
    until_ms = std::min(until_ms, enters_ms);
    return false;
  }
  if (leaves_after_ms_ == INT64_MAX) return true;
  const std::int64_t leaves_ms = time_ms + leaves_after_ms_;
  if (now_ms_ < leaves_ms) until_ms = std::min(until_ms, leaves_ms);
  return now_ms_ < leaves_ms;
}

}  // namespace cdp
