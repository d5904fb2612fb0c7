#include "query/kinds/matched_rows.hpp"

#include <algorithm>
#include <utility>

#include "query/budget.hpp"
#include "query/kinds/breakdown.hpp"
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

// The matched rows of a task, chunk by chunk, and what they hold.
class RowMatcher::Gathered {
 public:
  struct Place {
    std::uint64_t selectors;
    std::uint32_t time;  // from the start of its partition
    std::uint32_t spine_row;
    std::uint32_t chunk;  // index in the task
    std::uint32_t profile;
  };
  Gathered(const Task& task, std::size_t most, std::size_t held_keys, Scratch& scratch)
      : place(scratch.lease<Place>(most)),
        held(scratch.lease<std::uint32_t>(held_keys == 0 ? 0 : most)),
        next(scratch.zeroed<std::uint32_t>(std::size_t{task.size()} + 1)),
        values(held_keys) {}

  Scratch::Lease<Place> place;
  Scratch::Lease<std::uint32_t> held;
  Scratch::Lease<std::uint32_t> next;  // how many rows the profile in front has; then where the next one of each goes
  std::uint32_t count = 0;
  std::vector<GroupTable> values;  // of the held properties, each numbered on the number of the one before
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

// Of each matched row of the view: the number of its values.
void RowMatcher::read_held(ChunkView& chunk, const SpineView& spine, const Codes& codes, Scratch& scratch,
                           Gathered& gathered, std::uint32_t* out) const {
  for (std::size_t code = 0; code < codes.plain.size(); ++code) {
    if ((codes.plain[code] | codes.conditional[code]) == 0) continue;
    const auto view = chunk.slice(chunk.chunk().slices[code]);
    if (!view) continue;
    const std::uint32_t count = view->row_count;
    const auto rows = scratch.lease<std::uint32_t>(count);
    const auto values = scratch.lease<Value>(count);
    const auto number = scratch.zeroed<std::uint32_t>(count);
    for (std::uint32_t i = 0; i < count; ++i) rows[i] = i;
    for (std::size_t key = 0; key < held_.size(); ++key) {
      if (held_[key]) {
        read_property(*view, *held_[key], rows.data(), count, values.data());
      } else {
        std::fill_n(values.data(), count, Value{});
      }
      GroupTable& known = gathered.values[key];
      for (std::uint32_t i = 0; i < count; ++i) {
        const ValueType type = values[i].type;
        if (number[i] == kNotHeld || type == ValueType::kNull || type == ValueType::kItems) {
          number[i] = kNotHeld;
        } else if (number[i] == kHeldSeveral || type == ValueType::kList) {
          number[i] = kHeldSeveral;
        } else {
          number[i] = known.find_or_add(number[i], values[i]);
        }
      }
    }
    for (std::uint32_t i = 0; i < count; ++i)
      out[view->slice->posting(view->first_row + i) - spine.first_row] = number[i];
  }
}

void RowMatcher::gather(ChunkView& chunk, std::uint32_t index, const Codes& codes, const TimeRange& seen,
                        Scratch& scratch, LateRows& late, Gathered& out) const {
  const SpineView spine = chunk.spine();
  std::vector<std::uint8_t> wanted(std::max<std::size_t>(codes.plain.size(), 256));
  for (std::size_t code = 0; code < codes.plain.size(); ++code)
    wanted[code] = (codes.plain[code] | codes.conditional[code]) != 0;
  const auto found = scratch.lease<std::uint32_t>(spine.size() + simd::kSlack);
  const std::uint32_t count = wanted_positions(spine, wanted.data(), found.data());
  const auto decided = scratch.zeroed<std::uint64_t>(codes.conditions ? spine.size() : 0);
  if (codes.conditions) decide(chunk, spine, codes, scratch, decided.data());
  const auto held = scratch.lease<std::uint32_t>(held_.empty() ? 0 : spine.size());
  if (!held_.empty()) read_held(chunk, spine, codes, scratch, out, held.data());
  const LocalRange local = local_range(seen, chunk.start_ms());
  const bool crosses = chunk.crosses(seen), tracked = late.tracked(), decides = codes.conditions;
  const std::int64_t start_ms = chunk.start_ms();
  Gathered::Place* const place = out.place.data();
  std::uint32_t* const rows_of = out.next.data() + 1;
  std::uint32_t at = out.count;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t row = found[i], time = spine.time[row];
    const std::uint32_t code = spine.code8 != nullptr ? spine.code8[row] : spine.code16[row];
    const std::uint64_t mask = codes.plain[code] | (decides ? decided[row] : 0);
    const std::uint32_t profile = spine.profile[row] + spine.id_offset;
    const bool counts = mask != 0 && (!crosses || (time >= local.low && time < local.high));
    place[at] = {mask, time, spine.first_row + row, index, profile};
    if (!held_.empty()) out.held[at] = held[row];
    at += counts ? 1 : 0;
    rows_of[profile] += counts ? 1 : 0;
    if (tracked && counts) late.see(profile, start_ms + time);
  }
  out.count = at;
}

void RowMatcher::for_each_profile(const QueryContext& context, Task& task, Scratch& scratch, const TimeRange& seen,
                                  const Visit& visit) const {
  LateRows late(task, scratch);
  std::vector<Codes> codes;
  std::size_t most = 1;  // rows; the last that is looked at may not count
  for (const Chunk* chunk : task.chunks) {
    const Codes& of_chunk = codes.emplace_back(codes_of(*chunk));
    for (std::size_t code = 0; code < of_chunk.plain.size(); ++code) {
      if ((of_chunk.plain[code] | of_chunk.conditional[code]) != 0) most += chunk->slices[code].row_count;
    }
  }
  Gathered gathered(task, most, held_.size(), scratch);
  for (std::size_t i = 0; i < task.chunks.size(); ++i) {
    ChunkView chunk(*task.chunks[i], task, scratch);
    late.begin_chunk(i);
    if (codes[i].any && !chunk.outside(seen))
      gather(chunk, static_cast<std::uint32_t>(i), codes[i], seen, scratch, late, gathered);
  }
  late.mark(task);
  const std::uint32_t count = gathered.count;
  const Charge held(context, count * (sizeof(Gathered::Place) + 2 * sizeof(std::uint32_t)));
  std::uint32_t* const next = gathered.next.data();
  for (std::uint32_t profile = 0; profile < task.size(); ++profile) next[profile + 1] += next[profile];
  const auto order = scratch.lease<std::uint32_t>(count);
  for (std::uint32_t i = 0; i < count; ++i) order[next[gathered.place[i].profile]++] = i;

  const ProfileFilter filter(context, task, scratch);
  std::vector<MatchedRow> rows;
  std::uint32_t first = 0;
  for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
    const std::uint32_t begin = std::exchange(first, next[profile]);
    if (begin == first || !filter.has(profile)) continue;
    if (!task.late.empty() && ((task.late[profile >> 6] >> (profile & 63)) & 1) != 0) continue;
    rows.resize(first - begin);
    for (std::uint32_t at = begin; at < first; ++at) {
      const Gathered::Place& place = gathered.place[order[at]];
      const Chunk* const chunk = task.chunks[place.chunk];
      rows[at - begin] = {
          partition_start_ms(chunk->partition) + place.time, place.selectors, nullptr, chunk, place.spine_row,
          held_.empty() ? 0 : gathered.held[order[at]]};
    }
    visit(profile, rows);
  }
}

}  // namespace cdp
