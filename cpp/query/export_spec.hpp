// What to export, as sent. Grammar: docs/architecture.md, "Export".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/value.hpp"
#include "codec/canonical_batch.hpp"
#include "query/clauses/zoned_clause.hpp"
#include "query/spec.hpp"

namespace cdp {

// A property or trait asked for: all its types, or one.
struct ExportColumnSpec {
  std::string key;
  std::optional<ValueType> type;
  std::string as;  // empty: by the rule of names
};

struct ExportSpec {
  enum class What : std::uint8_t { kEvents, kProfiles, kFacts, kGroups };
  What what = What::kEvents;
  FactType fact{};                        // of facts: of which type
  std::optional<std::string> group_kind;  // of groups; absent: any
  Selector names;                         // events only; none: all but the system's
  RangeSpec range;                        // events only
  std::shared_ptr<const PredicateSpec> where;
  ZonesKept zones;                                       // of `where`
  std::optional<std::vector<ExportColumnSpec>> columns;  // absent: all there are
  std::optional<std::int64_t> now_ms;
};

// Throws BadQuery with the path.
[[nodiscard]] ExportSpec parse_export_spec(std::span<const std::uint8_t> bytes);

// "int", "float": as in specs, and in the names of columns.
[[nodiscard]] std::string_view value_type_name(ValueType type) noexcept;

}  // namespace cdp
