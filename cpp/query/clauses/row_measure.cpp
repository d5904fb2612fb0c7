#include "query/clauses/row_measure.hpp"

#include <algorithm>

#include "column/dictionary.hpp"
#include "query/clauses/slot_tables.hpp"
#include "query/local_date.hpp"
#include "query/named_keys.hpp"

namespace cdp {
namespace {

using Type = RowMeasureSpec::Type;
using TimeOp = RowMeasureSpec::TimeOp;
constexpr std::array<std::string_view, 4> kTimeOps = {"before", "after", "older_than", "newer_than"};

void parse_time_test(Fields& fields, RowMeasureSpec& out) {
  out.op = static_cast<TimeOp>(fields.choice("op", kTimeOps, std::nullopt));
  const bool is_instant = out.op == TimeOp::kBefore || out.op == TimeOp::kAfter;
  const Node& value = fields.require("value", is_instant ? "a time" : "a duration");
  out.value_ms = is_instant ? parse_time(value, fields.path("value")) : parse_duration(value, fields.path("value"));
  if (const Node* missing = fields.take("missing")) out.missing = read_bool(*missing, fields.path("missing"));
}

RowMeasureSpec parse_one(Fields& fields, Type type, const CalendarSpec& calendar) {
  RowMeasureSpec out;
  out.type = type;
  switch (type) {
    case Type::kFirst:
    case Type::kLast:
      out.property = parse_key(fields.require("property", "the key of a property"), fields.path("property"));
      out.test = parse_test(fields);
      break;
    case Type::kFirstTime:
    case Type::kLastTime: parse_time_test(fields, out); break;
    case Type::kDistinctDays: out.test = parse_number_test(fields); out.zone = take_zone(fields, calendar);
  }
  return out;
}

}  // namespace

std::vector<RowMeasureSpec> parse_row_measures(Fields& fields, const CalendarSpec& calendar) {
  std::vector<RowMeasureSpec> out;
  for (std::size_t i = 0; i < kRowMeasures.size(); ++i) {
    const Node* node = fields.take(kRowMeasures[i]);
    if (node == nullptr) continue;
    const Path path = fields.path(kRowMeasures[i]);
    Fields inner(*node, path);
    out.push_back(parse_one(inner, static_cast<Type>(i), calendar));
    inner.done();
  }
  return out;
}

RowMeasure::RowMeasure(const RowMeasureSpec& spec, const Version& version, const Moment& at) : spec_(spec) {
  if (!spec.property.empty()) key_ = find_property(spec.property, version, at);
  if (spec.type != Type::kFirstTime && spec.type != Type::kLastTime) test_.emplace(spec.test, *version.strings, at);
  if (spec.type == Type::kDistinctDays) days_ = std::make_shared<const SlotDays>(spec.zone);
}

bool RowMeasure::resolved() const noexcept {
  return (spec_.property.empty() || key_.has_value()) && (!test_ || test_->resolved());
}

bool RowMeasure::time_holds(std::int64_t time_ms, std::int64_t now_ms, std::int64_t& until_ms) const noexcept {
  switch (spec_.op) {
    case TimeOp::kBefore: return time_ms < spec_.value_ms;
    case TimeOp::kAfter: return time_ms > spec_.value_ms;
    case TimeOp::kOlderThan:
    case TimeOp::kNewerThan: break;
  }
  const std::int64_t ages_ms = time_ms + spec_.value_ms;
  if (now_ms < ages_ms) until_ms = std::min(until_ms, ages_ms);
  return (now_ms >= ages_ms) == (spec_.op == TimeOp::kOlderThan);
}

std::uint64_t RowMeasure::count_days(std::span<const Row* const> found) const {
  std::vector<std::int64_t> days;
  days.reserve(found.size());
  for (const Row* row : found) {
    const std::int64_t day = local_day(*spec_.zone, row->time_ms);
    if (days.empty() || days.back() != day) days.push_back(day);
  }
  std::ranges::sort(days);  // a clock set back across midnight shows a day again
  return static_cast<std::uint64_t>(std::ranges::unique(days).begin() - days.begin());
}

bool RowMeasure::holds(std::span<const Row* const> found, std::int64_t now_ms, std::int64_t& until_ms) const {
  if (spec_.type == Type::kDistinctDays) return test_->matches({ValueType::kInt, count_days(found)});
  if (found.empty()) return spec_.missing;
  const bool first = spec_.type == Type::kFirst || spec_.type == Type::kFirstTime;
  const Row& row = first ? *found.front() : *found.back();
  if (spec_.type == Type::kFirstTime || spec_.type == Type::kLastTime) return time_holds(row.time_ms, now_ms, until_ms);
  if (!key_) return test_->passes_missing();
  const Value value = property(row, *key_);
  if (test_->is_timed()) until_ms = std::min(until_ms, test_->valid_until(value, now_ms));
  return test_->matches(value, now_ms);
}

}  // namespace cdp
