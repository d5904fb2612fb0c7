#include "query/clauses/measure_scan.hpp"

#include <algorithm>

#include "query/codes.hpp"

namespace cdp {
namespace {

struct ByKey {
  bool operator()(const Column& column, KeyId key) const noexcept { return column.key < key; }
  bool operator()(KeyId key, const Column& column) const noexcept { return key < column.key; }
};

// Largest magnitude of a value of the column: from its base and width.
unsigned __int128 magnitude(const Column& column) noexcept {
  if (column.width == Width::k64) return static_cast<unsigned __int128>(1) << 63;
  const auto base = static_cast<std::int64_t>(column.base);
  const unsigned __int128 top = static_cast<unsigned __int128>(1) << width_bits(column.width);
  return (base < 0 ? -static_cast<unsigned __int128>(base) : static_cast<unsigned __int128>(base)) + top;
}

}  // namespace

IntegerSums::IntegerSums(std::uint32_t size, Scratch& scratch)
    : size_(size),
      scratch_(scratch),
      narrow_(scratch.zeroed<std::int64_t>(size)),
      counts_(scratch.zeroed<std::uint32_t>(size)) {}

void IntegerSums::add(const SliceView& view, const Column& column, const std::uint32_t* rows, std::uint32_t count) {
  reserve_bits(column, count);
  if (column.dense() && wide_.size() == 0) {
    add_dense(view, column, rows, count);
    return;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t row = view.first_row + rows[i];
    if (!column.has(row)) continue;
    const std::uint32_t index = view.profile[rows[i]] + view.id_offset;
    const auto value = static_cast<std::int64_t>(column.bits_at(row));
    if (wide_.size() == 0) {
      narrow_[index] += value;
    } else {
      wide_[index] += value;
    }
    ++counts_[index];
  }
}

void IntegerSums::add_dense(const SliceView& view, const Column& column, const std::uint32_t* rows,
                            std::uint32_t count) {
  with_width(column.width, [&]<Width width>() {
    const std::uint8_t* codes = column.codes.data();
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t row = rows[i], index = view.profile[row] + view.id_offset;
      narrow_[index] += static_cast<std::int64_t>(column.base + code_of<width>(codes, view.first_row + row));
      ++counts_[index];
    }
    return count;
  });
}

void IntegerSums::reserve_bits(const Column& column, std::uint32_t count) {
  if (wide_.size() != 0) return;
  bound_ += magnitude(column) * count;
  if (bound_ < (static_cast<unsigned __int128>(1) << 63)) return;
  wide_ = scratch_.lease<__int128>(size_);
  for (std::uint32_t i = 0; i < size_; ++i) wide_[i] = narrow_[i];
}

void GroupedValues::group(std::uint32_t size) {
  if (pairs_.empty()) return;
  first_.assign(size + std::size_t{1}, 0);
  for (const Pair& pair : pairs_) ++first_[pair.profile + 1];
  for (std::uint32_t i = 0; i < size; ++i) first_[i + 1] += first_[i];
  std::vector<std::uint32_t> at(first_.begin(), first_.end() - 1);
  values_.resize(pairs_.size());
  for (const Pair& pair : pairs_) values_[at[pair.profile]++] = pair.value;
  pairs_ = {};
}

MeasureScan::MeasureScan(Measure measure, const std::optional<KeyId>& key, std::uint32_t size, Scratch& scratch)
    : key_(key) {
  if (key && (measure == Measure::kSum || measure == Measure::kMean)) sums_.emplace(size, scratch);
}

void MeasureScan::add(const SliceView& view, const std::uint32_t* rows, std::uint32_t count) {
  if (!key_) return;
  const auto columns = std::equal_range(view.slice->columns.begin(), view.slice->columns.end(), *key_, ByKey());
  for (auto column = columns.first; column != columns.second; ++column) {
    if (column->type == ValueType::kNull) continue;
    if (!sums_) {
      gather(view, *column, rows, count);
    } else if (column->type == ValueType::kInt) {
      sums_->add(view, *column, rows, count);
    } else if (column->type == ValueType::kFloat) {
      gather(view, *column, rows, count);
    }
  }
}

bool MeasureScan::holds(const BoundMeasure& measure, std::uint32_t index, std::uint32_t row_count) {
  const std::span<const Value> values = values_.of(index);
  if (!sums_) return measure_holds(measure, row_count, values);
  const std::uint64_t integers = measure.missing_zero ? row_count - values.size() : sums_->count(index);
  if (values.empty()) return integer_sum_holds(measure, sums_->sum(index), integers);
  return mixed_sum_holds(measure, sums_->sum(index), integers, values);
}

void MeasureScan::gather(const SliceView& view, const Column& column, const std::uint32_t* rows, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t row = view.first_row + rows[i];
    if (!column.has(row)) continue;
    values_.add(view.profile[rows[i]] + view.id_offset, Value{column.type, column.bits_at(row)});
  }
}

}  // namespace cdp
