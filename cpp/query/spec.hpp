// The one validator of query specs: msgpack map -> typed structs. What is shared between kinds is here; a kind's own
// struct and fields live in its file (kinds/), and kinds/kinds.hpp is the list.
//
// Grammar: docs/architecture.md, "Query spec". Every error is BadQuery with a path like `steps[1].where[0].op`.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/value.hpp"
#include "query/document.hpp"

namespace cdp {

namespace limits {
inline constexpr std::size_t kQueryValues = 10'000;    // of `in`: evaluated by binary search
inline constexpr std::size_t kQueryConditions = 64;    // of one list of them
inline constexpr std::size_t kQueryAlternatives = 64;  // of any_of
inline constexpr std::size_t kQueryNames = 1'000;      // of one selector
inline constexpr std::size_t kQueryClauses = 1'000;    // of one predicate
inline constexpr std::size_t kQueryPredicateDepth = 32;
inline constexpr std::size_t kQueryBreakdowns = 8;
inline constexpr std::int64_t kQueryDurationMs = 100LL * 366 * 86'400'000;  // a century
inline constexpr std::int64_t kQueryRows = 1'000'000'000;                   // of `limit`
inline constexpr std::int64_t kCalendarUnitsMax = 1'000;                    // of a range
inline constexpr std::int64_t kAlwaysMs = 40 * kQueryDurationMs;  // behind any instant; no sum with a time overflows
}  // namespace limits

// A constant of the client: scalar only. Strings keep their text (they may be unknown to the store).
struct Literal {
  ValueType type = ValueType::kNull;  // kBool kInt kFloat kString kDatetime
  std::uint64_t bits = 0;
  std::string text;  // kString
  [[nodiscard]] Value value() const noexcept { return {type, bits}; }
};

enum class Op : std::uint8_t {
  kEq,
  kNe,
  kIn,
  kNotIn,
  kLt,
  kLe,
  kGt,
  kGe,
  kBetween,
  kContains,
  kStarts,
  kEnds,
  kExists,
  kNotExists,
  kValueTest,  // Test::value_test
};

class ValueTest;     // query/value_test.hpp
struct OperandTest;  // query/trait_operand.hpp

// op and its constants, without what is tested: shared by conditions, trait clauses and measures.
struct Test {
  Op op = Op::kEq;
  std::vector<Literal> values;  // one; two for between (closed at both ends); any count for in, not_in; none for exists
  bool ignore_case = false;     // ASCII letters only
  bool negated = false;         // there, and does not pass; beside ne and not_in, which say so themselves
  bool missing = false;         // a missing value passes
  std::shared_ptr<const ValueTest> value_test{};
  std::shared_ptr<const OperandTest> operand{};  // kValueTest too: made for each profile. In `did` only
};

struct PlaceSpec;      // query/place.hpp
struct ConditionTree;  // query/condition_tree.hpp

struct Condition {
  std::string property;  // empty for a place and a tree
  Test test;
  std::shared_ptr<const PlaceSpec> place{};     // two properties in place of one and its test
  std::shared_ptr<const ConditionTree> tree{};  // several conditions in place of one
};

struct Selector {
  std::vector<std::string> names;  // empty: any event
  std::vector<Condition> where;    // all must hold
};

struct MemberOperandSpec;  // kinds/member_operand.hpp
struct ValueGroupsSpec;    // kinds/value_groups.hpp

struct Operand {
  bool is_trait = false;                               // of the profile, not of the event
  bool is_at_event = false;                            // the trait as it was when the event happened
  std::string key;                                     // of a property or trait
  std::string name;                                    // of the column
  std::shared_ptr<const MemberOperandSpec> members{};  // segments or groups in place of a key
  std::shared_ptr<const ValueGroupsSpec> groups{};     // of values; of the event's time there is no key
};

struct Unit {
  enum class Type : std::uint8_t { kHour, kDay, kWeek, kMonth, kQuarter, kYear, kDays, kMinutes };
  Type type = Type::kDay;
  std::int64_t days = 0;  // kDays: steps of so many local days from the range's start
  std::int64_t minutes =
      0;  // kMinutes: steps of so many minutes from local midnight on; a divisor of the minutes of a day
  // Steps of the clock, of which a change of offset begins a new one; those of days are of the calendar.
  [[nodiscard]] bool is_of_clock() const noexcept { return type == Type::kHour || type == Type::kMinutes; }
  // REQUIRES: is_of_clock.
  [[nodiscard]] std::int64_t clock_ms() const noexcept { return type == Type::kHour ? 3'600'000 : minutes * 60'000; }
  friend bool operator==(const Unit&, const Unit&) = default;
};

class Zone;  // calendar.hpp
using ZonePtr = std::shared_ptr<const Zone>;

// What a calendar is read by where nothing nearer names it: that of the question.
struct CalendarSpec {
  ZonePtr zone;  // null: UTC
  int week_start = 0;
};

struct RangeSpec {
  enum class Type : std::uint8_t { kAll, kLast, kAbsolute, kCalendar, kSince };
  Type type = Type::kAll;
  std::int64_t last_ms = 0;  // kLast: (now − last, now − until]
  std::int64_t until_ms = 0;
  std::int64_t start_ms = INT64_MIN;  // half-open; an end left out is open
  std::int64_t end_ms = INT64_MAX;
  Unit unit;  // kCalendar: so many of them, up to now
  std::int64_t count = 1;
  bool is_past = false;  // up to the start of the present one
  CalendarSpec calendar;
  std::string since;  // kSince: of a profile's trait, [its datetime, + within). Of windows only
  std::int64_t within_ms = INT64_MAX;
};

enum class Measure : std::uint8_t { kCount, kSum, kMean, kMin, kMax, kDistinct };

struct MeasureSpec {
  Measure measure = Measure::kCount;
  std::string property;       // empty for count
  Test test;                  // eq ne lt le gt ge between in not_in
  bool missing_zero = false;  // an event without a number counts as 0: sum, mean, min, max
};

struct FactClauseSpec;   // clauses/fact_clause.hpp
struct LocalClauseSpec;  // clauses/local_clause.hpp
struct RowClauseSpec;    // clauses/row_clause.hpp

// A predicate as sent, unresolved; predicate.hpp compiles it.
struct PredicateSpec {
  enum class Type : std::uint8_t { kAnd, kOr, kNot, kTrait, kDid, kFact, kRows, kLocal, kSegment };
  Type type = Type::kAnd;
  std::vector<PredicateSpec> children;             // kAnd, kOr, kNot (one)
  std::string trait;                               // kTrait
  Test test;                                       // kTrait
  Selector selector;                               // kDid; did_not is kNot over kDid
  RangeSpec window;                                // kDid
  std::shared_ptr<const FactClauseSpec> fact;      // kFact
  std::shared_ptr<const RowClauseSpec> rows{};     // kRows
  std::shared_ptr<const LocalClauseSpec> local{};  // kLocal
  std::string segment;                             // kSegment: the name of a live segment
  std::string segment_path;                        // where it was named
  std::vector<MeasureSpec> measures;               // kDid; never empty: count ge 1 when none was given
};

inline constexpr std::int64_t kMonday = 0;

struct CommonSpec {
  std::string kind;
  std::shared_ptr<const PredicateSpec> where;  // null: every profile
  RangeSpec range;
  std::string zone = "UTC";
  std::string zone_trait;  // where profiles keep their own; `zone` is that of those without. Empty: one for all
  int week_start = 0;      // 0 = Monday .. 6 = Sunday
  CalendarSpec calendar;
  std::optional<std::int64_t> now_ms;  // at or before as_of_ms; as_of_ms where only that is given
  std::optional<std::int64_t> as_of_ms;
  std::vector<Operand> breakdown;
  std::optional<std::int64_t> limit;
};

// Shared parsers, for kinds. All throw BadQuery.
[[nodiscard]] std::int64_t parse_duration(const Node& node, const Path& path);  // > 0, milliseconds
[[nodiscard]] Literal parse_literal(const Node& node, const Path& path);
// The constants of an op, checked for number and type; `value` may be null.
[[nodiscard]] std::vector<Literal> parse_constants(Op op, const Node* value, const Path& path);
[[nodiscard]] inline std::vector<Literal> parse_constants(Op op, const Node& value, const Path& path) {
  return parse_constants(op, &value, path);
}
// Refuses what a number cannot be tested by: text, existence, a missing value. `fields` are those it was taken from.
void check_number_test(const Test& test, const Fields& fields);
// Takes op, value and what belongs to it out of the fields.
[[nodiscard]] Test parse_test(Fields& fields, bool with_missing = true);
// The same, or an `any_element`; with `operands`, the calendar of what they aggregate, comparisons with the profile's own too.
[[nodiscard]] Test parse_value_condition(Fields& fields, const CalendarSpec* operands = nullptr);
// What more is asked of each condition on a property or a place, wherever it stands; throws BadQuery.
using ConditionCheck = void (*)(const Condition&, const Path&);
[[nodiscard]] std::vector<Condition> parse_conditions(const Node& node, const Path& path,
                                                      const CalendarSpec* operands = nullptr,
                                                      ConditionCheck check = nullptr);  // selector_spec.cpp
// `operands`: as for parse_conditions. selector_spec.cpp
// `also`: fields that the map may have beside, for the error that names those it knows.
[[nodiscard]] Selector parse_selector(const Node& node, const Path& path, const CalendarSpec* operands = nullptr,
                                      std::span<const std::string_view> also = {});
// Takes event (or any_of) and where.
[[nodiscard]] Selector parse_selector(Fields& fields, const CalendarSpec* operands = nullptr);
// Takes the clause's own field, the names (null: any event) or any_of, and where.
[[nodiscard]] Selector parse_selector(Fields& fields, std::string_view form, const CalendarSpec* operands = nullptr);
// A test of a number: takes op and value. Of a count: {"op", "value"}.
[[nodiscard]] Test parse_number_test(Fields& fields);
[[nodiscard]] Test parse_count(const Node& node, const Path& path);
[[nodiscard]] Operand parse_operand(const Node& node, const Path& path,
                                    const CalendarSpec& calendar);  // kinds/operand.cpp
[[nodiscard]] Unit parse_unit(const Node& node, const Path& path);
// The same, or minutes: of what counts in buckets of time.
[[nodiscard]] Unit parse_interval(const Node& node, const Path& path);
// A range is one for all profiles; a window (of a clause) may depend on the profile. range_spec.cpp
[[nodiscard]] RangeSpec parse_range(const Node& node, const Path& path, const CalendarSpec& calendar);
[[nodiscard]] RangeSpec parse_window(const Node& node, const Path& path, const CalendarSpec& calendar);
// The field "zone" (query/zone_field.hpp), else the one given; never null.
[[nodiscard]] ZonePtr take_zone(Fields& fields, const CalendarSpec& otherwise);
[[nodiscard]] std::int64_t parse_time(const Node& node, const Path& path);  // milliseconds or a datetime
[[nodiscard]] std::string parse_key(const Node& node, const Path& path);  // of a property or trait: 1..kNameBytes bytes
[[nodiscard]] std::string parse_name(const Node& node, const Path& path, std::string_view what);  // the same of others
[[nodiscard]] std::shared_ptr<const PredicateSpec> parse_predicate(const Node& node, const Path& path,
                                                                   const CalendarSpec& calendar);
// Why it is no predicate of a live segment; empty when it is one.
[[nodiscard]] std::string_view needs_question(const PredicateSpec& spec);
inline constexpr std::array<std::string_view, 7> kWeekDays = {"monday", "tuesday",  "wednesday", "thursday",
                                                              "friday", "saturday", "sunday"};

struct KindSpec;  // kinds/kinds.hpp: base of the kinds' own structs

struct Spec {
  CommonSpec common;
  std::unique_ptr<KindSpec> kind;
  Spec();
  Spec(Spec&&) noexcept;
  Spec& operator=(Spec&&) noexcept;
  ~Spec();
};
// Any kind of kinds(). `profile` is not among them: its answer is no table.
[[nodiscard]] Spec parse_spec(std::span<const std::uint8_t> bytes);
[[nodiscard]] Spec parse_spec(const Node& node, const Path& path);
struct ProfileSpec;  // kinds/profile.hpp
[[nodiscard]] ProfileSpec parse_profile_spec(std::span<const std::uint8_t> bytes);
// Only a predicate (for watched segments).
[[nodiscard]] std::shared_ptr<const PredicateSpec> parse_predicate(std::span<const std::uint8_t> bytes);

// [start_ms, end_ms) of rows that the range allows at `now_ms`: later rows are invisible, `last` is (now − w, now].
// REQUIRES: not kSince.
struct TimeRange;
[[nodiscard]] TimeRange resolve_range(const RangeSpec& range, std::int64_t now_ms) noexcept;
// When a range of the calendar may begin elsewhere; INT64_MAX for all others.
[[nodiscard]] std::int64_t range_turns_ms(const RangeSpec& range, std::int64_t now_ms) noexcept;

}  // namespace cdp
