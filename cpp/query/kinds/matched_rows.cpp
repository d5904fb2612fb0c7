#include "query/kinds/matched_rows.hpp"

#include <algorithm>

#include "query/budget.hpp"
#include "query/kinds/event_names.hpp"
#include "query/kinds/late_rows.hpp"
#include "query/kinds/profile_filter.hpp"
#include "simd/primitives.hpp"

namespace cdp {
namespace {

// Memory charged while it is held.
class Charge {
 public:
  Charge(const QueryContext& context, std::uint64_t size_bytes) : budget_(context.budget), size_bytes_(size_bytes) {
    if (budget_ != nullptr) budget_->charge(size_bytes_);
  }
  ~Charge() {
    if (budget_ != nullptr) budget_->release(size_bytes_);
  }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

 private:
  Budget* budget_;
  std::uint64_t size_bytes_;
};

}  // namespace

Row row_of(const MatchedRow& matched, Origin home) {
  if (matched.row != nullptr) return *matched.row;
  const Chunk& chunk = *matched.chunk;
  const NameId name = chunk.slices[chunk.code(matched.spine_row)].name;
  const Origin origin = chunk.foreign.empty() ? home : chunk.foreign.at(matched.spine_row, home);
  return {matched.time_ms, origin, name, 0, &chunk, matched.spine_row, nullptr, 0};
}

struct RowMatcher::Gathered {
  std::int64_t time_ms;
  std::uint64_t selectors;
  std::uint32_t profile;
  std::uint32_t chunk;  // index in the task
  std::uint32_t spine_row;
};

RowMatcher::RowMatcher(std::vector<BoundSelector> selectors)
    : selectors_(std::move(selectors)), names_(names_of(selectors_)) {}

void RowMatcher::match(std::span<const Row> rows, const TimeRange& seen, std::vector<MatchedRow>& out) const {
  for (const Row& row : rows) {
    if (!seen.contains(row.time_ms)) continue;
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < selectors_.size(); ++i) mask |= std::uint64_t{selectors_[i].matches(row)} << i;
    if (mask != 0) out.push_back({row.time_ms, mask, &row});
  }
}

RowMatcher::Codes RowMatcher::codes_of(const Chunk& chunk) const {
  Codes out;
  out.plain.resize(chunk.slices.size());
  out.conditional.resize(chunk.slices.size());
  for (std::size_t i = 0; i < selectors_.size(); ++i) {
    const bool plain = selectors_[i].where.empty();
    for (std::size_t code = 0; code < chunk.slices.size(); ++code) {
      if (!selectors_[i].selects(chunk.slices[code].name)) continue;
      (plain ? out.plain : out.conditional)[code] |= std::uint64_t{1} << i;
      out.any = true;
      out.conditions |= !plain;
    }
  }
  return out;
}

void RowMatcher::decide(ChunkView& chunk, const SpineView& spine, const Codes& codes, Scratch& scratch,
                        std::uint64_t* decided) const {
  for (std::size_t code = 0; code < codes.conditional.size(); ++code) {
    if (codes.conditional[code] == 0) continue;
    const auto view = chunk.slice(chunk.chunk().slices[code]);
    if (!view) continue;
    const auto rows = scratch.lease<std::uint32_t>(view->row_count + simd::kSlack);
    for (std::uint64_t mask = codes.conditional[code]; mask != 0; mask &= mask - 1) {
      const auto selector = static_cast<std::size_t>(__builtin_ctzll(mask));
      for (std::uint32_t i = 0; i < view->row_count; ++i) rows[i] = i;
      const std::uint32_t kept = filter_rows(*view, selectors_[selector].where, scratch, rows.data(), view->row_count);
      for (std::uint32_t i = 0; i < kept; ++i) {
        decided[view->slice->posting(view->first_row + rows[i]) - spine.first_row] |= std::uint64_t{1} << selector;
      }
    }
  }
}

void RowMatcher::gather(ChunkView& chunk, std::uint32_t index, const Codes& codes, const TimeRange& seen,
                        Scratch& scratch, LateRows& late, std::vector<Gathered>& out) const {
  const SpineView spine = chunk.spine();
  std::vector<std::uint8_t> wanted(std::max<std::size_t>(codes.plain.size(), 256));
  for (std::size_t code = 0; code < codes.plain.size(); ++code)
    wanted[code] = (codes.plain[code] | codes.conditional[code]) != 0;
  const auto found = scratch.lease<std::uint32_t>(spine.size() + simd::kSlack);
  const std::uint32_t count = wanted_positions(spine, wanted.data(), found.data());
  const auto decided = scratch.zeroed<std::uint64_t>(codes.conditions ? spine.size() : 0);
  if (codes.conditions) decide(chunk, spine, codes, scratch, decided.data());
  const bool crosses = chunk.crosses(seen), tracked = late.tracked();
  const std::int64_t start_ms = chunk.start_ms();
  for (std::uint32_t at = 0; at < count; ++at) {
    const std::uint32_t row = found[at];
    const std::uint32_t code = spine.code8 != nullptr ? spine.code8[row] : spine.code16[row];
    const std::uint64_t mask = codes.plain[code] | (codes.conditions ? decided[row] : 0);
    const std::int64_t time_ms = start_ms + spine.time[row];
    if (mask == 0 || (crosses && !seen.contains(time_ms))) continue;
    const std::uint32_t profile = spine.profile[row] + spine.id_offset;
    if (tracked) late.see(profile, time_ms);
    out.push_back({time_ms, mask, profile, index, spine.first_row + row});
  }
}

void RowMatcher::for_each_profile(const QueryContext& context, Task& task, Scratch& scratch, const TimeRange& seen,
                                  const Visit& visit) const {
  std::vector<Gathered> rows;
  LateRows late(task, scratch);
  for (std::size_t i = 0; i < task.chunks.size(); ++i) {
    ChunkView chunk(*task.chunks[i], task, scratch);
    late.begin_chunk(i);
    if (chunk.outside(seen)) continue;
    const Codes codes = codes_of(*task.chunks[i]);
    if (codes.any) gather(chunk, static_cast<std::uint32_t>(i), codes, seen, scratch, late, rows);
  }
  late.mark(task);
  const Charge held(context, rows.size() * (sizeof(Gathered) + sizeof(MatchedRow)));
  std::vector<std::uint32_t> next(task.size() + 1);  // where the next row of each profile goes
  for (const Gathered& row : rows) ++next[row.profile + 1];
  for (std::uint32_t profile = 0; profile < task.size(); ++profile) next[profile + 1] += next[profile];
  std::vector<MatchedRow> sorted(rows.size());
  for (const Gathered& row : rows)
    sorted[next[row.profile]++] = {row.time_ms, row.selectors, nullptr, task.chunks[row.chunk], row.spine_row};

  const ProfileFilter filter(context, task, scratch);
  std::uint32_t first = 0;
  for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
    const std::span<const MatchedRow> of_profile(sorted.data() + first, next[profile] - first);
    first = next[profile];
    if (of_profile.empty() || !filter.has(profile)) continue;
    if (!task.late.empty() && ((task.late[profile >> 6] >> (profile & 63)) & 1) != 0) continue;
    visit(profile, of_profile);
  }
}

}  // namespace cdp
