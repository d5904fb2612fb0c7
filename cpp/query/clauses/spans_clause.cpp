// In at least so many of the last spans of time. A profile's events are told apart by their age; a span without events counts
// when its number passes the test at 0. An event that grows older goes from span to span, so the truth may turn at each.
#include "query/clauses/spans_clause.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "query/clauses/local_times.hpp"
#include "query/clauses/measure.hpp"
#include "query/predicate.hpp"

namespace cdp {
namespace {

struct SpansSpec final : RowClauseSpec {
  TimedSelector events;
  Spans spans;

  [[nodiscard]] std::unique_ptr<const RowClause> bind(const Version& version, const Moment& at) const override;
};

class SpansClause final : public RowClause {
 public:
  SpansClause(const SpansSpec& spec, const Version& version, const Moment& at)
      : events_(spec.events, version, at),
        spans_(spec.spans),
        count_(bind_measure({Measure::kCount, {}, spec.spans.count}, version)) {
    read_.add(events_.selector, true);
  }

  [[nodiscard]] Truth evaluate(const Version&, Origin, std::span<const Row> rows, std::int64_t now_ms) const override {
    Truth truth;
    std::vector<std::uint64_t> counts(static_cast<std::size_t>(spans_.times));
    for (const Row& row : rows) {
      const std::optional<std::size_t> span = span_of(row, now_ms, truth.valid_until_ms);
      if (!span) continue;
      ++counts[*span];
      const std::int64_t moves_ms = row.time_ms + static_cast<std::int64_t>(*span + 1) * spans_.every_ms;
      truth.valid_until_ms = std::min(truth.valid_until_ms, moves_ms);
    }
    const auto passing =
        std::ranges::count_if(counts, [&](std::uint64_t count) { return measure_holds(count_, count, {}); });
    truth.value = passing >= spans_.least;
    return truth;
  }

  [[nodiscard]] std::vector<const Row*> evidence(const Version&, Origin, std::span<const Row> rows,
                                                 std::int64_t now_ms) const override {
    std::vector<const Row*> out;
    std::int64_t until_ms = INT64_MAX;
    for (const Row& row : rows) {
      if (span_of(row, now_ms, until_ms)) out.push_back(&row);
    }
    return out;
  }

 private:
  // The span that an event lies in, from 0; none for what is no such event, not yet, or too long ago.
  [[nodiscard]] std::optional<std::size_t> span_of(const Row& row, std::int64_t now_ms, std::int64_t& until_ms) const {
    if (!events_.matches(row, now_ms, until_ms)) return std::nullopt;
    if (row.time_ms > now_ms) {
      until_ms = std::min(until_ms, row.time_ms);
      return std::nullopt;
    }
    const std::int64_t span = (now_ms - row.time_ms) / spans_.every_ms;
    return span < spans_.times ? std::optional(static_cast<std::size_t>(span)) : std::nullopt;
  }

  BoundTimed events_;
  Spans spans_;
  BoundMeasure count_;
};

std::unique_ptr<const RowClause> SpansSpec::bind(const Version& version, const Moment& at) const {
  return std::make_unique<SpansClause>(*this, version, at);
}

}  // namespace

std::shared_ptr<const RowClauseSpec> spans_clause(const Selector& selector, const Spans& spans) {
  auto out = std::make_shared<SpansSpec>();
  out->events.selector = selector;
  out->spans = spans;
  return out;
}

}  // namespace cdp
