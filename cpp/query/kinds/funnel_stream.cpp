#include "query/kinds/funnel_stream.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>

#include "query/budget.hpp"
#include "query/kinds/event_names.hpp"
#include "query/kinds/late_rows.hpp"
#include "simd/primitives.hpp"

namespace cdp {
namespace {

using Order = FunnelRules::Order;
using Mode = FunnelRules::ExclusionMode;

constexpr std::size_t kStatesMost = 31;                      // and the one of entries: a bit each
constexpr std::uint32_t kTiedShareMost = 64;                 // one profile in so many may go through its rows
constexpr std::int64_t kTimeFarMs = 390'000LL * 86'400'000;  // buckets are laid up to about the year 3065

enum class WindowType : std::uint8_t { kTotal, kStep, kCalendar, kSession };

WindowType window_of(const FunnelRules& rules) noexcept {
  if (rules.calendar) return WindowType::kCalendar;
  if (rules.session_gap != 0) return WindowType::kSession;
  return rules.step_window != 0 ? WindowType::kStep : WindowType::kTotal;
}

[[nodiscard]] inline std::int64_t select(bool first, std::int64_t left, std::int64_t right) noexcept {
  return right ^ ((left ^ right) & -static_cast<std::int64_t>(first));  // no branch, whatever the compiler thinks of it
}

// What rows of some selectors do.
struct Role {
  std::uint32_t keep = ~0u;    // states whose paths go on behind such a row
  std::uint32_t excluded = 0;  // states that an exclusion ends
  std::uint32_t first_move = 0;
  std::uint32_t move_count = 0;
  std::uint32_t step = 0;  // with any_order: the one it takes, `steps` for none
};
struct Move {
  std::uint32_t from;
  std::uint32_t to;
};

// The visible rows of a chunk that some selector selects.
struct ChunkRows {
  SpineView spine;
  const std::uint32_t* rows;
  std::uint32_t count;
  std::int64_t start_ms;
  std::span<const std::uint64_t> plain;  // selectors of each code
  const std::uint64_t* decided;          // of each row; null where conditions say nothing
  const std::uint32_t* role;             // of each code, when nothing else decides
  bool sparse;                           // rows of no step are left out, and stand between others all the same
  const std::uint32_t* session;          // of each row the start of its session in this chunk, when they are left out
  [[nodiscard]] std::uint32_t code(std::uint32_t row) const noexcept {
    return spine.code8 != nullptr ? spine.code8[row] : spine.code16[row];
  }
  [[nodiscard]] std::uint64_t selectors(std::uint32_t row) const noexcept {
    return plain[code(row)] | (decided != nullptr ? decided[row] : 0);
  }
};

}  // namespace

std::optional<FunnelStream> FunnelStream::of(const FunnelRules& rules, std::vector<FirstRows> firsts,
                                             std::uint64_t kept) {
  const bool excludes = !rules.exclusions.empty();
  if (rules.count != FunnelRules::Count::kProfiles || rules.grace != 0) return std::nullopt;
  FunnelStream out;
  out.firsts_ = std::move(firsts);
  out.kept_ = kept;
  if (rules.order == Order::kAnyOrder) {
    if (rules.anchored != 0 || excludes) return std::nullopt;
    for (std::uint32_t step = 0; step < rules.steps; ++step)
      out.outcomes_.push_back(static_cast<std::uint32_t>((std::uint64_t{2} << step) - 1));
    return out;
  }
  // A pair of steps with an optional one between them has rules of its own for what lies there.
  if (rules.optional != 0 && (rules.order != Order::kInOrder || excludes)) return std::nullopt;
  // The best path, then cut: only where it is the earliest one is it known from its state.
  const bool cuts = excludes && rules.exclusion_mode != Mode::kAnyCleanPath;
  if (cuts && (rules.order != Order::kInOrder || rules.step_window != 0)) return std::nullopt;
  if (!out.add_states(rules)) return std::nullopt;
  return out;
}

// Every choice of optional steps, each state behind the one it comes from; numbered by worth, which puts it there.
bool FunnelStream::add_states(const FunnelRules& rules) {
  std::vector<State> found{{0, 1, 0}};
  std::vector<std::uint32_t> before{0};  // taken, of the state it comes from
  for (std::size_t at = 0; at < found.size(); ++at) {
    const State from = found[at];
    for (std::uint32_t step = from.step + 1; step < rules.steps; ++step) {
      found.push_back({step, from.taken | 1u << step, 0});
      before.push_back(from.taken);
      if (found.size() > kStatesMost) return false;
      if (((rules.optional >> step) & 1) == 0) break;
    }
  }
  std::vector<std::size_t> order(found.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
    return is_worth_more(rules, found[right].taken, found[left].taken);
  });
  for (const std::size_t i : order) {
    states_.push_back(found[i]);
    outcomes_.push_back(found[i].taken);
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto from = std::find(outcomes_.begin(), outcomes_.end(), before[order[i]]);
    states_[i].from = before[order[i]] == 0 ? 0 : static_cast<std::uint32_t>(from - outcomes_.begin()) + 1;
  }
  return true;
}

// One task.
class FunnelStreamRun {
 public:
  FunnelStreamRun(const FunnelStream& stream, const FunnelRules& rules, const RowMatcher& matcher,
                  const TimeRange& seen, Task& task, Scratch& scratch)
      : stream_(stream),
        rules_(rules),
        matcher_(matcher),
        seen_(seen),
        task_(task),
        scratch_(scratch),
        late_(task, scratch, rules.strictly_later),
        is_any_order_(rules.order == Order::kAnyOrder),
        first_entry_(rules.attempt == FunnelRules::Attempt::kFirstEntry),
        places_((is_any_order_ ? rules.steps : static_cast<std::uint32_t>(stream.states_.size())) + 1),
        head_(rules.session_gap != 0 ? kFirstSession + 1 : kMore + 1),
        stride_(head_ + places_),
        state_(scratch.lease<std::int64_t>(std::size_t{task.size()} * stride_)) {
    static_cast<void>(role_of(std::uint64_t{0}));
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      std::int64_t* const state = state_.data() + std::size_t{profile} * stride_;
      state[kMasks] = state[kMore] = 0;
      if (rules.session_gap != 0) state[kLast] = state[kSession] = kNoStart;
      if (is_any_order_) std::fill_n(state + head_, places_, kNoStart);
    }
  }

  [[nodiscard]] std::optional<Scratch::Lease<std::uint32_t>> run() {
    for (std::size_t i = 0; i < task_.chunks.size(); ++i) {
      if (task_.budget != nullptr) task_.budget->check();
      late_.begin_chunk(i);
      if (!add_chunk(*task_.chunks[i])) return std::nullopt;
    }
    late_.mark(task_);
    auto out = scratch_.lease<std::uint32_t>(task_.size());
    for (std::uint32_t profile = 0; profile < task_.size(); ++profile) {
      const Masks masks = std::bit_cast<Masks>(state_[std::size_t{profile} * stride_ + kMasks]);
      const More more = std::bit_cast<More>(state_[std::size_t{profile} * stride_ + kMore]);
      const std::uint32_t furthest =
          is_any_order_ ? (first_entry_ ? static_cast<std::uint32_t>(std::popcount(masks.reached)) : masks.reached)
                        : static_cast<std::uint32_t>(std::bit_width(masks.reached >> 1));
      out[profile] = more.removed != 0 ? 0 : furthest;
    }
    return out;
  }

 private:
  // Of a profile: masks, what first rows and exclusions have done; where sessions matter the last row and its session, and the
  // first row of this chunk and its session; then a number a state; with any_order the newest row of each step and the newest entry.
  enum : std::uint32_t { kMasks, kMore, kLast, kSession, kFirst, kFirstSession };
  struct Masks {
    std::uint32_t alive;    // states that paths stand in; with any_order: 1 when there was an entry
    std::uint32_t reached;  // that any ever did; with any_order how many steps, or which
  };
  struct More {
    std::uint32_t gone;  // steps whose first row has been
    std::uint32_t removed;
  };

  // False where the rows must be walked.
  [[nodiscard]] bool add_chunk(const Chunk& of) {
    ChunkView chunk(of, task_, scratch_);
    if (chunk.outside(seen_)) return true;
    const RowMatcher::Codes codes = matcher_.codes_of(of);
    if (!codes.any) return true;
    if (is_any_order_ && fills_several(codes)) return false;
    const SpineView spine = chunk.spine();
    const bool sparse = leaves_out(spine, codes);
    const std::vector<std::uint8_t> wanted = wanted_codes(codes, sparse);
    const auto rows = scratch_.lease<std::uint32_t>(spine.size() + simd::kSlack);
    const std::uint32_t count = visible_rows(chunk, spine, wanted.data(), rows.data());
    rows[count] = UINT32_MAX;
    const bool sessions = sparse && rules_.session_gap != 0;
    const auto session = scratch_.lease<std::uint32_t>(sessions ? spine.size() : 0);
    if (sessions) begin_sessions(spine, chunk.start_ms(), session.data());
    if (sparse && !sessions) end_at_first_rows(spine, wanted.data());
    const auto decided = scratch_.zeroed<std::uint64_t>(codes.conditions ? spine.size() : 0);
    if (codes.conditions) matcher_.decide(chunk, spine, codes, scratch_, decided.data());
    if (rules_.strictly_later && !mark_ties(spine, rows.data(), count)) return false;
    if (rules_.calendar && !use_calendar(of.partition)) return false;
    std::vector<std::uint32_t> role(codes.plain.size());
    const bool decides = codes.conditions || !stream_.firsts_.empty();
    for (std::size_t code = 0; code < role.size() && !decides; ++code) role[code] = role_of(codes.plain[code]);
    const ChunkRows chunk_rows{spine,
                               rows.data(),
                               count,
                               chunk.start_ms(),
                               codes.plain,
                               codes.conditions ? decided.data() : nullptr,
                               role.data(),
                               sparse,
                               sessions ? session.data() : nullptr};
    switch (window_of(rules_)) {
      case WindowType::kTotal: add_rows<WindowType::kTotal>(chunk_rows, decides); break;
      case WindowType::kStep: add_rows<WindowType::kStep>(chunk_rows, decides); break;
      case WindowType::kCalendar: add_rows<WindowType::kCalendar>(chunk_rows, decides); break;
      case WindowType::kSession: add_rows<WindowType::kSession>(chunk_rows, decides); break;
    }
    return true;
  }

  // Lays the calendar of the window over a partition; false where a bucket of it comes back.
  [[nodiscard]] bool use_calendar(std::int32_t partition) {
    if (buckets_ && partition == partition_) return true;
    const std::int64_t start_ms = partition_start_ms(partition);
    if (start_ms < -kTimeFarMs || start_ms > kTimeFarMs) return false;
    const std::int64_t before = buckets_ ? buckets_->starts().back() : INT64_MIN;
    buckets_.emplace(*rules_.calendar, start_ms, start_ms + limits::kPartitionMs - 1);
    partition_ = partition;
    return buckets_->pieces().size() == buckets_->starts().size() && buckets_->start_ms(0) >= before;
  }

  [[nodiscard]] bool fills_several(const RowMatcher::Codes& codes) const {
    const std::uint64_t steps = (std::uint64_t{1} << rules_.steps) - 1;
    for (std::size_t code = 0; code < codes.plain.size(); ++code) {
      if (std::popcount((codes.plain[code] | codes.conditional[code]) & steps) > 1) return true;
    }
    return false;
  }

  // Strict_all and sessions are about all rows, but what those of no step say can be told without looking at each: that
  // something lies in between, or when it was. Where rows of a profile lie together in one chunk, and every name counts.
  [[nodiscard]] bool leaves_out(const SpineView& spine, const RowMatcher::Codes& codes) const {
    const bool strict = rules_.order == Order::kStrictAll, sessions = rules_.session_gap != 0;
    if (strict == sessions || spine.profile_start == nullptr || late_.tracked()) return false;
    return std::none_of(codes.plain.begin(), codes.plain.end(), [](std::uint64_t plain) { return plain == 0; });
  }
  [[nodiscard]] std::vector<std::uint8_t> wanted_codes(const RowMatcher::Codes& codes, bool sparse) const {
    const std::uint64_t every = std::uint64_t{1} << (rules_.steps + rules_.exclusions.size());
    std::vector<std::uint8_t> wanted(std::max<std::size_t>(codes.plain.size(), 256));
    for (std::size_t code = 0; code < codes.plain.size(); ++code)
      wanted[code] = ((codes.plain[code] | codes.conditional[code]) & ~(sparse ? every : 0)) != 0;
    return wanted;
  }
  // Calls visit(state, first row, row behind the last) for each profile that has rows in the chunk.
  template <class Visit>
  void for_each_run(const SpineView& spine, Visit&& visit) {
    std::uint32_t start = 0, number = 0;
    const auto state_of = [&](std::uint32_t of) {
      return state_.data() + std::size_t{spine.start_profile[of] + spine.id_offset} * stride_;
    };
    for (std::uint32_t word = 0; word * 64 < spine.size(); ++word) {
      for (std::uint64_t bits = spine.profile_start[word]; bits != 0; bits &= bits - 1) {
        const std::uint32_t row = word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
        if (row != 0) visit(state_of(number++), start, row);
        start = row;
      }
    }
    if (spine.size() != 0) visit(state_of(number), start, spine.size());
  }
  // Paths end where the profile goes on with a row of no step.
  void end_at_first_rows(const SpineView& spine, const std::uint8_t* wanted) {
    for_each_run(spine, [&](std::int64_t* state, std::uint32_t first, std::uint32_t) {
      const std::uint32_t code = spine.code8 != nullptr ? spine.code8[first] : spine.code16[first];
      Masks masks = std::bit_cast<Masks>(state[kMasks]);
      masks.alive &= 0u - wanted[code];
      state[kMasks] = std::bit_cast<std::int64_t>(masks);
    });
  }
  // Sessions of the chunk as they begin in it, and of each profile what the first of them goes on with.
  void begin_sessions(const SpineView& spine, std::int64_t start_ms, std::uint32_t* session) {
    const std::uint32_t* const times = spine.time.data();
    const auto gap = static_cast<std::uint64_t>(rules_.session_gap);
    std::uint32_t begun = 0;
    for (std::uint32_t row = 0; row < spine.size(); ++row) {
      const bool starts = ((spine.profile_start[row >> 6] >> (row & 63)) & 1) != 0;
      const std::uint32_t since = times[row] - times[row - (row != 0 ? 1 : 0)];
      begun = starts | (since > gap) ? times[row] : begun;
      session[row] = begun;
    }
    for_each_run(spine, [&](std::int64_t* state, std::uint32_t first, std::uint32_t behind) {
      const std::int64_t first_ms = start_ms + times[first], last_ms = start_ms + session[behind - 1];
      const bool goes_on = first_ms - state[kLast] <= rules_.session_gap;
      state[kFirst] = first_ms;
      state[kFirstSession] = select(goes_on, state[kSession], first_ms);
      state[kSession] = select(last_ms == first_ms, state[kFirstSession], last_ms);
      state[kLast] = start_ms + times[behind - 1];
    });
  }

  std::uint32_t visible_rows(const ChunkView& chunk, const SpineView& spine, const std::uint8_t* wanted,
                             std::uint32_t* out) const {
    const std::uint32_t count = wanted_positions(spine, wanted, out);
    if (!chunk.crosses(seen_)) return count;
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      out[kept] = out[i];
      kept += seen_.contains(chunk.start_ms() + spine.time[out[i]]);
    }
    return kept;
  }

  // Profiles with two of these rows in one millisecond are late; false when they are many.
  [[nodiscard]] bool mark_ties(const SpineView& spine, const std::uint32_t* rows, std::uint32_t count) {
    for (std::uint32_t i = 1; i < count; ++i) {
      const std::uint32_t row = rows[i], before = rows[i - 1];
      if (spine.time[row] != spine.time[before] || spine.profile[row] != spine.profile[before]) continue;
      late_.add(spine.profile[row] + spine.id_offset);
      ++ties_;
    }
    return ties_ <= task_.size() / kTiedShareMost;
  }

  // --- what rows do
  [[nodiscard]] std::uint32_t role_of(std::uint64_t selectors) {
    Known& known = known_[(selectors * 0x9E3779B97F4A7C15u) >> (64 - kKnownBits)];
    if (known.selectors == selectors && known.role != kNone) return known.role;
    const auto [found, is_new] = role_number_.try_emplace(selectors, static_cast<std::uint32_t>(roles_.size()));
    if (is_new) roles_.push_back(make_role(selectors));
    known = {selectors, found->second};
    return found->second;
  }
  [[nodiscard]] Role make_role(std::uint64_t selectors) {
    Role out;
    const auto steps = static_cast<std::uint32_t>(selectors & ((std::uint64_t{1} << rules_.steps) - 1));
    out.step = steps == 0 ? rules_.steps : static_cast<std::uint32_t>(std::countr_zero(steps));
    out.first_move = static_cast<std::uint32_t>(moves_.size());
    if (is_any_order_ || selectors == 0) return out;
    // From the last step down a row fills one step only; upwards it goes on with what it has filled.
    for (std::uint32_t i = 0; i < rules_.steps; ++i) {
      const std::uint32_t step = rules_.several ? i : rules_.steps - 1 - i;
      if (((steps >> step) & 1) == 0) continue;
      for (std::uint32_t state = 0; state < stream_.states_.size(); ++state) {
        if (stream_.states_[state].step == step) moves_.push_back({stream_.states_[state].from, state + 1});
      }
    }
    // One at least, so that rows do not differ in how many: from the entry to itself, which says nothing.
    if (moves_.size() == out.first_move) moves_.push_back({0, 0});
    out.move_count = static_cast<std::uint32_t>(moves_.size()) - out.first_move;
    const std::uint64_t exclusions = (selectors >> rules_.steps) & ((std::uint64_t{1} << rules_.exclusions.size()) - 1);
    for (std::uint32_t state = 0; state < stream_.states_.size(); ++state) {
      const std::uint32_t step = stream_.states_[state].step;
      const std::uint32_t bit = 2u << state;
      for (std::size_t i = 0; i < rules_.exclusions.size(); ++i) {
        const FunnelExclusion& each = rules_.exclusions[i];
        const bool lies_there = each.from <= step && each.to > step;
        if (((exclusions >> i) & 1) != 0 && lies_there) out.excluded |= bit;
      }
      const std::uint64_t own = std::uint64_t{3} << step;
      const bool forbidden = rules_.order == Order::kStrictAll ||
                             (rules_.order == Order::kStrictSteps && steps != 0 && (steps & own) == 0);
      if (forbidden) out.keep &= ~bit;
    }
    out.keep &= ~out.excluded;
    return out;
  }
  // Number of its role; 0: it counts for nothing.
  template <bool kDecides>
  [[nodiscard]] std::uint32_t role_of_row(const ChunkRows& chunk, std::uint32_t row, std::int64_t* state) {
    if constexpr (!kDecides) return chunk.role[chunk.code(row)];
    std::uint64_t selectors = chunk.selectors(row);
    if (!stream_.firsts_.empty()) {
      More more = std::bit_cast<More>(state[kMore]);
      const std::uint32_t gone = more.gone;
      for (const FirstRows& first : stream_.firsts_)
        more.gone |= static_cast<std::uint32_t>((selectors >> first.of) & 1) << first.step;
      state[kMore] = std::bit_cast<std::int64_t>(more);
      selectors &= ~std::uint64_t{gone} & stream_.kept_;
    }
    return role_of(selectors);
  }

  template <WindowType kWindow>
  void add_rows(const ChunkRows& chunk, bool decides) {
    if (is_any_order_) return decides ? count_rows<kWindow, true>(chunk) : count_rows<kWindow, false>(chunk);
    decides ? move_rows<kWindow, true>(chunk) : move_rows<kWindow, false>(chunk);
  }

  // What a window is told by: the time, or the start of the day or session it lies in.
  template <WindowType kWindow>
  [[nodiscard]] std::int64_t mark_of(const ChunkRows& chunk, std::uint32_t row, std::int64_t time_ms,
                                     std::int64_t* state) const noexcept {
    if constexpr (kWindow == WindowType::kCalendar) {
      return buckets_->start_ms(buckets_->bucket_of(time_ms));
    } else if constexpr (kWindow == WindowType::kSession) {
      if (chunk.session != nullptr) {
        const std::int64_t begun = chunk.start_ms + chunk.session[row];
        return select(begun == state[kFirst], state[kFirstSession], begun);
      }
      const std::int64_t session = select(time_ms - state[kLast] > rules_.session_gap, time_ms, state[kSession]);
      state[kLast] = time_ms;
      state[kSession] = session;
      return session;
    } else {
      return time_ms;
    }
  }
  template <WindowType kWindow>
  [[nodiscard]] std::int64_t reach() const noexcept {
    if constexpr (kWindow == WindowType::kTotal) return rules_.window;
    if constexpr (kWindow == WindowType::kStep) return rules_.step_window;
    return 0;  // the same day, the same session
  }

  template <WindowType kWindow, bool kDecides>
  [[gnu::noinline]] void move_rows(const ChunkRows& chunk) {
    const SpineView& spine = chunk.spine;
    const TimeRange range = rules_.range;
    const std::int64_t reach_ms = reach<kWindow>();
    const bool several = rules_.several, first_entry = first_entry_, tracked = late_.tracked();
    const bool sparse = chunk.sparse && rules_.order == Order::kStrictAll;
    const bool consumes = !rules_.exclusions.empty() && rules_.exclusion_mode != Mode::kAnyCleanPath;
    const bool removes = consumes && rules_.exclusion_mode == Mode::kRemove;
    const std::uint32_t stride = stride_, head = head_;
    std::int64_t* const states = state_.data() + std::size_t{spine.id_offset} * stride;
    for (std::uint32_t i = 0; i < chunk.count; ++i) {
      const std::uint32_t row = chunk.rows[i];
      const std::uint32_t profile = spine.profile[row];
      const std::int64_t time_ms = chunk.start_ms + spine.time[row];
      std::int64_t* const state = states + std::size_t{profile} * stride;
      std::int64_t* const starts = state + head;
      if (tracked) late_.see(profile + spine.id_offset, time_ms);
      const std::uint32_t number = role_of_row<kDecides>(chunk, row, state);
      if (kDecides && kWindow == WindowType::kSession && number == 0) continue;
      const Role& role = roles_[number];
      const std::int64_t mark = mark_of<kWindow>(chunk, row, time_ms, state);
      Masks masks = std::bit_cast<Masks>(state[kMasks]);
      const bool enters =
          ((time_ms >= range.start_ms) & (time_ms < range.end_ms) & (!first_entry | (masks.reached <= 1))) != 0;
      std::uint32_t alive = masks.alive | static_cast<std::uint32_t>(enters), took = 0;
      starts[0] = mark;
      const Move* move = moves_.data() + role.first_move;
      for (std::uint32_t left = role.move_count; left != 0; --left, ++move) {
        const std::uint32_t sources = several ? alive | took : alive;
        const std::int64_t start = starts[move->from];
        // Unsigned: what was never set may hold anything, and then the bit says no.
        const bool in_window = static_cast<std::uint64_t>(mark) - static_cast<std::uint64_t>(start) <=
                               static_cast<std::uint64_t>(reach_ms);
        const std::uint32_t ok = (sources >> move->from) & static_cast<std::uint32_t>(in_window);
        starts[move->to] = select(ok != 0, kWindow == WindowType::kStep ? mark : start, starts[move->to]);
        masks.reached |= ok << move->to;
        if (consumes) {
          alive &= ~(ok << move->from);
          took &= ~(ok << move->from);
        }
        took |= ok << move->to;
      }
      if (removes && (alive & role.excluded) != 0)
        remove_if_waiting(state, starts, alive & role.excluded, mark, reach_ms);
      masks.alive = ((alive & role.keep) | took) & ~1u;
      if (sparse) {
        // A row that was left out comes next.
        const std::uint32_t next = row + (row + 1 < spine.size() ? 1 : 0);
        const bool broken = (next != row) & (spine.profile[next] == profile) & (chunk.rows[i + 1] != next);
        masks.alive &= 0u - static_cast<std::uint32_t>(!broken);
      }
      state[kMasks] = std::bit_cast<std::int64_t>(masks);
    }
  }
  // An exclusion lies in an attempt that was still in its window.
  [[gnu::noinline]] static void remove_if_waiting(std::int64_t* state, const std::int64_t* starts, std::uint32_t ended,
                                                  std::int64_t mark, std::int64_t reach_ms) noexcept {
    More more = std::bit_cast<More>(state[kMore]);
    for (; ended != 0; ended &= ended - 1)
      more.removed |= mark - starts[static_cast<std::uint32_t>(std::countr_zero(ended))] <= reach_ms ? 1 : 0;
    state[kMore] = std::bit_cast<std::int64_t>(more);
  }

  // Any order.
  template <WindowType kWindow, bool kDecides>
  [[gnu::noinline]] void count_rows(const ChunkRows& chunk) {
    const SpineView& spine = chunk.spine;
    const TimeRange range = rules_.range;
    const std::uint32_t steps = rules_.steps, stride = stride_, head = head_;
    const std::int64_t reach_ms = reach<kWindow>();
    const bool first_entry = first_entry_, tracked = late_.tracked();
    std::int64_t* const states = state_.data() + std::size_t{spine.id_offset} * stride;
    for (std::uint32_t i = 0; i < chunk.count; ++i) {
      const std::uint32_t row = chunk.rows[i];
      const std::uint32_t profile = spine.profile[row];
      const std::int64_t time_ms = chunk.start_ms + spine.time[row];
      std::int64_t* const state = states + std::size_t{profile} * stride;
      std::int64_t* const newest = state + head;
      if (tracked) late_.see(profile + spine.id_offset, time_ms);
      const std::uint32_t number = role_of_row<kDecides>(chunk, row, state);
      if (kDecides && kWindow == WindowType::kSession && number == 0) continue;
      const Role& role = roles_[number];
      const std::int64_t mark = mark_of<kWindow>(chunk, row, time_ms, state);
      if (role.step == steps || time_ms < range.start_ms) continue;
      Masks masks = std::bit_cast<Masks>(state[kMasks]);
      const bool enters = time_ms < range.end_ms && !(first_entry && masks.alive != 0);
      newest[steps] = select(enters, mark, newest[steps]);
      newest[role.step] = mark;
      masks.alive |= static_cast<std::uint32_t>(enters);
      // Where a row of the range lies in the window that ends here, so does the first row of that window.
      const bool in_window = mark - newest[steps] <= reach_ms;
      if (first_entry) {
        masks.reached |= (masks.alive & static_cast<std::uint32_t>(in_window)) << role.step;
      } else {
        std::uint32_t done = 0;
        for (std::uint32_t step = 0; step < steps; ++step) done += mark - newest[step] <= reach_ms ? 1 : 0;
        masks.reached = std::max(masks.reached, in_window ? done : 0);
      }
      state[kMasks] = std::bit_cast<std::int64_t>(masks);
    }
  }

  static constexpr std::uint32_t kKnownBits = 6;
  struct Known {
    std::uint64_t selectors = 0;
    std::uint32_t role = kNone;
  };
  const FunnelStream& stream_;
  const FunnelRules& rules_;
  const RowMatcher& matcher_;
  TimeRange seen_;
  Task& task_;
  Scratch& scratch_;
  LateRows late_;
  bool is_any_order_;
  bool first_entry_;
  std::uint32_t places_;
  std::uint32_t head_;
  std::uint32_t stride_;
  Scratch::Lease<std::int64_t> state_;
  std::vector<Role> roles_;
  std::vector<Move> moves_;
  std::unordered_map<std::uint64_t, std::uint32_t> role_number_;  // by selectors
  std::array<Known, 1u << kKnownBits> known_;
  std::uint32_t ties_ = 0;
  std::optional<Buckets> buckets_;  // of the window, over this partition
  std::int32_t partition_ = 0;
};

std::optional<Scratch::Lease<std::uint32_t>> FunnelStream::run(const FunnelRules& rules, const RowMatcher& matcher,
                                                               const TimeRange& seen, Task& task,
                                                               Scratch& scratch) const {
  return FunnelStreamRun(*this, rules, matcher, seen, task, scratch).run();
}

}  // namespace cdp
