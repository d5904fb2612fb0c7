// Rows of Arrow in, a canonical batch out: the twin of event_record.hpp for columns.
//
// A slice of a batch is taken column by column: each becomes bits and a flag a row, then rows are put together by their set of
// columns, which is their shape. A bad row is a Reject with its place in the slice, the rest is kept; the rules and the codes are
// those of records (docs/architecture.md). What breaks the interface throws (arrow_view.hpp).
//
// Columns are read in loops of their own width (arrow_loops.hpp), an integer
// or an entry of a dictionary becomes text once, rows of one name and the same columns take over each other's shape.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "codec/arrow_view.hpp"
#include "codec/event_record.hpp"

namespace cdp {

inline constexpr std::size_t kArrowSliceRows = 32'768;  // one record batch of the log: ~10 ms of apply

// Of rows with many properties a slice has fewer, so that no record of the log nears what a group may hold: 32 MiB.
inline constexpr std::size_t kArrowSliceValues = std::size_t{4} << 20;
// Nor of rows with long texts or lists: half as many, until theirs take no more than this, or there is one row.
inline constexpr std::int64_t kArrowSliceContentBytes = std::int64_t{16} << 20;

// Which column is what. Columns are named by their path: a field of a struct is "address.city".
struct ArrowMapping {
  RecordType type = RecordType::kEvent;  // or kTraits: every property is an operation `set`
  std::string name_column;               // one of the two for events
  std::string name;
  std::string time_column;                                                     // empty: the received time
  std::vector<std::pair<std::string, std::string>> ids;                        // (kind, column)
  std::string event_id_column;                                                 // may be empty
  std::optional<std::vector<std::pair<std::string, std::string>>> properties;  // (column, key); absent: all the others
  bool nan_is_missing = false;                                                 // else a reject
};

class ArrowDecoder {
 public:
  // Binds the mapping to the columns. `schema` must outlive it. Throws kInvalidRequest load.column, load.mapping.
  ArrowDecoder(const ArrowColumnType& schema, const ArrowMapping& mapping);

  // Rows [first, first + count) of a batch with that schema. REQUIRES: count <= kArrowSliceRows, within the batch.
  [[nodiscard]] DecodeResult decode(const ArrowCells& batch, std::int64_t first, std::uint32_t count,
                                    const DecodeOptions& options) const;

  // How many rows of this schema are a slice.
  [[nodiscard]] std::size_t slice_rows() const noexcept {
    const std::size_t values = std::clamp<std::size_t>(properties_.size(), 1, limits::kProperties + 1);
    return std::min(kArrowSliceRows, kArrowSliceValues / values);
  }

 private:
  friend class ArrowSlice;
  using Place = std::vector<std::uint32_t>;  // children to follow from the batch
  struct Property {
    Place place;
    std::string key;
    bool shares_key = false;  // with another column: at most one of them may have a value
  };
  struct Identity {
    Place place;
    std::string kind;
  };
  struct Leaf {
    std::string path;
    Place place;
    const ArrowColumnType* type;
  };
  void collect(const ArrowColumnType& type, const std::string& prefix, Place& place, std::vector<Leaf>& out) const;
  [[nodiscard]] const Leaf& find(const std::vector<Leaf>& leaves, const std::string& column,
                                 std::string_view use) const;

  ArrowMapping mapping_;
  Place name_, time_, event_id_;  // empty: not given
  std::vector<Identity> ids_;     // highest rank first
  std::vector<Property> properties_;
};

}  // namespace cdp
