#include "query/spec.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "base/limits.hpp"
#include "query/calendar.hpp"
#include "query/clauses/did_operand_clause.hpp"
#include "query/clauses/did_rows.hpp"
#include "query/clauses/fact_clause.hpp"
#include "query/clauses/habit_clauses.hpp"
#include "query/clauses/local_clause.hpp"
#include "query/clauses/quantile_clause.hpp"
#include "query/clauses/row_clauses.hpp"
#include "query/clauses/zoned_clause.hpp"
#include "query/condition.hpp"
#include "query/kinds/kinds.hpp"
#include "query/kinds/profile.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/place.hpp"
#include "query/scan.hpp"
#include "query/trait_operand.hpp"
#include "query/value_test.hpp"
#include "query/zone_field.hpp"

namespace cdp {
namespace {

constexpr std::array<std::string_view, 14> kOps = {"eq",     "ne",   "in",     "not_in",    "lt",
                                                   "le",     "gt",   "ge",     "between",   "contains",
                                                   "starts", "ends", "exists", "not_exists"};
constexpr std::array<std::string_view, 6> kUnits = {"hour", "day", "week", "month", "quarter", "year"};
constexpr std::array<std::string_view, 6> kMeasures = {"count", "sum", "mean", "min", "max", "distinct"};

std::int64_t unit_ms(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s") return 1'000;
  if (unit == "m") return 60'000;
  if (unit == "h") return 3'600'000;
  if (unit == "d") return 86'400'000;
  if (unit == "w") return 7 * 86'400'000;
  return 0;
}

bool is_order(Op op) { return op == Op::kLt || op == Op::kLe || op == Op::kGt || op == Op::kGe || op == Op::kBetween; }
bool is_text(Op op) { return op == Op::kContains || op == Op::kStarts || op == Op::kEnds; }

// kOps, then value_ops().
std::span<const std::string_view> all_ops() {
  static const auto names = [] {
    std::vector<std::string_view> out(kOps.begin(), kOps.end());
    out.insert(out.end(), value_ops().begin(), value_ops().end());
    return out;
  }();
  return names;
}

}  // namespace

namespace {
// Of two numbers, or two datetimes; texts may be meant without case.
bool is_above(const Literal& left, const Literal& right) noexcept {
  if (left.type == ValueType::kString) return false;
  const Value a = left.value(), b = right.value();
  if (left.type == ValueType::kFloat)
    return right.type == ValueType::kFloat ? a.as_float() > b.as_float() : compare_exact(b.as_int(), a.as_float()) < 0;
  return right.type == ValueType::kFloat ? compare_exact(a.as_int(), b.as_float()) > 0 : a.as_int() > b.as_int();
}
}  // namespace

std::vector<Literal> parse_constants(Op op, const Node* value, const Path& path) {
  if (op == Op::kExists || op == Op::kNotExists) {
    if (value != nullptr) fail_invalid(path, "exists and not_exists take no value");
    return {};
  }
  if (value == nullptr) fail_invalid(path, "missing; expected a value to compare with");
  std::vector<Literal> out;
  if (op != Op::kIn && op != Op::kNotIn && op != Op::kBetween) {
    out.push_back(parse_literal(*value, path));
  } else {
    const std::size_t min = op == Op::kBetween ? 2 : 0, max = op == Op::kBetween ? 2 : limits::kQueryValues;
    const std::vector<Node>& items = read_array(*value, path, min, max);
    out.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) out.push_back(parse_literal(items[i], path.item(i)));
  }
  for (const Literal& literal : out) {
    if (is_order(op) && literal.type == ValueType::kBool) fail_invalid(path, "true and false have no order");
    if (is_text(op) && literal.type != ValueType::kString) fail_expected(path, "a string", *value);
  }
  const auto class_of = [](const Literal& l) { return l.type == ValueType::kInt ? ValueType::kFloat : l.type; };
  if (op == Op::kBetween && class_of(out[0]) != class_of(out[1])) fail_invalid(path, "expected two values of one type");
  if (op == Op::kBetween && is_above(out[0], out[1])) fail_invalid(path, "expected the smaller value first");
  return out;
}

namespace {
constexpr std::string_view kNumberOps = "a number is compared with eq, ne, in, not_in, lt, le, gt, ge or between";

// `any` and `none` are read as `in` and `not_in`, but a number is no list.
void refuse_list_ops(Fields& fields) {
  const Path path = fields.path("op");
  const Node* op = fields.take("op");
  if (op != nullptr && (op->text == "any" || op->text == "none")) fail_invalid(path, std::string(kNumberOps));
}
}  // namespace

void check_number_test(const Test& test, const Fields& fields) {
  if (is_text(test.op) || test.op == Op::kExists || test.op == Op::kNotExists || test.op == Op::kValueTest) {
    fail_invalid(fields.path("op"), std::string(kNumberOps));
  }
  if (test.missing) fail_invalid(fields.path("missing"), "it belongs to the value, not to a number made of it");
  const auto is_number = [](const Literal& literal) {
    return literal.type == ValueType::kInt || literal.type == ValueType::kFloat;
  };
  if (!std::ranges::all_of(test.values, is_number)) fail_invalid(fields.path("value"), "expected a number");
}

namespace {

// A comparison with a trait; nullopt, and nothing taken, where it is none.
std::optional<Test> take_operand_test(Fields& fields, const CalendarSpec& calendar) {
  std::optional<OperandTest> operand = parse_operand_test(fields, calendar);
  if (!operand) return std::nullopt;
  Test test;
  test.op = Op::kValueTest;
  test.operand = std::make_shared<const OperandTest>(std::move(*operand));
  return test;
}

Test count_at_least_one() { return {Op::kGe, {{ValueType::kInt, 1, {}}}, false}; }

constexpr std::string_view kOneForm =
    "a clause has one of and, or, not, trait, did, did_not, device, consent, group, list, suppressed, identity, "
    "profile, "
    "bucket, geo, segment, stopped, restarted, regularly, sequence, predominantly, share, cell, quantile";

class PredicateParser {
 public:
  explicit PredicateParser(const CalendarSpec& calendar) : calendar_(calendar) {}
  PredicateSpec parse(const Node& node, const Path& path, std::size_t depth) {
    if (depth > limits::kQueryPredicateDepth) fail_invalid(path, "predicates nested over 32 levels");
    if (++clauses_ > limits::kQueryClauses) fail_invalid(path, "over 1,000 clauses in one predicate");
    if (LocalClausePtr zoned = parse_zoned_clause(node, path, calendar_)) return local(std::move(zoned));
    Fields fields(node, path);
    PredicateSpec out = parse_one(fields, depth);
    fields.done();
    return out;
  }

 private:
  PredicateSpec parse_one(Fields& fields, std::size_t depth) {
    constexpr std::array<std::string_view, 24> kForms = {
        "and",     "or",        "not",        "trait",    "did",           "did_not", "device", "consent",
        "group",   "list",      "suppressed", "identity", "profile",       "bucket",  "geo",    "segment",
        "stopped", "restarted", "regularly",  "sequence", "predominantly", "share",   "cell",   "quantile"};
    std::size_t form = kForms.size();
    for (std::size_t i = 0; i < kForms.size(); ++i) {
      if (!fields.has(kForms[i])) continue;
      if (form != kForms.size()) fail_invalid(fields.path(kForms[i]), std::string(kOneForm));
      form = i;
    }
    switch (form) {
      case 0: return parse_list(fields, "and", PredicateSpec::Type::kAnd, depth);
      case 1: return parse_list(fields, "or", PredicateSpec::Type::kOr, depth);
      case 2: return negate(parse(fields.require("not", "a predicate"), fields.path("not"), depth + 1));
      case 3: return parse_trait(fields);
      case 4: return parse_did(fields, "did", true);
      case 5: return negate(parse_did(fields, "did_not", false));
      case 6:
      case 7:
      case 8:
      case 9:
      case 10: return parse_fact(fields, kForms[form]);
      case 11:
      case 12:
      case 13:
      case 14: return local(parse_local_clause(fields, kForms[form]));
      case 15: return parse_segment(fields);
      case 16:
      case 17:
      case 18: return parse_habit_clause(fields, kForms[form]);
      case 19: return of_rows(parse_sequence(fields, calendar_));
      case 20: return of_rows(parse_predominantly(fields, calendar_));
      case 21: return of_rows(parse_share(fields, calendar_));
      case 22: return of_rows(parse_cell(fields));
      case 23: return local(parse_quantile_clause(fields, calendar_));
      default: fail_invalid(fields.path(), "expected a clause; " + std::string(kOneForm));
    }
  }

  PredicateSpec parse_list(Fields& fields, std::string_view name, PredicateSpec::Type type, std::size_t depth) {
    const Path path = fields.path(name);
    PredicateSpec out;
    out.type = type;
    const std::vector<Node>& items =
        read_array(fields.require(name, "a list of predicates"), path, 1, limits::kQueryClauses);
    for (std::size_t i = 0; i < items.size(); ++i) out.children.push_back(parse(items[i], path.item(i), depth + 1));
    return out;
  }

  static PredicateSpec negate(PredicateSpec&& child) {
    PredicateSpec out;
    out.type = PredicateSpec::Type::kNot;
    out.children.push_back(std::move(child));
    return out;
  }

  PredicateSpec parse_trait(Fields& fields) {
    PredicateSpec out;
    out.type = PredicateSpec::Type::kTrait;
    out.trait = parse_key(fields.require("trait", "the key of a trait"), fields.path("trait"));
    if (auto comparison = parse_trait_comparison(fields, out.trait, calendar_)) return local(std::move(comparison));
    out.test = parse_value_condition(fields);
    if (auto has_been = parse_has_been_clause(fields, out.trait, out.test)) return local(std::move(has_been));
    return out;
  }

  static PredicateSpec local(LocalClausePtr&& clause) {
    PredicateSpec out;
    out.type = PredicateSpec::Type::kLocal;
    out.local = std::move(clause);
    return out;
  }

  static PredicateSpec parse_segment(Fields& fields) {
    PredicateSpec out;
    out.type = PredicateSpec::Type::kSegment;
    const Path path = fields.path("segment");
    out.segment = parse_name(fields.require("segment", "the name of a live segment"), path, "a name");
    out.segment_path = path.text();
    return out;
  }

  static PredicateSpec parse_fact(Fields& fields, std::string_view form) {
    PredicateSpec out;
    out.type = PredicateSpec::Type::kFact;
    out.fact = parse_fact_clause(fields, form);
    return out;
  }

  static PredicateSpec of_rows(std::shared_ptr<const RowClauseSpec> rows) {
    PredicateSpec out;
    out.type = PredicateSpec::Type::kRows;
    out.rows = std::move(rows);
    return out;
  }

  PredicateSpec parse_habit_clause(Fields& fields, std::string_view form) {
    PredicateSpec out = parse_habit(fields, form);
    clauses_ += out.children.size();
    if (clauses_ > limits::kQueryClauses) fail_invalid(fields.path(form), "over 1,000 clauses in one predicate");
    return out;
  }

  PredicateSpec parse_did(Fields& fields, std::string_view name, bool with_measures) {
    PredicateSpec out;
    out.type = PredicateSpec::Type::kDid;
    out.selector = parse_selector(fields, name, &calendar_);
    if (const Node* node = fields.take("window")) out.window = parse_window(*node, fields.path("window"), calendar_);
    if (with_measures) parse_measures(fields, out.measures);
    if (auto rows = parse_did_rows(fields, out, calendar_, with_measures)) {
      return has_operands(out) ? local(did_rows_with_operands(std::move(rows))) : of_rows(std::move(rows));
    }
    if (out.measures.empty()) out.measures.push_back({Measure::kCount, {}, count_at_least_one()});
    if (has_operands(out)) return local(did_with_operands(std::move(out)));
    return out;
  }

  void parse_measures(Fields& fields, std::vector<MeasureSpec>& out) {
    for (std::size_t i = 0; i < kMeasures.size(); ++i) {
      const Node* node = fields.take(kMeasures[i]);
      if (node == nullptr) continue;
      const Path path = fields.path(kMeasures[i]);
      Fields inner(*node, path);
      MeasureSpec measure;
      measure.measure = static_cast<Measure>(i);
      if (measure.measure != Measure::kCount) {
        measure.property = parse_key(inner.require("property", "the key of a property"), inner.path("property"));
      }
      if (std::optional<Test> operand = take_operand_test(inner, calendar_)) {
        measure.test = std::move(*operand);
      } else {
        refuse_list_ops(inner);
        measure.test = parse_test(inner, false);
        check_measure(measure, inner.path("op"), inner.path("value"));
      }
      parse_missing(inner, measure);
      inner.done();
      out.push_back(std::move(measure));
    }
    const Node* include_zero = fields.take("include_zero");
    if (include_zero != nullptr && !read_bool(*include_zero, fields.path("include_zero"))) {
      out.push_back({Measure::kCount, {}, count_at_least_one()});
    }
  }

  static void parse_missing(Fields& fields, MeasureSpec& out) {
    if (out.measure == Measure::kCount || out.measure == Measure::kDistinct) return;
    constexpr std::array<std::string_view, 2> kChoices = {"skip", "zero"};
    out.missing_zero = fields.choice("missing", kChoices, 0) == 1;
    if (out.missing_zero && !out.test.values.empty() && out.test.values.front().type == ValueType::kDatetime) {
      fail_invalid(fields.path("missing"), "a missing number can be zero, a missing datetime cannot");
    }
  }

  static void check_measure(const MeasureSpec& measure, const Path& op, const Path& value) {
    if (is_text(measure.test.op) || measure.test.op == Op::kExists || measure.test.op == Op::kNotExists ||
        measure.test.op == Op::kValueTest) {
      fail_invalid(op, "a measure is compared with eq, ne, in, not_in, lt, le, gt, ge or between");
    }
    const bool times = measure.measure == Measure::kMin || measure.measure == Measure::kMax;
    bool numbers = true, datetimes = times && !measure.test.values.empty();
    for (const Literal& literal : measure.test.values) {
      numbers &= literal.type == ValueType::kInt || literal.type == ValueType::kFloat;
      datetimes &= literal.type == ValueType::kDatetime;
    }
    if (!numbers && !datetimes) fail_invalid(value, times ? "expected numbers, or datetimes" : "expected a number");
  }

  const CalendarSpec& calendar_;
  std::size_t clauses_ = 0;
};

CommonSpec parse_common(Fields& fields, bool has_calendar) {
  CommonSpec out;
  out.kind = std::string(read_string(fields.require("kind", "the kind of the query"), fields.path("kind")));
  ZonePtr table;  // of a cell in a live segment, whose log must mean the same for ever
  const Node* zone = take_profile_zone(fields, out) ? nullptr : fields.take("zone");
  if (zone != nullptr) {
    if (has_calendar && zone->type == Node::Type::kMap) table = parse_zone(*zone, fields.path("zone"));
    out.zone = table != nullptr ? table->name() : parse_name(*zone, fields.path("zone"), "the name of a zone");
  }
  out.week_start = static_cast<int>(fields.choice("week_start", kWeekDays, 0));
  if (has_calendar && table == nullptr) table = ZonePtr(ZonePtr(), &zones().find(out.zone, fields.path("zone")));
  if (has_calendar) out.calendar = {std::move(table), out.week_start};
  if (const Node* node = fields.take("where")) out.where = parse_predicate(*node, fields.path("where"), out.calendar);
  // On the clocks of profiles days are those of what they show, whatever the zone.
  const CalendarSpec clocks = out.zone_trait.empty() ? out.calendar : CalendarSpec{nullptr, out.week_start};
  const Node* range = fields.take("range");
  if (range != nullptr) out.range = parse_range(*range, fields.path("range"), clocks);
  if (const Node* node = fields.take("now_ms")) out.now_ms = parse_time(*node, fields.path("now_ms"));
  if (const Node* node = fields.take("as_of_ms")) {
    out.as_of_ms = parse_time(*node, fields.path("as_of_ms"));
    if (out.now_ms && *out.now_ms > *out.as_of_ms) {
      fail_invalid(fields.path("now_ms"), "expected an instant not after as_of_ms: what lies later is hidden");
    }
    if (!out.now_ms) out.now_ms = out.as_of_ms;
  }
  if (const Node* node = fields.take("breakdown")) {
    const Path path = fields.path("breakdown");
    const std::vector<Node>& items = read_array(*node, path, 0, limits::kQueryBreakdowns);
    for (std::size_t i = 0; i < items.size(); ++i)
      out.breakdown.push_back(parse_operand(items[i], path.item(i), out.calendar));
  }
  out.limit = fields.integer("limit", 0, limits::kQueryRows);
  if (!out.zone_trait.empty()) use_profile_clocks(out, range, fields.path());
  return out;
}

const KindEntry& find_kind(const std::string& name, const Path& path) {
  std::string expected = "expected one of";
  for (const KindEntry& entry : kinds()) {
    if (entry.name == name) return entry;
    expected.append(" \"").append(entry.name).append("\"");
  }
  if (name == "profile") fail_invalid(path, "a profile is read by its own call: its answer is no table");
  constexpr std::array<std::string_view, 12> kPlanned = {"flow",    "sequence", "lifecycle",    "stickiness",
                                                         "rfm",     "pivot",    "distribution", "sessions",
                                                         "overlap", "explain",  "drivers",      "now"};
  if (std::find(kPlanned.begin(), kPlanned.end(), name) != kPlanned.end()) {
    fail_unsupported(path, "the kind \"" + name + "\" is not built yet; " + expected);
  }
  fail_invalid(path, expected + ", got \"" + std::string(shown(name)) + "\"");
}

}  // namespace

std::int64_t parse_duration(const Node& node, const Path& path) {
  constexpr std::string_view kExpected =
      "a duration: milliseconds, or like \"500ms\" \"10s\" \"15m\" \"12h\" \"30d\" \"2w\"";
  std::int64_t value = 0;
  if (node.type == Node::Type::kInt) {
    value = node.integer;
  } else if (node.type == Node::Type::kString) {
    std::size_t digits = 0;
    while (digits < node.text.size() && digits < 15 && node.text[digits] >= '0' && node.text[digits] <= '9') {
      value = value * 10 + (node.text[digits++] - '0');
    }
    const std::int64_t unit = unit_ms(node.text.substr(digits));
    if (digits == 0 || unit == 0) fail_expected(path, kExpected, node);
    value = value > limits::kQueryDurationMs / unit ? limits::kQueryDurationMs + 1 : value * unit;
  } else {
    fail_expected(path, kExpected, node);
  }
  if (value <= 0 || value > limits::kQueryDurationMs)
    fail_invalid(path, "expected a duration above 0 and up to a century");
  return value;
}

Literal parse_literal(const Node& node, const Path& path) {
  switch (node.type) {
    case Node::Type::kBool: return {ValueType::kBool, static_cast<std::uint64_t>(node.integer), {}};
    case Node::Type::kInt: return {ValueType::kInt, static_cast<std::uint64_t>(node.integer), {}};
    case Node::Type::kFloat: return {ValueType::kFloat, std::bit_cast<std::uint64_t>(node.number), {}};
    case Node::Type::kString: return {ValueType::kString, 0, std::string(node.text)};
    case Node::Type::kDatetime: return {ValueType::kDatetime, static_cast<std::uint64_t>(node.integer), {}};
    case Node::Type::kMap:
      if (node.fields.size() == 1 && node.fields[0].first == "$time" &&
          node.fields[0].second.type == Node::Type::kInt) {
        return {ValueType::kDatetime, static_cast<std::uint64_t>(node.fields[0].second.integer), {}};
      }
      break;
    default: break;
  }
  fail_expected(path, "a boolean, number, string or datetime (to test for a missing value use exists or not_exists)",
                node);
}

Test parse_test(Fields& fields, bool with_missing) {
  Test test;
  const std::size_t op = fields.choice("op", all_ops(), std::nullopt);
  if (op >= kOps.size()) {
    parse_value_op(op - kOps.size(), fields, test);
  } else {
    test.op = static_cast<Op>(op);
    test.values = parse_constants(test.op, fields.take_nil("value"), fields.path("value"));
    if (const Node* node = fields.take("ignore_case")) test.ignore_case = read_bool(*node, fields.path("ignore_case"));
  }
  const Node* missing = with_missing ? fields.take("missing") : nullptr;
  if (missing == nullptr) return test;
  if (test.op == Op::kExists || test.op == Op::kNotExists) {
    fail_invalid(fields.path("missing"), "exists and not_exists say it themselves");
  }
  test.missing = read_bool(*missing, fields.path("missing"));
  return test;
}

Test parse_value_condition(Fields& fields, const CalendarSpec* operands) {
  if (std::optional<Test> test = operands != nullptr ? take_operand_test(fields, *operands) : std::nullopt) {
    if (const Node* missing = fields.take("missing")) test->missing = read_bool(*missing, fields.path("missing"));
    return *test;
  }
  const Node* items = fields.take("any_element");
  if (items == nullptr) return parse_test(fields);
  Test test;
  test.op = Op::kValueTest;
  test.value_test = any_element_test(*items, fields.path("any_element"));
  return test;
}

Test parse_number_test(Fields& fields) {
  refuse_list_ops(fields);
  Test out = parse_test(fields);
  check_number_test(out, fields);
  return out;
}

Test parse_count(const Node& node, const Path& path) {
  Fields fields(node, path);
  Test out = parse_number_test(fields);
  fields.done();
  return out;
}

Unit parse_unit(const Node& node, const Path& path) {
  if (node.type == Node::Type::kMap) {
    Fields fields(node, path);
    Unit out{.type = Unit::Type::kDays};
    out.days = read_int(fields.require("days", "a number of days"), fields.path("days"), 1, 36'600);
    fields.done();
    return out;
  }
  const auto found =
      node.type == Node::Type::kString ? std::find(kUnits.begin(), kUnits.end(), node.text) : kUnits.end();
  if (found == kUnits.end()) {
    fail_expected(path, "\"hour\", \"day\", \"week\", \"month\", \"quarter\", \"year\" or {\"days\": n}", node);
  }
  return {.type = static_cast<Unit::Type>(found - kUnits.begin())};
}

Unit parse_interval(const Node& node, const Path& path) {
  constexpr std::int64_t kDayMinutes = 1'440;
  if (node.type == Node::Type::kString && node.text == "minute") return {.type = Unit::Type::kMinutes, .minutes = 1};
  if (node.type != Node::Type::kMap || node.fields.size() != 1 || node.fields.front().first != "minutes") {
    const bool is_unit = node.type == Node::Type::kMap ||
                         (node.type == Node::Type::kString && std::ranges::find(kUnits, node.text) != kUnits.end());
    if (is_unit) return parse_unit(node, path);
    fail_expected(path,
                  "\"minute\", \"hour\", \"day\", \"week\", \"month\", \"quarter\", \"year\", {\"minutes\": n} or "
                  "{\"days\": n}",
                  node);
  }
  const Path minutes = path.field("minutes");
  Unit out{.type = Unit::Type::kMinutes};
  out.minutes = read_int(node.fields.front().second, minutes, 1, kDayMinutes / 2);
  if (kDayMinutes % out.minutes != 0) fail_invalid(minutes, "expected minutes that divide a day: 1, 5, 10, 15, 30, ..");
  return out;
}

std::string parse_name(const Node& node, const Path& path, std::string_view what) {
  const std::string_view name = read_string(node, path);
  if (name.empty() || name.size() > limits::kNameBytes) {
    fail_invalid(path, "expected " + std::string(what) + " of 1 to 256 bytes, got " + std::to_string(name.size()));
  }
  return std::string(name);
}

std::string parse_key(const Node& node, const Path& path) { return parse_name(node, path, "a key"); }

std::shared_ptr<const PredicateSpec> parse_predicate(const Node& node, const Path& path, const CalendarSpec& calendar) {
  return std::make_shared<const PredicateSpec>(PredicateParser(calendar).parse(node, path, 0));
}

std::string_view needs_question(const PredicateSpec& spec) {
  if (spec.rows != nullptr && !spec.rows->needs_question().empty()) return spec.rows->needs_question();
  if (spec.local != nullptr && !spec.local->needs_question().empty()) return spec.local->needs_question();
  for (const PredicateSpec& child : spec.children) {
    if (const std::string_view reason = needs_question(child); !reason.empty()) return reason;
  }
  return {};
}

namespace {
// Refuses what only a question can ask, by the place of the clause.
void refuse_questions(const PredicateSpec& spec, const Node& node, const Path& path) {
  for (const auto& [name, value] : node.fields) {
    if (name == "not") return refuse_questions(spec.children[0], value, path.field(name));
    if (name != "and" && name != "or") continue;
    const Path list = path.field(name);
    for (std::size_t i = 0; i < value.items.size(); ++i)
      refuse_questions(spec.children[i], value.items[i], list.item(i));
    return;
  }
  if (const std::string_view reason = needs_question(spec); !reason.empty())
    fail_unsupported(path, std::string(reason));
}
}  // namespace

std::shared_ptr<const PredicateSpec> parse_predicate(std::span<const std::uint8_t> bytes) {
  const Node node = parse_document(bytes);
  std::shared_ptr<const PredicateSpec> out = parse_predicate(node, Path(), {});
  refuse_questions(*out, node, Path());
  return out;
}

Spec::Spec() = default;
Spec::Spec(Spec&&) noexcept = default;
Spec& Spec::operator=(Spec&&) noexcept = default;
Spec::~Spec() = default;

Spec parse_spec(std::span<const std::uint8_t> bytes) {
  const Node node = parse_document(bytes);
  return parse_spec(node, Path());
}

Spec parse_spec(const Node& node, const Path& path) {
  Fields fields(node, path);
  Spec spec;
  spec.common = parse_common(fields, true);
  const KindEntry& entry = find_kind(spec.common.kind, fields.path("kind"));
  spec.kind = entry.parse(fields, spec.common);
  fields.done();
  return spec;
}

ProfileSpec parse_profile_spec(std::span<const std::uint8_t> bytes) {
  const Node node = parse_document(bytes);
  const Path root;
  Fields fields(node, root);
  const CommonSpec common = parse_common(fields, false);
  if (common.kind != "profile")
    fail_invalid(fields.path("kind"), "expected \"profile\", got \"" + std::string(shown(common.kind)) + "\"");
  ProfileSpec out = parse_profile(fields, common);
  fields.done();
  return out;
}

}  // namespace cdp
