// The plain funnel: how many profiles reached at least each of k steps in order. All other rules: funnel_attempts_kind.cpp;
// the spec of both: funnel_spec.cpp.
//
// Meaning (reference/semantics.md 4.2, column "choose"): a profile's depth is that of its best entry. An entry is an event of
// step 1 inside the range; later steps may lie behind the range's end, never behind now. Other events may come between. An
// event fills one step. The window runs from the entry and its end is closed. same_time: with "counts" an event of the same
// millisecond counts as later when it comes later in event order (time, origin, log order); with "later" only a later
// millisecond does. A breakdown is by traits as they are now, and by properties as they stand in the profile's entry: of
// those that reach its depth the earliest. So every profile is in one group. With `limit` the groups of most entries are
// answered, ties by value, and the rest as one, `other`.
//
// How: rows of the steps are found by their code in the spine (`positions`), then a branch-free step of the chain a row, its
// state in an array per task carried over partitions and layers. ~1.5 ns a matched row, 0.05 ns a row scanned. Only a
// breakdown by properties must know entries: then the matched rows of a task are gathered by profile. ~20 ns a matched row.
#include "query/kinds/funnel.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "query/budget.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/entry_search.hpp"
#include "query/kinds/event_names.hpp"
#include "query/kinds/kinds.hpp"
#include "query/kinds/late_rows.hpp"
#include "query/kinds/profile_filter.hpp"
#include "query/kinds/step_chain.hpp"
#include "simd/primitives.hpp"

namespace cdp {
namespace {

constexpr std::uint8_t kNoStep = 0xFF;
constexpr std::uint32_t kTiedShareMost = 64;  // one profile in so many may go through its rows

struct FunnelPartial final : Partial {
  explicit FunnelPartial(std::size_t operands, std::uint32_t steps) : groups(operands), steps(steps) {}
  Groups groups;
  std::uint32_t steps;
  std::vector<std::uint64_t> depths;  // [group][depth − 1]: profiles whose depth is exactly that

  void add(std::uint32_t group, std::uint32_t depth, std::uint64_t count = 1) {
    const std::size_t size = (std::size_t{group} + 1) * steps;
    if (depths.size() < size) depths.resize(std::max(size, depths.size() * 2));
    depths[std::size_t{group} * steps + depth - 1] += count;
  }
};

// What the codes of one chunk mean: steps of a code without conditions, and those that a condition decides.
struct ChunkSteps {
  std::vector<std::uint32_t> plain;  // a bit a step
  std::vector<std::uint32_t> conditional;
  bool any = false;
  bool conditions = false;
  bool several = false;  // some code stands for several steps
};

// --- the hot loop
struct PlainRun {
  const SpineView& spine;
  const std::uint32_t* rows;  // of the spine, ascending
  std::uint32_t count;
  const std::uint8_t* level;  // step of a code
  std::int64_t base_ms;
  std::int64_t* start;  // of each step of each profile, `steps` numbers a profile; valid where the step is reached
  std::uint32_t steps;
  TimeRange range;
  std::int64_t window;
};

[[nodiscard]] inline std::int64_t select(bool first, std::int64_t left, std::int64_t right) noexcept {
  return right ^ ((left ^ right) & -static_cast<std::int64_t>(first));  // no branch, whatever the compiler thinks of it
}

// Neighbouring rows are of one profile half the time, so a branch on anything of a row is a coin toss: there is none. State
// goes through memory, which overlaps profiles where registers would chain them (and would mispredict each new profile).
// `reached` is a bit a step and profile; starts need no clearing, for they are believed only where the bit is set.
template <bool kInside, bool kLate, class Code, class Mask>
[[gnu::noinline]] void run_codes(const PlainRun& run, const Code* codes, Mask* reached, LateRows& late) {
  const std::uint32_t* const rows = run.rows;
  const std::uint32_t* const times = run.spine.time.data();
  const std::uint16_t* const profiles = run.spine.profile;
  const std::uint8_t* const levels = run.level;
  const std::int64_t base_ms = run.base_ms, window = run.window;
  const TimeRange range = run.range;
  const std::size_t steps = run.steps;
  const std::uint32_t id_offset = run.spine.id_offset, count = run.count;
  std::int64_t* const starts = run.start + std::size_t{id_offset} * steps;
  Mask* const masks = reached + id_offset;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t row = rows[i];
    const std::uint32_t profile = profiles[row];
    const std::int64_t time = base_ms + times[row];
    const std::uint32_t level = levels[codes[row]];
    std::int64_t* const at =
        starts + profile * steps + level;  // at[0]: the step before (nobody's for step 0), at[1]: this one
    if constexpr (kLate) late.see(profile + id_offset, time);
    std::uint64_t enters = 1;
    if constexpr (!kInside) enters = (time >= range.start_ms) & (time < range.end_ms);
    const std::uint64_t mask = masks[profile];
    const std::int64_t start = select(level == 0, time, at[0]);
    // Unsigned: what was never set may hold anything, and then the bit says no.
    const bool in_window =
        static_cast<std::uint64_t>(time) - static_cast<std::uint64_t>(start) <= static_cast<std::uint64_t>(window);
    const std::uint64_t ok = (((mask << 1) | enters) >> level) & in_window;
    at[1] = select((ok & 1) != 0, start, at[1]);
    masks[profile] = static_cast<Mask>(mask | (ok & 1) << level);
  }
}

// A matched row of a task, and where it lies.
struct GatheredRow {
  std::uint32_t profile;
  std::uint32_t chunk;      // index in the task
  std::uint32_t spine_row;  // of the chunk
  std::uint32_t steps;
};

class FunnelKind final : public Kind {
 public:
  FunnelKind(const Binding& binding, std::span<const Selector> steps, std::int64_t window, bool strictly_later)
      : breakdown_(binding.common.breakdown, binding.version, binding.moment()),
        window_(window),
        strictly_later_(strictly_later),
        limit_(binding.common.limit) {
    for (const Selector& step : steps) steps_.push_back(bind_selector(step, binding.version, binding.moment()));
    names_ = names_of(steps_);
  }

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override {
    return std::make_unique<FunnelPartial>(breakdown_.size(), step_count());
  }
  [[nodiscard]] std::vector<NameId> names() const override { return names_; }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    const TimeRange seen{context.range.start_ms, context.now_ms + 1};
    bool plain = true;
    std::vector<ChunkSteps> steps;
    for (const Chunk* chunk : task.chunks) {
      const ChunkSteps& of_chunk = steps.emplace_back(steps_of(*chunk));
      plain &= !of_chunk.conditions && !of_chunk.several;
    }
    auto& into = static_cast<FunnelPartial&>(partial);
    if (breakdown_.reads_properties()) return scan_entries(context, seen, steps, task, scratch, into);
    if (!plain) return scan_any(context, seen, steps, task, scratch, into);
    if (step_count() <= 8) return scan_plain<std::uint8_t>(context, seen, steps, task, scratch, into);
    scan_plain<std::uint32_t>(context, seen, steps, task, scratch, into);
  }

  void add_rows(const QueryContext& context, Origin home, std::span<const Row> rows, Partial& partial) const override {
    std::vector<StepRow> matched;
    std::vector<const Row*> row_of;
    for (const Row& row : rows) {
      if (row.time_ms > context.now_ms) continue;
      std::uint32_t mask = 0;
      for (std::uint32_t step = 0; step < step_count(); ++step)
        mask |= std::uint32_t{steps_[step].matches(row)} << step;
      if (mask == 0) continue;
      matched.push_back({row.time_ms, mask, context.range.contains(row.time_ms)});
      row_of.push_back(&row);
    }
    const auto [depth, entry] = attempt_of(matched);
    if (depth == 0) return;
    auto& into = static_cast<FunnelPartial&>(partial);
    into.add(breakdown_.group_of(*context.version, home, row_of[entry], into.groups), depth);
  }

  void merge(Partial& into, Partial&& from) const override {
    auto& left = static_cast<FunnelPartial&>(into);
    const auto& right = static_cast<const FunnelPartial&>(from);
    const std::vector<std::uint32_t> group = right.groups.merge_into(left.groups);
    for (std::size_t i = 0; i < right.depths.size(); ++i) {
      if (right.depths[i] != 0)
        left.add(group[i / step_count()], static_cast<std::uint32_t>(i % step_count()) + 1, right.depths[i]);
    }
  }

  [[nodiscard]] Table finish(const QueryContext& context, std::unique_ptr<Partial> partial) const override {
    const auto& total = static_cast<const FunnelPartial&>(*partial);
    const Dictionary& strings = *context.version->strings;
    std::vector<Line> lines;
    for (std::uint32_t group = 0; group < total.groups.size(); ++group) {
      Line line{total.groups.key(group), reached(total, group)};
      if (line.reached[0] != 0 || breakdown_.empty()) lines.push_back(std::move(line));
    }
    const auto before = [&](const Line& left, const Line& right) {
      return compare_keys(left.key, right.key, strings) < 0;
    };
    std::sort(lines.begin(), lines.end(), before);
    cut(lines);
    Table table;
    std::vector<const std::vector<Value>*> keys;
    for (const Line& line : lines) keys.push_back(line.is_rest ? nullptr : &line.key);
    breakdown_.add_columns(table, keys, strings);
    for (std::uint32_t step = 0; step < step_count(); ++step) {
      TableColumn& column = table.add("step_" + std::to_string(step + 1), ColumnType::kInt64);
      for (const Line& line : lines) column.push_int(static_cast<std::int64_t>(line.reached[step]));
    }
    return table;
  }

 private:
  struct Line {
    std::vector<Value> key;
    std::vector<std::uint64_t> reached;
    bool is_rest = false;
  };
  struct Attempt {
    std::uint32_t depth = 0;
    std::size_t entry = 0;  // index of its row; 0 unless a breakdown asks for it
  };

  [[nodiscard]] std::uint32_t step_count() const noexcept { return static_cast<std::uint32_t>(steps_.size()); }

  // The best attempt of a profile whose matched rows these are.
  [[nodiscard]] Attempt attempt_of(std::span<const StepRow> rows) const {
    std::array<StepChain, kStepsMax> chains;
    for (const StepRow& row : rows) {
      advance(chains.data(), row.steps, row.time_ms, row.enters, window_, strictly_later_);
    }
    const std::uint32_t depth = depth_of(chains.data(), step_count());
    if (depth == 0 || !breakdown_.reads_properties()) return {depth, 0};
    return {depth, earliest_entry(rows, depth, window_, strictly_later_)};
  }

  // Leaves the lines of most entries, best first, and adds up the rest: a profile is in one group, so sums are exact.
  void cut(std::vector<Line>& lines) const {
    if (!limit_ || breakdown_.empty() || lines.size() <= static_cast<std::uint64_t>(*limit_)) return;
    std::stable_sort(lines.begin(), lines.end(),
                     [](const Line& left, const Line& right) { return left.reached[0] > right.reached[0]; });
    const auto shown = static_cast<std::size_t>(*limit_);
    Line rest{{}, std::vector<std::uint64_t>(step_count()), true};
    for (std::size_t line = shown; line < lines.size(); ++line) {
      for (std::uint32_t step = 0; step < step_count(); ++step) rest.reached[step] += lines[line].reached[step];
    }
    lines.resize(shown);
    lines.push_back(std::move(rest));
  }

  [[nodiscard]] std::vector<std::uint64_t> reached(const FunnelPartial& total, std::uint32_t group) const {
    std::vector<std::uint64_t> out(step_count());
    std::uint64_t deeper = 0;
    for (std::uint32_t step = step_count(); step-- > 0;) {
      const std::size_t at = std::size_t{group} * step_count() + step;
      deeper += at < total.depths.size() ? total.depths[at] : 0;
      out[step] = deeper;
    }
    return out;
  }

  [[nodiscard]] ChunkSteps steps_of(const Chunk& chunk) const {
    ChunkSteps out;
    out.plain.resize(chunk.slices.size());
    out.conditional.resize(chunk.slices.size());
    const auto note = [&](std::uint32_t step, std::size_t code) {
      (steps_[step].where.empty() ? out.plain : out.conditional)[code] |= 1u << step;
      const std::uint32_t mask = out.plain[code] | out.conditional[code];
      out.any = true;
      out.conditions |= out.conditional[code] != 0;
      out.several |= (mask & (mask - 1)) != 0;
    };
    for (std::uint32_t step = 0; step < step_count(); ++step) {
      for (std::size_t code = 0; steps_[step].any && code < chunk.slices.size(); ++code) {
        if (steps_[step].selects(chunk.slices[code].name)) note(step, code);
      }
      for (const NameId name : steps_[step].names) {
        if (const Slice* slice = chunk.find(name)) note(step, static_cast<std::size_t>(slice - chunk.slices.data()));
      }
    }
    return out;
  }

  // Rows of the view whose code is wanted and that are visible.
  static std::uint32_t wanted_rows(const SpineView& spine, const ChunkSteps& steps, std::uint32_t time_max,
                                   std::uint32_t* out) {
    std::vector<std::uint8_t> wanted(std::max<std::size_t>(steps.plain.size(), 256));
    for (std::size_t code = 0; code < steps.plain.size(); ++code)
      wanted[code] = (steps.plain[code] | steps.conditional[code]) != 0;
    const std::uint32_t count = wanted_positions(spine, wanted.data(), out);
    if (time_max == UINT32_MAX) return count;
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      out[kept] = out[i];
      kept += spine.time[out[i]] <= time_max;
    }
    return kept;
  }

  // The last visible time of the chunk, UINT32_MAX when all of it is.
  static std::uint32_t time_max_of(const ChunkView& chunk, const TimeRange& seen) noexcept {
    const std::int64_t last = seen.end_ms - 1 - chunk.start_ms();
    return last >= chunk.chunk().time_max ? UINT32_MAX : static_cast<std::uint32_t>(last);
  }

  // Every code stands for at most one step and nothing else decides. When equal times do not count, profiles with two matched
  // rows in one millisecond go through their rows instead; a task with many of them is done the general way.
  template <class Mask>
  void scan_plain(const QueryContext& context, const TimeRange& seen, std::span<const ChunkSteps> steps, Task& task,
                  Scratch& scratch, FunnelPartial& partial) const {
    const auto starts = scratch.lease<std::int64_t>(std::size_t{task.size()} * step_count() + 1);
    const auto reached = scratch.zeroed<Mask>(task.size());
    LateRows late(task, scratch, strictly_later_);
    std::uint32_t ties = 0;
    for (std::size_t i = 0; i < task.chunks.size(); ++i) {
      ChunkView chunk(*task.chunks[i], task, scratch);
      late.begin_chunk(i);
      if (!steps[i].any || chunk.outside(seen)) continue;
      const SpineView spine = chunk.spine();
      std::vector<std::uint8_t> level(steps[i].plain.size(), kNoStep);
      for (std::size_t code = 0; code < level.size(); ++code) {
        if (steps[i].plain[code] != 0) level[code] = static_cast<std::uint8_t>(__builtin_ctz(steps[i].plain[code]));
      }
      const auto rows = scratch.lease<std::uint32_t>(spine.size() + simd::kSlack);
      const std::uint32_t count = wanted_rows(spine, steps[i], time_max_of(chunk, seen), rows.data());
      const PlainRun run{spine,         rows.data(),  count,         level.data(), chunk.start_ms(),
                         starts.data(), step_count(), context.range, window_};
      const auto go = [&](auto* codes) {
        if (!chunk.crosses(context.range)) {
          late.tracked() ? run_codes<true, true>(run, codes, reached.data(), late)
                         : run_codes<true, false>(run, codes, reached.data(), late);
        } else {
          late.tracked() ? run_codes<false, true>(run, codes, reached.data(), late)
                         : run_codes<false, false>(run, codes, reached.data(), late);
        }
      };
      spine.code8 != nullptr ? go(spine.code8) : go(spine.code16);
      if (strictly_later_) ties += mark_ties(spine, rows.data(), count, late);
    }
    if (ties > task.size() / kTiedShareMost) return scan_any(context, seen, steps, task, scratch, partial);
    late.mark(task);
    const auto profiles = scratch.lease<std::uint32_t>(task.size() + simd::kSlack);
    const std::uint32_t entered = entered_profiles(reached.data(), task.size(), profiles.data());
    count_depths(context, task, scratch, profiles.data(), entered, partial, [&](std::uint32_t profile) {
      return static_cast<std::uint32_t>(std::bit_width(reached[profile]));  // steps are reached in order
    });
  }

  // Adds the profiles that have two of these rows in one millisecond; returns how many pairs.
  static std::uint32_t mark_ties(const SpineView& spine, const std::uint32_t* rows, std::uint32_t count,
                                 LateRows& late) {
    std::uint32_t ties = 0;
    if (!has_equal_neighbours(spine.time)) return ties;
    for (std::uint32_t i = 1; i < count; ++i) {
      const std::uint32_t row = rows[i], before = rows[i - 1];
      if (spine.time[row] == spine.time[before] && spine.profile[row] == spine.profile[before]) {
        late.add(spine.profile[row] + spine.id_offset);
        ++ties;
      }
    }
    return ties;
  }

  // Rows of one millisecond lie together. ~0.1 ns a row.
  static bool has_equal_neighbours(std::span<const std::uint32_t> times) noexcept {
    std::uint32_t equal = 0;
    for (std::size_t i = 1; i < times.size(); ++i) equal |= static_cast<std::uint32_t>(times[i] == times[i - 1]);
    return equal != 0;
  }

  static std::uint32_t entered_profiles(const std::uint8_t* reached, std::uint32_t count, std::uint32_t* out) {
    std::uint8_t any[256];
    std::fill_n(any, 256, 1);
    any[0] = 0;
    return simd::primitives().positions(reached, count, any, out);
  }
  static std::uint32_t entered_profiles(const std::uint32_t* reached, std::uint32_t count, std::uint32_t* out) {
    std::uint32_t found = 0;
    for (std::uint32_t profile = 0; profile < count; ++profile) {
      out[found] = profile;
      found += reached[profile] != 0;
    }
    return found;
  }

  // Anything: several steps a code, conditions, equal times that do not count.
  void scan_any(const QueryContext& context, const TimeRange& seen, std::span<const ChunkSteps> steps, Task& task,
                Scratch& scratch, FunnelPartial& partial) const {
    const auto chains = scratch.lease<StepChain>(std::size_t{task.size()} * step_count());
    std::fill_n(chains.data(), chains.size(), StepChain{});
    LateRows late(task, scratch);
    for (std::size_t i = 0; i < task.chunks.size(); ++i) {
      ChunkView chunk(*task.chunks[i], task, scratch);
      late.begin_chunk(i);
      if (!steps[i].any || chunk.outside(seen)) continue;
      const SpineView spine = chunk.spine();
      const auto rows = scratch.lease<std::uint32_t>(spine.size() + simd::kSlack);
      const std::uint32_t count = wanted_rows(spine, steps[i], time_max_of(chunk, seen), rows.data());
      const auto decided = scratch.zeroed<std::uint32_t>(steps[i].conditions ? spine.size() : 0);
      if (steps[i].conditions) decide_conditions(chunk, spine, steps[i], scratch, decided.data());
      for (std::uint32_t at = 0; at < count; ++at) {
        const std::uint32_t row = rows[at];
        const std::uint32_t code = spine.code8 != nullptr ? spine.code8[row] : spine.code16[row];
        const std::uint32_t mask = steps[i].plain[code] | (steps[i].conditions ? decided[row] : 0);
        if (mask == 0) continue;
        const std::uint32_t profile = spine.profile[row] + spine.id_offset;
        const std::int64_t time = chunk.start_ms() + spine.time[row];
        if (late.tracked()) late.see(profile, time);
        advance(chains.data() + std::size_t{profile} * step_count(), mask, time, context.range.contains(time), window_,
                strictly_later_);
      }
    }
    late.mark(task);
    const auto profiles = scratch.lease<std::uint32_t>(task.size());
    std::uint32_t entered = 0;
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      profiles[entered] = profile;
      entered += chains[std::size_t{profile} * step_count()].start != kNoStart;
    }
    count_depths(context, task, scratch, profiles.data(), entered, partial, [&](std::uint32_t profile) {
      return depth_of(chains.data() + std::size_t{profile} * step_count(), step_count());
    });
  }

  // By properties of entries: the matched rows of the task, profile by profile.
  void scan_entries(const QueryContext& context, const TimeRange& seen, std::span<const ChunkSteps> steps, Task& task,
                    Scratch& scratch, FunnelPartial& partial) const {
    std::vector<GatheredRow> rows;
    LateRows late(task, scratch);
    for (std::size_t i = 0; i < task.chunks.size(); ++i) {
      ChunkView chunk(*task.chunks[i], task, scratch);
      late.begin_chunk(i);
      if (steps[i].any && !chunk.outside(seen)) gather_rows(chunk, seen, steps[i], i, scratch, late, rows);
    }
    late.mark(task);
    const Gathered gathered(context, rows.size() * 2 * sizeof(GatheredRow));
    std::vector<std::uint32_t> first(task.size() + 1);
    for (const GatheredRow& row : rows) ++first[row.profile + 1];
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) first[profile + 1] += first[profile];
    std::vector<GatheredRow> sorted(rows.size());
    std::vector<std::uint32_t> next(first.begin(), first.end() - 1);
    for (const GatheredRow& row : rows) sorted[next[row.profile]++] = row;

    const ProfileFilter filter(context, task, scratch);
    std::vector<StepRow> matched;
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      if (first[profile] == first[profile + 1] || !filter.has(profile)) continue;
      if (!task.late.empty() && ((task.late[profile >> 6] >> (profile & 63)) & 1) != 0) continue;
      matched.clear();
      for (std::uint32_t at = first[profile]; at < first[profile + 1]; ++at) {
        const Chunk& chunk = *task.chunks[sorted[at].chunk];
        const std::int64_t time = partition_start_ms(chunk.partition) + chunk.time[sorted[at].spine_row];
        matched.push_back({time, sorted[at].steps, context.range.contains(time)});
      }
      const auto [depth, entry] = attempt_of(matched);
      if (depth == 0) continue;
      const GatheredRow& row = sorted[first[profile] + entry];
      const Chunk* chunk = task.chunks[row.chunk];
      const Origin place = task.origin(profile);
      const Row entered{matched[entry].time_ms,
                        chunk->foreign.empty() ? place : chunk->foreign.at(row.spine_row, place),
                        chunk->slices[chunk->code(row.spine_row)].name,
                        0,
                        chunk,
                        row.spine_row,
                        nullptr,
                        0};
      partial.add(breakdown_.group_of(*context.version, task.origin(profile), &entered, partial.groups), depth);
    }
  }

  // Memory of gathered rows, charged while it is held.
  class Gathered {
   public:
    Gathered(const QueryContext& context, std::uint64_t size_bytes) : budget_(context.budget), size_bytes_(size_bytes) {
      if (budget_ != nullptr) budget_->charge(size_bytes_);
    }
    ~Gathered() {
      if (budget_ != nullptr) budget_->release(size_bytes_);
    }
    Gathered(const Gathered&) = delete;
    Gathered& operator=(const Gathered&) = delete;

   private:
    Budget* budget_;
    std::uint64_t size_bytes_;
  };

  // Appends the matched rows of a chunk.
  void gather_rows(ChunkView& chunk, const TimeRange& seen, const ChunkSteps& steps, std::size_t index,
                   Scratch& scratch, LateRows& late, std::vector<GatheredRow>& out) const {
    const SpineView spine = chunk.spine();
    const auto rows = scratch.lease<std::uint32_t>(spine.size() + simd::kSlack);
    const std::uint32_t count = wanted_rows(spine, steps, time_max_of(chunk, seen), rows.data());
    const auto decided = scratch.zeroed<std::uint32_t>(steps.conditions ? spine.size() : 0);
    if (steps.conditions) decide_conditions(chunk, spine, steps, scratch, decided.data());
    for (std::uint32_t at = 0; at < count; ++at) {
      const std::uint32_t row = rows[at];
      const std::uint32_t code = spine.code8 != nullptr ? spine.code8[row] : spine.code16[row];
      const std::uint32_t mask = steps.plain[code] | (steps.conditions ? decided[row] : 0);
      if (mask == 0) continue;
      const std::uint32_t profile = spine.profile[row] + spine.id_offset;
      if (late.tracked()) late.see(profile, chunk.start_ms() + spine.time[row]);
      out.push_back({profile, static_cast<std::uint32_t>(index), spine.first_row + row, mask});
    }
  }

  // decided[spine row] = steps whose conditions the row meets.
  void decide_conditions(ChunkView& chunk, const SpineView& spine, const ChunkSteps& steps, Scratch& scratch,
                         std::uint32_t* decided) const {
    for (std::size_t code = 0; code < steps.conditional.size(); ++code) {
      if (steps.conditional[code] == 0) continue;
      const auto view = chunk.slice(chunk.chunk().slices[code]);
      if (!view) continue;
      const auto rows = scratch.lease<std::uint32_t>(view->row_count + simd::kSlack);
      for (std::uint32_t mask = steps.conditional[code]; mask != 0; mask &= mask - 1) {
        const auto step = static_cast<std::uint32_t>(__builtin_ctz(mask));
        for (std::uint32_t i = 0; i < view->row_count; ++i) rows[i] = i;
        const std::uint32_t kept = filter_rows(*view, steps_[step].where, scratch, rows.data(), view->row_count);
        for (std::uint32_t i = 0; i < kept; ++i) {
          decided[view->slice->posting(view->first_row + rows[i]) - spine.first_row] |= 1u << step;
        }
      }
    }
  }

  // Of the profiles that entered, those that count: into their groups, by depth.
  template <class Depth>
  void count_depths(const QueryContext& context, const Task& task, Scratch& scratch, std::uint32_t* profiles,
                    std::uint32_t count, FunnelPartial& partial, Depth depth_of_profile) const {
    const ProfileFilter filter(context, task, scratch);
    if (!filter.everybody() || !task.late.empty()) {
      std::uint32_t kept = 0;
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t profile = profiles[i];
        const bool late = !task.late.empty() && ((task.late[profile >> 6] >> (profile & 63)) & 1) != 0;
        profiles[kept] = profile;
        kept += filter.has(profile) && !late;
      }
      count = kept;
    }
    const auto groups = scratch.lease<std::uint32_t>(count);
    const Breakdown::TaskTraits traits(breakdown_, task, scratch);
    breakdown_.profile_groups(traits, profiles, count, partial.groups, groups.data());
    if (partial.groups.size() != 0) partial.add(partial.groups.size() - 1, 1, 0);
    const std::size_t steps = step_count();
    std::uint64_t* const depths = partial.depths.data();
    for (std::uint32_t i = 0; i < count; ++i) ++depths[groups[i] * steps + depth_of_profile(profiles[i]) - 1];
  }

  std::vector<BoundSelector> steps_;
  std::vector<NameId> names_;
  Breakdown breakdown_;
  std::int64_t window_;
  bool strictly_later_;
  std::optional<std::int64_t> limit_;
};

}  // namespace

std::unique_ptr<KindSpec> parse_funnel(Fields& fields, const CommonSpec& common) {
  auto spec = std::make_unique<FunnelSpec>();
  parse_funnel_fields(fields, common, *spec);
  return spec;
}

CountedKind FunnelSpec::counted() const {
  auto out = std::make_unique<FunnelSpec>(*this);
  out->times.clear();
  out->interval.reset();
  out->frequency.reset();
  return {std::move(out), "step_1"};
}

std::unique_ptr<Kind> FunnelSpec::bind(const Binding& binding) const {
  const bool on_clocks = !binding.common.zone_trait.empty();
  if (!is_plain() || has_members(binding.common.breakdown) || on_clocks) return make_attempts_funnel(*this, binding);
  return std::make_unique<FunnelKind>(binding, steps, rules.window, rules.strictly_later);
}

}  // namespace cdp
