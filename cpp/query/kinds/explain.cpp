// explain: why one profile is, or is not, in a segment: the truth of every clause, what was found, and until when it holds.
//
//   "ids": {kind: value} | "profile": id, "predicate": predicate, "events"?: {"limit"?: how many of the newest a clause (10)}
//
// Meaning. A row for every clause, outer ones before what they hold, by its path in the predicate; behind a `did` a row for each of
// its measures. No rows when nobody has that id or identity.
//   clause           as JSON
//   holds            its truth at now
//   valid_until_ms   the first instant at which time alone may change that; null: never
//   found            a trait's value; how many events a `did` counted; what a measure came to
//   found_ms         when the trait got its value; when the newest of the events was
//   start_ms, end_ms the window's borders, half-open; null where it is open
//   events           how many events count: those found, of a share those of the part, of a sequence those of its matches; of a
//                    cell those that the question looked at
//   evidence         the newest of them: event, time, and the properties that the clause names
//
// How: every clause evaluated on its own, as a live segment evaluates it. ~10 us a clause and what the profile's rows cost.
#include <algorithm>
#include <memory>
#include <optional>

#include "codec/msgpack_writer.hpp"
#include "column/dictionary.hpp"
#include "query/clauses/measure.hpp"
#include "query/clauses/row_clause.hpp"
#include "query/clauses/window.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/kinds.hpp"
#include "query/kinds/measure_cells.hpp"
#include "query/kinds/profile.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/list_json.hpp"
#include "query/predicate.hpp"
#include "store/event_store.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"
#include "store/retention.hpp"

namespace cdp {
namespace {

constexpr std::uint64_t kEvidence = 10;
constexpr std::uint64_t kEvidenceMax = 10'000;

struct ExplainedClause {
  std::string path;
  std::string json;
  std::shared_ptr<const PredicateSpec> spec;
};

void collect(const Node& node, const Path& path, const CalendarSpec& calendar, std::vector<ExplainedClause>& out) {
  ExplainedClause& clause = out.emplace_back();
  clause.path = path.text();
  append_json(node, clause.json);
  clause.spec = parse_predicate(node, path, calendar);
  for (const auto& [name, inner] : node.fields) {
    const Path at = path.field(name);
    if (name == "not") collect(inner, at, calendar, out);
    if (name != "and" && name != "or") continue;
    for (std::size_t i = 0; i < inner.items.size(); ++i) collect(inner.items[i], at.item(i), calendar, out);
  }
}

struct Line {
  std::string path;
  std::string_view json;
  bool holds = false;
  std::int64_t valid_until_ms = INT64_MAX;
  Value found;
  std::optional<Number> number;  // found, of a measure
  std::optional<std::int64_t> found_ms;
  TimeRange window{INT64_MIN, INT64_MAX};
  std::optional<std::uint64_t> events;
  std::string evidence;  // msgpack; empty: none
};

class ExplainKind final : public Kind {
 public:
  ExplainKind(const std::vector<ExplainedClause>& clauses, const ProfileSpec& who, const Binding& binding)
      : clauses_(clauses), who_(who), moment_(binding.moment()) {}

  [[nodiscard]] bool scans() const override { return false; }
  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override { return std::make_unique<Partial>(); }
  [[nodiscard]] std::vector<NameId> names() const override { return {NameId{kNone}}; }
  void scan(const QueryContext&, Task&, Scratch&, Partial&) const override {}
  void add_rows(const QueryContext&, Origin, std::span<const Row>, Partial&) const override {}
  void merge(Partial&, Partial&&) const override {}

  [[nodiscard]] Table finish(const QueryContext& context, std::unique_ptr<Partial>) const override {
    const Version& version = *context.version;
    std::vector<Line> lines;
    const Origin origin = find_origin(version, who_);
    if (origin != kNoOrigin) {
      const Origin home = version.links->home(origin);
      const std::optional<Horizon> horizon = horizon_of(version, context.now_ms);
      std::vector<Row> rows;
      rows_of(version, home, {}, {.horizon = horizon ? &*horizon : nullptr}, rows);
      for (const ExplainedClause& clause : clauses_)
        explain(version, home, rows, clause, context.now_ms, horizon ? &*horizon : nullptr, lines);
    }
    return table_of(lines, *version.strings);
  }

 private:
  void explain(const Version& version, Origin home, std::span<const Row> rows, const ExplainedClause& clause,
               std::int64_t now_ms, const Horizon* horizon, std::vector<Line>& lines) const {
    const Predicate predicate(*clause.spec, version, moment_);
    Truth truth = predicate.evaluate(version, home, rows, now_ms);
    for (const Row& row : rows) {  // what a row counts for ends with the row
      if (horizon != nullptr && reads(predicate, row.name))
        truth.valid_until_ms = std::min(truth.valid_until_ms, horizon->end_ms(row.name, row.time_ms));
    }
    Line line;
    line.path = clause.path;
    line.json = clause.json;
    line.holds = truth.value;
    line.valid_until_ms = truth.valid_until_ms;
    const bool negated = clause.spec->type == PredicateSpec::Type::kNot && is_leaf(clause.json);
    const PredicateSpec& spec = negated ? clause.spec->children.front() : *clause.spec;  // did_not
    std::vector<const Row*> counted;
    switch (spec.type) {
      case PredicateSpec::Type::kTrait: find_trait(version, home, spec, now_ms, line); break;
      case PredicateSpec::Type::kDid: find_events(version, home, rows, spec, now_ms, line, counted); break;
      case PredicateSpec::Type::kRows:
        counted = predicate.row_clause()->evidence(version, home, rows, now_ms);
        note_events(version, counted, {}, line);
        break;
      default: break;
    }
    lines.push_back(std::move(line));
    if (spec.type == PredicateSpec::Type::kDid) add_measures(version, spec, counted, lines);
  }

  // Whether the clause is no `not` of a clause that has a line of its own.
  [[nodiscard]] static bool is_leaf(std::string_view json) noexcept { return !json.starts_with("{\"not\":"); }

  [[nodiscard]] static bool reads(const Predicate& predicate, NameId name) {
    return predicate.any_name() || std::binary_search(predicate.names().begin(), predicate.names().end(), name);
  }

  static void find_trait(const Version& version, Origin home, const PredicateSpec& spec, std::int64_t now_ms,
                         Line& line) {
    const auto id = version.keys->find(spec.trait);
    if (!id) return;
    const KeyId key{*id};
    line.found = version.profiles->trait_at(home, key, now_ms, *version.links).value;
    for (const StoredOperation& operation : version.profiles->history(version.links->members(home))) {
      if (operation.key == key && operation.time_ms <= now_ms) line.found_ms = operation.time_ms;
    }
  }

  void find_events(const Version& version, Origin home, std::span<const Row> rows, const PredicateSpec& spec,
                   std::int64_t now_ms, Line& line, std::vector<const Row*>& counted) const {
    const BoundSelector selector = bind_selector(spec.selector, version, moment_);
    const BoundWindow bound(spec.window, version, moment_);
    const BoundWindow::Now window = bound.at(version, home, now_ms);
    for (const Row& row : rows) {
      std::int64_t until_ms = INT64_MAX;
      if (row.time_ms <= now_ms && window.holds(row.time_ms, until_ms) && selector.matches(row, now_ms))
        counted.push_back(&row);
    }
    line.window = spec.window.type == RangeSpec::Type::kAll     ? TimeRange{INT64_MIN, INT64_MAX}
                  : spec.window.type == RangeSpec::Type::kSince ? window.borders()
                                                                : resolve_range(spec.window, now_ms);
    std::vector<std::string> keys;
    for_each_leaf(spec.selector.where, [&](const Condition& condition) { keys.push_back(condition.property); });
    for (const MeasureSpec& measure : spec.measures) keys.push_back(measure.property);
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    std::erase(keys, std::string());
    line.number = Number::of(__int128{counted.size()});
    note_events(version, counted, keys, line);
  }

  void note_events(const Version& version, std::span<const Row* const> counted, std::span<const std::string> keys,
                   Line& line) const {
    line.events = counted.size();
    if (!counted.empty()) line.found_ms = counted.back()->time_ms;
    const std::size_t count = std::min<std::size_t>(counted.size(), static_cast<std::size_t>(who_.limit));
    MsgpackWriter out(line.evidence);
    out.array(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
      const Row& row = *counted[counted.size() - 1 - i];
      std::vector<std::pair<std::string_view, Value>> properties;
      for (const std::string& key : keys) {
        const auto id = version.keys->find(key);
        const Value value = id ? property(row, KeyId{*id}) : Value{};
        if (value.type != ValueType::kNull) properties.emplace_back(key, value);
      }
      out.map(properties.empty() ? 2 : 3);
      out.string("event");
      out.string(version.names->at(raw(row.name)));
      out.string("time");
      out.datetime(row.time_ms);
      if (properties.empty()) continue;
      out.string("properties");
      out.map(static_cast<std::uint32_t>(properties.size()));
      for (const auto& [key, value] : properties) {
        out.string(key);
        write_value(version, value, out, line.evidence);
      }
    }
  }

  static void write_value(const Version& version, const Value& value, MsgpackWriter& out, std::string& bytes) {
    switch (value.type) {
      case ValueType::kNull: return out.nil();
      case ValueType::kBool: return out.boolean(value.bits != 0);
      case ValueType::kInt: return out.integer(value.as_int());
      case ValueType::kFloat: return out.float_bits(value.bits);
      case ValueType::kDatetime: return out.datetime(value.as_int());
      case ValueType::kString: return out.string(version.strings->at(static_cast<std::uint32_t>(value.bits)));
      case ValueType::kList:
      case ValueType::kItems: bytes.append(version.strings->at(static_cast<std::uint32_t>(value.bits)));
    }
  }

  // What each measure of a `did` came to. A plain count has no line of its own.
  void add_measures(const Version& version, const PredicateSpec& spec, std::span<const Row* const> counted,
                    std::vector<Line>& lines) const {
    constexpr std::array<std::string_view, 6> kNames = {"count", "sum", "mean", "min", "max", "distinct"};
    const std::string path = lines.back().path;
    const Line clause = lines.back();
    for (const MeasureSpec& measure : spec.measures) {
      if (measure.measure == Measure::kCount && spec.measures.size() == 1) continue;
      const BoundMeasure bound = bind_measure(measure, version);
      std::vector<Value> values;
      for (const Row* row : counted) {
        Value value = bound.key ? property(*row, *bound.key) : Value{};
        const bool is_number = value.type == ValueType::kInt || value.type == ValueType::kFloat;
        if (measure.missing_zero && !is_number) value = {ValueType::kInt, 0};
        if (value.type != ValueType::kNull) values.push_back(value);
      }
      Line& line = lines.emplace_back();
      const std::string_view name = kNames[static_cast<std::size_t>(measure.measure)];
      line.path = path.empty() ? std::string(name) : path + "." + std::string(name);
      line.holds = measure_holds(bound, counted.size(), values);
      line.valid_until_ms = clause.valid_until_ms;
      line.window = clause.window;
      found_of(bound, counted.size(), values, line);
    }
  }

  static void found_of(const BoundMeasure& measure, std::size_t rows, std::span<const Value> values, Line& line) {
    if (measure.measure == Measure::kCount) {
      line.number = Number::of(__int128{rows});
      return;
    }
    if (measure.measure == Measure::kDistinct) {
      std::vector<std::pair<ValueType, std::uint64_t>> seen;
      for (const Value& value : values) seen.emplace_back(value.type, value.bits);
      std::sort(seen.begin(), seen.end());
      line.number = Number::of(static_cast<__int128>(std::unique(seen.begin(), seen.end()) - seen.begin()));
      return;
    }
    if (measure.datetimes) {
      for (const Value& value : values) {
        if (value.type != ValueType::kDatetime) continue;
        const bool better = measure.measure == Measure::kMin ? value.as_int() < line.found.as_int()
                                                             : value.as_int() > line.found.as_int();
        if (line.found.type == ValueType::kNull || better) line.found = value;
      }
      return;
    }
    NumberCells cells(true, true, true);
    cells.resize(1);
    for (const Value& value : values) cells.add(0, value);
    switch (measure.measure) {
      case Measure::kSum: line.number = cells.sum(0); break;
      case Measure::kMean: line.number = cells.mean(0); break;
      case Measure::kMin: line.number = cells.least(0); break;
      default: line.number = cells.greatest(0);
    }
  }

  static Table table_of(std::span<const Line> lines, const Dictionary& strings) {
    Table table;
    const auto add = [&](const char* name, ColumnType type, auto&& push) {
      TableColumn& column = table.add(name, type);
      for (const Line& line : lines) push(column, line);
    };
    const auto push_instant = [](TableColumn& column, std::int64_t time_ms, std::int64_t none) {
      if (time_ms == none) return column.push_null();
      column.push_int(time_ms);
    };
    add("path", ColumnType::kString, [](TableColumn& column, const Line& line) { column.push_string(line.path); });
    add("clause", ColumnType::kString, [](TableColumn& column, const Line& line) {
      if (line.json.empty()) return column.push_null();
      column.push_string(line.json);
    });
    add("holds", ColumnType::kBool, [](TableColumn& column, const Line& line) { column.push_bool(line.holds); });
    add("valid_until_ms", ColumnType::kInt64,
        [&](TableColumn& column, const Line& line) { push_instant(column, line.valid_until_ms, INT64_MAX); });
    add("found", ColumnType::kMixed, [&](TableColumn& column, const Line& line) { push_found(column, line, strings); });
    add("found_ms", ColumnType::kInt64, [&](TableColumn& column, const Line& line) {
      push_instant(column, line.found_ms.value_or(INT64_MIN), INT64_MIN);
    });
    add("start_ms", ColumnType::kInt64,
        [&](TableColumn& column, const Line& line) { push_instant(column, line.window.start_ms, INT64_MIN); });
    add("end_ms", ColumnType::kInt64,
        [&](TableColumn& column, const Line& line) { push_instant(column, line.window.end_ms, INT64_MAX); });
    add("events", ColumnType::kInt64, [](TableColumn& column, const Line& line) {
      if (!line.events) return column.push_null();
      column.push_int(static_cast<std::int64_t>(*line.events));
    });
    add("evidence", ColumnType::kList, [](TableColumn& column, const Line& line) {
      if (line.evidence.empty()) return column.push_null();
      column.push_list(line.evidence);
    });
    return table;
  }

  static void push_found(TableColumn& column, const Line& line, const Dictionary& strings) {
    if (!line.number) return push_value(column, line.found, strings);
    const Number& number = *line.number;
    switch (number.type) {
      case Number::Type::kNone: return column.push_null();
      case Number::Type::kFloat: return column.push_float(number.real);
      case Number::Type::kInt: break;
    }
    if (number.integer >= INT64_MIN && number.integer <= INT64_MAX)
      return column.push_int(static_cast<std::int64_t>(number.integer));
    column.push_decimal(decimal_text(number.integer));
  }

  const std::vector<ExplainedClause>& clauses_;
  const ProfileSpec& who_;
  Moment moment_;
};

struct ExplainSpec final : KindSpec {
  std::vector<ExplainedClause> clauses;
  ProfileSpec who;

  [[nodiscard]] std::unique_ptr<Kind> bind(const Binding& binding) const override {
    return std::make_unique<ExplainKind>(clauses, who, binding);
  }
};

}  // namespace

std::unique_ptr<KindSpec> parse_explain(Fields& fields, const CommonSpec& common) {
  refuse_profile_zone(fields, common);
  auto spec = std::make_unique<ExplainSpec>();
  spec->who = parse_profile(fields, common);
  if (!spec->who.names.empty() || spec->who.newest_first)
    fail_invalid(fields.path("events"), "the evidence of a clause is its own events, the newest first");
  if (spec->who.limit == INT64_MAX || !spec->who.with_events) spec->who.limit = kEvidence;
  if (spec->who.limit > kEvidenceMax) fail_invalid(fields.path("events"), "expected a limit of 10,000 at most");
  const Path path = fields.path("predicate");
  const Node& predicate = fields.require("predicate", "a predicate");
  (void)parse_predicate(predicate, path, common.calendar);  // whole: its bounds
  const Path root;
  collect(predicate, root, common.calendar, spec->clauses);
  return spec;
}

}  // namespace cdp
