// The rows of each profile that any of some selectors selects, in event order, with a bit a selector: what a kind needs whose
// answer is a walk over a profile's own story.
//
// Over a task they are gathered by code, conditions decided by column, and laid out by profile. ~5 ns a matched row. Profiles
// whose rows a task does not see in order are marked late and left out, like those slow or outside `where`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "query/condition.hpp"
#include "query/kernel.hpp"
#include "query/kinds/late_rows.hpp"
#include "store/event_store.hpp"

namespace cdp {

struct MatchedRow {
  std::int64_t time_ms = 0;
  std::uint64_t selectors = 0;  // a bit each
  const Row* row = nullptr;     // the row, or where it lies:
  const Chunk* chunk = nullptr;
  std::uint32_t spine_row = 0;
  std::uint32_t held = 0;  // number of its tuple of held values, of this task; kNotHeld where it lacks one
};
inline constexpr std::uint32_t kNotHeld = UINT32_MAX;
inline constexpr std::uint32_t kHeldSeveral = UINT32_MAX - 1;  // a list holds several: they are told from the row alone
[[nodiscard]] Row row_of(const MatchedRow& matched, Origin home);

class RowMatcher {
 public:
  static constexpr std::size_t kSelectorsMax = 64;

  RowMatcher() = default;
  explicit RowMatcher(std::vector<BoundSelector> selectors);  // REQUIRES: at most kSelectorsMax
  // Rows of a task tell their values of these properties; none: of one that the store has never seen.
  void hold(std::vector<std::optional<KeyId>> keys) { held_ = std::move(keys); }
  [[nodiscard]] const std::vector<NameId>& names() const noexcept { return names_; }

  // Of one profile. REQUIRES: rows in event order; `out` refers to them.
  void match(std::span<const Row> rows, const TimeRange& seen, std::vector<MatchedRow>& out) const;

  // What the codes of a chunk mean: selectors of each, a bit each.
  struct Codes {
    std::vector<std::uint64_t> plain;        // without conditions,
    std::vector<std::uint64_t> conditional;  // and with
    bool any = false;
    bool conditions = false;
  };
  [[nodiscard]] Codes codes_of(const Chunk& chunk) const;
  // Adds to each row of the view the selectors whose conditions it meets. REQUIRES: a number a row, that no condition has set.
  void decide(ChunkView& chunk, const SpineView& spine, const Codes& codes, Scratch& scratch,
              std::uint64_t* decided) const;

  using Visit = std::function<void(std::uint32_t profile, std::span<const MatchedRow> rows)>;
  // Of every profile of the task that has some.
  void for_each_profile(const QueryContext& context, Task& task, Scratch& scratch, const TimeRange& seen,
                        const Visit& visit) const;

 private:
  class Gathered;
  void gather(ChunkView& chunk, std::uint32_t index, const Codes& codes, const TimeRange& seen, Scratch& scratch,
              LateRows& late, Gathered& out) const;
  void read_held(ChunkView& chunk, const SpineView& spine, const Codes& codes, Scratch& scratch, Gathered& gathered,
                 std::uint32_t* out) const;
  std::vector<BoundSelector> selectors_;
  std::vector<NameId> names_;
  std::vector<std::optional<KeyId>> held_;
};

}  // namespace cdp
