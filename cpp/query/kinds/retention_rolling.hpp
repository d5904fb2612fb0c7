// Retention whose periods roll from each profile's first event, where that is its own return: from the slices in two looks, first
// for births, then for how often each profile came in each period. In any order, so nothing is ever late. ~10 ns a row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "query/condition.hpp"
#include "query/scan.hpp"
#include "query/scratch.hpp"

namespace cdp {

class RollingPeriods {
 public:
  static constexpr std::int64_t kPeriodsMost = 256;  // a byte each

  struct Rules {
    TimeRange births;
    std::int64_t now_ms = 0;  // no row behind it counts
    std::int64_t length_ms = 1;
    std::int64_t periods = 0;  // at most kPeriodsMost; none lies behind them
  };
  RollingPeriods(const Rules& rules, const BoundSelector& selector, const Task& task, Scratch& scratch);
  [[nodiscard]] std::optional<std::int64_t> birth_ms(std::uint32_t profile) const noexcept {
    return births_[profile] == INT64_MAX ? std::nullopt : std::optional(births_[profile]);
  }
  // Of each period how many rows lie in it, up to 255, the birth among them.
  [[nodiscard]] std::span<const std::uint8_t> counts(std::uint32_t profile) const noexcept {
    return {counts_.data() + profile * periods_, periods_};
  }

 private:
  std::size_t periods_;
  Scratch::Lease<std::int64_t> births_;
  Scratch::Lease<std::uint8_t> counts_;
};

}  // namespace cdp
