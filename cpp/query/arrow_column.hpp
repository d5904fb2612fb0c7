// Columns in Arrow's layout that own their memory, and batches of them as C structs.
//
//   kNull n · kBool b · kInt l · kUint L · kFloat g · kText u · kTime tsm:UTC · kTexts +l of u
//
// Validity is one bit a row, lowest first, and left out when no row is null. Text is UTF-8 with 32-bit offsets: who fills a
// column keeps its `bytes` below 2^31 (export.cpp cuts batches far below).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/arrow_abi.hpp"

namespace cdp {

enum class ArrowType : std::uint8_t { kNull, kBool, kInt, kUint, kFloat, kText, kTime, kTexts };

struct ArrowField {
  std::string name;
  ArrowType type = ArrowType::kNull;
  bool is_nullable = true;
};

// The rows of one column. Filled row by row, in order, by the calls of its type.
class ArrowColumn {
 public:
  explicit ArrowColumn(ArrowType type) : type_(type) {
    if (type == ArrowType::kText || type == ArrowType::kTexts) offsets_.push_back(0);
    if (type == ArrowType::kTexts) text_offsets_.push_back(0);
  }

  void reserve(std::size_t rows);
  void add_null();
  void add_word(std::uint64_t bits) {  // kInt, kUint, kFloat, kTime
    words_.push_back(bits);
    add_valid();
  }
  void add_bool(bool value) {
    if ((row_count_ & 7) == 0) bits_.push_back(0);
    bits_[row_count_ >> 3] |= static_cast<std::uint8_t>(static_cast<unsigned>(value) << (row_count_ & 7));
    add_valid();
  }
  void add_text(std::string_view text) {
    bytes_.append(text);
    offsets_.push_back(static_cast<std::int32_t>(bytes_.size()));
    add_valid();
  }
  // kTexts: the texts of the row, then the row.
  void add_element(std::string_view text) {
    bytes_.append(text);
    text_offsets_.push_back(static_cast<std::int32_t>(bytes_.size()));
  }
  void end_list() {
    offsets_.push_back(static_cast<std::int32_t>(text_offsets_.size() - 1));
    add_valid();
  }

  [[nodiscard]] ArrowType type() const noexcept { return type_; }
  [[nodiscard]] std::int64_t row_count() const noexcept { return row_count_; }
  [[nodiscard]] std::size_t text_bytes() const noexcept { return bytes_.size(); }

  // Moves the column into `out`, whose release frees it.
  static void give(ArrowColumn&& column, ArrowArray& out);

 private:
  void add_valid() {
    if ((row_count_ & 7) == 0) validity_.push_back(0);
    validity_[static_cast<std::size_t>(row_count_ >> 3)] |= static_cast<std::uint8_t>(1u << (row_count_ & 7));
    ++row_count_;
  }

  ArrowType type_;
  std::int64_t row_count_ = 0;
  std::int64_t null_count_ = 0;
  std::vector<std::uint8_t> validity_;
  std::vector<std::uint64_t> words_;
  std::vector<std::uint8_t> bits_;          // kBool
  std::vector<std::int32_t> offsets_;       // kText: into bytes_; kTexts: into the texts
  std::vector<std::int32_t> text_offsets_;  // kTexts: into bytes_
  std::string bytes_;
};

// The schema of a struct of these fields, as a stream has it.
void give_schema(const std::vector<ArrowField>& fields, ArrowSchema& out);
// A batch of columns of one length; `out` owns them. REQUIRES: `row_count` rows each.
void give_batch(std::vector<ArrowColumn>&& columns, std::int64_t row_count, ArrowArray& out);

}  // namespace cdp
