// The columns of a seal's slices. A row's values lie together in its batch, so a column is one tight loop over
// `values[field_of[shape]]`, with nothing hashed per value but dictionary codes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "codec/canonical_batch.hpp"
#include "column/column.hpp"

namespace cdp {

// A shape of one batch with its meanings in the store.
struct SealShape {
  std::span<const ShapeField> fields;
  const std::uint32_t* keys = nullptr;     // KeyId of each field
  const std::uint32_t* strings = nullptr;  // StringId of the batch's string indexes
  std::uint16_t name = 0;                  // index into the run's names
};

// A row on its way from its batch into a chunk. Without defaults, so that room for many is made without touching it.
struct PlacedRow {
  std::uint32_t id;    // local id of its home
  std::uint32_t time;  // ms from the partition's start
  std::uint32_t origin;
  std::uint32_t shape;  // index into the run's shapes
  const std::uint64_t* values;
};

// Columns of one slice after the other; the buffers are kept. `shapes` must outlive it.
class ColumnGather {
 public:
  explicit ColumnGather(std::span<const SealShape> shapes) : shapes_(shapes), local_(shapes.size(), kNone) {}

  // The columns of the slice that has these of the rows of its chunk, by (key, type).
  void gather(std::span<const PlacedRow> chunk_rows, std::span<const std::uint32_t> rows, std::vector<Column>& out);

 private:
  struct Field {
    std::uint64_t column = 0;  // key << 8 | type
    std::uint32_t shape = 0;   // local
    std::uint32_t index = 0;
  };

  void find_shapes(std::span<const PlacedRow> chunk_rows, std::span<const std::uint32_t> rows);
  [[nodiscard]] bool is_uniform() const;
  void gather_uniform(std::vector<Column>& out);
  void gather_mixed(std::vector<Column>& out);
  void find_fields(std::uint32_t shape_count);
  Column column_of(std::span<const Field> fields);
  template <bool kStrings>
  void take_uniform(std::uint32_t field);
  template <bool kStrings>
  void take_dense();
  template <bool kStrings>
  std::size_t take_sparse();
  std::size_t take_rare(std::span<const Field> fields, bool strings);
  void group_rows();

  std::span<const SealShape> shapes_;
  std::vector<std::uint32_t> local_;  // of every shape of the run: its number in this slice
  std::vector<std::uint32_t> used_, shape_, field_of_, shape_rows_, by_shape_, visit_;
  std::vector<const std::uint64_t*> values_;
  std::vector<const std::uint32_t*> strings_;
  std::vector<Field> fields_;
  std::vector<std::uint64_t> bits_, present_;
};

}  // namespace cdp
