#include "query/predicate.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>

#include "query/clauses/did_clause.hpp"
#include "query/clauses/fact_clause.hpp"
#include "query/clauses/local_clause.hpp"
#include "query/clauses/row_clause.hpp"
#include "query/clauses/trait_clause.hpp"
#include "query/profile_rows.hpp"
#include "query/scan_plan.hpp"
#include "query/segments.hpp"

namespace cdp {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kFewCandidates = limits::kStripeIds / 16;  // below: a trait of each is cheaper than a scan

using Words = std::array<std::uint64_t, kStripeWords>;

std::uint64_t count_bits(std::span<const std::uint64_t> words) noexcept {
  std::uint64_t count = 0;
  for (const std::uint64_t word : words) count += static_cast<std::uint64_t>(__builtin_popcountll(word));
  return count;
}

bool is_empty(std::span<const std::uint64_t> words) noexcept {
  return std::all_of(words.begin(), words.end(), [](std::uint64_t word) { return word == 0; });
}

struct Clause {
  PredicateSpec::Type type{};
  std::vector<Clause> children;
  std::optional<TraitClause> trait;
  std::optional<DidClause> did;
  std::unique_ptr<const FactClause> fact;
  std::unique_ptr<const RowClause> rows;
};

Clause bind(const PredicateSpec& spec, const Version& version, const Moment& at) {
  if (spec.type == PredicateSpec::Type::kSegment) {
    // As the live segment means it: its zone is UTC, whatever the question's.
    return bind(find_segment(spec, version.segments.get()), version, {at.now_ms, nullptr, at.mentions, at.budget});
  }
  Clause out;
  out.type = spec.type;
  for (const PredicateSpec& child : spec.children) out.children.push_back(bind(child, version, at));
  if (spec.type == PredicateSpec::Type::kLocal) {
    out.type = PredicateSpec::Type::kFact;
    out.fact = spec.local->bind(version, at);
  }
  if (spec.type == PredicateSpec::Type::kTrait) out.trait.emplace(spec, version, at);
  if (spec.type == PredicateSpec::Type::kDid) out.did.emplace(spec, version, at);
  if (spec.type == PredicateSpec::Type::kRows) out.rows = spec.rows->bind(version, at);
  if (spec.type == PredicateSpec::Type::kFact) out.fact = bind_fact_clause(*spec.fact, version, at);
  return out;
}

// What a clause costs before it narrows anything, for the order of `and` and `or`: scans that leave few profiles first,
// then scans that leave most, nested ones, and last what reads a candidate's rows; traits come as soon as few candidates are
// left.
int scan_rank(const Clause& clause) noexcept {
  switch (clause.type) {
    case PredicateSpec::Type::kTrait:
    case PredicateSpec::Type::kFact: return 2;
    case PredicateSpec::Type::kDid: return clause.did->zero_holds ? 1 : 0;
    case PredicateSpec::Type::kNot: {
      const int rank = scan_rank(clause.children[0]);
      return rank == 2 || rank == 4 ? rank : 1;
    }
    case PredicateSpec::Type::kRows: return 4;
    default: return 3;
  }
}

bool is_trait(const Clause& clause) noexcept {
  return clause.type == PredicateSpec::Type::kTrait || clause.type == PredicateSpec::Type::kFact ||
         (clause.type == PredicateSpec::Type::kNot && is_trait(clause.children[0]));
}

void sort_children(Clause& clause) {
  for (Clause& child : clause.children) sort_children(child);
  std::stable_sort(clause.children.begin(), clause.children.end(),
                   [](const Clause& left, const Clause& right) { return scan_rank(left) < scan_rank(right); });
}

// Evaluation over one task: out = those of the candidates for which the clause holds.
class TaskEvaluation {
 public:
  TaskEvaluation(const Task& task, std::int64_t now_ms, Scratch& scratch)
      : task_(task), now_ms_(now_ms), scratch_(scratch) {}

  void evaluate(const Clause& clause, const Words& candidates, Words& out) {
    switch (clause.type) {
      case PredicateSpec::Type::kAnd: return evaluate_and(clause, candidates, out);
      case PredicateSpec::Type::kOr: return evaluate_or(clause, candidates, out);
      case PredicateSpec::Type::kNot:
        evaluate(clause.children[0], candidates, out);
        for (std::uint32_t word = 0; word < kStripeWords; ++word) out[word] = candidates[word] & ~out[word];
        return;
      case PredicateSpec::Type::kTrait: return clause.trait->evaluate_task(task_, now_ms_, candidates, out);
      case PredicateSpec::Type::kDid: return clause.did->evaluate_task(task_, now_ms_, scratch_, candidates, out);
      case PredicateSpec::Type::kFact: return clause.fact->evaluate_task(task_, now_ms_, scratch_, candidates, out);
      case PredicateSpec::Type::kRows: return clause.rows->evaluate_task(task_, now_ms_, scratch_, candidates, out);
      default: break;  // bound as one of these
    }
  }

 private:
  void evaluate_and(const Clause& clause, const Words& candidates, Words& out) {
    Words left = candidates;
    std::vector<bool> done(clause.children.size());
    for (std::size_t step = 0; step < done.size() && !is_empty(left); ++step) {
      const std::size_t child = next_child(clause, done, left);
      done[child] = true;
      evaluate(clause.children[child], left, out);
      left = out;
    }
    out = left;
  }
  // In order, but traits first once few candidates are left.
  static std::size_t next_child(const Clause& clause, const std::vector<bool>& done, const Words& left) {
    std::size_t first = done.size();
    const bool few = count_bits(left) < kFewCandidates;
    for (std::size_t child = 0; child < done.size(); ++child) {
      if (done[child]) continue;
      if (few && is_trait(clause.children[child])) return child;
      first = std::min(first, child);
    }
    return first;
  }
  void evaluate_or(const Clause& clause, const Words& candidates, Words& out) {
    Words left = candidates, found;
    out.fill(0);
    for (const Clause& child : clause.children) {
      if (is_empty(left)) return;
      evaluate(child, left, found);
      for (std::uint32_t word = 0; word < kStripeWords; ++word) {
        out[word] |= found[word];
        left[word] &= ~found[word];
      }
    }
  }

  const Task& task_;
  std::int64_t now_ms_;
  Scratch& scratch_;
};

Truth evaluate_one(const Clause& clause, const Version& version, Origin home, std::span<const Row> rows,
                   std::int64_t now_ms) {
  switch (clause.type) {
    case PredicateSpec::Type::kTrait: return clause.trait->evaluate(version, home, now_ms);
    case PredicateSpec::Type::kDid: return clause.did->evaluate(rows, now_ms);
    case PredicateSpec::Type::kFact: return clause.fact->evaluate(version, home, now_ms);
    case PredicateSpec::Type::kRows: return clause.rows->evaluate(version, home, rows, now_ms);
    case PredicateSpec::Type::kNot: {
      const Truth truth = evaluate_one(clause.children[0], version, home, rows, now_ms);
      return {!truth.value, truth.valid_until_ms};
    }
    default: break;
  }
  // `and` is false as long as one false child must be; `or` is its mirror.
  const bool stops = clause.type == PredicateSpec::Type::kOr;
  std::int64_t all_until = kNever, stop_until = std::numeric_limits<std::int64_t>::min();
  bool stopped = false;
  for (const Clause& child : clause.children) {
    const Truth truth = evaluate_one(child, version, home, rows, now_ms);
    if (truth.value == stops) {
      stopped = true;
      stop_until = std::max(stop_until, truth.valid_until_ms);
      if (stop_until == kNever) break;
    } else {
      all_until = std::min(all_until, truth.valid_until_ms);
    }
  }
  return stopped ? Truth{stops, stop_until} : Truth{!stops, all_until};
}

// Whether it holds, and no more: stops at the first clause that decides. `leaf(clause)` answers for those of one kind.
template <class Leaf>
bool is_true(const Clause& clause, const Leaf& leaf) {
  const auto is_child_true = [&](const Clause& child) { return is_true(child, leaf); };
  switch (clause.type) {
    case PredicateSpec::Type::kNot: return !is_true(clause.children[0], leaf);
    case PredicateSpec::Type::kAnd: return std::ranges::all_of(clause.children, is_child_true);
    case PredicateSpec::Type::kOr: return std::ranges::any_of(clause.children, is_child_true);
    default: return leaf(clause);
  }
}

}  // namespace

struct Predicate::State {
  Clause root;
  std::vector<NameId> names;
  std::vector<KeyId> traits;
  bool any_name = false;
  bool reads_rows = false;
  bool resolved = true;

  [[nodiscard]] bool no_names() const noexcept { return !reads_rows || (names.empty() && !any_name); }
  [[nodiscard]] std::span<const NameId> names_read() const noexcept {
    return any_name ? std::span<const NameId>() : std::span<const NameId>(names);
  }
  void collect(const Clause& clause) {
    for (const Clause& child : clause.children) collect(child);
    if (clause.trait) {
      resolved &= clause.trait->resolved();
      if (clause.trait->key) traits.push_back(*clause.trait->key);
    }
    if (clause.fact) resolved &= clause.fact->resolved();
    if (clause.rows) {
      const RowsRead& read = clause.rows->read();
      reads_rows = true;
      any_name |= read.open;
      resolved &= read.resolved;
      names.insert(names.end(), read.names.begin(), read.names.end());
      traits.insert(traits.end(), read.traits.begin(), read.traits.end());
    }
    if (clause.did) {
      const BoundSelector& selector = clause.did->selector;
      reads_rows = true;
      any_name |= selector.open;
      resolved &= clause.did->resolved();
      names.insert(names.end(), selector.names.begin(), selector.names.end());
    }
  }
};

namespace {
template <class Id>
void make_set(std::vector<Id>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}
}  // namespace

Predicate::Predicate(const PredicateSpec& spec, const Version& version, const Moment& at)
    : state_(std::make_unique<State>()) {
  state_->root = bind(spec, version, at);
  sort_children(state_->root);
  state_->collect(state_->root);
  make_set(state_->names);
  make_set(state_->traits);
}

Predicate::Predicate(Predicate&&) noexcept = default;
Predicate& Predicate::operator=(Predicate&&) noexcept = default;
Predicate::~Predicate() = default;

const std::vector<NameId>& Predicate::names() const noexcept { return state_->names; }
bool Predicate::any_name() const noexcept { return state_->any_name; }
bool Predicate::reads_rows() const noexcept { return state_->reads_rows; }
const std::vector<KeyId>& Predicate::traits() const noexcept { return state_->traits; }
bool Predicate::resolved() const noexcept { return state_->resolved; }
const RowClause* Predicate::row_clause() const noexcept {
  const Clause* clause = &state_->root;
  if (clause->type == PredicateSpec::Type::kNot) clause = &clause->children.front();
  return clause->rows.get();
}

void Predicate::evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch,
                              std::span<const std::uint64_t> candidates, std::span<std::uint64_t> out) const {
  Words fast, truth;
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    fast[word] = candidates[word] & ~(task.slow.empty() || !state_->reads_rows ? 0 : task.slow[word]);
  }
  truth.fill(0);
  if (!is_empty(fast)) TaskEvaluation(task, now_ms, scratch).evaluate(state_->root, fast, truth);
  std::copy(truth.begin(), truth.end(), out.begin());
  if (task.slow.empty() || !state_->reads_rows) return;
  std::vector<Origin> homes = slow_homes(task);
  const auto index_of = [&](Origin home) { return task.version->placement.local_id(home) - task.first_id; };
  std::erase_if(homes,
                [&](Origin home) { return ((candidates[index_of(home) >> 6] >> (index_of(home) & 63)) & 1) == 0; });
  const auto decide = [&](Origin home, std::span<const Row> rows) {
    const auto leaf = [&](const Clause& clause) {
      return evaluate_one(clause, *task.version, home, rows, now_ms).value;
    };
    if (!is_true(state_->root, leaf)) return;
    out[index_of(home) >> 6] |= std::uint64_t{1} << (index_of(home) & 63);
  };
  if (!state_->no_names()) return rows_of_many(task, homes, state_->names_read(), decide);
  for (const Origin home : homes) decide(home, {});
}

Truth Predicate::evaluate(const Version& version, Origin home, std::span<const Row> rows, std::int64_t now_ms) const {
  return evaluate_one(state_->root, version, home, rows, now_ms);
}

bool Predicate::holds(const Version& version, Origin home, const ProfileRows& rows, std::int64_t now_ms) const {
  return is_true(state_->root, [&](const Clause& clause) {
    if (clause.type == PredicateSpec::Type::kDid) return clause.did->holds(rows, now_ms);
    return evaluate_one(clause, version, home, rows.all(), now_ms).value;
  });
}

namespace {
// What a row counts for ends with the row: the truth holds until the first one leaves.
Truth evaluate_within(const Version& version, const Predicate& predicate, Origin home, std::span<const Row> rows,
                      const Horizon& horizon, std::int64_t now_ms) {
  Truth truth = predicate.evaluate(version, home, rows, now_ms);
  for (const Row& row : rows)
    truth.valid_until_ms = std::min(truth.valid_until_ms, horizon.end_ms(row.name, row.time_ms));
  return truth;
}
}  // namespace

Truth evaluate_profile(const Version& version, const Predicate& predicate, Origin home, std::int64_t now_ms) {
  std::vector<Row> rows;
  const bool no_names = predicate.names().empty() && !predicate.any_name();
  if (predicate.reads_rows() && !no_names) {
    const std::optional<Horizon> horizon = horizon_of(version, now_ms);
    rows_of(version, home, predicate.any_name() ? std::span<const NameId>() : predicate.names(),
            {.horizon = horizon ? &*horizon : nullptr}, rows);
    if (horizon) return evaluate_within(version, predicate, home, rows, *horizon, now_ms);
  }
  return predicate.evaluate(version, home, rows, now_ms);
}

}  // namespace cdp
