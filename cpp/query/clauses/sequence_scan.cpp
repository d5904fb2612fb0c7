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
  bool single = true;  // no code fills more than one step
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
    out.single &= std::popcount(role.steps) <= 1;
  }
  return out;
}

// Rows of a chunk that matter, in its order.
struct WantedRows {
  std::span<const std::uint32_t> rows;
  const SpineView& spine;
  std::int64_t start_ms;
  // visit(profile, time_ms, code) for each; the kind of codes is told once and not by row.
  template <class Visit>
  void each(Visit&& visit) const {
    spine.code8 != nullptr ? each_of(spine.code8, visit) : each_of(spine.code16, visit);
  }

 private:
  template <class Code, class Visit>
  void each_of(const Code* codes, Visit&& visit) const {
    const std::uint32_t* const time = spine.time.data();
    const std::uint16_t* const profile = spine.profile;
    const std::uint32_t offset = spine.id_offset;
    for (const std::uint32_t row : rows) visit(profile[row] + offset, start_ms + time[row], codes[row]);
  }
};

class Chains {
 public:
  Chains(const PlainSequence& sequence, std::uint32_t profiles, Scratch& scratch, std::span<std::uint32_t> matches)
      : sequence_(sequence),
        ends_(sequence.gap_most_ms.size()),
        alive_(scratch.zeroed<std::uint8_t>(profiles)),
        end_(scratch.lease<End>(std::size_t{profiles} * ends_)),
        matches_(matches) {}

  void add(const WantedRows& rows, const Roles& roles) {
    if (ends_ == 1 && roles.single) return add_pairs(rows, roles);
    rows.each([&](std::uint32_t profile, std::int64_t time_ms, std::uint32_t code) {
      add(profile, time_ms, roles.of_code[code]);
    });
  }

 private:
  struct End {
    std::int64_t time_ms;
    std::int64_t start_ms;
  };

  // Of two steps, where no code fills both: a chain is the time of its first row. No branch depends on a row.
  void add_pairs(const WantedRows& rows, const Roles& roles) {
    struct Effect {
      std::int64_t gap_most_ms = -1;  // of a row that may end a chain
      std::uint8_t begins = 0;
      std::uint8_t breaks = 0;
    };
    std::vector<Effect> effects(roles.of_code.size());
    for (std::size_t code = 0; code < effects.size(); ++code) {
      const CodeRole& role = roles.of_code[code];
      if ((role.steps & 2) != 0) effects[code].gap_most_ms = std::min(sequence_.gap_most_ms[0], sequence_.within_ms);
      effects[code].begins = role.steps & 1;
      effects[code].breaks = role.breaks;
    }
    const Effect* const effect_of = effects.data();
    std::uint8_t* const alive_of = alive_.data();
    End* const end_of = end_.data();
    std::uint32_t* const matches_of = matches_.data();
    rows.each([=](std::uint32_t profile, std::int64_t time_ms, std::uint32_t code) {
      const Effect& effect = effect_of[code];
      const std::uint32_t alive = alive_of[profile];
      // Where none is alive its time was perhaps never written, and counts for nothing.
      const auto gap_ms = static_cast<std::int64_t>(static_cast<std::uint64_t>(time_ms) -
                                                    static_cast<std::uint64_t>(end_of[profile].time_ms));
      const std::uint32_t matched = alive & static_cast<std::uint32_t>(gap_ms <= effect.gap_most_ms);
      const std::uint32_t begins = effect.begins;
      matches_of[profile] += matched;
      alive_of[profile] = static_cast<std::uint8_t>((alive & ~matched & ~std::uint32_t{effect.breaks}) | begins);
      const std::int64_t kept_ms = end_of[profile].time_ms;
      end_of[profile] = End{begins != 0 ? time_ms : kept_ms, begins != 0 ? time_ms : kept_ms};
    });
  }

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

  const PlainSequence& sequence_;
  std::size_t ends_;                    // steps but the last
  Scratch::Lease<std::uint8_t> alive_;  // a bit a step, of each profile
  Scratch::Lease<End> end_;             // of the newest chain at each step of each profile, where its bit is set
  std::span<std::uint32_t> matches_;
};

std::uint32_t keep_inside(const ChunkView& chunk, const SpineView& spine, const TimeRange& range, std::uint32_t* rows,
                          std::uint32_t count) {
  std::uint32_t kept = 0;
  for (std::uint32_t at = 0; at < count; ++at) {
    rows[kept] = rows[at];
    kept += range.contains(chunk.start_ms() + spine.time[rows[at]]) ? 1 : 0;
  }
  return kept;
}

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
    std::uint32_t count = wanted_positions(spine, roles.wanted.data(), rows.data());
    if (chunk.crosses(range)) count = keep_inside(chunk, spine, range, rows.data(), count);
    const WantedRows found{{rows.data(), count}, spine, chunk.start_ms()};
    if (late.tracked())
      found.each([&](std::uint32_t profile, std::int64_t time_ms, std::uint32_t) { late.see(profile, time_ms); });
    chains.add(found, roles);
  }
  late.each([&](std::uint32_t profile) { late_bits[profile >> 6] |= std::uint64_t{1} << (profile & 63); });
}

}  // namespace cdp
