// What a trend measures, by (group, bucket): counts and exact numbers in arrays indexed by a dense cell number.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/value.hpp"
#include "query/exact_sum.hpp"
#include "query/table.hpp"

namespace cdp {

// An answer of a number measure: exact integer, float, or nothing.
struct Number {
  enum class Type : std::uint8_t { kNone, kInt, kFloat };
  Type type = Type::kNone;
  __int128 integer = 0;
  double real = 0;
  [[nodiscard]] static Number of(__int128 value) noexcept { return {Type::kInt, value, 0}; }
  [[nodiscard]] static Number of(double value) noexcept { return {Type::kFloat, 0, value}; }
};
// Exact three-way order; REQUIRES: both are numbers.
[[nodiscard]] int compare_numbers(const Number& left, const Number& right) noexcept;
// One column of numbers, in the narrowest type that all share (kMixed where some are integers and some floats).
void add_number_column(Table& table, std::string name, const std::vector<Number>& numbers);

// The numbers of one property in each cell. Values that are no numbers do not count. Integers are summed in 128 bits a cell;
// a cell gets an exact sum of floats with its first float.
class NumberCells {
 public:
  NumberCells(bool sums, bool means, bool extremes) : sums_(sums), means_(means), extremes_(extremes) {}
  void resize(std::size_t cells);
  void add(std::uint32_t cell, const Value& value) {
    if (value.type == ValueType::kInt) return add_int(cell, value.as_int());
    if (value.type == ValueType::kFloat) add_float(cell, value.as_float());
  }
  void merge(std::uint32_t cell, const NumberCells& from, std::uint32_t from_cell);
  // Cell i of the other goes to into[i]; or all of `cells` of the other to one. As merge for each, but column by column.
  void merge_each(std::span<const std::uint32_t> into, const NumberCells& from);
  void merge_many(std::uint32_t cell, const NumberCells& from, std::span<const std::uint32_t> cells);
  // The sum of each cell, where all are of integers; null when some cell has a float.
  [[nodiscard]] const __int128* integer_sums() const noexcept { return float_of_.empty() ? sum_.data() : nullptr; }
  [[nodiscard]] Number sum(std::uint32_t cell) const;
  [[nodiscard]] Number mean(std::uint32_t cell) const;
  [[nodiscard]] Number least(std::uint32_t cell) const;
  [[nodiscard]] Number greatest(std::uint32_t cell) const;
  [[nodiscard]] std::size_t size_bytes() const noexcept {
    return sum_.capacity() * sizeof(__int128) + count_.capacity() * 8 + extreme_.capacity() * sizeof(Extremes) +
           float_of_.capacity() * 4 + floats_.size() * ExactSum::kFloatBytes;
  }

 private:
  struct Extremes {  // of the integers and of the floats; empty while min > max
    std::int64_t int_min = INT64_MAX, int_max = INT64_MIN;
    double float_min = 1, float_max = 0;
    bool has_float = false;
    bool has_int = false;
  };
  void add_int(std::uint32_t cell, std::int64_t value) {
    if (sums_) sum_[cell] += value;
    if (means_) ++count_[cell];
    if (extremes_) note_int(extreme_[cell], value, value);
  }
  void add_float(std::uint32_t cell, double value);
  // What is more than a number to add: floats, extremes.
  void merge_rest(std::uint32_t cell, const NumberCells& from, std::uint32_t from_cell);
  [[nodiscard]] bool has_rest() const noexcept { return !float_of_.empty() || extremes_; }
  [[nodiscard]] bool has_float(std::uint32_t cell) const noexcept {
    return !float_of_.empty() && float_of_[cell] != kNone;
  }
  [[nodiscard]] ExactSum& float_sum(std::uint32_t cell);  // made when new
  [[nodiscard]] ExactSum total(std::uint32_t cell) const;
  static void note_int(Extremes& into, std::int64_t min, std::int64_t max) noexcept;
  static void note_float(Extremes& into, double min, double max) noexcept;

  bool sums_;
  bool means_;  // then sums too
  bool extremes_;
  std::vector<__int128> sum_;            // of the integers of each cell
  std::vector<std::uint32_t> float_of_;  // index into floats_, kNone; empty while no cell has a float
  std::vector<ExactSum> floats_;
  std::vector<std::uint64_t> count_;  // numbers of each cell
  std::vector<Extremes> extreme_;
};

// The cells of one interval. With a single bucket a cell has its group's number; else cells come in pages of 16 buckets,
// for a group of many buckets may hold rows in few.
class Cells {
 public:
  Cells(std::uint32_t buckets, bool uniques, std::vector<NumberCells> numbers)
      : pages_a_group_(buckets == 1 ? 0 : ((buckets - 1) >> kPageBits) + 1),
        uniques_(uniques),
        numbers_(std::move(numbers)) {}

  // The cell, made when new.
  [[nodiscard]] std::uint32_t at(std::uint32_t group, std::uint32_t bucket) {
    if (is_single()) {
      make_groups(group + 1);
      return group;
    }
    const std::size_t page = std::size_t{group} * pages_a_group_ + (bucket >> kPageBits);
    if (page >= pages_.size() || pages_[page] == kNoPage) add_page(page);
    return (pages_[page] << kPageBits) + (bucket & ((1u << kPageBits) - 1));
  }
  // Makes the cells of groups [0, count). REQUIRES: a single bucket.
  void make_groups(std::uint32_t count) {
    if (count > total_.size()) grow(count);
  }
  std::uint64_t& total(std::uint32_t cell) noexcept { return total_[cell]; }
  std::uint64_t& unique(std::uint32_t cell) noexcept { return unique_[cell]; }  // REQUIRES: uniques are counted
  [[nodiscard]] std::uint64_t total(std::uint32_t cell) const noexcept { return total_[cell]; }
  [[nodiscard]] std::uint64_t unique(std::uint32_t cell) const noexcept { return unique_[cell]; }
  [[nodiscard]] NumberCells& numbers(std::size_t index) noexcept { return numbers_[index]; }
  [[nodiscard]] const NumberCells& numbers(std::size_t index) const noexcept { return numbers_[index]; }
  // visit(bucket, cell) for the cells of a group that hold rows, buckets ascending.
  template <class Visit>
  void each(std::uint32_t group, Visit&& visit) const {
    if (is_single()) {
      if (holds_group(group)) visit(std::uint32_t{0}, group);
      return;
    }
    for (std::size_t page = 0; page < pages_a_group_; ++page) {
      const std::size_t at = std::size_t{group} * pages_a_group_ + page;
      if (at >= pages_.size() || pages_[at] == kNoPage) continue;
      for (std::uint32_t i = 0; i < (1u << kPageBits); ++i) {
        const std::uint32_t cell = (pages_[at] << kPageBits) + i;
        if (holds_rows(cell)) visit(static_cast<std::uint32_t>(page << kPageBits) + i, cell);
      }
    }
  }
  // Adds all cells of another; its group g is group[g] here. REQUIRES: as merge_cell.
  void merge(const Cells& from, std::span<const std::uint32_t> group);
  // Adds another cell to this one. REQUIRES: no profile is in both (of unique).
  void merge_cell(std::uint32_t cell, const Cells& from, std::uint32_t from_cell);
  // The same with all of these.
  void merge_cells(std::uint32_t cell, const Cells& from, std::span<const std::uint32_t> cells);
  // With a single bucket: a group's cell has its number.
  [[nodiscard]] bool is_single() const noexcept { return pages_a_group_ == 0; }
  [[nodiscard]] std::uint32_t group_count() const noexcept {  // REQUIRES: a single bucket
    return static_cast<std::uint32_t>(total_.size());
  }
  [[nodiscard]] bool holds_group(std::uint32_t group) const noexcept {  // REQUIRES: a single bucket
    return group < total_.size() && holds_rows(group);
  }
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  static constexpr std::uint32_t kNoPage = UINT32_MAX;
  static constexpr std::uint32_t kPageBits = 4;
  static constexpr std::size_t kSingleCells = 64;  // made at once
  [[nodiscard]] bool holds_rows(std::uint32_t cell) const noexcept {
    return total_[cell] != 0 || (uniques_ && unique_[cell] != 0);
  }
  void add_page(std::size_t page);
  void grow(std::size_t needed);
  std::size_t pages_a_group_;  // 0 with a single bucket
  bool uniques_;
  std::uint32_t page_count_ = 0;
  std::vector<std::uint32_t> pages_;
  std::vector<std::uint64_t> total_;
  std::vector<std::uint64_t> unique_;
  std::vector<NumberCells> numbers_;
};

}  // namespace cdp
