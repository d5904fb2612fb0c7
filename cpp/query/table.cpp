#include "query/table.hpp"

#include <algorithm>
#include <bit>

namespace cdp {

namespace {
bool is_text(ColumnType type) noexcept {
  return type == ColumnType::kString || type == ColumnType::kDecimal || type == ColumnType::kList;
}
}  // namespace

void TableColumn::reserve(std::size_t rows) {
  if (type_ == ColumnType::kBool) {
    bools_.reserve(rows);
  } else if (is_text(type_)) {
    offsets_.reserve(rows + 1);
  } else {
    words_.reserve(rows);
  }
}

void TableColumn::push_valid() {
  if (!validity_.empty()) {
    if ((row_count_ & 7) == 0) validity_.push_back(0);
    validity_[row_count_ >> 3] |= static_cast<std::uint8_t>(1u << (row_count_ & 7));
  }
  ++row_count_;
}

void TableColumn::push_null() {
  if (validity_.empty()) {
    validity_.assign(row_count_ / 8 + 1, 0);
    for (std::size_t row = 0; row < row_count_; ++row)
      validity_[row >> 3] |= static_cast<std::uint8_t>(1u << (row & 7));
  } else if ((row_count_ & 7) == 0) {
    validity_.push_back(0);
  }
  if (type_ == ColumnType::kMixed) {
    push_cell(ColumnType::kMixed, 0, {});
  } else if (type_ == ColumnType::kBool) {
    bools_.push_back(0);
  } else if (is_text(type_)) {
    offsets_.push_back(offsets_.back());
  } else {
    words_.push_back(0);
  }
  ++null_count_;
  ++row_count_;
}

void TableColumn::push_cell(ColumnType type, std::uint64_t word, std::string_view text) {
  types_.push_back(type);
  words_.push_back(word);
  bytes_.append(text);
  offsets_.push_back(static_cast<std::int64_t>(bytes_.size()));
}

void TableColumn::push_int(std::int64_t value) {
  if (type_ == ColumnType::kMixed) {
    push_cell(ColumnType::kInt64, static_cast<std::uint64_t>(value), {});
  } else {
    words_.push_back(static_cast<std::uint64_t>(value));
  }
  push_valid();
}
void TableColumn::push_uint(std::uint64_t value) {
  words_.push_back(value);
  push_valid();
}
void TableColumn::push_datetime(std::int64_t value) {
  if (type_ == ColumnType::kMixed) {
    push_cell(ColumnType::kDatetime, static_cast<std::uint64_t>(value), {});
  } else {
    words_.push_back(static_cast<std::uint64_t>(value));
  }
  push_valid();
}
void TableColumn::push_float(double value) {
  if (type_ == ColumnType::kMixed) {
    push_cell(ColumnType::kFloat64, std::bit_cast<std::uint64_t>(value), {});
  } else {
    words_.push_back(std::bit_cast<std::uint64_t>(value));
  }
  push_valid();
}
void TableColumn::push_bool(bool value) {
  if (type_ == ColumnType::kMixed) {
    push_cell(ColumnType::kBool, value ? 1 : 0, {});
  } else {
    bools_.push_back(value ? 1 : 0);
  }
  push_valid();
}
void TableColumn::push_text(ColumnType type, std::string_view text) {
  if (type_ == ColumnType::kMixed) {
    push_cell(type, 0, text);
  } else {
    bytes_.append(text);
    offsets_.push_back(static_cast<std::int64_t>(bytes_.size()));
  }
  push_valid();
}
void TableColumn::push_string(std::string_view text) { push_text(ColumnType::kString, text); }
void TableColumn::push_decimal(std::string_view text) { push_text(ColumnType::kDecimal, text); }
void TableColumn::push_list(std::string_view msgpack) { push_text(ColumnType::kList, msgpack); }

void TableColumn::adopt(std::vector<std::uint64_t>&& words) {
  words_ = std::move(words);
  row_count_ = words_.size();
}

double TableColumn::float_at(std::size_t row) const noexcept { return std::bit_cast<double>(words_[row]); }

TableColumn& Table::add(std::string name, ColumnType type) { return columns.emplace_back(std::move(name), type); }

const TableColumn* Table::find(std::string_view name) const noexcept {
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const TableColumn& c) { return c.name() == name; });
  return found == columns.end() ? nullptr : &*found;
}

std::string decimal_text(__int128 value) {
  unsigned __int128 left = value < 0 ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(left % 10)));
    left /= 10;
  } while (left != 0);
  if (value < 0) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace cdp
