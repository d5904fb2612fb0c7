// How long events stay, by name. The rules come from definitions in the log, so replay gives the same.
//
// Law: a row of a name at time t is there, asked at `now` of a version at engine time e, iff
//   t > max(cut of the name, max(now, e) − window of the name).
// When rules are replaced, what the old ones had reached by then becomes the cut: what was past retention once never comes
// back, and so no answer tells whether its rows have been dropped yet. Rows are dropped by merges, at engine time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "column/chunk.hpp"
#include "column/dictionary.hpp"

namespace cdp {

// Windows in milliseconds, above 0.
struct RetentionRules {
  std::map<std::string, std::int64_t, std::less<>> of_name;
  std::optional<std::int64_t> others;  // of every name without a rule
};

// The rules at one instant. Everything is INT64_MIN (INT64_MAX for an end) where rows stay for ever.
class Horizon {
 public:
  [[nodiscard]] bool has(NameId name, std::int64_t time_ms) const noexcept { return time_ms > of(name).cut_ms; }
  // Up to when the name's rows are gone, and those of the name of which most are.
  [[nodiscard]] std::int64_t cut_ms(NameId name) const noexcept { return of(name).cut_ms; }
  [[nodiscard]] std::int64_t latest_cut_ms() const noexcept { return latest_cut_ms_; }
  // When a row that is there will be gone.
  [[nodiscard]] std::int64_t end_ms(NameId name, std::int64_t time_ms) const noexcept {
    const std::int64_t window_ms = of(name).window_ms;
    return window_ms == INT64_MAX ? INT64_MAX : time_ms + window_ms;
  }
  friend bool operator==(const Horizon&, const Horizon&) = default;

 private:
  friend class Retention;
  struct Rule {
    std::int64_t cut_ms = INT64_MIN;
    std::int64_t window_ms = INT64_MAX;
    friend bool operator==(const Rule&, const Rule&) = default;
  };
  [[nodiscard]] const Rule& of(NameId name) const noexcept;
  std::vector<std::pair<NameId, Rule>> names_;  // ascending
  Rule others_;
  std::int64_t latest_cut_ms_ = INT64_MIN;
};

class Retention {
 public:
  // Immutable: the state after these rules took the place of those of `before` (may be null) at engine time `tick_ms`.
  [[nodiscard]] static std::shared_ptr<const Retention> replace(const Retention* before, RetentionRules rules,
                                                                std::int64_t tick_ms);
  // `now_ms`: the later of the instant asked at and engine time.
  [[nodiscard]] Horizon at(const Dictionary& names, std::int64_t now_ms) const;

 private:
  [[nodiscard]] std::int64_t window_ms(std::string_view name) const;
  [[nodiscard]] std::int64_t cut_ms(std::string_view name, std::int64_t now_ms) const;
  RetentionRules rules_;
  std::map<std::string, std::int64_t, std::less<>> cuts_;  // of names that ever had a rule of their own
  std::int64_t others_cut_ms_ = INT64_MIN;
};

struct Version;
// Of the version, asked at an instant; nothing when rows stay for ever.
[[nodiscard]] std::optional<Horizon> horizon_of(const Version& version, std::int64_t now_ms);

// How much of a chunk is past its horizon, by a look at the bounds of times alone.
enum class Expired { kNone, kSome, kAll };
[[nodiscard]] Expired expired(const Chunk& chunk, const Horizon& horizon) noexcept;

// Calls visit(spine row) for every row of the chunk that is past its horizon, name by name. O(rows of names that may have
// such).
template <class Visit>
void each_expired(const Chunk& chunk, const Horizon& horizon, Visit&& visit) {
  const std::int64_t start_ms = partition_start_ms(chunk.partition);
  for (const Slice& slice : chunk.slices) {
    const std::int64_t cut_ms = horizon.cut_ms(slice.name);
    if (cut_ms < start_ms + chunk.time_min) continue;
    for (std::uint32_t row = 0; row < slice.row_count; ++row) {
      const std::uint32_t spine_row = slice.posting(row);
      if (start_ms + chunk.time[spine_row] <= cut_ms) visit(spine_row);
    }
  }
}

}  // namespace cdp
