// The rows of one profile that retention keeps at an instant: for clauses that read them themselves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "query/condition.hpp"
#include "store/event_store.hpp"
#include "store/retention.hpp"

namespace cdp {

// Of the selector's names, in event order; none when it selects nothing. `until_ms` is lowered to when the first of them is gone.
[[nodiscard]] inline std::vector<Row> kept_rows(const Version& version, Origin home, const BoundSelector& selector,
                                                std::int64_t now_ms, std::int64_t& until_ms) {
  std::vector<Row> rows;
  if (!selector.open && selector.names.empty()) return rows;
  const std::optional<Horizon> horizon = horizon_of(version, now_ms);
  rows_of(version, home, selector.open ? std::span<const NameId>() : std::span(selector.names),
          {.horizon = horizon ? &*horizon : nullptr}, rows);
  if (horizon) {
    for (const Row& row : rows) until_ms = std::min(until_ms, horizon->end_ms(row.name, row.time_ms));
  }
  return rows;
}

}  // namespace cdp
