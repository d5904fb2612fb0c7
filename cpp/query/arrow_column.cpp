#include "query/arrow_column.hpp"

#include <array>
#include <memory>
#include <utility>

namespace cdp {
namespace {

constexpr std::array<const char*, 8> kFormats = {"n", "b", "l", "L", "g", "u", "tsm:UTC", "+l"};

// Children and what they point to: freed with the struct that owns them. A consumer may have moved a child out, and then
// its `release` is null here.
template <class Struct>
struct Children {
  std::vector<Struct> children;
  std::vector<Struct*> pointers;

  explicit Children(std::size_t count) : children(count), pointers(count) {
    for (std::size_t at = 0; at < count; ++at) pointers[at] = &children[at];
  }
  ~Children() {
    for (Struct& child : children) {
      if (child.release != nullptr) child.release(&child);
    }
  }
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
};

template <class Struct, class Owned>
void free_owned(Struct* given) {
  delete static_cast<Owned*>(given->private_data);
  given->private_data = nullptr;
  given->release = nullptr;
}

struct OwnedSchema : Children<ArrowSchema> {
  using Children::Children;
  std::string name;
};

void give_field(const ArrowField& field, ArrowSchema& out) {
  const bool is_list = field.type == ArrowType::kTexts;
  auto owned = std::make_unique<OwnedSchema>(is_list ? 1 : 0);
  owned->name = field.name;
  if (is_list) give_field({"item", ArrowType::kText, false}, owned->children[0]);
  out = {};
  out.format = kFormats[static_cast<std::size_t>(field.type)];
  out.name = owned->name.c_str();
  out.flags = field.is_nullable ? ARROW_FLAG_NULLABLE : 0;
  out.n_children = is_list ? 1 : 0;
  out.children = is_list ? owned->pointers.data() : nullptr;
  out.release = free_owned<ArrowSchema, OwnedSchema>;
  out.private_data = owned.release();
}

struct OwnedArray : Children<ArrowArray> {
  explicit OwnedArray(std::size_t count, ArrowColumn&& given) : Children(count), column(std::move(given)) {}
  ArrowColumn column;
  std::array<const void*, 3> buffers{};
};

struct OwnedBatch : Children<ArrowArray> {
  using Children::Children;
  const void* validity = nullptr;
};

}  // namespace

void ArrowColumn::reserve(std::size_t rows) {
  validity_.reserve(rows / 8 + 1);
  switch (type_) {
    case ArrowType::kNull: break;
    case ArrowType::kBool: bits_.reserve(rows / 8 + 1); break;
    case ArrowType::kText:
    case ArrowType::kTexts: offsets_.reserve(rows + 1); break;
    default: words_.reserve(rows); break;
  }
}

void ArrowColumn::add_null() {
  if ((row_count_ & 7) == 0) validity_.push_back(0);
  switch (type_) {
    case ArrowType::kNull: break;
    case ArrowType::kBool:
      if ((row_count_ & 7) == 0) bits_.push_back(0);
      break;
    case ArrowType::kText:
    case ArrowType::kTexts: offsets_.push_back(offsets_.back()); break;
    default: words_.push_back(0); break;
  }
  ++null_count_;
  ++row_count_;
}

void ArrowColumn::give(ArrowColumn&& given, ArrowArray& out) {
  const bool is_list = given.type_ == ArrowType::kTexts;
  auto owned = std::make_unique<OwnedArray>(is_list ? 1 : 0, std::move(given));
  ArrowColumn& column = owned->column;
  if (is_list) {  // the texts become a column of their own
    ArrowColumn texts(ArrowType::kText);
    texts.row_count_ = static_cast<std::int64_t>(column.text_offsets_.size()) - 1;
    texts.offsets_ = std::move(column.text_offsets_);
    texts.bytes_ = std::move(column.bytes_);
    give(std::move(texts), owned->children[0]);
  }
  out = {};
  out.length = column.row_count_;
  out.null_count = column.null_count_;
  // Buffers without elements still point somewhere: some consumers take a null pointer for a mistake.
  column.words_.reserve(1);
  column.bits_.reserve(1);
  owned->buffers[0] = column.null_count_ == 0 ? nullptr : column.validity_.data();
  switch (column.type_) {
    case ArrowType::kNull: out.n_buffers = 0; break;
    case ArrowType::kBool:
      out.n_buffers = 2;
      owned->buffers[1] = column.bits_.data();
      break;
    case ArrowType::kText:
      out.n_buffers = 3;
      owned->buffers[1] = column.offsets_.data();
      owned->buffers[2] = column.bytes_.data();
      break;
    case ArrowType::kTexts:
      out.n_buffers = 2;
      owned->buffers[1] = column.offsets_.data();
      break;
    default:
      out.n_buffers = 2;
      owned->buffers[1] = column.words_.data();
      break;
  }
  if (column.type_ == ArrowType::kNull) out.null_count = column.row_count_;
  out.n_children = is_list ? 1 : 0;
  out.children = is_list ? owned->pointers.data() : nullptr;
  out.buffers = owned->buffers.data();
  out.release = free_owned<ArrowArray, OwnedArray>;
  out.private_data = owned.release();
}

void give_schema(const std::vector<ArrowField>& fields, ArrowSchema& out) {
  auto owned = std::make_unique<OwnedSchema>(fields.size());
  for (std::size_t at = 0; at < fields.size(); ++at) give_field(fields[at], owned->children[at]);
  out = {};
  out.format = "+s";
  out.name = owned->name.c_str();
  out.n_children = static_cast<std::int64_t>(fields.size());
  out.children = owned->pointers.data();
  out.release = free_owned<ArrowSchema, OwnedSchema>;
  out.private_data = owned.release();
}

void give_batch(std::vector<ArrowColumn>&& columns, std::int64_t row_count, ArrowArray& out) {
  auto owned = std::make_unique<OwnedBatch>(columns.size());
  for (std::size_t at = 0; at < columns.size(); ++at) ArrowColumn::give(std::move(columns[at]), owned->children[at]);
  out = {};
  out.length = row_count;
  out.n_buffers = 1;
  out.n_children = static_cast<std::int64_t>(columns.size());
  out.buffers = &owned->validity;
  out.children = owned->pointers.data();
  out.release = free_owned<ArrowArray, OwnedBatch>;
  out.private_data = owned.release();
}

}  // namespace cdp
