// One segment at two instants: overlap.cpp says what is answered. By the joins of now, or by those of each instant: then a profile is
// an id, and one that another took in is a profile no more.
#include "query/kinds/overlap_changes.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "query/as_of.hpp"
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

constexpr std::size_t kStepsMax = 1'000'000;  // of one profile between two instants

struct Change {
  Origin home{};
  bool entered = false;
  std::int64_t time_ms = 0;
  std::string_view cause;
  std::string name;
};

struct ChangesPartial final : Partial {
  std::vector<Change> changes;
  std::uint64_t stayed = 0;
  std::uint64_t charged_bytes = 0;
};

class ChangesKind final : public Kind {
 public:
  ChangesKind(const ChangesSpec& spec, const Binding& binding)
      : predicate_(*spec.segment, binding.version, {Moment::kUnset, &binding.zone, binding.mentions}),
        before_(*spec.segment, binding.version, {spec.from_ms, &binding.zone}),
        after_(*spec.segment, binding.version, {spec.to_ms, &binding.zone}),
        from_ms_(spec.from_ms),
        to_ms_(spec.to_ms),
        joins_then_(spec.joins_then),
        limit_(binding.common.limit) {}

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override { return std::make_unique<ChangesPartial>(); }
  [[nodiscard]] std::vector<NameId> names() const override { return {NameId{kNone}}; }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<ChangesPartial&>(partial);
    StripeBits candidates = candidates_of(context, task);
    if (joins_then_) take_linked(context, task, candidates, into);
    StripeBits before{}, after{}, both{}, differ{};
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
    if (joins_then_ && context.version->links->relatives(home).size() > 1) {
      for (const Origin& member : context.version->links->members(home)) add_linked(context, member, into);
      return;
    }
    const std::vector<Row> rows = rows_read(*context.version, context, home);
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
  [[nodiscard]] std::vector<Row> rows_read(const Version& version, const QueryContext& context, Origin home) const {
    std::vector<Row> rows;
    if (!predicate_.reads_rows() || (predicate_.names().empty() && !predicate_.any_name())) return rows;
    const std::optional<Horizon> horizon = horizon_of(version, context.now_ms);
    rows_of(version, home, predicate_.any_name() ? std::span<const NameId>() : predicate_.names(),
            {.horizon = horizon ? &*horizon : nullptr}, rows);
    return rows;
  }

  [[nodiscard]] Change change_of(const QueryContext& context, Origin home, bool entered) const {
    const Version& version = *context.version;
    const std::vector<Row> rows = rows_read(version, context, home);
    Change out{home, entered, from_ms_, "time", {}};
    Truth truth = predicate_.evaluate(version, home, rows, from_ms_);
    for (std::size_t step = 0; truth.valid_until_ms <= to_ms_; ++step) {
      if (step % 1'024 == 0 && context.budget != nullptr) context.budget->check();
      if (step == kStepsMax) fail_steps();
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

  // ---- by the joins of each instant

  // Profiles that were ever linked leave the candidates: each of their origins may have been a profile.
  void take_linked(const QueryContext& context, const Task& task, StripeBits& candidates, ChangesPartial& into) const {
    const LinkView& links = *context.version->links;
    for_each_bit(StripeBits(candidates), [&](std::uint32_t bit) {
      const Origin home = task.origin(bit);
      if (links.relatives(home).size() == 1) return;
      candidates[bit >> 6] &= ~(std::uint64_t{1} << (bit & 63));
      for (const Origin& member : links.members(home)) add_linked(context, member, into);
    });
  }

  // The store while the links of an origin's relatives stayed as they were.
  struct Stretch {
    VersionPtr version;
    std::int64_t start_ms;
    std::int64_t end_ms;
    bool is_profile;  // the origin is the home of its own
    std::vector<Row> rows;
  };
  [[nodiscard]] Stretch stretch_of(const QueryContext& context, Origin origin, std::int64_t start_ms,
                                   std::int64_t end_ms) const {
    // Not owned: the executor keeps the version while tasks run.
    const VersionPtr now(VersionPtr(), context.version);
    Stretch out{version_as_of(now, end_ms - 1, origin), start_ms, end_ms, false, {}};
    out.is_profile = out.version->links->home(origin) == origin;
    if (out.is_profile) out.rows = rows_read(*out.version, context, origin);
    return out;
  }
  [[nodiscard]] Truth truth_in(const Stretch& stretch, Origin origin, std::int64_t time_ms) const {
    return stretch.is_profile ? predicate_.evaluate(*stretch.version, origin, stretch.rows, time_ms) : Truth{};
  }

  void add_linked(const QueryContext& context, Origin origin, ChangesPartial& into) const {
    const Stretch first = stretch_of(context, origin, from_ms_, from_ms_ + 1);
    const Stretch last = stretch_of(context, origin, to_ms_, to_ms_ + 1);
    const bool before = truth_in(first, origin, from_ms_).value, after = truth_in(last, origin, to_ms_).value;
    into.stayed += before && after;
    if (before == after) return;
    Change change{origin, after, from_ms_, "time", {}};
    walk_linked(context, origin, change);
    into.changes.push_back(std::move(change));
  }

  // From stretch to stretch, in each from instant to instant at which something may change.
  void walk_linked(const QueryContext& context, Origin origin, Change& out) const {
    const std::vector<Link> links = context.version->links->history_of(origin);
    std::set<std::int64_t> turns{to_ms_ + 1};
    const auto note = [&](std::set<std::int64_t>& into, std::int64_t time_ms) {
      if (time_ms > from_ms_ && time_ms <= to_ms_) into.insert(time_ms);
    };
    for (const Link& link : links) {
      note(turns, link.time_ms);
      if (link.dead_sequence != 0) note(turns, link.dead_from_ms);
    }
    std::set<std::int64_t>
        told;  // operations on traits: an earlier picture of them does not say when the next one comes
    for (const StoredOperation& operation :
         context.version->profiles->history(context.version->links->relatives(origin)))
      note(told, operation.time_ms);
    std::optional<Stretch> before;
    bool value = false;
    std::size_t steps = 0;
    std::int64_t start_ms = from_ms_;
    for (const std::int64_t end_ms : turns) {
      Stretch stretch = stretch_of(context, origin, start_ms, end_ms);
      for (std::int64_t time_ms = start_ms; time_ms < end_ms;) {
        if (steps++ % 1'024 == 0 && context.budget != nullptr) context.budget->check();
        if (steps > kStepsMax) fail_steps();
        const Truth truth = truth_in(stretch, origin, time_ms);
        if (time_ms != from_ms_ && truth.value != value) {
          out.time_ms = time_ms;
          out.cause = "time";
          out.name.clear();
          const bool joined = time_ms == start_ms && truth_in(*before, origin, time_ms).value != truth.value;
          if (!joined || !find_join(links, time_ms, out)) find_cause(*stretch.version, stretch.rows, out);
        }
        value = truth.value;
        std::int64_t next_ms = std::min(truth.valid_until_ms, end_ms);
        const auto next = told.upper_bound(time_ms);
        if (next != told.end()) next_ms = std::min(next_ms, *next);
        time_ms = next_ms;
      }
      start_ms = end_ms;
      before = std::move(stretch);
    }
  }

  // The newest record of that instant which joined or parted these profiles.
  static bool find_join(std::span<const Link> links, std::int64_t time_ms, Change& out) {
    std::uint64_t sequence = 0;
    for (const Link& link : links) {
      if (link.time_ms == time_ms && link.sequence >= sequence) {
        sequence = link.sequence;
        out.cause = "merge";
      }
      if (link.dead_sequence != 0 && link.dead_from_ms == time_ms && link.dead_sequence >= sequence) {
        sequence = link.dead_sequence;
        out.cause = "unmerge";
      }
    }
    out.name = std::to_string(sequence);
    return sequence != 0;
  }

  [[noreturn]] static void fail_steps() {
    throw Error(Family::kLimitExceeded, code::kQueryInvalid,
                "a profile's truth may change over a million times between the instants", "to_ms");
  }

  Predicate predicate_;  // of any instant: for one profile
  Predicate before_, after_;
  std::int64_t from_ms_;
  std::int64_t to_ms_;
  bool joins_then_;
  std::optional<std::int64_t> limit_;
};

}  // namespace

std::unique_ptr<Kind> make_changes(const ChangesSpec& spec, const Binding& binding) {
  return std::make_unique<ChangesKind>(spec, binding);
}

}  // namespace cdp
