// Loops over the rows of a column: what is the same for all of them (width, whether any may be null) is looked at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "codec/arrow_view.hpp"

namespace cdp {

// A column, with the structs above it that may be null.
struct ArrowColumn {
  const ArrowCells* cells = nullptr;
  std::vector<const ArrowCells*> parents;

  [[nodiscard]] bool may_be_null() const noexcept { return !parents.empty() || cells->may_be_null(); }
  [[nodiscard]] bool is_null(std::int64_t row) const noexcept {
    if (cells->is_null(row)) return true;
    return std::ranges::any_of(parents, [row](const ArrowCells* parent) { return parent->is_null(row); });
  }
};

// Rows [first, first + count) of a batch.
struct ArrowRows {
  std::int64_t first = 0;
  std::uint32_t count = 0;
};

// value(row, at) for each row that is not null, none(row) for the others; row from 0, at = rows.first + row.
template <class Value, class None>
void each_row(const ArrowColumn& column, ArrowRows rows, Value&& value, None&& none) {
  if (!column.may_be_null()) {
    for (std::uint32_t row = 0; row < rows.count; ++row) value(row, rows.first + row);
    return;
  }
  for (std::uint32_t row = 0; row < rows.count; ++row) {
    if (column.is_null(rows.first + row)) {
      none(row);
    } else {
      value(row, rows.first + row);
    }
  }
}
template <class Value>
void each_row(const ArrowColumn& column, ArrowRows rows, Value&& value) {
  each_row(column, rows, value, [](std::uint32_t) {});
}

// take(read), where read(at) is an integer of the column as 64 bits, its sign extended. REQUIRES: kInt or kUint.
template <class Take>
void with_integers(const ArrowCells& cells, Take&& take) {
  const auto as = [&]<class T>(T) {
    take(
        [&cells](std::int64_t at) { return static_cast<std::uint64_t>(static_cast<std::int64_t>(cells.load<T>(at))); });
  };
  const bool is_signed = cells.type().kind == ArrowKind::kInt;
  switch (cells.type().width) {
    case 1: return is_signed ? as(std::int8_t{}) : as(std::uint8_t{});
    case 2: return is_signed ? as(std::int16_t{}) : as(std::uint16_t{});
    case 4: return is_signed ? as(std::int32_t{}) : as(std::uint32_t{});
    default: return as(std::int64_t{});
  }
}

// value(row, entry) for each row of a dictionary's column whose entry has a value, none(row) for the others.
// Throws where an index is outside.
template <class Value, class None>
void each_entry(const ArrowColumn& column, ArrowRows rows, Value&& value, None&& none) {
  const ArrowCells& entries = column.cells->values();
  const auto entry_count = static_cast<std::uint64_t>(entries.length());
  const bool may_be_null = entries.may_be_null();
  with_integers(*column.cells, [&](auto&& read) {
    each_row(
        column, rows,
        [&](std::uint32_t row, std::int64_t at) {
          const std::uint64_t index = read(at);
          if (index >= entry_count) [[unlikely]]
            static_cast<void>(column.cells->index_at(at));  // throws
          const auto entry = static_cast<std::int64_t>(index);
          if (may_be_null && entries.is_null(entry)) {
            none(row);
          } else {
            value(row, entry);
          }
        },
        none);
  });
}

}  // namespace cdp
