// The window of a clause for one profile and instant: which events are inside, and when time alone changes that.
#pragma once

#include <cstdint>
#include <optional>

#include "query/moment.hpp"
#include "query/scan.hpp"
#include "query/spec.hpp"

namespace cdp {

class BoundWindow {
 public:
  BoundWindow(const RangeSpec& spec, const Version& version, const Moment& at);
  [[nodiscard]] const std::optional<KeyId>& trait() const noexcept { return trait_; }
  [[nodiscard]] bool resolved() const noexcept { return spec_.type != RangeSpec::Type::kSince || trait_.has_value(); }

  // The window as it stands for one profile.
  class Now {
   public:
    // Whether the event is inside; `until_ms` is lowered to when that may change.
    [[nodiscard]] bool holds(std::int64_t time_ms, std::int64_t& until_ms) const noexcept;
    // Times of the events inside, where the borders are the same for all profiles or this one is meant.
    [[nodiscard]] TimeRange inside() const noexcept;
    // Of times, half-open, now apart: for those who ask why.
    [[nodiscard]] TimeRange borders() const noexcept { return {start_ms_, end_ms_}; }

   private:
    friend class BoundWindow;
    std::int64_t now_ms_ = 0;
    std::int64_t start_ms_ = INT64_MIN, end_ms_ = INT64_MAX;  // of times, half-open, now apart
    std::int64_t enters_after_ms_ = 0;                        // an event is seen so much after its time
    std::int64_t leaves_after_ms_ = INT64_MAX;
    std::int64_t turns_ms_ = INT64_MAX;  // when the borders themselves may move
  };
  [[nodiscard]] Now at(const Version& version, Origin home, std::int64_t now_ms) const;
  // The borders hang on a trait.
  [[nodiscard]] bool of_each_profile() const noexcept { return spec_.type == RangeSpec::Type::kSince; }

 private:
  RangeSpec spec_;
  std::optional<KeyId> trait_;  // of kSince; empty: no profile has it
};

}  // namespace cdp
