// cell: the profiles behind a cell of an answer.
//
//   {"cell": question, "at": {..}}    question: a funnel, retention or trend, without limit and fill; its `where` counts too
//     of a funnel     "reached": step | "lost": step (from 2); "start_ms"? (with an interval)
//     of a retention  "cohort_ms"?, "period"?, "returned"?: bool (true)
//     of a trend      "start_ms"?, "series"?
//     of each         "group"?: [value or null, ..], one a breakdown
//
// Meaning: the question, asked of this profile alone at the same instant, has a row with these values that counts something. A
// `lost` step is one that an attempt did not reach, of the step before. So the profiles of all cells are exactly those that the
// answer counted.
//
// A live segment asks the question anew with each event of the profile, at that instant: of funnels and retentions that
// kinds/live_cells.hpp allows. Time alone changes the truth where a row becomes visible or passes a border of the range, and where
// the range begins elsewhere.
//
// Not `returned` is who started in the cohort and is in no such row: of a period who did not return in it, else who never did.
//
// Cost: a candidate with events of the question ~5 us, more for many buckets.
#include <algorithm>
#include <optional>

#include "column/dictionary.hpp"
#include "query/budget.hpp"
#include "query/calendar.hpp"
#include "query/clauses/row_clauses.hpp"
#include "query/kinds/equal_buckets.hpp"
#include "query/kinds/funnel.hpp"
#include "query/kinds/kinds.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/kinds/retention.hpp"
#include "query/kinds/trend_spec.hpp"
#include "query/predicate.hpp"
#include "query/query.hpp"
#include "query/segments.hpp"
#include "query/table.hpp"

namespace cdp {
namespace {

struct CellPlace {
  std::optional<std::int64_t> reached, lost;                  // of a funnel
  std::vector<std::pair<std::string, std::int64_t>> numbers;  // column, value
  std::optional<std::string> series;
  bool returned = true;  // false, of a retention: those of the cohort who are not in the cell
  std::optional<std::vector<std::optional<Literal>>> group;
  std::string path, question_path;  // where these and the question stand
};

struct CellSpec final : RowClauseSpec {
  std::shared_ptr<const Spec> question;
  CellPlace at;

  [[nodiscard]] std::string_view needs_question() const override {
    if (const std::string_view reason = question->kind->needs_question(question->common); !reason.empty())
      return reason;
    if (!question->common.zone_trait.empty())
      return "a zone kept in a trait is for questions; a live segment names its zones";
    const PredicateSpec* where = question->common.where.get();
    if (where == nullptr) return {};
    if (!references_of(*where).empty()) return "a cell of a live segment names no other segments: write them out";
    return cdp::needs_question(*where);
  }
  [[nodiscard]] std::unique_ptr<const RowClause> bind(const Version& version, const Moment& at) const override;
};

bool equals(const TableColumn& column, std::size_t row, const std::optional<Literal>& wanted) {
  if (column.is_null(row) || !wanted) return column.is_null(row) && !wanted;
  switch (column.type_at(row)) {
    case ColumnType::kBool: return wanted->type == ValueType::kBool && column.bool_at(row) == (wanted->bits != 0);
    case ColumnType::kInt64: return wanted->type == ValueType::kInt && column.int_at(row) == wanted->value().as_int();
    case ColumnType::kDatetime:
      return wanted->type == ValueType::kDatetime && column.int_at(row) == wanted->value().as_int();
    case ColumnType::kFloat64:
      return wanted->type == ValueType::kFloat && column.float_at(row) == wanted->value().as_float();
    case ColumnType::kString: return wanted->type == ValueType::kString && column.string_at(row) == wanted->text;
    default: return false;
  }
}

bool same_cell(const TableColumn& left, std::size_t row, const TableColumn& right, std::size_t other) {
  if (left.is_null(row) || right.is_null(other)) return left.is_null(row) && right.is_null(other);
  if (left.type_at(row) != right.type_at(other)) return false;
  switch (left.type_at(row)) {
    case ColumnType::kBool: return left.bool_at(row) == right.bool_at(other);
    case ColumnType::kInt64:
    case ColumnType::kUint64:
    case ColumnType::kDatetime:
    case ColumnType::kFloat64: return left.uint_at(row) == right.uint_at(other);
    default: return left.string_at(row) == right.string_at(other);
  }
}

class Cell final : public RowClause {
 public:
  Cell(const CellSpec& spec, const Version& version, const Moment& at)
      : question_(spec.question),
        common_(question_->common),
        at_(spec.at),
        is_live_(at.now_ms == Moment::kUnset),
        now_ms_(common_.now_ms.value_or(at.now_ms)) {
    Mentions mentions;
    Mentions* const noted = at.mentions != nullptr ? at.mentions : &mentions;
    const std::int64_t at_ms = now_ms_ == Moment::kUnset ? 0 : now_ms_;
    if (common_.where != nullptr) {
      where_.emplace(*common_.where, version, Moment{now_ms_, &zone_of(common_), at.mentions, at.budget});
      read_.resolved &= where_->resolved();
    }
    const Binding binding = binding_of(version, at_ms, nullptr, at.budget);
    set_equal_borders(common_, *question_->kind, binding,
                      [&](const Kind& kind) { return answer_of_all(kind, binding); });
    // Of a live segment: for its names alone, as it is asked anew each time.
    asked_ = ask(version, at_ms, noted, at.budget);
    read_.names = asked_.kind->names();
    read_.open = read_.names.empty() || (is_live_ && question_->kind->reads_any_event());
    read_.resolved &= mentions.unknown_events.empty();
    read_.decisive = read_.names;
    read_.decisive_open = read_.open;
    for (const Operand& operand : common_.breakdown) breakdown_.push_back(operand.name);
    check_columns(version);
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::span<const Row> rows,
                               std::int64_t now_ms) const override {
    if (rows.empty()) return {};
    const bool moves = now_ms_ == Moment::kUnset;  // else the question names its instant, or has none but this
    const std::int64_t at_ms = moves ? now_ms : now_ms_;
    Truth where{true};
    if (where_) where = evaluate_profile(version, *where_, home, at_ms);
    if (!is_live_) return {where.value && counts(asked_, version, home, rows), now_ms + 1};
    if (!moves) where.valid_until_ms = INT64_MAX;
    if (!where.value) return where;
    const std::int64_t until_ms = moves ? std::min(where.valid_until_ms, turns_ms(rows, at_ms)) : INT64_MAX;
    return {counts(ask(version, at_ms, nullptr, nullptr), version, home, rows), until_ms};
  }

 private:
  // The question at an instant.
  struct Asked {
    TimeRange range;
    std::int64_t now_ms = 0;
    std::unique_ptr<Kind> kind;
    std::unique_ptr<Kind> births;  // where those are asked for who did not return
    [[nodiscard]] QueryContext context(const Version& version) const {
      QueryContext out;
      out.version = &version;
      out.range = range;
      out.now_ms = now_ms;
      return out;
    }
  };

  static const Zone& zone_of(const CommonSpec& common) {
    return common.calendar.zone != nullptr ? *common.calendar.zone : Zone::utc();
  }

  [[nodiscard]] Binding binding_of(const Version& version, std::int64_t now_ms, Mentions* mentions,
                                   Budget* budget) const {
    const TimeRange range = range_of_all(common_, now_ms);
    return {version, common_, range, now_ms, zone_of(common_), mentions, budget};
  }
  [[nodiscard]] Asked ask(const Version& version, std::int64_t now_ms, Mentions* mentions, Budget* budget) const {
    const Binding binding = binding_of(version, now_ms, mentions, budget);
    Asked out{binding.range, now_ms, question_->kind->bind_for_rows(binding), nullptr};
    if (!at_.returned)
      out.births = dynamic_cast<const RetentionSpec&>(*question_->kind).of_births()->bind_for_rows(binding);
    return out;
  }

  // When time alone may change the answer.
  [[nodiscard]] std::int64_t turns_ms(std::span<const Row> rows, std::int64_t now_ms) const {
    const RangeSpec& range = question_->common.range;
    std::int64_t until_ms = range_turns_ms(range, now_ms);
    const auto note = [&](std::int64_t time_ms) {
      if (time_ms > now_ms) until_ms = std::min(until_ms, time_ms);
    };
    for (const Row& row : rows) {
      note(row.time_ms);
      if (range.type != RangeSpec::Type::kLast) continue;
      note(row.time_ms + range.until_ms);
      note(row.time_ms + range.last_ms);
    }
    return until_ms;
  }

  [[nodiscard]] bool counts(const Asked& asked, const Version& version, Origin home, std::span<const Row> rows) const {
    const QueryContext context = asked.context(version);
    const Table table = answer(*asked.kind, context, home, rows);
    if (!at_.returned) return stayed_away(answer(*asked.births, context, home, rows), table);
    for (std::size_t row = 0; row < table.row_count(); ++row) {
      if (holds(table, row)) return true;
    }
    return false;
  }

  // Of everybody, not of one profile: what equal buckets of the question are made of.
  [[nodiscard]] Table answer_of_all(const Kind& kind, const Binding& binding) const {
    Budget own;
    QueryContext context;
    context.version = &binding.version;
    context.range = binding.range;
    context.now_ms = binding.now_ms;
    context.budget = binding.budget != nullptr ? binding.budget : &own;
    return run_kind(kind, where_ ? &*where_ : nullptr, context, {.threads = 1});
  }
  [[nodiscard]] static Table answer(const Kind& kind, const QueryContext& context, Origin home,
                                    std::span<const Row> rows) {
    std::unique_ptr<Partial> partial = kind.make_partial();
    kind.add_rows(context, home, rows, *partial);
    return kind.finish(context, std::move(partial));
  }

  // Whether some birth of the place has no row there in the answer.
  [[nodiscard]] bool stayed_away(const Table& births, const Table& returns) const {
    const auto of_period = [&](std::size_t row) {
      return std::ranges::all_of(at_.numbers, [&](const auto& number) {
        return number.first != "period" || returns.find("period")->int_at(row) == number.second;
      });
    };
    const auto of_birth = [&](std::size_t birth, std::size_t row) {
      if (returns.find("profiles")->int_at(row) == 0) return false;  // a row of nobody, in a grid that is filled
      if (births.find("cohort_ms")->int_at(birth) != returns.find("cohort_ms")->int_at(row)) return false;
      return std::ranges::all_of(breakdown_, [&](const std::string& name) {
        return same_cell(*births.find(name), birth, *returns.find(name), row);
      });
    };
    for (std::size_t birth = 0; birth < births.row_count(); ++birth) {
      if (births.find("period")->int_at(birth) != 0 || !is_there(births, birth)) continue;
      bool came_back = false;
      for (std::size_t row = 0; row < returns.row_count() && !came_back; ++row)
        came_back = of_birth(birth, row) && of_period(row);
      if (!came_back) return true;
    }
    return false;
  }
  // In the cohort and group that are asked for.
  [[nodiscard]] bool is_there(const Table& births, std::size_t birth) const {
    for (const auto& [name, value] : at_.numbers) {
      if (name == "cohort_ms" && births.find(name)->int_at(birth) != value) return false;
    }
    for (std::size_t i = 0; at_.group && i < breakdown_.size(); ++i) {
      if (!equals(*births.find(breakdown_[i]), birth, (*at_.group)[i])) return false;
    }
    return true;
  }

  [[nodiscard]] bool holds(const Table& table, std::size_t row) const {
    const auto count = [&](const char* name) { return table.find(name)->int_at(row); };
    const auto step = [&](std::int64_t number) { return count(("step_" + std::to_string(number)).c_str()); };
    if (at_.reached && step(*at_.reached) == 0) return false;
    if (at_.lost && step(*at_.lost - 1) == step(*at_.lost)) return false;
    for (const auto& [name, value] : at_.numbers) {
      if (count(name.c_str()) != value) return false;
    }
    if (at_.series && table.find("series")->string_at(row) != *at_.series) return false;
    for (std::size_t i = 0; at_.group && i < breakdown_.size(); ++i) {
      if (!equals(*table.find(breakdown_[i]), row, (*at_.group)[i])) return false;
    }
    return !is_empty(table, row);
  }
  // A trend of nothing has a row all the same, and a period that nobody returned in when all are asked for.
  [[nodiscard]] bool is_empty(const Table& table, std::size_t row) const {
    return !counted_.empty() && table.find(counted_)->int_at(row) == 0;
  }

  // The columns of an answer of nothing are those of any.
  void check_columns(const Version& version) {
    const Table table = asked_.kind->finish(asked_.context(version), asked_.kind->make_partial());
    const auto require = [&](const std::string& name, std::string_view field) {
      if (table.find(name) != nullptr) return;
      throw Error(Family::kBadQuery, code::kQueryInvalid, "the question's answer has no column " + name,
                  at_.path + "." + std::string(field));
    };
    if (at_.reached) require("step_" + std::to_string(*at_.reached), "reached");
    if (at_.lost) require("step_" + std::to_string(*at_.lost), "lost");
    for (const auto& [name, value] : at_.numbers) require(name, name);
    if (at_.series) require("series", "series");
    if (question_->common.kind == "retention") counted_ = "profiles";
    if (question_->common.kind != "trend") return;
    for (const char* name : {"total", "unique"}) {
      if (table.find(name) != nullptr) counted_ = name;
    }
    if (counted_.empty()) {
      throw Error(Family::kBadQuery, code::kQueryInvalid, "a trend's cell needs total or unique among the measures",
                  at_.question_path + ".measures");
    }
  }

  std::shared_ptr<const Spec> question_;
  CommonSpec common_;  // of the question, with the borders of equal buckets
  CellPlace at_;
  bool is_live_;
  std::int64_t now_ms_;  // of the question; unset where it moves
  Asked asked_;          // of a question; a live segment's is asked anew each time
  std::optional<Predicate> where_;
  std::vector<std::string> breakdown_;
  std::string counted_;  // of a trend and a retention: the column that tells whether the row counts something
};

std::unique_ptr<const RowClause> CellSpec::bind(const Version& version, const Moment& at) const {
  return std::make_unique<Cell>(*this, version, at);
}

std::string parse_series(const Node& node, const Path& path, const Spec& question) {
  const auto& trend = dynamic_cast<const TrendSpec&>(*question.kind);
  const std::string_view name = read_string(node, path);
  if (!trend.lists_series) fail_invalid(path, "the trend has one event, so no series");
  std::string known;
  for (const TrendSeries& each : trend.series) {
    if (each.name == name) return std::string(name);
    known.append(" \"").append(each.name).append("\"");
  }
  fail_expected(path, "a series of the trend:" + known, node);
}

void parse_place(Fields& fields, const Spec& question, CellPlace& out) {
  const CommonSpec& common = question.common;
  if (common.kind == "funnel") {
    out.reached = fields.integer("reached", 1, 32);
    out.lost = fields.integer("lost", 2, 32);
    if (out.reached.has_value() == out.lost.has_value())
      fail_invalid(fields.path("reached"), "expected reached or lost");
    const auto& funnel = dynamic_cast<const FunnelSpec&>(*question.kind);
    const char* which = out.reached ? "reached" : "lost";
    if (out.reached.value_or(out.lost.value_or(0)) > static_cast<std::int64_t>(funnel.steps.size()))
      fail_invalid(fields.path(which),
                   "expected a step of the funnel, which has " + std::to_string(funnel.steps.size()));
    if (fields.has("start_ms") && !funnel.interval)
      fail_invalid(fields.path("start_ms"), "the funnel has no interval, so no buckets");
    if (const auto value = fields.integer("start_ms", INT64_MIN, INT64_MAX))
      out.numbers.emplace_back("start_ms", *value);
  } else if (common.kind == "retention") {
    for (const char* name : {"cohort_ms", "period"}) {
      if (const auto value = fields.integer(name, INT64_MIN, INT64_MAX)) out.numbers.emplace_back(name, *value);
    }
    const Path path = fields.path("returned");
    if (const Node* node = fields.take("returned")) out.returned = read_bool(*node, path);
  } else {
    if (const auto value = fields.integer("start_ms", INT64_MIN, INT64_MAX))
      out.numbers.emplace_back("start_ms", *value);
    const Path path = fields.path("series");
    if (const Node* node = fields.take("series")) out.series = parse_series(*node, path, question);
  }
  const Path path = fields.path("group");
  if (const Node* node = fields.take("group")) {
    const std::vector<Node>& items = read_array(*node, path, common.breakdown.size(), common.breakdown.size());
    out.group.emplace();
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Path item = path.item(i);
      out.group->push_back(items[i].type == Node::Type::kNull ? std::nullopt
                                                              : std::optional(parse_literal(items[i], item)));
    }
  }
  fields.done();
}

}  // namespace

std::shared_ptr<const RowClauseSpec> parse_cell(Fields& fields) {
  auto out = std::make_shared<CellSpec>();
  const Path question_path = fields.path("cell"), at_path = fields.path("at");
  auto question = std::make_shared<Spec>(parse_spec(fields.require("cell", "a question"), question_path));
  const CommonSpec& common = question->common;
  if (common.kind != "funnel" && common.kind != "retention" && common.kind != "trend")
    fail_invalid(question_path.field("kind"), "expected a funnel, retention or trend");
  if (common.limit) fail_invalid(question_path.field("limit"), "a cell is of a group, not of the rest of a limit");
  if (common.as_of_ms) fail_unsupported(question_path.field("as_of_ms"), "a cell is of the question's own instant");
  question->kind->check_cells(question_path);
  Fields at(fields.require("at", "which cell"), at_path);
  parse_place(at, *question, out->at);
  out->at.path = at_path.text();
  out->at.question_path = question_path.text();
  out->question = std::move(question);
  return out;
}

}  // namespace cdp
