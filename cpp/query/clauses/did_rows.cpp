#include "query/clauses/did_rows.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "query/clauses/did_rows_scan.hpp"
#include "query/clauses/kept_rows.hpp"
#include "query/clauses/local_times.hpp"
#include "query/clauses/measure.hpp"
#include "query/clauses/operand_tests.hpp"
#include "query/clauses/row_measure.hpp"
#include "query/clauses/window.hpp"
#include "query/held_values.hpp"
#include "query/named_keys.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"

namespace cdp {
namespace {

struct DidRowsSpec final : RowClauseSpec {
  TimedSelector events;
  RangeSpec window;
  std::vector<MeasureSpec> measures;
  std::vector<RowMeasureSpec> row_measures;
  FirstEver first_ever = FirstEver::kNo;
  std::optional<TimedSelector> ended_by;  // not_followed_by
  std::int64_t within_ms = 0;
  std::string by;

  [[nodiscard]] std::unique_ptr<const RowClause> bind(const Version& version, const Moment& at) const override;
};

using Found = std::vector<const Row*>;

class DidRows final : public RowClause {
 public:
  DidRows(const DidRowsSpec& spec, const Version& version, const Moment& at)
      : events_(spec.events, version, at),
        window_(spec.window, version, at),
        first_ever_(spec.first_ever),
        within_ms_(spec.within_ms),
        is_keyed_(!spec.by.empty()),
        bound_ms_(at.now_ms) {
    read_.add(events_.selector, true);
    read_.resolved &= window_.resolved();
    if (window_.trait()) read_.traits.push_back(*window_.trait());
    for (const MeasureSpec& measure : spec.measures) {
      measures_.push_back(bind_measure(measure, version));
      read_.resolved &= measure.measure == Measure::kCount || measures_.back().key.has_value();
    }
    for (const RowMeasureSpec& measure : spec.row_measures) {
      row_measures_.emplace_back(measure, version, at);
      read_.resolved &= row_measures_.back().resolved();
    }
    if (!spec.ended_by) return;
    ended_by_.emplace(*spec.ended_by, version, at);
    read_.add(ended_by_->selector, false);
    if (is_keyed_) {
      by_ = find_property(spec.by, version, at);
      read_.resolved &= by_.has_value();
    }
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::span<const Row> rows,
                               std::int64_t now_ms) const override {
    Truth truth;
    const Found found = rows.empty() ? Found() : find(version, home, rows, now_ms, truth.valid_until_ms);
    truth.value = std::ranges::all_of(measures_, [&](const BoundMeasure& measure) {
      return measure_holds(measure, found.size(), values_of(found, measure));
    });
    for (const RowMeasure& measure : row_measures_) {
      truth.value &= measure.holds(found, now_ms, truth.valid_until_ms);
    }
    return truth;
  }

  [[nodiscard]] std::vector<const Row*> evidence(const Version& version, Origin home, std::span<const Row> rows,
                                                 std::int64_t now_ms) const override {
    std::int64_t until_ms = INT64_MAX;
    return find(version, home, rows, now_ms, until_ms);
  }

 protected:
  bool scan(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
            std::span<std::uint64_t> out, std::span<std::uint64_t> left) const override {
    const bool truth_of_none = evaluate(*task.version, task.origin(0), {}, now_ms).value;
    const DidRowsParts parts{events_,       window_,     measures_,
                             row_measures_, first_ever_, ended_by_ ? &*ended_by_ : nullptr,
                             within_ms_,    is_keyed_,   by_};
    return scan_did_rows(parts, bound_ms_, truth_of_none, task, now_ms, scratch, candidates, out, left);
  }

 private:
  // The events that the measures are of.
  [[nodiscard]] Found find(const Version& version, Origin home, std::span<const Row> rows, std::int64_t now_ms,
                           std::int64_t& until_ms) const {
    Found found;
    for (const Row& row : rows) {
      const bool matches = events_.matches(row, now_ms, until_ms);
      if (matches) found.push_back(&row);
      // No earlier row comes by time alone: the first one stays the first.
      if (first_ever_ == FirstEver::kMatching && matches) break;
      if (first_ever_ == FirstEver::kEvent && events_.selector.selects(row.name)) break;
    }
    if (found.empty()) return found;
    const BoundWindow::Now window = window_.at(version, home, now_ms);
    std::erase_if(found, [&](const Row* row) { return !window.holds(row->time_ms, until_ms); });
    if (ended_by_) erase_followed(version, rows, now_ms, found, until_ms);
    return found;
  }

  // Keeps what nothing followed in time, once that time is over. Backwards: `next` is the nearest end behind, by key.
  void erase_followed(const Version& version, std::span<const Row> rows, std::int64_t now_ms, Found& found,
                      std::int64_t& until_ms) const {
    std::unordered_map<std::string, std::int64_t> next;
    Found kept;
    for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
      const bool is_found = !found.empty() && found.back() == &*row;
      const bool ends = ended_by_->matches(*row, now_ms, until_ms);
      if (!is_found && !ends) continue;
      const std::vector<std::string> keys = keys_of(*row, version);
      const auto ended = [&](const std::string& key) {
        const auto end = next.find(key);
        return end != next.end() && end->second <= row->time_ms + within_ms_;
      };
      if (is_found) {
        found.pop_back();
        const std::int64_t due_ms = row->time_ms + within_ms_ + 1;
        if (!keys.empty() && std::ranges::none_of(keys, ended)) {
          if (now_ms >= due_ms) {
            kept.push_back(&*row);
          } else {
            until_ms = std::min(until_ms, due_ms);
          }
        }
      }
      if (ends) {
        for (const std::string& key : keys) next[key] = row->time_ms;
      }
    }
    std::ranges::reverse(kept);
    found = std::move(kept);
  }

  [[nodiscard]] std::vector<std::string> keys_of(const Row& row, const Version& version) const {
    if (!is_keyed_) return {std::string()};
    return by_ ? held_values(property(row, *by_), *version.strings) : std::vector<std::string>();
  }

  [[nodiscard]] static std::vector<Value> values_of(const Found& found, const BoundMeasure& measure) {
    std::vector<Value> out;
    if (!measure.key) return out;
    for (const Row* row : found) {
      const Value value = property(*row, *measure.key);
      if (value.type != ValueType::kNull) out.push_back(value);
    }
    return out;
  }

  BoundTimed events_;
  BoundWindow window_;
  std::vector<BoundMeasure> measures_;
  std::vector<RowMeasure> row_measures_;
  FirstEver first_ever_;
  std::optional<BoundTimed> ended_by_;
  std::int64_t within_ms_;
  bool is_keyed_;
  std::optional<KeyId> by_;
  std::int64_t bound_ms_;
};

std::unique_ptr<const RowClause> DidRowsSpec::bind(const Version& version, const Moment& at) const {
  return std::make_unique<DidRows>(*this, version, at);
}

class DidRowsOperandClause final : public FactClause {
 public:
  DidRowsOperandClause(const DidRowsSpec& did, const Version& version, const Moment& at)
      : did_(did),
        at_{at.now_ms, at.zone},
        names_(bind_selector({did.events.selector.names, {}}, version, at)),
        operands_(did.events.selector.where, did.measures, version, at) {
    if (did_.ended_by) ended_by_ = bind_selector({did_.ended_by->selector.names, {}}, version, at);
    // Without thresholds of a profile's own (what finds their rows is not seen from here), and with an instant.
    const bool own_threshold =
        std::ranges::any_of(did.measures, [](const MeasureSpec& each) { return each.test.operand != nullptr; });
    if (at.now_ms != Moment::kUnset && !own_threshold) scanned_.emplace(did, version, at_);
    if (at.mentions == nullptr) return;
    DidRowsSpec rest = did;
    take_out_operands(rest.events.selector.where, rest.measures);
    static_cast<void>(DidRows(rest, version, at));  // notes what else it names
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    DidRowsSpec did = did_;
    std::int64_t until_ms = INT64_MAX;
    operands_.put(version, home, now_ms, did.events.selector.where, did.measures, until_ms);
    const DidRows clause(did, version, at_);
    const std::vector<Row> rows = kept_rows(version, home, all_names(), now_ms, until_ms);
    const Truth truth = clause.evaluate(version, home, rows, now_ms);
    return {truth.value, std::min(truth.valid_until_ms, until_ms)};
  }
  void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const override {
    if (!scanned_ || now_ms != at_.now_ms) return FactClause::evaluate_task(task, now_ms, scratch, candidates, out);
    std::array<std::uint64_t, kStripeWords> fast, found;
    evaluate_slow(task, now_ms, scratch, candidates, fast, out);
    scanned_->evaluate_task(task, now_ms, scratch, fast, found);
    for (std::uint32_t word = 0; word < kStripeWords; ++word) out[word] |= found[word];
  }
  [[nodiscard]] bool resolved() const noexcept override {
    return names_.resolved && (!ended_by_ || ended_by_->resolved) && operands_.resolved();
  }

 private:
  [[nodiscard]] BoundSelector all_names() const {
    BoundSelector out = names_;
    if (!ended_by_) return out;
    out.open |= ended_by_->open;
    out.names.insert(out.names.end(), ended_by_->names.begin(), ended_by_->names.end());
    std::ranges::sort(out.names);
    out.names.erase(std::ranges::unique(out.names).begin(), out.names.end());
    return out;
  }

  DidRowsSpec did_;
  Moment at_;            // without mentions: threads of a question bind by it
  BoundSelector names_;  // by names alone: whose rows are read
  std::optional<BoundSelector> ended_by_;
  std::optional<DidRows> scanned_;  // with conditions that find each row's own; none where it can not be
  OperandTests operands_;
};

struct DidRowsOperandSpec final : LocalClauseSpec {
  DidRowsSpec did;
  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version& version, const Moment& at) const override {
    return std::make_unique<DidRowsOperandClause>(did, version, at);
  }
};

void parse_first_ever(Fields& fields, DidRowsSpec& out) {
  constexpr std::array<std::string_view, 2> kModes = {"event", "matching"};
  switch (fields.choice("first_ever", kModes, kModes.size())) {
    case 0: out.first_ever = FirstEver::kEvent; break;
    case 1: out.first_ever = FirstEver::kMatching; break;
    default: break;
  }
}

void parse_not_followed(Fields& fields, const CalendarSpec& calendar, DidRowsSpec& out) {
  constexpr std::array<std::string_view, 3> kFields = {"not_followed_by", "within", "by"};
  fields.also(kFields);
  if (!fields.has("not_followed_by")) return;
  const Path path = fields.path("not_followed_by");
  const Node* node = fields.take_nil("not_followed_by");  // null: any event
  out.ended_by = parse_timed(*node, path, calendar);
  out.within_ms = parse_duration(fields.require("within", "a duration"), fields.path("within"));
  if (const Node* by = fields.take("by")) out.by = parse_key(*by, fields.path("by"));
}

}  // namespace

LocalClausePtr did_rows_with_operands(const std::shared_ptr<const RowClauseSpec>& did) {
  auto out = std::make_shared<DidRowsOperandSpec>();
  out->did = static_cast<const DidRowsSpec&>(*did);
  return out;
}

std::shared_ptr<const RowClauseSpec> parse_did_rows(Fields& fields, const PredicateSpec& did,
                                                    const CalendarSpec& calendar, bool with_measures) {
  auto out = std::make_shared<DidRowsSpec>();
  if (const Node* at = fields.take("at")) out->events.at = parse_local_times(*at, fields.path("at"), calendar);
  if (with_measures) {
    out->row_measures = parse_row_measures(fields, calendar);
    parse_first_ever(fields, *out);
    parse_not_followed(fields, calendar, *out);
  }
  const bool needs_rows = out->events.at != nullptr || !out->row_measures.empty() ||
                          out->first_ever != FirstEver::kNo || out->ended_by ||
                          did.window.type == RangeSpec::Type::kSince;
  if (!needs_rows) return nullptr;
  out->events.selector = did.selector;
  out->window = did.window;
  out->measures = did.measures;
  if (out->measures.empty() && out->row_measures.empty()) {
    out->measures.push_back({Measure::kCount, {}, {Op::kGe, {{ValueType::kInt, 1, {}}}, false}});
  }
  return out;
}

}  // namespace cdp
