#include "query/clauses/row_clause.hpp"

#include <algorithm>
#include <array>

#include "query/predicate.hpp"
#include "query/profile_mask.hpp"
#include "query/scan_plan.hpp"

namespace cdp {
namespace {

void unite(std::vector<NameId>& into, const std::vector<NameId>& names) {
  into.insert(into.end(), names.begin(), names.end());
  std::ranges::sort(into);
  into.erase(std::ranges::unique(into).begin(), into.end());
}

}  // namespace

void RowsRead::add(const BoundSelector& selector, bool is_decisive) {
  unite(names, selector.names);
  open |= selector.open;
  resolved &= selector.resolved;
  if (!is_decisive) return;
  unite(decisive, selector.names);
  decisive_open |= selector.open;
}

std::vector<const Row*> RowClause::evidence(const Version&, Origin, std::span<const Row> rows,
                                            std::int64_t now_ms) const {
  std::vector<const Row*> out;
  for (const Row& row : rows) {
    const bool is_read = read_.open || std::ranges::binary_search(read_.names, row.name);
    if (is_read && row.time_ms <= now_ms) out.push_back(&row);
  }
  return out;
}

void RowClause::mark_decisive(const Task& task, Scratch& scratch, std::span<std::uint64_t> out) const {
  for (const Chunk* chunk : task.chunks) {
    ChunkView view(*chunk, task, scratch);
    for (const NameId name : read_.decisive) {
      const std::optional<SliceView> slice = view.slice(name);
      if (!slice) continue;
      for (std::uint32_t row = 0; row < slice->row_count; ++row) {
        const std::uint32_t index = slice->profile[row] + slice->id_offset;
        out[index >> 6] |= std::uint64_t{1} << (index & 63);
      }
    }
  }
}

void RowClause::evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch,
                              std::span<const std::uint64_t> candidates, std::span<std::uint64_t> out) const {
  std::array<std::uint64_t, kStripeWords> asked{};
  std::ranges::fill(out, 0);
  if (!scan(task, now_ms, scratch, candidates, out, asked)) {
    const bool truth_of_none = evaluate(*task.version, task.origin(0), {}, now_ms).value;
    if (!read_.decisive_open) mark_decisive(task, scratch, asked);
    for (std::uint32_t word = 0; word < kStripeWords; ++word) {
      asked[word] = candidates[word] & (read_.decisive_open ? ~std::uint64_t{0} : asked[word]);
      out[word] = truth_of_none ? candidates[word] & ~asked[word] : 0;
    }
  }
  std::vector<Origin> homes;
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    for (std::uint64_t left = asked[word]; left != 0; left &= left - 1) {
      homes.push_back(task.origin(word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(left))));
    }
  }
  const std::span<const NameId> names = read_.open ? std::span<const NameId>() : std::span<const NameId>(read_.names);
  rows_of_many(task, homes, names, [&](Origin home, std::span<const Row> rows) {
    if (!evaluate(*task.version, home, rows, now_ms).value) return;
    const std::uint32_t index = task.version->placement.local_id(home) - task.first_id;
    out[index >> 6] |= std::uint64_t{1} << (index & 63);
  });
}

}  // namespace cdp
