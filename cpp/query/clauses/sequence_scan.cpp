#include "query/clauses/sequence_scan.hpp"

#include <algorithm>
#include <bit>

#include "query/budget.hpp"
#include "query/kinds/event_names.hpp"
#include "query/kinds/late_rows.hpp"
#include "simd/primitives.hpp"

namespace cdp {
namespace {

// What a code means: steps that its rows fill, and whether they end the chains that pass over them.
struct CodeRole {
  std::uint8_t steps = 0;
  std::uint8_t breaks = 0;
};

struct Roles {
  std::vector<CodeRole> of_code;
  std::vector<std::uint8_t> wanted;  // as wanted_positions asks for it
  bool any = false;
};

Roles roles_of(const PlainSequence& sequence, const Chunk& chunk) {
  Roles out;
  out.of_code.resize(chunk.slices.size());
  out.wanted.resize(std::max<std::size_t>(chunk.slices.size(), 256));
  for (std::size_t code = 0; code < chunk.slices.size(); ++code) {
    const NameId name = chunk.slices[code].name;
    CodeRole& role = out.of_code[code];
    for (std::size_t step = 0; step < sequence.steps.size(); ++step) {
      role.steps |= static_cast<std::uint8_t>(sequence.steps[step]->selects(name) << step);
    }
    role.breaks = sequence.without != nullptr && sequence.without->selects(name) ? 1 : 0;
    out.wanted[code] = role.steps != 0 || role.breaks != 0 ? 1 : 0;
    out.any |= out.wanted[code] != 0;
  }
  return out;
}

class Chains {
 public:
  Chains(const PlainSequence& sequence, std::uint32_t profiles, Scratch& scratch, std::span<std::uint32_t> matches)
      : sequence_(sequence),
        ends_(sequence.gap_most_ms.size()),
        alive_(scratch.zeroed<std::uint8_t>(profiles)),
        end_(scratch.lease<End>(std::size_t{profiles} * ends_)),
        matches_(matches) {}

  void add(std::uint32_t profile, std::int64_t time_ms, CodeRole role) noexcept {
    End* const ends = end_.data() + std::size_t{profile} * ends_;
    std::uint32_t alive = alive_[profile], filled = 0;
    // From the last step down: a row extends chains of earlier rows only.
    for (std::uint32_t steps = role.steps; steps != 0;) {
      const auto step = static_cast<std::uint32_t>(std::bit_width(steps)) - 1;
      steps ^= 1u << step;
      std::int64_t start_ms = time_ms;
      if (step != 0) {
        if (((alive >> (step - 1)) & 1) == 0) continue;
        if (time_ms - ends[step - 1].time_ms > sequence_.gap_most_ms[step - 1]) continue;
        start_ms = ends[step - 1].start_ms;
      }
      if (step < ends_) {
        ends[step] = {time_ms, start_ms};
        filled |= 1u << step;
        alive |= 1u << step;
      } else if (time_ms - start_ms <= sequence_.within_ms) {
        ++matches_[profile];
        alive_[profile] = 0;  // matches share no row and do not overlap
        return;
      }
    }
    alive_[profile] = static_cast<std::uint8_t>(role.breaks != 0 ? filled : alive);
  }

 private:
  struct End {
    std::int64_t time_ms;
    std::int64_t start_ms;
  };
  const PlainSequence& sequence_;
  std::size_t ends_;                    // steps but the last
  Scratch::Lease<std::uint8_t> alive_;  // a bit a step, of each profile
  Scratch::Lease<End> end_;             // of the newest chain at each step of each profile, where its bit is set
  std::span<std::uint32_t> matches_;
};

}  // namespace

void count_matches(const PlainSequence& sequence, const Task& task, const TimeRange& range, Scratch& scratch,
                   std::span<std::uint32_t> matches, std::span<std::uint64_t> late_bits) {
  Chains chains(sequence, task.size(), scratch, matches);
  LateRows late(task, scratch);
  for (std::size_t i = 0; i < task.chunks.size(); ++i) {
    if (task.budget != nullptr) task.budget->check();
    ChunkView chunk(*task.chunks[i], task, scratch);
    late.begin_chunk(i);
    if (chunk.outside(range)) continue;
    const Roles roles = roles_of(sequence, *task.chunks[i]);
    if (!roles.any) continue;
    const SpineView spine = chunk.spine();
    const auto rows = scratch.lease<std::uint32_t>(spine.size() + simd::kSlack);
    const std::uint32_t count = wanted_positions(spine, roles.wanted.data(), rows.data());
    const bool crosses = chunk.crosses(range);
    for (std::uint32_t at = 0; at < count; ++at) {
      const std::uint32_t row = rows[at];
      const std::int64_t time_ms = chunk.start_ms() + spine.time[row];
      if (crosses && !range.contains(time_ms)) continue;
      const std::uint32_t profile = spine.profile[row] + spine.id_offset;
      if (late.tracked()) late.see(profile, time_ms);
      chains.add(profile, time_ms, roles.of_code[spine.code8 != nullptr ? spine.code8[row] : spine.code16[row]]);
    }
  }
  late.each([&](std::uint32_t profile) { late_bits[profile >> 6] |= std::uint64_t{1} << (profile & 63); });
}

}  // namespace cdp
