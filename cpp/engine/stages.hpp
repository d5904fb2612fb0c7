// How often and how long each stage of the way in ran. Each stage has one thread that adds, decode apart; anyone reads.
// Costs two looks at the clock a group (~50 ns), so it is always on.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace cdp {

enum class Stage : std::uint8_t {
  kDecode,  // a batch's bytes into its canonical form, in the submitting thread
  kLog,     // a group written and synced
  kApply,   // a group applied, its versions published
  kWatch,   // touched profiles tested again under the live predicates
};
inline constexpr std::array<std::string_view, 4> kStageNames{"decode", "log", "apply", "watch"};

struct StageTime {
  std::string_view stage;
  std::uint64_t count = 0;
  std::uint64_t total_ns = 0;
};

class StageTimes {
 public:
  using Clock = std::chrono::steady_clock;

  void add(Stage stage, Clock::duration taken) noexcept {
    Total& total = totals_[static_cast<std::size_t>(stage)];
    const auto taken_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count();
    total.ns.fetch_add(static_cast<std::uint64_t>(taken_ns), std::memory_order_relaxed);
    total.count.fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::array<StageTime, kStageNames.size()> read() const noexcept {
    std::array<StageTime, kStageNames.size()> out;
    for (std::size_t stage = 0; stage < out.size(); ++stage) {
      out[stage] = {kStageNames[stage], totals_[stage].count.load(std::memory_order_relaxed),
                    totals_[stage].ns.load(std::memory_order_relaxed)};
    }
    return out;
  }

 private:
  struct Total {
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::uint64_t> ns{0};
  };
  std::array<Total, kStageNames.size()> totals_;
};

}  // namespace cdp
