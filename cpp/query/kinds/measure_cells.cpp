#include "query/kinds/measure_cells.hpp"

#include <algorithm>
#include <cmath>

#include "query/condition.hpp"

namespace cdp {
namespace {

bool fits_int64(__int128 value) noexcept { return value >= INT64_MIN && value <= INT64_MAX; }

int compare_with_float(__int128 integer, double real) noexcept {
  constexpr double kLimit = 0x1p126;
  if (real >= kLimit) return -1;
  if (real <= -kLimit) return 1;
  const double whole = std::trunc(real);
  const auto truncated = static_cast<__int128>(whole);
  if (integer != truncated) return integer < truncated ? -1 : 1;
  return whole < real ? -1 : whole > real ? 1 : 0;
}

}  // namespace

int compare_numbers(const Number& left, const Number& right) noexcept {
  const bool left_int = left.type == Number::Type::kInt, right_int = right.type == Number::Type::kInt;
  if (left_int && right_int) return left.integer < right.integer ? -1 : left.integer > right.integer ? 1 : 0;
  if (left_int) return compare_with_float(left.integer, right.real);
  if (right_int) return -compare_with_float(right.integer, left.real);
  return left.real < right.real ? -1 : left.real > right.real ? 1 : 0;
}

void add_number_column(Table& table, std::string name, const std::vector<Number>& numbers) {
  bool ints = false, floats = false, large = false;
  for (const Number& number : numbers) {
    ints |= number.type == Number::Type::kInt;
    floats |= number.type == Number::Type::kFloat;
    large |= number.type == Number::Type::kInt && !fits_int64(number.integer);
  }
  const ColumnType type = ints && floats ? ColumnType::kMixed
                          : floats       ? ColumnType::kFloat64
                          : large        ? ColumnType::kDecimal
                                         : ColumnType::kInt64;
  TableColumn& column = table.add(std::move(name), type);
  column.reserve(numbers.size());
  for (const Number& number : numbers) {
    if (number.type == Number::Type::kNone) {
      column.push_null();
    } else if (number.type == Number::Type::kFloat) {
      column.push_float(number.real);
    } else if (type == ColumnType::kDecimal || !fits_int64(number.integer)) {
      column.push_decimal(decimal_text(number.integer));
    } else {
      column.push_int(static_cast<std::int64_t>(number.integer));
    }
  }
}

void NumberCells::resize(std::size_t cells) {
  if (sums_) sum_.resize(cells);
  if (means_) count_.resize(cells);
  if (!float_of_.empty()) float_of_.resize(cells, kNone);
  if (extremes_) extreme_.resize(cells);
}

void NumberCells::note_int(Extremes& into, std::int64_t min, std::int64_t max) noexcept {
  into.has_int = true;
  into.int_min = std::min(into.int_min, min);
  into.int_max = std::max(into.int_max, max);
}

void NumberCells::note_float(Extremes& into, double min, double max) noexcept {
  into.float_min = into.has_float ? std::min(into.float_min, min) : min;
  into.float_max = into.has_float ? std::max(into.float_max, max) : max;
  into.has_float = true;
}

ExactSum& NumberCells::float_sum(std::uint32_t cell) {
  if (float_of_.empty()) float_of_.resize(sum_.size(), kNone);
  if (float_of_[cell] == kNone) {
    float_of_[cell] = static_cast<std::uint32_t>(floats_.size());
    floats_.emplace_back();
  }
  return floats_[float_of_[cell]];
}

ExactSum NumberCells::total(std::uint32_t cell) const {
  ExactSum total;
  if (has_float(cell)) total = floats_[float_of_[cell]];
  total.add_int(sum_[cell]);
  return total;
}

void NumberCells::add_float(std::uint32_t cell, double value) {
  if (sums_) float_sum(cell).add_float(value);
  if (means_) ++count_[cell];
  if (extremes_) note_float(extreme_[cell], value, value);
}

void NumberCells::merge_rest(std::uint32_t cell, const NumberCells& from, std::uint32_t from_cell) {
  if (from.has_float(from_cell)) float_sum(cell).merge(from.floats_[from.float_of_[from_cell]]);
  if (!extremes_) return;
  const Extremes& other = from.extreme_[from_cell];
  if (other.has_int) note_int(extreme_[cell], other.int_min, other.int_max);
  if (other.has_float) note_float(extreme_[cell], other.float_min, other.float_max);
}

void NumberCells::merge(std::uint32_t cell, const NumberCells& from, std::uint32_t from_cell) {
  if (sums_) sum_[cell] += from.sum_[from_cell];
  if (means_) count_[cell] += from.count_[from_cell];
  if (from.has_rest()) merge_rest(cell, from, from_cell);
}

void NumberCells::merge_each(std::span<const std::uint32_t> into, const NumberCells& from) {
  for (std::uint32_t i = 0; sums_ && i < into.size(); ++i) sum_[into[i]] += from.sum_[i];
  for (std::uint32_t i = 0; means_ && i < into.size(); ++i) count_[into[i]] += from.count_[i];
  for (std::uint32_t i = 0; from.has_rest() && i < into.size(); ++i) merge_rest(into[i], from, i);
}

void NumberCells::merge_many(std::uint32_t cell, const NumberCells& from, std::span<const std::uint32_t> cells) {
  if (sums_) {
    __int128 sum = 0;
    for (const std::uint32_t from_cell : cells) sum += from.sum_[from_cell];
    sum_[cell] += sum;
  }
  if (means_) {
    for (const std::uint32_t from_cell : cells) count_[cell] += from.count_[from_cell];
  }
  if (!from.has_rest()) return;
  for (const std::uint32_t from_cell : cells) merge_rest(cell, from, from_cell);
}

Number NumberCells::sum(std::uint32_t cell) const {
  return has_float(cell) ? Number::of(total(cell).rounded()) : Number::of(sum_[cell]);
}

Number NumberCells::mean(std::uint32_t cell) const {
  return count_[cell] == 0 ? Number{} : Number::of(total(cell).mean(count_[cell]));
}

Number NumberCells::least(std::uint32_t cell) const {
  const Extremes& of = extreme_[cell];
  if (!of.has_float) return of.has_int ? Number::of(__int128{of.int_min}) : Number{};
  const bool int_wins = of.has_int && compare_exact(of.int_min, of.float_min) <= 0;
  return int_wins ? Number::of(__int128{of.int_min}) : Number::of(of.float_min);
}

Number NumberCells::greatest(std::uint32_t cell) const {
  const Extremes& of = extreme_[cell];
  if (!of.has_float) return of.has_int ? Number::of(__int128{of.int_max}) : Number{};
  const bool int_wins = of.has_int && compare_exact(of.int_max, of.float_max) >= 0;
  return int_wins ? Number::of(__int128{of.int_max}) : Number::of(of.float_max);
}

void Cells::add_page(std::size_t page) {
  if (page >= pages_.size()) {
    const std::size_t groups = page / pages_a_group_ + 1;
    if (pages_.capacity() < groups * pages_a_group_) pages_.reserve(2 * groups * pages_a_group_);
    pages_.resize(groups * pages_a_group_, kNoPage);
  }
  pages_[page] = page_count_++;
  const std::size_t needed = std::size_t{page_count_} << kPageBits;
  if (needed > total_.size()) grow(needed);
}

void Cells::grow(std::size_t needed) {
  const std::size_t cells = std::max({2 * total_.size(), needed, is_single() ? kSingleCells : 0});
  total_.resize(cells);
  if (uniques_) unique_.resize(cells);
  for (NumberCells& numbers : numbers_) numbers.resize(cells);
}

void Cells::merge(const Cells& from, std::span<const std::uint32_t> group) {
  if (is_single()) {
    if (!group.empty()) make_groups(*std::max_element(group.begin(), group.end()) + 1);
    const std::span into = group.first(std::min(group.size(), from.total_.size()));
    for (std::uint32_t g = 0; g < into.size(); ++g) total_[into[g]] += from.total_[g];
    for (std::uint32_t g = 0; uniques_ && g < into.size(); ++g) unique_[into[g]] += from.unique_[g];
    for (std::size_t i = 0; i < numbers_.size(); ++i) numbers_[i].merge_each(into, from.numbers_[i]);
    return;
  }
  for (std::uint32_t g = 0; g < group.size(); ++g) {
    from.each(g, [&](std::uint32_t bucket, std::uint32_t cell) { merge_cell(at(group[g], bucket), from, cell); });
  }
}

void Cells::merge_cell(std::uint32_t cell, const Cells& from, std::uint32_t from_cell) {
  total_[cell] += from.total_[from_cell];
  if (uniques_) unique_[cell] += from.unique_[from_cell];
  for (std::size_t i = 0; i < numbers_.size(); ++i) numbers_[i].merge(cell, from.numbers_[i], from_cell);
}

void Cells::merge_cells(std::uint32_t cell, const Cells& from, std::span<const std::uint32_t> cells) {
  for (const std::uint32_t from_cell : cells) total_[cell] += from.total_[from_cell];
  if (uniques_) {
    for (const std::uint32_t from_cell : cells) unique_[cell] += from.unique_[from_cell];
  }
  for (std::size_t i = 0; i < numbers_.size(); ++i) numbers_[i].merge_many(cell, from.numbers_[i], cells);
}

std::size_t Cells::size_bytes() const noexcept {
  std::size_t bytes = pages_.capacity() * 4 + total_.capacity() * 8 + unique_.capacity() * 8;
  for (const NumberCells& numbers : numbers_) bytes += numbers.size_bytes();
  return bytes;
}

}  // namespace cdp
