#include "query/clauses/edge_rows.hpp"

#include <algorithm>

#include "query/profile_mask.hpp"

namespace cdp {

EdgeRows::EdgeRows(Edge edge, const Task& task, Scratch& scratch)
    : edge_(edge),
      any_foreign_(std::ranges::any_of(task.chunks, [](const Chunk* chunk) { return !chunk->foreign.empty(); })),
      state_(scratch.zeroed<std::uint8_t>(task.size())),
      at_(scratch.lease<At>(task.size())),
      unsure_(scratch.zeroed<std::uint64_t>(kStripeWords)) {}

void EdgeRows::add(const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count,
                   const std::uint8_t* marked) {
  const bool is_last = edge_ == Edge::kLast;
  const std::uint32_t* time = in.view.chunk().time.data();
  const std::int64_t start_ms = in.view.start_ms();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t row = rows[i];
    // Rows of a profile lie one behind the other in a slice: only the outermost can be it.
    const std::uint16_t profile16 = view.profile[row];
    if (is_last ? i + 1 < count && view.profile[rows[i + 1]] == profile16
                : i != 0 && view.profile[rows[i - 1]] == profile16) {
      continue;
    }
    const std::uint32_t profile = profile16 + view.id_offset, spine_row = FoundIn::spine_row(view, row);
    const At next{start_ms + time[spine_row], row_place(in.chunk, spine_row)};
    std::uint8_t& state = state_[profile];
    At& known = at_[profile];
    if (state != 0) {
      if (next.time_ms == known.time_ms) {
        if (any_foreign_ && next.place >> 32 != known.place >> 32)
          unsure_[profile >> 6] |= std::uint64_t{1} << (profile & 63);
        if (is_last ? next.place < known.place : next.place > known.place) continue;
      } else if (is_last ? next.time_ms < known.time_ms : next.time_ms > known.time_ms) {
        continue;
      }
    }
    known = next;
    state = marked != nullptr && marked[row] != 0 ? 2 : 1;
  }
}

void EdgeRows::mark_unsure(std::span<std::uint64_t> bits) const noexcept {
  for (std::size_t word = 0; word < kStripeWords; ++word) bits[word] |= unsure_[word];
}

}  // namespace cdp
