// What a foreign producer hands over through Arrow's C data interface, checked before any of it is believed.
//
// The interface gives pointers without their sizes, so the ends of data buffers cannot be checked; all that can be is: formats,
// counts, signs, sums, order of offsets, indexes of dictionaries, borders of views. What does not hold throws
// Error(kInvalidRequest, load.arrow.invalid) with the column's path: nothing behind it can be trusted.
//
// Views point into the producer's memory: they live as long as the array is not released.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codec/arrow_abi.hpp"

namespace cdp {

enum class ArrowKind : std::uint8_t {
  kNull,
  kBool,
  kInt,        // signed, of `width` bytes
  kUint,       // unsigned, of `width` bytes
  kFloat,      // of `width` bytes, 4 or 8
  kText,       // 32-bit offsets
  kLargeText,  // 64-bit offsets
  kTextView,
  kTime,    // int64, `per_second` of them a second
  kDate32,  // days
  kDate64,  // milliseconds
  kList,
  kLargeList,
  kStruct,
  kUnsupported,
};

// A field of the schema, as it concerns us.
struct ArrowColumnType {
  std::string name;
  std::string format;
  ArrowKind kind = ArrowKind::kUnsupported;
  unsigned width = 0;
  std::int64_t per_second = 0;
  std::vector<ArrowColumnType> children;    // kList, kLargeList: one; kStruct: its fields
  std::unique_ptr<ArrowColumnType> values;  // of a dictionary: `kind` and `width` are those of its indexes
  [[nodiscard]] bool is_dictionary() const noexcept { return values != nullptr; }
  [[nodiscard]] bool is_text() const noexcept {
    return kind == ArrowKind::kText || kind == ArrowKind::kLargeText || kind == ArrowKind::kTextView;
  }
};

// Reads a schema; `path` names it in errors.
[[nodiscard]] ArrowColumnType read_arrow_schema(const ArrowSchema& schema, const std::string& path = {});

// Cells of one column: row 0 is the first of the batch.
class ArrowCells {
 public:
  // Checks the array against its type. `shift` and `length`: rows [shift, shift + length) of it are those of the parent.
  ArrowCells(const ArrowColumnType& type, const ArrowArray* array, std::int64_t shift, std::int64_t length,
             const std::string& path);

  [[nodiscard]] const ArrowColumnType& type() const noexcept { return *type_; }
  [[nodiscard]] std::int64_t length() const noexcept { return length_; }
  [[nodiscard]] const std::vector<ArrowCells>& children() const noexcept { return children_; }
  [[nodiscard]] const ArrowCells& values() const noexcept { return *values_; }  // REQUIRES: a dictionary
  [[nodiscard]] bool may_be_null() const noexcept { return validity_ != nullptr || type_->kind == ArrowKind::kNull; }

  [[nodiscard]] bool is_null(std::int64_t row) const noexcept {
    if (type_->kind == ArrowKind::kNull) return true;
    const std::int64_t at = first_ + row;
    return validity_ != nullptr && ((validity_[at >> 3] >> (at & 7)) & 1) == 0;
  }
  // REQUIRES of those below: the row is not null, and the kind fits.
  [[nodiscard]] bool bool_at(std::int64_t row) const noexcept {
    const std::int64_t at = first_ + row;
    return ((static_cast<const std::uint8_t*>(data_)[at >> 3] >> (at & 7)) & 1) != 0;
  }
  // REQUIRES: T is as wide as the kind.
  template <class T>
  [[nodiscard]] T load(std::int64_t row) const noexcept {
    T out;  // a producer need not align
    std::memcpy(&out, static_cast<const char*>(data_) + (first_ + row) * static_cast<std::int64_t>(sizeof out),
                sizeof out);
    return out;
  }
  [[nodiscard]] std::int64_t int_at(std::int64_t row) const noexcept {
    switch (type_->width) {
      case 1: return load<std::int8_t>(row);
      case 2: return load<std::int16_t>(row);
      case 4: return load<std::int32_t>(row);
      default: return load<std::int64_t>(row);
    }
  }
  [[nodiscard]] std::uint64_t uint_at(std::int64_t row) const noexcept {
    switch (type_->width) {
      case 1: return load<std::uint8_t>(row);
      case 2: return load<std::uint16_t>(row);
      case 4: return load<std::uint32_t>(row);
      default: return load<std::uint64_t>(row);
    }
  }
  [[nodiscard]] double float_at(std::int64_t row) const noexcept {
    return type_->width == 4 ? static_cast<double>(load<float>(row)) : load<double>(row);
  }
  // Throws when a view points outside of its buffers.
  [[nodiscard]] std::string_view text_at(std::int64_t row) const {
    if (type_->kind == ArrowKind::kText) return text_between<std::int32_t>(row);
    if (type_->kind == ArrowKind::kLargeText) return text_between<std::int64_t>(row);
    return view_at(row);
  }
  // About what text and lists in rows [first, first + count) take, nested ones too; each time that they are told, but for
  // small dictionaries. O(1) a column, O(count) of views and of dictionaries that are not small. Throws as index_at.
  [[nodiscard]] std::int64_t content_bytes(std::int64_t first, std::int64_t count) const;
  // Index into values(). Throws when it is outside.
  [[nodiscard]] std::int64_t index_at(std::int64_t row) const {
    const std::uint64_t index =
        type_->kind == ArrowKind::kUint ? uint_at(row) : static_cast<std::uint64_t>(int_at(row));
    if (index >= static_cast<std::uint64_t>(values_->length_)) [[unlikely]]
      fail_index();
    return static_cast<std::int64_t>(index);
  }
  // Rows [first, last) of children()[0].
  struct Span {
    std::int64_t first, last;
  };
  [[nodiscard]] Span list_at(std::int64_t row) const noexcept {
    if (type_->kind == ArrowKind::kList) return {offset<std::int32_t>(row), offset<std::int32_t>(row + 1)};
    return {offset<std::int64_t>(row), offset<std::int64_t>(row + 1)};
  }

 private:
  template <class T>
  [[nodiscard]] std::int64_t offset(std::int64_t row) const noexcept {
    T out;
    std::memcpy(&out, static_cast<const char*>(offsets_) + (first_ + row) * static_cast<std::int64_t>(sizeof out),
                sizeof out);
    return out;
  }
  template <class T>
  [[nodiscard]] std::string_view text_between(std::int64_t row) const noexcept {
    const std::int64_t first = offset<T>(row), last = offset<T>(row + 1);
    return {static_cast<const char*>(data_) + first, static_cast<std::size_t>(last - first)};
  }
  [[nodiscard]] std::string_view view_at(std::int64_t row) const;
  template <class T>
  void check_offsets(std::int64_t most) const;
  void take_buffers(const ArrowArray& array);
  void take_children(const ArrowArray& array);
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_index() const;

  const ArrowColumnType* type_;
  std::string path_;
  std::int64_t length_ = 0;
  std::int64_t first_ = 0;  // of row 0 in the buffers
  const std::uint8_t* validity_ = nullptr;
  const void* data_ = nullptr;
  const void* offsets_ = nullptr;
  const void* const* view_buffers_ = nullptr;  // kTextView: where its long texts lie
  const void* view_sizes_ = nullptr;           // int64 each
  std::int64_t view_buffer_count_ = 0;
  std::vector<ArrowCells> children_;
  std::unique_ptr<ArrowCells> values_;
  std::int64_t dictionary_bytes_ = 0;
};

}  // namespace cdp
