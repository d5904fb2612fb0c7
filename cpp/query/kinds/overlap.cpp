// overlap: who is in which of several segments, or how one segment changed between two instants.
//
//   "segments": [{"name"?: text, "where": predicate}, ..] (2 to 8)
//   "segment": predicate, "from_ms": instant, "to_ms": instant, "limit"?: changes
//
// Meaning.
//   segments   a row for each combination that some profile of `where` is in, "in all" first: a column of booleans a segment, by
//              its name (A, B, .. when not given), and how many profiles. The rows are disjoint and sum up to all.
//   segment    a row for each profile that was in it at only one of the instants, ascending: `entered` (else it left), `time_ms`,
//              the last instant at which its truth changed, and what happened then: `cause` "event", "trait", "device", "consent",
//              "suppress", "membership", "list" with its `name`, or "time" where nothing but time passed. By the joins of now (or
//              as_of_ms), over the events that retention keeps at now. The notes tell how many `entered`, `left`, `stayed`, whatever the limit.
//
// How: each predicate over the task. Over time: the profiles that differ one by one, from change to change. ~1 us a step.
#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "query/budget.hpp"
#include "query/kinds/kinds.hpp"
#include "query/predicate.hpp"
#include "query/scan_plan.hpp"
#include "store/event_store.hpp"
#include "store/fact_store.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"
#include "store/retention.hpp"

namespace cdp {
namespace {

constexpr std::size_t kSegmentsMax = 8;
constexpr std::size_t kStepsMax = 1'000'000;  // of one profile between two instants

using Words = std::array<std::uint64_t, kStripeWords>;

// Profiles of the task that a kind answers for here: of `where`, and not slow.
Words candidates_of(const QueryContext& context, const Task& task) {
  Words out{};
  const std::span<const std::uint64_t> all =
      context.where != nullptr ? context.where->words(task) : task.plan->everyone(*context.version).words(task);
  std::copy(all.begin(), all.end(), out.begin());
  for (std::size_t word = 0; word < std::min(task.slow.size(), out.size()); ++word) out[word] &= ~task.slow[word];
  return out;
}

template <class Visit>
void for_each_bit(const Words& words, Visit&& visit) {
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    for (std::uint64_t bits = words[word]; bits != 0; bits &= bits - 1)
      visit(word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
  }
}

// ---- several segments

struct CombinationsPartial final : Partial {
  std::array<std::uint64_t, 1u << kSegmentsMax> count{};  // by bits, the first segment's the lowest
};

struct NamedSegment {
  std::string name;
  std::shared_ptr<const PredicateSpec> where;
};

class OverlapKind final : public Kind {
 public:
  OverlapKind(const std::vector<NamedSegment>& segments, const Binding& binding) {
    for (const NamedSegment& segment : segments) {
      names_of_segments_.push_back(segment.name);
      predicates_.emplace_back(*segment.where, binding.version, binding.moment());
    }
  }

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override {
    return std::make_unique<CombinationsPartial>();
  }
  // Rows are read by the predicates themselves.
  [[nodiscard]] std::vector<NameId> names() const override { return {NameId{kNone}}; }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<CombinationsPartial&>(partial);
    const Words candidates = candidates_of(context, task);
    std::vector<Words> in(predicates_.size());
    for (std::size_t i = 0; i < predicates_.size(); ++i)
      predicates_[i].evaluate_task(task, context.now_ms, scratch, candidates, in[i]);
    for_each_bit(candidates, [&](std::uint32_t bit) {
      std::uint32_t combination = 0;
      for (std::size_t i = 0; i < in.size(); ++i)
        combination |= static_cast<std::uint32_t>((in[i][bit >> 6] >> (bit & 63)) & 1) << i;
      ++into.count[combination];
    });
  }

  void add_rows(const QueryContext& context, Origin home, std::span<const Row>, Partial& partial) const override {
    std::uint32_t combination = 0;
    for (std::size_t i = 0; i < predicates_.size(); ++i) {
      const bool in = evaluate_profile(*context.version, predicates_[i], home, context.now_ms).value;
      combination |= static_cast<std::uint32_t>(in) << i;
    }
    ++static_cast<CombinationsPartial&>(partial).count[combination];
  }

  void merge(Partial& into, Partial&& from) const override {
    auto& left = static_cast<CombinationsPartial&>(into).count;
    const auto& right = static_cast<const CombinationsPartial&>(from).count;
    for (std::size_t i = 0; i < left.size(); ++i) left[i] += right[i];
  }

  [[nodiscard]] Table finish(const QueryContext&, std::unique_ptr<Partial> partial) const override {
    const auto& count = static_cast<const CombinationsPartial&>(*partial).count;
    const std::size_t segments = predicates_.size();
    std::vector<std::uint32_t> rows;
    for (std::uint32_t combination = 0; combination < (1u << segments); ++combination) {
      if (count[combination] != 0) rows.push_back(combination);
    }
    const auto rank = [&](std::uint32_t combination) {  // the first segment's bit the highest
      std::uint32_t out = 0;
      for (std::size_t i = 0; i < segments; ++i) out |= ((combination >> i) & 1) << (segments - 1 - i);
      return out;
    };
    std::sort(rows.begin(), rows.end(),
              [&](std::uint32_t left, std::uint32_t right) { return rank(left) > rank(right); });
    Table table;
    for (std::size_t i = 0; i < segments; ++i) {
      TableColumn& column = table.add(names_of_segments_[i], ColumnType::kBool);
      for (const std::uint32_t row : rows) column.push_bool(((row >> i) & 1) != 0);
    }
    TableColumn& column = table.add("profiles", ColumnType::kInt64);
    for (const std::uint32_t row : rows) column.push_int(static_cast<std::int64_t>(count[row]));
    return table;
  }

 private:
  std::vector<std::string> names_of_segments_;
  std::vector<Predicate> predicates_;
};

// ---- one segment at two instants

struct Change {
  Origin home{};
  bool entered = false;
  std::int64_t time_ms = 0;
  std::string_view cause;
  std::string_view name;
};

struct ChangesPartial final : Partial {
  std::vector<Change> changes;
  std::uint64_t stayed = 0;
  std::uint64_t charged_bytes = 0;
};

class ChangesKind final : public Kind {
 public:
  ChangesKind(const PredicateSpec& segment, std::int64_t from_ms, std::int64_t to_ms, const Binding& binding)
      : predicate_(segment, binding.version, {Moment::kUnset, &binding.zone, binding.mentions}),
        before_(segment, binding.version, {from_ms, &binding.zone}),
        after_(segment, binding.version, {to_ms, &binding.zone}),
        from_ms_(from_ms),
        to_ms_(to_ms),
        limit_(binding.common.limit) {}

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override { return std::make_unique<ChangesPartial>(); }
  [[nodiscard]] std::vector<NameId> names() const override { return {NameId{kNone}}; }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<ChangesPartial&>(partial);
    const Words candidates = candidates_of(context, task);
    Words before{}, after{}, both{}, differ{};
    before_.evaluate_task(task, from_ms_, scratch, candidates, before);
    after_.evaluate_task(task, to_ms_, scratch, candidates, after);
    for (std::uint32_t word = 0; word < kStripeWords; ++word) {
      both[word] = before[word] & after[word];
      differ[word] = before[word] ^ after[word];
    }
    for_each_bit(both, [&](std::uint32_t) { ++into.stayed; });
    for_each_bit(differ, [&](std::uint32_t bit) {
      const bool entered = ((after[bit >> 6] >> (bit & 63)) & 1) != 0;
      into.changes.push_back(change_of(context, task.origin(bit), entered));
    });
    charge(context, into);
  }

  void add_rows(const QueryContext& context, Origin home, std::span<const Row>, Partial& partial) const override {
    auto& into = static_cast<ChangesPartial&>(partial);
    const std::vector<Row> rows = rows_read(context, home);
    const bool before = predicate_.evaluate(*context.version, home, rows, from_ms_).value;
    const bool after = predicate_.evaluate(*context.version, home, rows, to_ms_).value;
    into.stayed += before && after;
    if (before != after) into.changes.push_back(change_of(context, home, after));
  }

  void merge(Partial& into, Partial&& from) const override {
    auto& left = static_cast<ChangesPartial&>(into);
    const auto& right = static_cast<const ChangesPartial&>(from);
    left.changes.insert(left.changes.end(), right.changes.begin(), right.changes.end());
    left.stayed += right.stayed;
  }

  [[nodiscard]] Table finish(const QueryContext&, std::unique_ptr<Partial> partial) const override {
    auto& total = static_cast<ChangesPartial&>(*partial);
    std::sort(total.changes.begin(), total.changes.end(),
              [](const Change& left, const Change& right) { return left.home < right.home; });
    const std::int64_t entered =
        std::count_if(total.changes.begin(), total.changes.end(), [](const Change& change) { return change.entered; });
    const auto left = static_cast<std::int64_t>(total.changes.size()) - entered;
    if (limit_ && total.changes.size() > static_cast<std::uint64_t>(*limit_))
      total.changes.resize(static_cast<std::size_t>(*limit_));
    Table table;
    TableColumn& ids = table.add("profile_id", ColumnType::kUint64);
    for (const Change& change : total.changes) ids.push_uint(raw(change.home));
    TableColumn& kinds = table.add("entered", ColumnType::kBool);
    for (const Change& change : total.changes) kinds.push_bool(change.entered);
    TableColumn& times = table.add("time_ms", ColumnType::kInt64);
    for (const Change& change : total.changes) times.push_int(change.time_ms);
    TableColumn& causes = table.add("cause", ColumnType::kString);
    for (const Change& change : total.changes) causes.push_string(change.cause);
    TableColumn& names = table.add("name", ColumnType::kString);
    for (const Change& change : total.changes) {
      if (change.name.empty()) {
        names.push_null();
      } else {
        names.push_string(change.name);
      }
    }
    table.notes.emplace_back("entered", entered);
    table.notes.emplace_back("left", left);
    table.notes.emplace_back("stayed", static_cast<std::int64_t>(total.stayed));
    return table;
  }

 private:
  static void charge(const QueryContext& context, ChangesPartial& partial) {
    if (context.budget == nullptr) return;
    const std::uint64_t bytes = partial.changes.size() * sizeof(Change);
    if (bytes <= partial.charged_bytes) return;
    context.budget->charge(bytes - partial.charged_bytes);
    partial.charged_bytes = bytes;
  }

  // Rows that are kept at the question's now, for both instants.
  [[nodiscard]] std::vector<Row> rows_read(const QueryContext& context, Origin home) const {
    std::vector<Row> rows;
    if (!predicate_.reads_rows() || (predicate_.names().empty() && !predicate_.any_name())) return rows;
    const std::optional<Horizon> horizon = horizon_of(*context.version, context.now_ms);
    rows_of(*context.version, home, predicate_.any_name() ? std::span<const NameId>() : predicate_.names(),
            {.horizon = horizon ? &*horizon : nullptr}, rows);
    return rows;
  }

  [[nodiscard]] Change change_of(const QueryContext& context, Origin home, bool entered) const {
    const Version& version = *context.version;
    const std::vector<Row> rows = rows_read(context, home);
    Change out{home, entered, from_ms_, "time", {}};
    Truth truth = predicate_.evaluate(version, home, rows, from_ms_);
    for (std::size_t step = 0; truth.valid_until_ms <= to_ms_; ++step) {
      if (step % 1'024 == 0 && context.budget != nullptr) context.budget->check();
      if (step == kStepsMax) {
        throw Error(Family::kLimitExceeded, code::kQueryInvalid,
                    "a profile's truth may change over a million times between the instants", "to_ms");
      }
      const std::int64_t time_ms = truth.valid_until_ms;
      const bool before = truth.value;
      truth = predicate_.evaluate(version, home, rows, time_ms);
      if (truth.value != before) out.time_ms = time_ms;
    }
    find_cause(version, rows, out);
    return out;
  }

  void find_cause(const Version& version, std::span<const Row> rows, Change& out) const {
    for (const Row& row : rows) {
      const std::string_view name = version.names->at(raw(row.name));
      if (row.time_ms != out.time_ms) continue;
      out.cause = "event";
      out.name = name;
      return;
    }
    const std::span<const Origin> members = version.links->members(out.home);
    const std::vector<KeyId>& traits = predicate_.traits();
    for (const StoredOperation& operation : version.profiles->history(members)) {
      if (operation.time_ms != out.time_ms || std::find(traits.begin(), traits.end(), operation.key) == traits.end())
        continue;
      out.cause = "trait";
      out.name = version.keys->at(raw(operation.key));
      return;
    }
    for (const FactSpec& spec : kFactSpecs) {
      for (const StoredFact& fact : version.facts[static_cast<std::size_t>(spec.type)]->history(members, out.time_ms)) {
        if (fact.time_ms == out.time_ms) out.cause = spec.name;
      }
    }
  }

  Predicate predicate_;  // of any instant: for one profile
  Predicate before_, after_;
  std::int64_t from_ms_;
  std::int64_t to_ms_;
  std::optional<std::int64_t> limit_;
};

struct OverlapSpec final : KindSpec {
  std::vector<NamedSegment> segments;
  std::shared_ptr<const PredicateSpec> segment;
  std::int64_t from_ms = 0;
  std::int64_t to_ms = 0;

  [[nodiscard]] std::unique_ptr<Kind> bind(const Binding& binding) const override {
    if (segment == nullptr) return std::make_unique<OverlapKind>(segments, binding);
    return std::make_unique<ChangesKind>(*segment, from_ms, to_ms, binding);
  }
};

void parse_segments(const Node& node, const Path& path, const CommonSpec& common, OverlapSpec& out) {
  const std::vector<Node>& items = read_array(node, path, 2, kSegmentsMax);
  std::set<std::string> names{"profiles"};
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Path item = path.item(i);
    Fields fields(items[i], item);
    NamedSegment segment{std::string(1, static_cast<char>('A' + i)), nullptr};
    const Path name_path = fields.path("name"), where_path = fields.path("where");
    if (const Node* name = fields.take("name")) segment.name = parse_key(*name, name_path);
    if (!names.insert(segment.name).second) fail_invalid(name_path, "two columns of one name");
    segment.where = parse_predicate(fields.require("where", "a predicate"), where_path, common.calendar);
    fields.done();
    out.segments.push_back(std::move(segment));
  }
}

}  // namespace

std::unique_ptr<KindSpec> parse_overlap(Fields& fields, const CommonSpec& common) {
  if (!common.breakdown.empty()) fail_unsupported(fields.path("breakdown"), "overlap has no breakdown");
  if (common.range.type != RangeSpec::Type::kAll) {
    fail_invalid(fields.path("range"), "overlap has no range: give the clauses windows");
  }
  auto spec = std::make_unique<OverlapSpec>();
  const Path segment_path = fields.path("segment"), segments_path = fields.path("segments");
  const Node* segment = fields.take("segment");
  if (segment == nullptr) {
    if (common.limit) fail_unsupported(fields.path("limit"), "every combination is told");
    parse_segments(fields.require("segments", "2 to 8 segments"), segments_path, common, *spec);
    return spec;
  }
  if (fields.has("segments")) fail_invalid(segments_path, "either segment or segments, not both");
  spec->segment = parse_predicate(*segment, segment_path, common.calendar);
  const Path to = fields.path("to_ms");
  constexpr std::int64_t kMost = 20 * limits::kQueryDurationMs;
  const auto instant = [&](std::string_view name) {
    const auto value = fields.integer(name, -kMost, kMost);
    if (!value) fail_invalid(fields.path(name), "missing; expected an instant in milliseconds");
    return *value;
  };
  spec->from_ms = instant("from_ms");
  spec->to_ms = instant("to_ms");
  if (spec->from_ms >= spec->to_ms) fail_invalid(to, "expected an instant behind from_ms");
  if (common.as_of_ms && spec->to_ms > *common.as_of_ms) fail_invalid(to, "expected an instant not after as_of_ms");
  return spec;
}

}  // namespace cdp
