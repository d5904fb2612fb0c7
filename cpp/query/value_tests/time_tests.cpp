// on, within, anniversary: of datetimes, in a zone or relative to now.
#include <algorithm>

#include "query/local_date.hpp"
#include "query/spec.hpp"
#include "query/value_test.hpp"

namespace cdp {
namespace {

const Zone& zone_of(const std::shared_ptr<const Zone>& own, const Moment& at) {
  if (own != nullptr) return *own;
  return at.zone != nullptr ? *at.zone : Zone::utc();
}

// The local date of the value is this one.
class OnTest final : public ElementTest {
 public:
  OnTest(std::int64_t day, std::shared_ptr<const Zone> zone) : day_(day), zone_(std::move(zone)) {}
  [[nodiscard]] std::optional<Interval> datetimes(const Moment& at) const override {
    const Zone& zone = zone_of(zone_, at);
    if (!zone.is_fixed()) return std::nullopt;
    const std::int64_t start_ms = zone.utc_of_local(day_ * kDayMs);
    return Interval{start_ms, start_ms + kDayMs - 1};
  }

 private:
  [[nodiscard]] bool passes(const Node& scalar, const Moment& at) const override {
    return scalar.type == Node::Type::kDatetime && local_day(zone_of(zone_, at), scalar.integer) == day_;
  }
  std::int64_t day_;
  std::shared_ptr<const Zone> zone_;  // null: the question's
};

// In (now - last, now], or in (now, now + next].
class WithinTest final : public ElementTest {
 public:
  WithinTest(std::int64_t span_ms, bool is_next) : span_ms_(span_ms), is_next_(is_next) {}
  [[nodiscard]] bool is_timed() const noexcept override { return true; }
  [[nodiscard]] std::optional<Interval> datetimes(const Moment& at) const override {
    const std::int64_t start_ms = is_next_ ? at.now_ms : at.now_ms - span_ms_;
    return Interval{start_ms + 1, start_ms + span_ms_};
  }

 private:
  [[nodiscard]] bool passes(const Node& scalar, const Moment& at) const override {
    const Interval interval = *datetimes(at);
    return scalar.type == Node::Type::kDatetime && scalar.integer >= interval.lo && scalar.integer <= interval.hi;
  }
  // It enters at `enters` and leaves a span later.
  [[nodiscard]] std::int64_t passes_until(const Node& scalar, const Moment& at) const override {
    if (scalar.type != Node::Type::kDatetime) return INT64_MAX;
    const std::int64_t enters_ms = is_next_ ? scalar.integer - span_ms_ : scalar.integer;
    if (at.now_ms < enters_ms) return enters_ms;
    return at.now_ms < enters_ms + span_ms_ ? enters_ms + span_ms_ : INT64_MAX;
  }
  std::int64_t span_ms_;
  bool is_next_;
};

struct AnniversaryRule {
  std::int64_t days_before = 0;
  std::int64_t days_after = 0;
  bool leap_day_is_march = false;
};

// The local date of now lies around the month and day of the value's local date.
class AnniversaryTest final : public ElementTest {
 public:
  AnniversaryTest(const AnniversaryRule& rule, std::shared_ptr<const Zone> zone)
      : rule_(rule), zone_(std::move(zone)) {}
  [[nodiscard]] bool is_timed() const noexcept override { return true; }

 private:
  [[nodiscard]] std::int64_t in_year(const LocalDate& date, std::int64_t year) const {
    if (date.month != 2 || date.day != 29 || is_leap_year(year)) return day_of({year, date.month, date.day});
    return rule_.leap_day_is_march ? day_of({year, 3, 1}) : day_of({year, 2, 28});
  }
  [[nodiscard]] bool passes(const Node& scalar, const Moment& at) const override {
    if (scalar.type != Node::Type::kDatetime) return false;
    const Zone& zone = zone_of(zone_, at);
    const LocalDate date = date_of(local_day(zone, scalar.integer));
    const std::int64_t today = local_day(zone, at.now_ms);
    const std::int64_t year = date_of(today).year;
    for (std::int64_t near = year - 1; near <= year + 1; ++near) {
      const std::int64_t day = in_year(date, near);
      if (today >= day - rule_.days_before && today <= day + rule_.days_after) return true;
    }
    return false;
  }
  // The next day on which a stretch begins or has ended; or a change of the clock, which may show a day once more.
  [[nodiscard]] std::int64_t passes_until(const Node& scalar, const Moment& at) const override {
    if (scalar.type != Node::Type::kDatetime) return INT64_MAX;
    const Zone& zone = zone_of(zone_, at);
    const LocalDate date = date_of(local_day(zone, scalar.integer));
    const std::int64_t today = local_day(zone, at.now_ms);
    const std::int64_t year = date_of(today).year;
    std::int64_t turn = INT64_MAX;
    for (std::int64_t near = year - 1; near <= year + 2; ++near) {
      const std::int64_t day = in_year(date, near);
      for (const std::int64_t border : {day - rule_.days_before, day + rule_.days_after + 1}) {
        if (border > today) turn = std::min(turn, border);
      }
    }
    return std::min(zone.utc_of_local(turn * kDayMs), next_transition_ms(zone, at.now_ms));
  }
  AnniversaryRule rule_;
  std::shared_ptr<const Zone> zone_;  // null: the question's
};

}  // namespace

std::shared_ptr<const ValueTest> on_test(const Node& value, std::shared_ptr<const Zone> zone, const Path& path) {
  const std::optional<std::int64_t> day =
      value.type == Node::Type::kString ? parse_date(value.text) : std::optional<std::int64_t>();
  if (!day) fail_expected(path, "a date like \"2026-03-01\"", value);
  return std::make_shared<const OnTest>(*day, std::move(zone));
}

std::shared_ptr<const ValueTest> within_test(const Node& value, const Path& path) {
  Fields fields(value, path);
  const Node* last = fields.take("last");
  const Node* next = fields.take("next");
  if ((last == nullptr) == (next == nullptr)) {
    fail_invalid(path, "expected {\"last\": duration} or {\"next\": duration}");
  }
  const bool is_next = next != nullptr;
  const std::int64_t span_ms =
      is_next ? parse_duration(*next, fields.path("next")) : parse_duration(*last, fields.path("last"));
  fields.done();
  return std::make_shared<const WithinTest>(span_ms, is_next);
}

std::shared_ptr<const ValueTest> anniversary_test(const Node& value, std::shared_ptr<const Zone> zone,
                                                  const Path& path) {
  constexpr std::array<std::string_view, 2> kLeapDays{"feb_28", "mar_1"};
  constexpr std::int64_t kDaysMost = 366;
  Fields fields(value, path);
  AnniversaryRule rule;
  rule.days_before = fields.integer("days_before", 0, kDaysMost).value_or(0);
  rule.days_after = fields.integer("days_after", 0, kDaysMost).value_or(0);
  rule.leap_day_is_march = fields.choice("leap_day", kLeapDays, 0) == 1;
  fields.done();
  return std::make_shared<const AnniversaryTest>(rule, std::move(zone));
}

}  // namespace cdp
