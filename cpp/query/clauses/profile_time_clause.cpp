#include <algorithm>
#include <array>

#include "base/limits.hpp"
#include "codec/event_record.hpp"
#include "column/dictionary.hpp"
#include "query/clauses/local_clause.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"
#include "store/event_store.hpp"

namespace cdp {
namespace {

enum class Asked : std::uint8_t { kCreated, kFirstSeen, kLastSeen };
constexpr std::array<std::string_view, 3> kAsked{"created", "first_seen", "last_seen"};

class ProfileTimeClause final : public FactClause {
 public:
  ProfileTimeClause(Asked asked, const Test& test, const Version& version, const Moment& at)
      : asked_(asked), test_(test, no_strings(), at) {
    for (std::uint32_t id = 0; id < version.names->size(); ++id) {
      (is_system_name(version.names->at(id)) ? has_system_names_ : has_names_) = true;
      if (!is_system_name(version.names->at(id))) names_.push_back(NameId{id});
    }
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    const Seen seen = asked_ == Asked::kCreated ? created(version, home, now_ms) : event(version, home, now_ms);
    const Value value = value_of(seen.time_ms.value_or(kNone));
    return {test_.matches(value, now_ms), std::min(seen.next_ms, test_.valid_until(value, now_ms))};
  }
  // Where many are asked, their times come from the spines, ~1 ns an event, in place of ~1 us a profile and partition.
  void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const override {
    std::uint64_t count = 0;
    for (const std::uint64_t word : candidates) count += static_cast<std::uint64_t>(__builtin_popcountll(word));
    if (asked_ == Asked::kCreated || count < kFewCandidates) {
      return FactClause::evaluate_task(task, now_ms, scratch, candidates, out);
    }
    const std::vector<std::int64_t> times = event_times(task, now_ms, scratch);
    for (std::uint32_t word = 0; word < kStripeWords; ++word) {
      std::uint64_t found = 0;
      for (std::uint64_t left = candidates[word]; left != 0; left &= left - 1) {
        const std::uint32_t index = word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(left));
        const bool passes = task.is_slow(index) ? evaluate(*task.version, task.origin(index), now_ms).value
                                                : test_.matches(value_of(times[index]), now_ms);
        if (passes) found |= left & (~left + 1);
      }
      out[word] = found;
    }
  }
  // Events of names that the store gets later count too.
  [[nodiscard]] bool resolved() const noexcept override { return asked_ == Asked::kCreated; }

 private:
  struct Seen {
    std::optional<std::int64_t> time_ms;  // up to now
    std::int64_t next_ms = INT64_MAX;     // when that may change
  };

  static constexpr std::int64_t kNone = INT64_MIN;
  static constexpr std::uint64_t kFewCandidates = limits::kStripeIds / 16;

  [[nodiscard]] static Value value_of(std::int64_t time_ms) noexcept {
    return time_ms == kNone ? Value{} : Value{ValueType::kDatetime, static_cast<std::uint64_t>(time_ms)};
  }

  // The first (latest) visible event of each profile of the task; of slow ones nonsense.
  [[nodiscard]] std::vector<std::int64_t> event_times(const Task& task, std::int64_t now_ms, Scratch& scratch) const {
    std::vector<std::int64_t> times(limits::kStripeIds, kNone);
    const bool is_last = asked_ == Asked::kLastSeen;
    for (const Chunk* chunk : task.chunks) {
      ChunkView view(*chunk, task, scratch);
      std::vector<bool> skipped;
      for (const Slice& slice : chunk->slices)
        skipped.push_back(is_system_name(task.version->names->at(raw(slice.name))));
      const SpineView spine = view.spine();
      for (std::uint32_t row = 0; row < spine.size(); ++row) {
        const std::int64_t time_ms = view.start_ms() + spine.time[row];
        if (time_ms > now_ms) continue;
        if (skipped[spine.code8 != nullptr ? spine.code8[row] : spine.code16[row]]) continue;
        std::int64_t& known = times[spine.profile[row] + spine.id_offset];
        if (known == kNone || (is_last ? time_ms > known : time_ms < known)) known = time_ms;
      }
    }
    return times;
  }

  [[nodiscard]] static Seen created(const Version& version, Origin home, std::int64_t now_ms) {
    const std::int64_t created_ms = version.profiles->created_ms(home, *version.links);
    if (created_ms >= limits::kTimeMaxMs) return {};
    if (created_ms > now_ms) return {std::nullopt, created_ms};
    return {created_ms, INT64_MAX};
  }

  // The first (latest) event ever decides, unless it lies in the future: then all are looked at.
  [[nodiscard]] Seen event(const Version& version, Origin home, std::int64_t now_ms) const {
    if (!has_names_) return {};
    const std::span<const NameId> names =
        has_system_names_ ? std::span<const NameId>(names_) : std::span<const NameId>();
    const std::optional<Horizon> horizon = horizon_of(version, now_ms);
    const Horizon* kept = horizon ? &*horizon : nullptr;
    const auto end_ms = [&](const Row& row) {
      return kept == nullptr ? INT64_MAX : kept->end_ms(row.name, row.time_ms);
    };
    std::vector<Row> rows;
    rows_of(version, home, names, {INT64_MAX, 1, asked_ == Asked::kLastSeen, kept}, rows);
    if (rows.empty()) return {};
    if (rows.front().time_ms <= now_ms) return {rows.front().time_ms, end_ms(rows.front())};
    if (asked_ == Asked::kFirstSeen) return {std::nullopt, rows.front().time_ms};
    rows.clear();
    rows_of(version, home, names, {.horizon = kept}, rows);
    const auto later = std::ranges::upper_bound(rows, now_ms, {}, &Row::time_ms);
    Seen seen{std::nullopt, later->time_ms};
    if (later == rows.begin()) return seen;
    const Row& last = *std::prev(later);
    return {last.time_ms, std::min(seen.next_ms, end_ms(last))};
  }

  Asked asked_;
  BoundTest test_;             // of a datetime: it knows no dictionary
  std::vector<NameId> names_;  // all but the system's
  bool has_names_ = false, has_system_names_ = false;
};

struct ProfileTimeSpec final : LocalClauseSpec {
  Asked asked{};
  Test test;
  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version& version, const Moment& at) const override {
    return std::make_unique<ProfileTimeClause>(asked, test, version, at);
  }
};

}  // namespace

LocalClausePtr parse_profile_time_clause(Fields& fields) {
  auto out = std::make_shared<ProfileTimeSpec>();
  out->asked = static_cast<Asked>(fields.choice("profile", kAsked, std::nullopt));
  out->test = parse_test(fields);
  return out;
}

}  // namespace cdp
