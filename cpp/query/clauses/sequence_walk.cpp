#include "query/clauses/sequence_walk.hpp"

#include <algorithm>
#include <bit>

#include "query/clauses/row_walk.hpp"

namespace cdp {
namespace {

// The newest chain that ends at a step.
struct End {
  std::int64_t time_ms;
  std::int64_t start_ms;
};

// Adds a row to the chains of one story. `alive`: a bit a step, of the ends that there are. True when a match ends.
inline bool add_row(const WalkedSequence& sequence, std::int64_t time_ms, std::uint32_t steps, bool breaks,
                    std::uint8_t& alive, End* ends) noexcept {
  const std::size_t last = sequence.gap_most_ms.size();
  std::uint32_t live = alive, filled = 0;
  // From the last step down: a row extends chains of earlier rows only.
  while (steps != 0) {
    const auto step = static_cast<std::uint32_t>(std::bit_width(steps)) - 1;
    steps ^= 1u << step;
    std::int64_t start_ms = time_ms;
    if (step != 0) {
      if (((live >> (step - 1)) & 1) == 0) continue;
      if (time_ms - ends[step - 1].time_ms > sequence.gap_most_ms[step - 1]) continue;
      start_ms = ends[step - 1].start_ms;
    }
    if (step < last) {
      ends[step] = {time_ms, start_ms};
      filled |= 1u << step;
      live |= 1u << step;
    } else if (time_ms - start_ms <= sequence.within_ms) {
      alive = 0;  // matches share no row and do not overlap
      return true;
    }
  }
  alive = static_cast<std::uint8_t>(breaks ? filled : live);
  return false;
}

// The stories of each profile, one a value: few, so a list that is looked through.
class HeldChains {
 public:
  static constexpr std::uint32_t kValuesMost = 64;  // of one profile

  HeldChains(const WalkedSequence& sequence, std::uint32_t profiles, Scratch& scratch)
      : ends_(sequence.gap_most_ms.size()), heads_(scratch.lease<Head>(profiles)) {
    std::fill_n(heads_.data(), profiles, Head{});
  }
  struct Story {
    std::uint8_t* alive = nullptr;
    End* ends = nullptr;
  };
  // Null where there is none yet and none is begun.
  [[nodiscard]] Story of(std::uint32_t profile, const Value& value, bool begins) {
    for (std::uint32_t node = heads_[profile].node; node != kNone; node = nodes_[node].next) {
      if (nodes_[node].bits == value.bits && nodes_[node].type == value.type) return story(node);
    }
    if (!begins) return {};
    const auto node = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back({value.bits, value.type, 0, heads_[profile].node});
    all_ends_.resize(all_ends_.size() + ends_);
    heads_[profile] = {node, heads_[profile].count + 1};
    return story(node);
  }
  [[nodiscard]] bool has_many(std::uint32_t profile) const noexcept { return heads_[profile].count > kValuesMost; }

 private:
  struct Head {
    std::uint32_t node = kNone, count = 0;
  };
  struct Node {
    std::uint64_t bits;
    ValueType type;
    std::uint8_t alive;
    std::uint32_t next;
  };
  [[nodiscard]] Story story(std::uint32_t node) noexcept {
    return {&nodes_[node].alive, all_ends_.data() + std::size_t{node} * ends_};
  }
  std::size_t ends_;  // steps but the last
  Scratch::Lease<Head> heads_;
  std::vector<Node> nodes_;
  std::vector<End> all_ends_;
};

void count_plain(const WalkedSequence& sequence, const RowWalk& walk, const Task& task, const TimeRange& range,
                 Scratch& scratch, std::span<const std::uint64_t> candidates, std::span<std::uint32_t> matches,
                 std::span<std::uint64_t> left) {
  const std::size_t steps = sequence.steps.size(), ends_each = steps - 1;
  const std::uint32_t step_bits = (1u << steps) - 1;
  const auto alive = scratch.zeroed<std::uint8_t>(task.size());
  const auto ends = scratch.lease<End>(std::size_t{task.size()} * ends_each);
  walk.each(task, range, scratch, candidates, left, [&](const RowWalk::At& at) {
    matches[at.profile] += add_row(sequence, at.time_ms, at.selectors & step_bits, (at.selectors >> steps) != 0,
                                   alive[at.profile], ends.data() + std::size_t{at.profile} * ends_each)
                               ? 1
                               : 0;
  });
}

void count_held(const WalkedSequence& sequence, const RowWalk& walk, const Task& task, const TimeRange& range,
                Scratch& scratch, std::span<const std::uint64_t> candidates, std::span<std::uint32_t> matches,
                std::span<std::uint64_t> left) {
  const std::size_t steps = sequence.steps.size();
  const std::uint32_t step_bits = (1u << steps) - 1;
  HeldChains chains(sequence, task.size(), scratch);
  WalkValues values(*sequence.hold, scratch);
  walk.each(task, range, scratch, candidates, left, [&](const RowWalk::At& at) {
    const Value& value = values.of(at);
    if (value.type == ValueType::kNull || value.type == ValueType::kItems) return;
    const bool has_many = value.type == ValueType::kList || chains.has_many(at.profile);
    if (has_many) left[at.profile >> 6] |= std::uint64_t{1} << (at.profile & 63);
    if (has_many) return;
    const HeldChains::Story story = chains.of(at.profile, value, (at.selectors & 1) != 0);
    if (story.alive == nullptr) return;
    const bool ends =
        add_row(sequence, at.time_ms, at.selectors & step_bits, (at.selectors >> steps) != 0, *story.alive, story.ends);
    matches[at.profile] += ends ? 1 : 0;
  });
}

}  // namespace

void count_walked(const WalkedSequence& sequence, const Task& task, const TimeRange& range, Scratch& scratch,
                  std::span<const std::uint64_t> candidates, std::span<std::uint32_t> matches,
                  std::span<std::uint64_t> left) {
  if (sequence.is_held && !sequence.hold) return;
  std::vector<const BoundTimed*> selectors = sequence.steps;
  if (sequence.without != nullptr) selectors.push_back(sequence.without);
  const RowWalk walk(std::move(selectors));
  (sequence.is_held ? count_held : count_plain)(sequence, walk, task, range, scratch, candidates, matches, left);
}

}  // namespace cdp
