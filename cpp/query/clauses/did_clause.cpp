#include "query/clauses/did_clause.hpp"

#include <algorithm>
#include <limits>

#include "query/predicate.hpp"
#include "query/profile_rows.hpp"

namespace cdp {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// Rows of the clause, as far as they are or will be visible.
struct Found {
  std::vector<std::int64_t> times;  // in the window, ascending
  std::vector<const Row*> rows;     // the same
  std::int64_t next_ms = kNever;    // when the next row enters
  std::int64_t turns_ms = kNever;   // when those of a window of the calendar may leave
  std::int64_t timed_ms = kNever;   // when conditions relative to now may turn for a row of the window

  // When the row `index` may have left.
  [[nodiscard]] std::int64_t leaves_ms(const RangeSpec& window, std::int64_t index) const {
    if (index < 0 || index >= static_cast<std::int64_t>(times.size())) return kNever;
    if (window.type != RangeSpec::Type::kLast) return turns_ms;
    return times[static_cast<std::size_t>(index)] + window.last_ms;
  }
};

Found find_rows(const DidClause& clause, std::span<const Row> rows, std::int64_t now_ms) {
  const TimeRange range = resolve_range(clause.window, now_ms);
  const std::int64_t end_ms = clause.window.type == RangeSpec::Type::kAbsolute ? clause.window.end_ms : kNever;
  const std::int64_t until_ms = clause.window.until_ms;
  const bool is_timed = clause.selector.is_timed();
  const std::int64_t turns_ms = range_turns_ms(clause.window, now_ms);
  Found found;
  for (const Row& row : rows) {
    const bool inside = range.contains(row.time_ms);
    const bool waits = clause.window.is_past && row.time_ms >= range.end_ms && row.time_ms <= now_ms;
    const std::int64_t enters_ms = waits ? turns_ms : row.time_ms + until_ms;
    const bool enters = enters_ms > now_ms && row.time_ms >= range.start_ms && row.time_ms < end_ms;
    if (!inside && !enters) continue;
    if (is_timed && clause.selector.selects(row.name)) {
      if (enters) {
        found.next_ms = enters_ms;  // whether it passes will be seen then
        break;
      }
      found.timed_ms = std::min(found.timed_ms, clause.selector.valid_until(row, now_ms));
    }
    if (!clause.selector.matches(row, now_ms)) continue;
    if (enters) {
      found.next_ms = enters_ms;  // rows ascend: the first one counts
      break;
    }
    found.times.push_back(row.time_ms);
    found.rows.push_back(&row);
  }
  if (!found.rows.empty()) found.turns_ms = turns_ms;
  return found;
}

std::vector<Value> values_of(const Found& found, KeyId key) {
  std::vector<Value> out;
  out.reserve(found.rows.size());
  for (const Row* row : found.rows) {
    const Value value = property(*row, key);
    if (value.type != ValueType::kNull) out.push_back(value);
  }
  return out;
}

// When the count's answer can change by rows leaving or entering.
std::int64_t count_until(const BoundMeasure& measure, const Found& found, bool truth, const RangeSpec& window) {
  const std::int64_t count = static_cast<std::int64_t>(found.times.size());
  const auto leaves = [&](std::int64_t index) { return found.leaves_ms(window, index); };
  const std::int64_t any_change = std::min(leaves(0), found.next_ms);
  const auto interval = measure.test.int_interval();
  if (!interval) return any_change;
  if (interval->lo > interval->hi) return kNever;
  if (interval->hi == std::numeric_limits<std::int64_t>::max()) {  // at least lo
    if (!truth) return found.next_ms;
    return interval->lo <= 0 ? kNever : leaves(count - interval->lo);  // the lo-th newest
  }
  if (interval->lo <= 0) {  // at most hi
    if (truth) return found.next_ms;
    return interval->hi < 0 ? kNever : leaves(count - interval->hi - 1);
  }
  return any_change;
}

}  // namespace

DidClause::DidClause(const PredicateSpec& spec, const Version& version, const Moment& at)
    : selector(bind_selector(spec.selector, version, at)), window(spec.window) {
  for (const MeasureSpec& measure : spec.measures) {
    measures.push_back(bind_measure(measure, version));
    if (at.mentions != nullptr && !measure.property.empty() && !measures.back().key)
      at.mentions->unknown_properties.insert(measure.property);
  }
  zero_holds = std::all_of(measures.begin(), measures.end(),
                           [](const BoundMeasure& measure) { return measure_holds(measure, 0, {}); });
}

bool DidClause::resolved() const noexcept {
  return selector.resolved && std::all_of(measures.begin(), measures.end(), [](const BoundMeasure& measure) {
           return measure.measure == Measure::kCount || measure.key.has_value();
         });
}

Truth DidClause::evaluate(std::span<const Row> rows, std::int64_t now_ms) const {
  const Found found = find_rows(*this, rows, now_ms);
  const std::int64_t oldest_leaves = found.leaves_ms(window, 0);
  // And over the measures: true until the first of them can change, false as long as one of the false ones must be.
  std::int64_t true_until = kNever, false_until = std::numeric_limits<std::int64_t>::min();
  bool all = true;
  for (const BoundMeasure& measure : measures) {
    const std::vector<Value> values = measure.key ? values_of(found, *measure.key) : std::vector<Value>();
    const bool truth = measure_holds(measure, found.times.size(), values);
    const std::int64_t until = measure.measure == Measure::kCount ? count_until(measure, found, truth, window)
                                                                  : std::min(oldest_leaves, found.next_ms);
    all &= truth;
    if (truth) {
      true_until = std::min(true_until, until);
    } else {
      false_until = std::max(false_until, until);
    }
  }
  return {all, std::min(all ? true_until : false_until, found.timed_ms)};
}

bool DidClause::holds(const ProfileRows& rows, std::int64_t now_ms) const {
  const bool by_times =
      !selector.any && !selector.open && selector.where.empty() &&
      std::ranges::all_of(measures, [](const BoundMeasure& measure) { return measure.measure == Measure::kCount; });
  if (!by_times) return evaluate(rows.all(), now_ms).value;
  const TimeRange range = resolve_range(window, now_ms);
  const std::int64_t end_ms = std::min(range.end_ms, now_ms - window.until_ms + 1);
  std::uint64_t count = 0;
  for (const NameId name : selector.names) {
    const std::span<const std::int64_t> times = rows.times(name);
    const auto first = std::ranges::lower_bound(times, range.start_ms);
    const auto last = std::ranges::lower_bound(first, times.end(), end_ms);
    count += static_cast<std::uint64_t>(last - first);
  }
  return std::ranges::all_of(measures, [&](const BoundMeasure& measure) { return measure_holds(measure, count, {}); });
}

}  // namespace cdp
