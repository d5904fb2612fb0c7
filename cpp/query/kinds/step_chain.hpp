// The state of an ordered funnel: per step, the LATEST start of any path that has reached it.
//
// A step's start only ever moves forward in time, and a later start leaves more of the window, so the latest one reaches
// whatever any other would: one number a step answers "how deep did the best entry get" in one pass (as ClickHouse's
// windowFunnel; reference: brute force in tests/cpp/query_funnel_test.cpp).
#pragma once

#include <cstdint>

namespace cdp {

inline constexpr std::int64_t kNoStart = -(std::int64_t{1} << 62);  // time − kNoStart exceeds every window
inline constexpr std::int64_t kNoWindow = std::int64_t{1} << 61;
inline constexpr std::uint32_t kStepsMax = 32;

// One step. `before` is the start as it was before the millisecond `at`: what an event of that very millisecond may build
// on when equal times do not count as later.
struct StepChain {
  std::int64_t start = kNoStart;
  std::int64_t at = kNoStart;
  std::int64_t before = kNoStart;

  void reach(std::int64_t from, std::int64_t time) noexcept {
    if (at < time) before = start, at = time;
    start = from;
  }
  [[nodiscard]] std::int64_t start_for(std::int64_t time, bool strictly_later) const noexcept {
    return strictly_later && at == time ? before : start;
  }
};

// One event at `time` that fills any one of `steps` (a bit a step). Later steps first: an event fills one step only.
// REQUIRES: events of a profile in event order; `enters`: the event's time lies in the range.
inline void advance(StepChain* chains, std::uint32_t steps, std::int64_t time, bool enters, std::int64_t window,
                    bool strictly_later) noexcept {
  for (; (steps & ~1u) != 0;) {
    const std::uint32_t step = 31u - static_cast<std::uint32_t>(__builtin_clz(steps));
    steps &= ~(1u << step);
    const std::int64_t from = chains[step - 1].start_for(time, strictly_later);
    if (time - from <= window) chains[step].reach(from, time);
  }
  if ((steps & 1) != 0 && enters) chains[0].reach(time, time);
}

// Steps reached: they are always the first ones.
[[nodiscard]] inline std::uint32_t depth_of(const StepChain* chains, std::uint32_t steps) noexcept {
  std::uint32_t depth = 0;
  while (depth < steps && chains[depth].start != kNoStart) ++depth;
  return depth;
}

}  // namespace cdp
