#include "query/clauses/habit_clauses.hpp"

#include "query/clauses/spans_clause.hpp"

namespace cdp {
namespace {

constexpr std::int64_t kTimesMost = 60;

PredicateSpec did_within(const Selector& selector, std::int64_t last_ms, std::int64_t until_ms) {
  PredicateSpec out;
  out.type = PredicateSpec::Type::kDid;
  out.selector = selector;
  out.window.type = RangeSpec::Type::kLast;
  out.window.last_ms = last_ms;
  out.window.until_ms = until_ms;
  out.measures.push_back({Measure::kCount, {}, {Op::kGe, {{ValueType::kInt, 1, {}}}, false}});
  return out;
}

PredicateSpec negated(PredicateSpec&& child) {
  PredicateSpec out;
  out.type = PredicateSpec::Type::kNot;
  out.children.push_back(std::move(child));
  return out;
}

std::int64_t take_duration(Fields& fields, std::string_view name) {
  return parse_duration(fields.require(name, "a duration"), fields.path(name));
}

void stopped(Fields& fields, const Selector& selector, PredicateSpec& out) {
  const std::int64_t for_ms = take_duration(fields, "for");
  std::int64_t before_ms = limits::kAlwaysMs;
  if (const Node* before = fields.take("before")) before_ms = parse_duration(*before, fields.path("before"));
  if (before_ms <= for_ms) fail_invalid(fields.path("before"), "expected a longer duration than that of for");
  out.children.push_back(did_within(selector, before_ms, for_ms));
  out.children.push_back(negated(did_within(selector, for_ms, 0)));
}

void restarted(Fields& fields, const Selector& selector, PredicateSpec& out) {
  const std::int64_t last_ms = take_duration(fields, "last");
  const std::int64_t quiet_ms = last_ms + take_duration(fields, "gap");
  out.children.push_back(did_within(selector, last_ms, 0));
  out.children.push_back(negated(did_within(selector, quiet_ms, last_ms)));
  out.children.push_back(did_within(selector, limits::kAlwaysMs, quiet_ms));
}

void regularly(Fields& fields, const Selector& selector, PredicateSpec& out) {
  Spans spans{.count = {Op::kGe, {{ValueType::kInt, 1, {}}}}};
  spans.every_ms = take_duration(fields, "every");
  const Path path = fields.path("times");
  spans.times = read_int(fields.require("times", "a number of spans"), path, 1, kTimesMost);
  if (spans.every_ms * spans.times > limits::kQueryDurationMs)
    fail_invalid(path, "expected spans that reach back up to a century");
  spans.least = fields.integer("at_least", 1, spans.times).value_or(spans.times);
  if (const Node* count = fields.take("count")) spans.count = parse_count(*count, fields.path("count"));
  if (spans.least < spans.times) {
    out.type = PredicateSpec::Type::kRows;
    out.rows = spans_clause(selector, spans);
    return;
  }
  for (std::int64_t span = 0; span < spans.times; ++span) {
    out.children.push_back(did_within(selector, (span + 1) * spans.every_ms, span * spans.every_ms));
    out.children.back().measures.front().test = spans.count;
  }
}

}  // namespace

PredicateSpec parse_habit(Fields& fields, std::string_view form) {
  PredicateSpec out;
  out.type = PredicateSpec::Type::kAnd;
  const Selector selector = parse_selector(fields, form);
  if (form == "stopped") {
    stopped(fields, selector, out);
  } else if (form == "restarted") {
    restarted(fields, selector, out);
  } else {
    regularly(fields, selector, out);
  }
  return out;
}

}  // namespace cdp
