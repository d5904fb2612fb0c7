#include "query/kinds/retention_rolling.hpp"

#include <algorithm>

#include "query/kinds/event_rows.hpp"

namespace cdp {
namespace {

// visit(profile, time) for the selector's rows of a task that lie in the range.
template <class Visit>
void for_each_row(const BoundSelector& selector, const TimeRange& range, const Task& task, Scratch& scratch,
                  Visit&& visit) {
  for (const Chunk* each : task.chunks) {
    ChunkView chunk(*each, task, scratch);
    if (chunk.outside(range)) continue;
    const LocalRange local = local_range(range, chunk.start_ms());
    const std::int64_t start_ms = chunk.start_ms();
    for_each_event(chunk, selector, scratch, [&](const EventRows& rows) {
      for (std::uint32_t i = 0; i < rows.count(); ++i) {
        const std::uint32_t time = rows.time(i);
        if (time >= local.low && time < local.high) visit(rows.profile(i), start_ms + time);
      }
    });
  }
}

}  // namespace

RollingPeriods::RollingPeriods(const Rules& rules, const BoundSelector& selector, const Task& task, Scratch& scratch)
    : periods_(static_cast<std::size_t>(rules.periods)),
      births_(scratch.lease<std::int64_t>(task.size())),
      counts_(scratch.zeroed<std::uint8_t>(task.size() * periods_)) {
  std::fill_n(births_.data(), births_.size(), INT64_MAX);
  const TimeRange births{rules.births.start_ms, std::min(rules.births.end_ms, rules.now_ms + 1)};
  for_each_row(selector, births, task, scratch, [&](std::uint32_t profile, std::int64_t time_ms) {
    births_[profile] = std::min(births_[profile], time_ms);
  });
  const auto length_ms = static_cast<std::uint64_t>(rules.length_ms);
  const TimeRange returns{births.start_ms, rules.now_ms + 1};
  for_each_row(selector, returns, task, scratch, [&](std::uint32_t profile, std::int64_t time_ms) {
    if (time_ms < births_[profile]) return;
    const auto since_ms = static_cast<std::uint64_t>(time_ms - births_[profile]);
    std::uint8_t& count = counts_[profile * periods_ + since_ms / length_ms];
    count += count < UINT8_MAX ? 1 : 0;
  });
}

}  // namespace cdp
