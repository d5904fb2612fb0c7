// Which columns the properties (or traits) of an export become, and how their values are filled in.
//
// Rule of names: a key whose values have one type is one column of its name; of several types, one column each, `key:type`.
// Null counts as no type: a key that is only ever null is a column of nulls. A column of the type "null", which has to be asked
// for, tells explicit nulls (true) from missing values. A name that is taken gets `prefix:` in front until it is free, so no
// store has rows that cannot be exported.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/pool.hpp"
#include "query/arrow_column.hpp"
#include "query/export.hpp"
#include "query/export_spec.hpp"
#include "store/version.hpp"

namespace cdp {

struct SeenKey {
  KeyId key{};
  std::uint32_t types = 0;  // bit a ValueType
};
using SeenKeys = std::map<std::string_view, SeenKey>;  // by text, so that no order of arrival shows

// One (key, type) as a column. Without a key the store has never seen it: all missing.
struct ValueColumn {
  std::optional<KeyId> key;
  ValueType type = ValueType::kNull;
  bool as_flag = false;  // of the type "null", asked for
};

// Appends to `fields` (those that are always there come first) one field a column. Throws BadQuery when two `as` are equal.
[[nodiscard]] std::vector<ValueColumn> choose_columns(const SeenKeys& seen,
                                                      const std::optional<std::vector<ExportColumnSpec>>& asked,
                                                      std::string_view prefix, std::vector<ArrowField>& fields);

// A row without a value of the column's type: null, or false where the column tells explicit nulls apart.
void add_missing(ArrowColumn& column, const ValueColumn& of);

// Adds a value of the column's type. `scratch` is the caller's.
void add_value(ArrowColumn& column, ValueType type, std::uint64_t bits, const Version& version, std::string& scratch);

// Fills `count` rows of every column, columns side by side, or fewer when a column's text grows too long for one batch; returns
// how many. `fill(column, row_count, out)` adds rows to one column and may end early when `out` is over the bound.
template <class Fill>
std::size_t fill_columns(Pool* pool, const std::vector<ArrowField>& fields, std::size_t count, ExportBatch& batch,
                         const Fill& fill) {
  for (;; count = (count + 1) / 2) {
    batch.columns.clear();
    for (const ArrowField& field : fields) batch.columns.emplace_back(field.type);
    const auto body = [&](std::size_t column, unsigned) {
      batch.columns[column].reserve(count);
      fill(column, count, batch.columns[column]);
    };
    if (pool != nullptr) {
      pool->run(fields.size(), pool->helpers() + 1, body);
    } else {
      for (std::size_t column = 0; column < fields.size(); ++column) body(column, 0);
    }
    const bool fits = std::ranges::all_of(
        batch.columns, [](const ArrowColumn& column) { return column.text_bytes() <= kExportBatchTextBytes; });
    if (!fits && count > 1) continue;
    batch.row_count = static_cast<std::int64_t>(count);
    return count;
  }
}

// Whether to end early: the batch will be made again with fewer rows.
[[nodiscard]] inline bool is_too_long(const ArrowColumn& column, std::size_t row_count) noexcept {
  return row_count > 1 && column.text_bytes() > kExportBatchTextBytes;
}

[[nodiscard]] inline std::size_t rows_at_once(std::size_t column_count) noexcept {
  return std::clamp<std::size_t>(kExportBatchCells / std::max<std::size_t>(column_count, 1), 1'024, kExportBatchRows);
}

inline void check_not_stopped(const std::atomic<bool>* stop) {
  if (stop != nullptr && stop->load(std::memory_order_relaxed)) {
    throw Error(Family::kTimeout, code::kQueryCancelled, "the export was cancelled");
  }
}

}  // namespace cdp
