// predominantly and share: how many of the events found have one of some values, against the other values or against all.
#include <algorithm>
#include <map>

#include "query/clauses/found_rows.hpp"
#include "query/clauses/local_times.hpp"
#include "query/clauses/measure_scan.hpp"
#include "query/clauses/row_clauses.hpp"
#include "query/clauses/window.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/named_keys.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"

namespace cdp {
namespace {

enum class SplitBy : std::uint8_t { kProperty, kHour, kWeekday };

struct ShareSpec final : RowClauseSpec {
  TimedSelector events;
  RangeSpec window;
  SplitBy by = SplitBy::kProperty;
  std::string property;
  Test values;          // in: of the property
  LocalTimesPtr times;  // of the others
  ZonePtr zone;
  std::optional<Test> share;  // empty: predominantly

  [[nodiscard]] std::unique_ptr<const RowClause> bind(const Version& version, const Moment& at) const override;
};

class Share final : public RowClause {
 public:
  Share(const ShareSpec& spec, const Version& version, const Moment& at)
      : events_(spec.events, version, at),
        window_(spec.window, version, at),
        by_(spec.by),
        values_(spec.values, *version.strings, at),
        times_(spec.times),
        slots_(spec.times == nullptr ? nullptr : std::make_shared<const SlotTimes>(spec.times)),
        zone_(spec.zone),
        bound_ms_(at.now_ms) {
    read_.add(events_.selector, true);
    read_.resolved &= window_.resolved();
    if (window_.trait()) read_.traits.push_back(*window_.trait());
    if (spec.share) share_.emplace(*spec.share, *version.strings, at);
    if (by_ != SplitBy::kProperty) return;
    key_ = find_property(spec.property, version, at);
    read_.resolved &= key_.has_value() && values_.resolved();
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::span<const Row> rows,
                               std::int64_t now_ms) const override {
    Truth truth;
    Counts counts;
    if (!rows.empty()) count(version, home, rows, now_ms, counts, truth.valid_until_ms);
    truth.value =
        share_ ? counts.all > 0 &&
                     share_->matches_number(static_cast<double>(counts.hits) / static_cast<double>(counts.all))
               : counts.hits > 0 &&
                     std::ranges::all_of(counts.others, [&](const auto& other) { return other.second <= counts.hits; });
    return truth;
  }

  // Those with one of the values.
  [[nodiscard]] std::vector<const Row*> evidence(const Version& version, Origin home, std::span<const Row> rows,
                                                 std::int64_t now_ms) const override {
    Counts counts;
    std::vector<const Row*> out;
    std::int64_t until_ms = INT64_MAX;
    count(version, home, rows, now_ms, counts, until_ms, &out);
    return out;
  }

 protected:
  bool scan(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
            std::span<std::uint64_t> out, std::span<std::uint64_t>) const override {
    if (!can_scan(events_, bound_ms_, now_ms)) return false;
    const auto all = scratch.zeroed<std::uint32_t>(task.size()), hits = scratch.zeroed<std::uint32_t>(task.size());
    GroupedValues others;
    for_each_found(events_, window_, now_ms, task, scratch,
                   [&](const FoundIn& in, const SliceView& view, std::uint32_t* rows, std::uint32_t count) {
                     for (std::uint32_t i = 0; i < count; ++i) ++all[view.profile[rows[i]] + view.id_offset];
                     add_hits(in, view, rows, count, scratch, hits.data(), others);
                   });
    others.group(task.size());
    for (std::uint32_t word = 0; word < kStripeWords; ++word) {
      for (std::uint64_t bits = candidates[word]; bits != 0; bits &= bits - 1) {
        const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(bits));
        const std::uint32_t profile = word * 64 + bit;
        if (all[profile] == 0) continue;
        const bool truth = share_ ? share_->matches_number(static_cast<double>(hits[profile]) / all[profile])
                                  : hits[profile] > 0 && most_of(others.of(profile)) <= hits[profile];
        out[word] |= std::uint64_t{truth} << bit;
      }
    }
    return true;
  }

 private:
  // Rows with one of the values; of the others what they have, where that is asked for.
  void add_hits(const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count,
                Scratch& scratch, std::uint32_t* hits, GroupedValues& others) const {
    if (by_ == SplitBy::kProperty && !key_) return;
    const auto kept = scratch.lease<std::uint32_t>(count + simd::kSlack);
    std::copy_n(rows, count, kept.data());
    const std::uint32_t found = by_ == SplitBy::kProperty ? values_.filter(view, *key_, scratch, kept.data(), count)
                                                          : slots_->filter(in.view.chunk(), view, kept.data(), count);
    for (std::uint32_t i = 0; i < found; ++i) ++hits[view.profile[kept[i]] + view.id_offset];
    if (share_ || found == count) return;
    const auto values = scratch.lease<Value>(count);
    if (by_ == SplitBy::kProperty) read_property(view, *key_, rows, count, values.data());
    for (std::uint32_t i = 0, hit = 0; i < count; ++i) {
      if (hit < found && kept[hit] == rows[i]) {
        ++hit;
        continue;
      }
      const Value value = by_ == SplitBy::kProperty ? values[i] : local_value(in.time_ms(view, rows[i]));
      if (value.type != ValueType::kNull) others.add(view.profile[rows[i]] + view.id_offset, value);
    }
  }

  // How often the most frequent comes.
  [[nodiscard]] static std::uint64_t most_of(std::span<Value> values) {
    std::ranges::sort(values, {}, [](const Value& value) { return std::pair(value.type, value.bits); });
    std::uint64_t most = 0, run = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      run = i != 0 && values[i] == values[i - 1] ? run + 1 : 1;
      most = std::max(most, run);
    }
    return most;
  }

  using Group = std::pair<ValueType, std::uint64_t>;
  struct Counts {
    std::uint64_t all = 0, hits = 0;
    std::map<Group, std::uint64_t> others;  // for `predominantly` only
  };

  void count(const Version& version, Origin home, std::span<const Row> rows, std::int64_t now_ms, Counts& out,
             std::int64_t& until_ms, std::vector<const Row*>* found = nullptr) const {
    const BoundWindow::Now window = window_.at(version, home, now_ms);
    for (const Row& row : rows) {
      if (!events_.matches(row, now_ms, until_ms) || !window.holds(row.time_ms, until_ms)) continue;
      ++out.all;
      const Value value = value_of(row);
      if (value.type == ValueType::kNull) continue;
      if (by_ == SplitBy::kProperty ? values_.matches(value) : times_->matches(row.time_ms)) {
        ++out.hits;
        if (found != nullptr) found->push_back(&row);
      } else if (!share_) {
        ++out.others[{value.type, value.bits}];
      }
    }
  }

  [[nodiscard]] Value value_of(const Row& row) const {
    if (by_ == SplitBy::kProperty) return key_ ? cdp::property(row, *key_) : Value();
    return local_value(row.time_ms);
  }
  [[nodiscard]] Value local_value(std::int64_t time_ms) const {
    const LocalInstant local = local_instant(*zone_, time_ms);
    return {ValueType::kInt, static_cast<std::uint64_t>(by_ == SplitBy::kHour ? local.hour() : local.weekday())};
  }

  BoundTimed events_;
  BoundWindow window_;
  SplitBy by_;
  std::optional<KeyId> key_;
  BoundTest values_;
  LocalTimesPtr times_;
  std::shared_ptr<const SlotTimes> slots_;  // of those
  ZonePtr zone_;
  std::int64_t bound_ms_;
  std::optional<BoundTest> share_;
};

std::unique_ptr<const RowClause> ShareSpec::bind(const Version& version, const Moment& at) const {
  return std::make_unique<Share>(*this, version, at);
}

void parse_split(Fields& fields, const CalendarSpec& calendar, ShareSpec& out) {
  const int given = (fields.has("property") ? 1 : 0) + (fields.has("hours") ? 1 : 0) + (fields.has("weekdays") ? 1 : 0);
  if (given != 1) fail_invalid(fields.path(), "expected one of property (with values), hours, weekdays");
  if (fields.has("property")) {
    out.property = parse_key(fields.require("property", "the key of a property"), fields.path("property"));
    const Path path = fields.path("values");
    const std::vector<Node>& items =
        read_array(fields.require("values", "a list of values"), path, 1, limits::kQueryValues);
    out.values.op = Op::kIn;
    for (std::size_t i = 0; i < items.size(); ++i) out.values.values.push_back(parse_literal(items[i], path.item(i)));
    return;
  }
  out.by = fields.has("hours") ? SplitBy::kHour : SplitBy::kWeekday;
  const CalendarSpec own{take_zone(fields, calendar), calendar.week_start};
  out.zone = own.zone;
  out.times = out.by == SplitBy::kHour ? parse_hours(fields, own) : parse_weekdays(fields, own);
}

std::shared_ptr<ShareSpec> parse_found(Fields& fields, const CalendarSpec& calendar) {
  auto out = std::make_shared<ShareSpec>();
  TimedSelector events = parse_timed(fields, calendar);
  out->events = std::move(events);
  if (const Node* window = fields.take("window")) out->window = parse_window(*window, fields.path("window"), calendar);
  parse_split(fields, calendar, *out);
  return out;
}

}  // namespace

std::shared_ptr<const RowClauseSpec> parse_predominantly(Fields& fields, const CalendarSpec& calendar) {
  const Path path = fields.path("predominantly");
  Fields inner(fields.require("predominantly", "a map"), path);
  auto out = parse_found(inner, calendar);
  inner.done();
  return out;
}

std::shared_ptr<const RowClauseSpec> parse_share(Fields& fields, const CalendarSpec& calendar) {
  const Path path = fields.path("share");
  Fields inner(fields.require("share", "a map"), path);
  auto out = parse_found(inner, calendar);
  out->share = parse_number_test(inner);
  inner.done();
  return out;
}

}  // namespace cdp
