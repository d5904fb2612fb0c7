// An answer: named typed columns that own their memory, the watermark it was computed at, and notes.
//
// Layout is Arrow's (values contiguous, validity one bit a row lowest first, strings as offsets + bytes), so that
// bindings hand columns over without a copy. Integers beyond int64 go into a `kDecimal` column: decimal strings. A column whose
// cells differ in type is `kMixed`: every cell says its own type. A `kList` cell holds the canonical msgpack of a list.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace cdp {

enum class ColumnType : std::uint8_t { kInt64, kUint64, kFloat64, kBool, kString, kDecimal, kDatetime, kList, kMixed };

class TableColumn {
 public:
  TableColumn(std::string name, ColumnType type) : name_(std::move(name)), type_(type) { offsets_.push_back(0); }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] ColumnType type() const noexcept { return type_; }
  // Of one cell: the column's, or its own in a kMixed column. REQUIRES: not null.
  [[nodiscard]] ColumnType type_at(std::size_t row) const noexcept {
    return type_ == ColumnType::kMixed ? types_[row] : type_;
  }
  [[nodiscard]] std::size_t size() const noexcept { return row_count_; }
  [[nodiscard]] bool has_nulls() const noexcept { return null_count_ != 0; }
  [[nodiscard]] std::size_t null_count() const noexcept { return null_count_; }
  [[nodiscard]] bool is_null(std::size_t row) const noexcept {
    return !validity_.empty() && ((validity_[row >> 3] >> (row & 7)) & 1) == 0;
  }

  void reserve(std::size_t rows);
  void push_null();
  // Each takes the type behind it, and kMixed (not push_uint).
  void push_int(std::int64_t value);         // kInt64
  void push_datetime(std::int64_t value);    // kDatetime
  void push_uint(std::uint64_t value);       // kUint64
  void push_float(double value);             // kFloat64
  void push_bool(bool value);                // kBool: one byte a row
  void push_string(std::string_view text);   // kString
  void push_decimal(std::string_view text);  // kDecimal
  void push_list(std::string_view msgpack);  // kList
  // Takes a whole column without nulls. REQUIRES: kUint64 (the ids of `profiles`) or kInt64.
  void adopt(std::vector<std::uint64_t>&& words);

  // Bits of fixed-width types: int64, uint64, double, datetime (8 bytes each).
  [[nodiscard]] const std::vector<std::uint64_t>& words() const noexcept { return words_; }
  [[nodiscard]] const std::vector<std::uint8_t>& bools() const noexcept { return bools_; }
  [[nodiscard]] const std::vector<std::int64_t>& offsets() const noexcept { return offsets_; }  // rows + 1
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::vector<std::uint8_t>& validity() const noexcept { return validity_; }  // empty: no nulls

  [[nodiscard]] std::int64_t int_at(std::size_t row) const noexcept { return static_cast<std::int64_t>(words_[row]); }
  [[nodiscard]] std::uint64_t uint_at(std::size_t row) const noexcept { return words_[row]; }
  [[nodiscard]] double float_at(std::size_t row) const noexcept;
  [[nodiscard]] bool bool_at(std::size_t row) const noexcept {
    return type_ == ColumnType::kMixed ? words_[row] != 0 : bools_[row] != 0;
  }
  [[nodiscard]] std::string_view string_at(std::size_t row) const noexcept {
    return std::string_view(bytes_).substr(static_cast<std::size_t>(offsets_[row]),
                                           static_cast<std::size_t>(offsets_[row + 1] - offsets_[row]));
  }

 private:
  void push_valid();
  void push_cell(ColumnType type, std::uint64_t word, std::string_view text);  // kMixed: a place in every vector
  void push_text(ColumnType type, std::string_view text);

  std::string name_;
  ColumnType type_;
  std::size_t row_count_ = 0;
  std::size_t null_count_ = 0;
  std::vector<std::uint64_t> words_;
  std::vector<std::uint8_t> bools_;
  std::vector<std::int64_t> offsets_;
  std::string bytes_;
  std::vector<std::uint8_t> validity_;
  std::vector<ColumnType> types_;  // kMixed
};

using NoteValue = std::variant<std::int64_t, double, std::string>;

struct Table {
  std::vector<TableColumn> columns;  // all of one length
  std::uint64_t watermark = 0;
  std::int64_t now_ms = 0;
  std::vector<std::pair<std::string, NoteValue>> notes;

  // The new column; the reference lives until the next add.
  TableColumn& add(std::string name, ColumnType type);
  [[nodiscard]] const TableColumn* find(std::string_view name) const noexcept;
  [[nodiscard]] std::size_t row_count() const noexcept { return columns.empty() ? 0 : columns.front().size(); }
};

// Decimal text of a 128-bit integer.
[[nodiscard]] std::string decimal_text(__int128 value);

}  // namespace cdp
