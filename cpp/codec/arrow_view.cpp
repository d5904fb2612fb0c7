#include "codec/arrow_view.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/error.hpp"
#include "base/limits.hpp"
#include "base/utf8.hpp"

namespace cdp {
namespace {

constexpr std::int64_t kRowsMost = std::int64_t{1} << 40;  // arithmetic on rows and bytes never overflows
constexpr std::int64_t kColumnsMost = 100'000;
constexpr std::size_t kFormatMost = 256;
constexpr std::size_t kNameMost = 4'096;
constexpr std::size_t kDepthMost = 16;
constexpr std::int64_t kViewBuffersMost = 1 << 20;

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw Error(Family::kInvalidRequest, code::kArrowInvalid, "the Arrow data cannot be read: " + what, path);
}

std::string bounded(const char* text, std::size_t most, const std::string& path, const char* what) {
  const std::size_t size = ::strnlen(text, most + 1);
  if (size > most) refuse(path, std::string(what) + " is too long");
  return {text, size};
}

struct Scalar {
  std::string_view format;
  ArrowKind kind;
  unsigned width;
};
constexpr Scalar kScalars[] = {
    {"n", ArrowKind::kNull, 0},       {"b", ArrowKind::kBool, 0},      {"c", ArrowKind::kInt, 1},
    {"s", ArrowKind::kInt, 2},        {"i", ArrowKind::kInt, 4},       {"l", ArrowKind::kInt, 8},
    {"C", ArrowKind::kUint, 1},       {"S", ArrowKind::kUint, 2},      {"I", ArrowKind::kUint, 4},
    {"L", ArrowKind::kUint, 8},       {"f", ArrowKind::kFloat, 4},     {"g", ArrowKind::kFloat, 8},
    {"u", ArrowKind::kText, 0},       {"U", ArrowKind::kLargeText, 0}, {"vu", ArrowKind::kTextView, 0},
    {"tdD", ArrowKind::kDate32, 4},   {"tdm", ArrowKind::kDate64, 8},  {"+l", ArrowKind::kList, 0},
    {"+L", ArrowKind::kLargeList, 0}, {"+s", ArrowKind::kStruct, 0},
};

std::int64_t units_of(std::string_view format) {
  if (format.starts_with("tss:")) return 1;
  if (format.starts_with("tsm:")) return 1'000;
  if (format.starts_with("tsu:")) return 1'000'000;
  if (format.starts_with("tsn:")) return 1'000'000'000;
  return 0;
}

void find_kind(ArrowColumnType& type) {
  for (const Scalar& scalar : kScalars) {
    if (scalar.format != type.format) continue;
    type.kind = scalar.kind;
    type.width = scalar.width;
    return;
  }
  type.per_second = units_of(type.format);
  if (type.per_second != 0) type.kind = ArrowKind::kTime, type.width = 8;
}

// `left`: fields that may still come: a producer may point to one child many times over.
ArrowColumnType read_schema(const ArrowSchema& schema, const std::string& parent, std::size_t depth,
                            std::int64_t& left) {
  if (--left < 0) refuse(parent, "over 100,000 columns");
  if (depth > kDepthMost) refuse(parent, "nested over 16 levels");
  if (schema.release == nullptr) refuse(parent, "a schema that was released");
  ArrowColumnType type;
  if (schema.name != nullptr) type.name = bounded(schema.name, kNameMost, parent, "the name of a column");
  if (!is_utf8(type.name)) refuse(parent, "the name of a column is not UTF-8");
  const std::string path = parent.empty() ? type.name : parent + "." + type.name;
  if (schema.format == nullptr) refuse(path, "a column without a format");
  type.format = bounded(schema.format, kFormatMost, path, "a format");
  if (!is_utf8(type.format)) refuse(path, "a format is not UTF-8");
  find_kind(type);
  if (schema.n_children < 0 || schema.n_children > kColumnsMost) refuse(path, "a count of children out of range");
  if (schema.n_children > 0 && schema.children == nullptr) refuse(path, "children that are null");
  const bool is_list = type.kind == ArrowKind::kList || type.kind == ArrowKind::kLargeList;
  if (is_list && schema.n_children != 1) refuse(path, "a list with a count of children other than one");
  for (std::int64_t at = 0; at < schema.n_children; ++at) {
    if (schema.children[at] == nullptr) refuse(path, "a child that is null");
    type.children.push_back(read_schema(*schema.children[at], path, depth + 1, left));
  }
  if (schema.dictionary != nullptr) {
    if (type.kind != ArrowKind::kInt && type.kind != ArrowKind::kUint) {
      refuse(path, "a dictionary whose indexes are no integers");
    }
    type.values = std::make_unique<ArrowColumnType>(read_schema(*schema.dictionary, path, depth + 1, left));
    if (type.values->is_dictionary()) refuse(path, "a dictionary of a dictionary");
  }
  return type;
}

std::int64_t buffers_of(ArrowKind kind) noexcept {
  switch (kind) {
    case ArrowKind::kNull: return 0;
    case ArrowKind::kStruct: return 1;
    case ArrowKind::kText:
    case ArrowKind::kLargeText: return 3;
    default: return 2;
  }
}

}  // namespace

ArrowColumnType read_arrow_schema(const ArrowSchema& schema, const std::string& path) {
  std::int64_t left = kColumnsMost;
  return read_schema(schema, path, 0, left);
}

ArrowCells::ArrowCells(const ArrowColumnType& type, const ArrowArray* array, std::int64_t shift, std::int64_t length,
                       const std::string& path)
    : type_(&type), path_(path), length_(length) {
  if (array == nullptr) fail("an array that is null");
  if (array->release == nullptr) fail("an array that was released");
  if (array->length < 0 || array->length > kRowsMost) fail("a length out of range");
  if (array->offset < 0 || array->offset > kRowsMost) fail("an offset out of range");
  if (shift + length > array->length) fail("a column shorter than its batch");
  if (array->null_count < -1 || array->null_count > array->length) fail("a count of nulls out of range");
  if (array->n_buffers < 0 || array->n_children < 0) fail("a negative count");
  first_ = array->offset + shift;
  if (type.kind == ArrowKind::kUnsupported) return;  // whoever wants it is told so
  take_buffers(*array);
  take_children(*array);
  if (type.is_dictionary()) {
    if (array->dictionary == nullptr) fail("a dictionary that is null");
    values_ = std::make_unique<ArrowCells>(*type.values, array->dictionary, 0, array->dictionary->length, path);
    dictionary_bytes_ = values_->content_bytes(0, values_->length_);
  }
}

void ArrowCells::take_buffers(const ArrowArray& array) {
  const ArrowKind kind = type_->kind;
  if (kind == ArrowKind::kTextView ? array.n_buffers < 3 : array.n_buffers != buffers_of(kind)) {
    fail("a count of buffers that its format does not have");
  }
  if (kind == ArrowKind::kNull) return;
  if (array.buffers == nullptr) fail("buffers that are null");
  validity_ = static_cast<const std::uint8_t*>(array.buffers[0]);
  if (validity_ == nullptr && array.null_count > 0) fail("nulls without a bitmap of them");
  if (array.null_count == 0) validity_ = nullptr;
  if (kind == ArrowKind::kStruct) return;
  const bool is_empty = length_ == 0;
  if (array.buffers[1] == nullptr && !is_empty) fail("a buffer that is null");
  switch (kind) {
    case ArrowKind::kText:
    case ArrowKind::kLargeText:
      offsets_ = array.buffers[1];
      data_ = array.buffers[2];
      if (is_empty) break;
      kind == ArrowKind::kText ? check_offsets<std::int32_t>(kRowsMost) : check_offsets<std::int64_t>(kRowsMost);
      break;
    case ArrowKind::kList:
    case ArrowKind::kLargeList: offsets_ = array.buffers[1]; break;
    case ArrowKind::kTextView:
      data_ = array.buffers[1];
      view_buffer_count_ = array.n_buffers - 3;
      if (view_buffer_count_ > kViewBuffersMost) fail("too many buffers of text");
      view_buffers_ = array.buffers + 2;
      view_sizes_ = array.buffers[array.n_buffers - 1];
      if (view_buffer_count_ > 0 && view_sizes_ == nullptr) fail("buffers of text without their sizes");
      break;
    default: data_ = array.buffers[1]; break;
  }
}

void ArrowCells::take_children(const ArrowArray& array) {
  if (static_cast<std::size_t>(array.n_children) != type_->children.size()) {
    fail("a count of children other than that of its schema");
  }
  if (array.n_children > 0 && array.children == nullptr) fail("children that are null");
  children_.reserve(type_->children.size());
  for (std::size_t at = 0; at < type_->children.size(); ++at) {
    const ArrowColumnType& child = type_->children[at];
    const ArrowArray* const given = array.children[at];
    const std::string path = path_.empty() ? child.name : path_ + "." + child.name;
    if (type_->kind == ArrowKind::kStruct) {
      children_.emplace_back(child, given, first_, length_, path);
      continue;
    }
    if (given == nullptr) fail("a child that is null");
    children_.emplace_back(child, given, 0, given->length, path);
    if (length_ == 0) continue;
    const std::int64_t most = given->length;
    type_->kind == ArrowKind::kList ? check_offsets<std::int32_t>(most) : check_offsets<std::int64_t>(most);
  }
}

// Every one, before any is followed: ascending from zero, none beyond `most`.
template <class T>
void ArrowCells::check_offsets(std::int64_t most) const {
  std::int64_t before = offset<T>(0);
  bool holds = before >= 0;
  for (std::int64_t row = 1; row <= length_; ++row) {
    const std::int64_t next = offset<T>(row);
    holds &= next >= before;
    before = next;
  }
  if (!holds) fail("offsets that go backwards");
  if (before > most) fail("offsets beyond the end");
  const bool is_text = type_->kind == ArrowKind::kText || type_->kind == ArrowKind::kLargeText;
  if (is_text && data_ == nullptr && before > offset<T>(0)) fail("text that is null");
}

// A view is 16 bytes: length, then the text itself up to 12 bytes, else a prefix, the buffer's number and the place in it.
std::string_view ArrowCells::view_at(std::int64_t row) const {
  const char* const at = static_cast<const char*>(data_) + (first_ + row) * 16;
  std::int32_t size = 0, buffer = 0, place = 0;
  std::memcpy(&size, at, 4);
  if (size < 0) fail("a text of negative length");
  if (size <= 12) return {at + 4, static_cast<std::size_t>(size)};
  std::memcpy(&buffer, at + 8, 4);
  std::memcpy(&place, at + 12, 4);
  if (buffer < 0 || buffer >= view_buffer_count_ || place < 0) fail("a view of a buffer that is not there");
  std::int64_t most = 0;
  std::memcpy(&most, static_cast<const char*>(view_sizes_) + std::int64_t{buffer} * 8, 8);
  if (std::int64_t{place} + size > most || view_buffers_[buffer] == nullptr) fail("a view beyond its buffer");
  return {static_cast<const char*>(view_buffers_[buffer]) + place, static_cast<std::size_t>(size)};
}

std::int64_t ArrowCells::content_bytes(std::int64_t first, std::int64_t count) const {
  constexpr std::int64_t kElementBytes = 8, kSmallDictionaryBytes = 64 << 10;
  if (count <= 0) return 0;
  std::int64_t bytes = 0;
  if (values_ != nullptr) {
    if (dictionary_bytes_ <= kSmallDictionaryBytes) return dictionary_bytes_;
    for (std::int64_t row = first; row < first + count; ++row) {
      if (!is_null(row)) bytes += values_->content_bytes(index_at(row), 1);
    }
    return bytes;
  }
  switch (type_->kind) {
    case ArrowKind::kText: return offset<std::int32_t>(first + count) - offset<std::int32_t>(first);
    case ArrowKind::kLargeText: return offset<std::int64_t>(first + count) - offset<std::int64_t>(first);
    case ArrowKind::kTextView:
      for (std::int64_t row = first_ + first; row < first_ + first + count; ++row) {
        std::int32_t size = 0;
        std::memcpy(&size, static_cast<const char*>(data_) + row * 16, sizeof size);
        bytes += std::max(size, 0);
      }
      return bytes;
    case ArrowKind::kList:
    case ArrowKind::kLargeList: {
      const std::int64_t begin = list_at(first).first, elements = list_at(first + count - 1).last - begin;
      return elements * kElementBytes + children_[0].content_bytes(begin, elements);
    }
    case ArrowKind::kStruct:
      for (const ArrowCells& child : children_) bytes += child.content_bytes(first, count);
      return bytes;
    default: return 0;
  }
}

void ArrowCells::fail(const std::string& what) const { refuse(path_, what); }

void ArrowCells::fail_index() const { fail("an index outside of its dictionary"); }

}  // namespace cdp
