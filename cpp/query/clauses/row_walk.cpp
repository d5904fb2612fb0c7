#include "query/clauses/row_walk.hpp"

#include <algorithm>
#include <numeric>

#include "query/kinds/breakdown.hpp"

namespace cdp {

bool RowWalk::prepare(ChunkView& chunk, Scratch& scratch, std::vector<Role>& roles,
                      std::vector<std::uint8_t>& wanted) const {
  const std::vector<Slice>& slices = chunk.chunk().slices;
  roles.clear();
  roles.resize(slices.size());
  wanted.assign(std::max<std::size_t>(slices.size(), 256), 0);
  bool any = false;
  for (std::size_t code = 0; code < slices.size(); ++code) {
    Role& role = roles[code];
    for (std::size_t i = 0; i < selectors_.size(); ++i) {
      if (!selectors_[i]->selector.selects(slices[code].name)) continue;
      (selectors_[i]->by_name_alone() ? role.plain : role.conditional) |= 1u << i;
    }
    if (role.plain == 0 && role.conditional == 0) continue;
    role.view = chunk.slice(slices[code]);
    if (!role.view) continue;
    any = true;
    wanted[code] = 1;
    if (role.conditional == 0) continue;
    const std::uint32_t all = role.view->row_count;
    role.decided = scratch.zeroed<std::uint32_t>(all);
    const auto rows = scratch.lease<std::uint32_t>(all + simd::kSlack);
    for (std::uint32_t left = role.conditional; left != 0; left &= left - 1) {
      const auto i = static_cast<std::size_t>(__builtin_ctz(left));
      const BoundTimed& selector = *selectors_[i];
      std::iota(rows.data(), rows.data() + all, 0u);
      std::uint32_t count = filter_rows(*role.view, selector.selector.where, scratch, rows.data(), all);
      if (selector.slots != nullptr) count = selector.slots->filter(chunk.chunk(), *role.view, rows.data(), count);
      for (std::uint32_t at = 0; at < count; ++at) role.decided[rows[at]] |= 1u << i;
    }
  }
  return any;
}

const Value& WalkValues::of(const RowWalk::At& at) {
  if (at.place >> 32 != chunk_) {
    chunk_ = at.place >> 32;
    values_.clear();
    values_.resize(at.of.size());
  }
  Scratch::Lease<Value>& values = values_[at.code];
  if (values.size() == 0) {
    const SliceView& view = *at.of[at.code].view;
    const auto rows = scratch_.lease<std::uint32_t>(view.row_count);
    std::iota(rows.data(), rows.data() + view.row_count, 0u);
    values = scratch_.lease<Value>(view.row_count);
    read_property(view, key_, rows.data(), view.row_count, values.data());
  }
  return values[at.slice_row];
}

}  // namespace cdp
