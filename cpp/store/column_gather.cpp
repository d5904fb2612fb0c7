#include "store/column_gather.hpp"

#include <algorithm>

namespace cdp {
namespace {

constexpr std::size_t kRowsAhead = 24;
constexpr std::size_t kLineValues = 8;

KeyId key_of(std::uint64_t column) noexcept { return KeyId{static_cast<std::uint32_t>(column >> 8)}; }
ValueType type_of(std::uint64_t column) noexcept { return static_cast<ValueType>(column & 0xFF); }

}  // namespace

void ColumnGather::gather(std::span<const PlacedRow> chunk_rows, std::span<const std::uint32_t> rows,
                          std::vector<Column>& out) {
  find_shapes(chunk_rows, rows);
  if (is_uniform()) {
    gather_uniform(out);
  } else {
    gather_mixed(out);
  }
  for (const std::uint32_t shape : used_) local_[shape] = kNone;
}

// The shapes of these rows get numbers of their own: shape_ holds that of each row.
void ColumnGather::find_shapes(std::span<const PlacedRow> chunk_rows, std::span<const std::uint32_t> rows) {
  used_.clear();
  strings_.clear();
  shape_.resize(rows.size());
  values_.resize(rows.size());
  for (std::size_t at = 0; at < rows.size(); ++at) {
    if (at + kRowsAhead < rows.size()) __builtin_prefetch(&chunk_rows[rows[at + kRowsAhead]]);
    const PlacedRow& row = chunk_rows[rows[at]];
    __builtin_prefetch(row.values);
    __builtin_prefetch(row.values + kLineValues - 1);  // mostly they reach into a second line
    values_[at] = row.values;
    std::uint32_t& local = local_[row.shape];
    if (local == kNone) {
      local = static_cast<std::uint32_t>(used_.size());
      used_.push_back(row.shape);
      strings_.push_back(shapes_[row.shape].strings);
    }
    shape_[at] = local;
  }
}

// Every shape has the same fields in the same places: rows of one event from one source, loaded in bulk.
bool ColumnGather::is_uniform() const {
  const SealShape& first = shapes_[used_.front()];
  return std::all_of(used_.begin() + 1, used_.end(), [&](std::uint32_t index) {
    const SealShape& shape = shapes_[index];
    return std::equal(shape.fields.begin(), shape.fields.end(), first.fields.begin(), first.fields.end(),
                      [](const ShapeField& left, const ShapeField& right) { return left.type == right.type; }) &&
           std::equal(shape.keys, shape.keys + shape.fields.size(), first.keys);
  });
}

void ColumnGather::gather_uniform(std::vector<Column>& out) {
  find_fields(1);
  out.reserve(fields_.size());
  bits_.resize(shape_.size());
  const auto row_count = static_cast<std::uint32_t>(shape_.size());
  for (const Field& field : fields_) {
    const ValueType type = type_of(field.column);
    is_dictionary_type(type) ? take_uniform<true>(field.index) : take_uniform<false>(field.index);
    out.push_back(build_column(key_of(field.column), type, row_count, bits_, {}));
  }
}

void ColumnGather::gather_mixed(std::vector<Column>& out) {
  group_rows();
  find_fields(static_cast<std::uint32_t>(used_.size()));
  field_of_.assign(used_.size(), kNone);
  std::size_t columns = 0;
  for (std::size_t at = 0; at < fields_.size(); ++at)
    columns += at == 0 || fields_[at].column != fields_[at - 1].column;
  out.reserve(columns);
  for (std::size_t first = 0, last; first < fields_.size(); first = last) {
    for (last = first + 1; last < fields_.size() && fields_[last].column == fields_[first].column;) ++last;
    out.push_back(column_of({fields_.data() + first, last - first}));
  }
}

// The fields of the first shapes, by column.
void ColumnGather::find_fields(std::uint32_t shape_count) {
  fields_.clear();
  for (std::uint32_t local = 0; local < shape_count; ++local) {
    const SealShape& shape = shapes_[used_[local]];
    for (std::uint32_t index = 0; index < shape.fields.size(); ++index) {
      const auto type = static_cast<std::uint64_t>(shape.fields[index].type);
      fields_.push_back({std::uint64_t{shape.keys[index]} << 8 | type, local, index});
    }
  }
  std::stable_sort(fields_.begin(), fields_.end(),
                   [](const Field& left, const Field& right) { return left.column < right.column; });
}

template <bool kStrings>
void ColumnGather::take_uniform(std::uint32_t field) {
  if (!kStrings || used_.size() == 1) {
    const std::uint32_t* const strings = strings_.front();
    for (std::size_t at = 0; at < values_.size(); ++at) {
      bits_[at] = kStrings ? strings[values_[at][field]] : values_[at][field];
    }
    return;
  }
  for (std::size_t at = 0; at < values_.size(); ++at) bits_[at] = strings_[shape_[at]][values_[at][field]];
}

Column ColumnGather::column_of(std::span<const Field> fields) {
  const KeyId key = key_of(fields.front().column);
  const ValueType type = type_of(fields.front().column);
  const bool strings = is_dictionary_type(type);
  const bool dense = fields.size() == used_.size();
  for (const Field& field : fields) field_of_[field.shape] = field.index;
  bits_.resize(shape_.size());
  present_.clear();
  std::size_t count = shape_.size();
  std::size_t rows_of_shapes = 0;
  for (const Field& field : fields) rows_of_shapes += shape_rows_[field.shape + 1] - shape_rows_[field.shape];
  if (rows_of_shapes * 8 < shape_.size()) {
    present_.assign((shape_.size() + 63) / 64, 0);
    count = take_rare(fields, strings);
  } else if (dense) {
    strings ? take_dense<true>() : take_dense<false>();
  } else {
    present_.assign((shape_.size() + 63) / 64, 0);
    count = strings ? take_sparse<true>() : take_sparse<false>();
  }
  for (const Field& field : fields) field_of_[field.shape] = kNone;
  return build_column(key, type, static_cast<std::uint32_t>(shape_.size()), std::span{bits_}.first(count), present_);
}

template <bool kStrings>
void ColumnGather::take_dense() {
  for (std::size_t at = 0; at < shape_.size(); ++at) {
    const std::uint64_t bits = values_[at][field_of_[shape_[at]]];
    bits_[at] = kStrings ? strings_[shape_[at]][bits] : bits;
  }
}

template <bool kStrings>
std::size_t ColumnGather::take_sparse() {
  std::size_t count = 0;
  for (std::size_t at = 0; at < shape_.size(); ++at) {
    const std::uint32_t field = field_of_[shape_[at]];
    if (field == kNone) continue;
    present_[at >> 6] |= std::uint64_t{1} << (at & 63);
    const std::uint64_t bits = values_[at][field];
    bits_[count++] = kStrings ? strings_[shape_[at]][bits] : bits;
  }
  return count;
}

// Few rows have it: only those of its shapes are visited, so that many rare keys do not cost rows times keys.
std::size_t ColumnGather::take_rare(std::span<const Field> fields, bool strings) {
  visit_.clear();
  for (const Field& field : fields) {
    const std::uint32_t first = shape_rows_[field.shape], last = shape_rows_[field.shape + 1];
    visit_.insert(visit_.end(), by_shape_.begin() + first, by_shape_.begin() + last);
  }
  if (fields.size() > 1) std::sort(visit_.begin(), visit_.end());
  std::size_t count = 0;
  for (const std::uint32_t at : visit_) {
    present_[at >> 6] |= std::uint64_t{1} << (at & 63);
    const std::uint64_t bits = values_[at][field_of_[shape_[at]]];
    bits_[count++] = strings ? strings_[shape_[at]][bits] : bits;
  }
  return count;
}

// Rows grouped by shape: by_shape_[shape_rows_[s] .. shape_rows_[s + 1]), ascending.
void ColumnGather::group_rows() {
  shape_rows_.assign(used_.size() + 2, 0);
  for (const std::uint32_t shape : shape_) ++shape_rows_[shape + 2];
  for (std::size_t shape = 2; shape < shape_rows_.size(); ++shape) shape_rows_[shape] += shape_rows_[shape - 1];
  by_shape_.resize(shape_.size());
  for (std::uint32_t at = 0; at < shape_.size(); ++at) by_shape_[shape_rows_[shape_[at] + 1]++] = at;
}

}  // namespace cdp
