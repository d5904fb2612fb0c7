// overlap: who is in which of several segments, or how one segment changed between two instants.
//
//   "segments": [{"name"?: text, "where": predicate}, ..] (2 to 8)
//   "segment": predicate, "from_ms": instant, "to_ms": instant, "joins"?: "now" | "then", "limit"?: changes
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
#include "query/clauses/local_clause.hpp"
#include "query/clauses/row_clause.hpp"
#include "query/kinds/kinds.hpp"
#include "query/kinds/overlap_changes.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/predicate.hpp"
#include "query/scan_plan.hpp"
#include "store/event_store.hpp"
#include "store/fact_store.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"
#include "store/retention.hpp"

namespace cdp {
namespace {

using Words = StripeBits;

constexpr std::size_t kSegmentsMax = 8;

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

struct OverlapSpec final : KindSpec {
  std::vector<NamedSegment> segments;
  ChangesSpec changes;

  [[nodiscard]] std::unique_ptr<Kind> bind(const Binding& binding) const override {
    if (changes.segment == nullptr) return std::make_unique<OverlapKind>(segments, binding);
    return make_changes(changes, binding);
  }
};

// Why some clause has no truth at an instant that is given later; empty when all have.
std::string_view changes_need(const PredicateSpec& spec) {
  if (spec.rows != nullptr && !spec.rows->needs_question().empty()) return spec.rows->needs_question();
  if (spec.local != nullptr && spec.local->of_population()) return spec.local->needs_question();
  for (const PredicateSpec& child : spec.children) {
    if (const std::string_view reason = changes_need(child); !reason.empty()) return reason;
  }
  return {};
}

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
  refuse_profile_zone(fields, common);
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
  spec->changes.segment = parse_predicate(*segment, segment_path, common.calendar);
  if (const std::string_view reason = changes_need(*spec->changes.segment); !reason.empty())
    fail_unsupported(segment_path, std::string(reason));
  constexpr std::array<std::string_view, 2> kJoins = {"now", "then"};
  spec->changes.joins_then = fields.choice("joins", kJoins, 0) == 1;
  if (spec->changes.joins_then && common.where != nullptr)
    fail_unsupported(fields.path("where"), "who is whom differs between the instants: put it into the segment");
  if (spec->changes.joins_then && common.as_of_ms)
    fail_invalid(fields.path("joins"), "as_of_ms asks for the joins of one instant");
  const Path to = fields.path("to_ms");
  constexpr std::int64_t kMost = 20 * limits::kQueryDurationMs;
  const auto instant = [&](std::string_view name) {
    const auto value = fields.integer(name, -kMost, kMost);
    if (!value) fail_invalid(fields.path(name), "missing; expected an instant in milliseconds");
    return *value;
  };
  spec->changes.from_ms = instant("from_ms");
  spec->changes.to_ms = instant("to_ms");
  if (spec->changes.from_ms >= spec->changes.to_ms) fail_invalid(to, "expected an instant behind from_ms");
  if (common.as_of_ms && spec->changes.to_ms > *common.as_of_ms)
    fail_invalid(to, "expected an instant not after as_of_ms");
  return spec;
}

}  // namespace cdp
