// The rows of a task that some selectors match, in event order of each profile, with a bit a selector: for clauses whose answer is
// a walk over a profile's own story. ~4 ns a matched row, 0.05 ns a row scanned; conditions are decided by column before.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "query/budget.hpp"
#include "query/clauses/found_rows.hpp"
#include "query/kinds/event_names.hpp"
#include "query/kinds/late_rows.hpp"
#include "query/profile_mask.hpp"

namespace cdp {

class RowWalk {
 public:
  static constexpr std::size_t kSelectorsMax = 32;

  // REQUIRES: at most kSelectorsMax, not null; they outlive this.
  explicit RowWalk(std::vector<const BoundTimed*> selectors) : selectors_(std::move(selectors)) {}

  // What the rows of one name in one chunk come to.
  struct Role {
    std::uint32_t plain = 0;        // selectors that match them all
    std::uint32_t conditional = 0;  // and those that match some:
    Scratch::Lease<std::uint32_t> decided;
    std::optional<SliceView> view{};  // of what is wanted
    std::uint32_t next = 0;           // its row that comes next
  };
  struct At {
    std::uint32_t profile;
    std::int64_t time_ms;
    std::uint32_t selectors;
    std::uint64_t place;       // row_place
    std::uint32_t code;        // index into the roles of the chunk
    std::uint32_t slice_row;   // index into the role's view
    std::span<const Role> of;  // roles of the chunk
  };

  // visit(At) for rows in the range, of profiles in `candidates` (words). Those whose rows do not come in event order get
  // nonsense, and their bit in `late`; slow ones nonsense alone.
  template <class Visit>
  void each(const Task& task, const TimeRange& range, Scratch& scratch, std::span<const std::uint64_t> candidates,
            std::span<std::uint64_t> late_bits, Visit&& visit) const {
    LateRows late(task, scratch);
    std::vector<Role> roles;
    std::vector<std::uint8_t> wanted;
    for (std::size_t chunk_at = 0; chunk_at < task.chunks.size(); ++chunk_at) {
      if (task.budget != nullptr) task.budget->check();
      ChunkView chunk(*task.chunks[chunk_at], task, scratch);
      late.begin_chunk(chunk_at);
      if (chunk.outside(range) || !prepare(chunk, scratch, roles, wanted)) continue;
      const SpineView spine = chunk.spine();
      const auto rows = scratch.lease<std::uint32_t>(spine.size() + simd::kSlack);
      const std::uint32_t count = wanted_positions(spine, wanted.data(), rows.data());
      const bool crosses = chunk.crosses(range), tracked = late.tracked();
      const std::int64_t start_ms = chunk.start_ms();
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t row = rows[i];
        const std::uint32_t code = spine.code8 != nullptr ? spine.code8[row] : spine.code16[row];
        Role& role = roles[code];
        const std::uint32_t slice_row = role.next++;
        const std::uint32_t matched = role.plain | (role.conditional != 0 ? role.decided[slice_row] : 0);
        const std::uint32_t profile = spine.profile[row] + spine.id_offset;
        if (matched == 0 || ((candidates[profile >> 6] >> (profile & 63)) & 1) == 0) continue;
        const std::int64_t time_ms = start_ms + spine.time[row];
        if (crosses && !range.contains(time_ms)) continue;
        if (tracked) late.see(profile, time_ms);
        visit(At{profile, time_ms, matched, row_place(chunk_at, spine.first_row + row), code, slice_row, roles});
      }
    }
    late.each([&](std::uint32_t profile) { late_bits[profile >> 6] |= std::uint64_t{1} << (profile & 63); });
  }

 private:
  // False when no row of the chunk is wanted.
  bool prepare(ChunkView& chunk, Scratch& scratch, std::vector<Role>& roles, std::vector<std::uint8_t>& wanted) const;

  std::vector<const BoundTimed*> selectors_;
};

// Values of a property of the rows of a walk, read a slice at a time when its first row asks.
class WalkValues {
 public:
  WalkValues(KeyId key, Scratch& scratch) : key_(key), scratch_(scratch) {}
  [[nodiscard]] const Value& of(const RowWalk::At& at);

 private:
  KeyId key_;
  Scratch& scratch_;
  std::uint64_t chunk_ = UINT64_MAX;
  std::vector<Scratch::Lease<Value>> values_;  // by code
};

}  // namespace cdp
