// The first or the last of some rows of each profile of a task, in event order, whatever order they come in.
//
// Two rows of one time are in the order of their places, but where a profile was joined from several origins: then their order is
// another, and which comes first is left to whoever reads the rows.
#pragma once

#include <cstdint>
#include <span>

#include "query/clauses/found_rows.hpp"

namespace cdp {

class EdgeRows {
 public:
  enum class Edge : std::uint8_t { kFirst, kLast };

  EdgeRows(Edge edge, const Task& task, Scratch& scratch);
  // `marked`: a byte a row of the view, told with the row that is the edge; null: 0 of all.
  void add(const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count,
           const std::uint8_t* marked);
  [[nodiscard]] bool has(std::uint32_t profile) const noexcept { return state_[profile] != 0; }
  // REQUIRES: has(profile).
  [[nodiscard]] bool is_marked(std::uint32_t profile) const noexcept { return state_[profile] == 2; }
  [[nodiscard]] std::int64_t time_ms(std::uint32_t profile) const noexcept { return at_[profile].time_ms; }
  [[nodiscard]] std::uint64_t place(std::uint32_t profile) const noexcept { return at_[profile].place; }
  // Sets the bits of profiles whose edge it cannot tell.
  void mark_unsure(std::span<std::uint64_t> bits) const noexcept;

 private:
  struct At {
    std::int64_t time_ms;
    std::uint64_t place;
  };
  Edge edge_;
  bool any_foreign_ = false;            // some row of the task is of an origin that was joined
  Scratch::Lease<std::uint8_t> state_;  // 0: none yet, 1, 2: marked
  Scratch::Lease<At> at_;               // where there is one
  Scratch::Lease<std::uint64_t> unsure_;
};

}  // namespace cdp
