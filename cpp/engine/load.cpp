#include "engine/load.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "codec/normalise.hpp"
#include "query/spec.hpp"

namespace cdp {
namespace {

[[noreturn]] void invalid(const std::string& path, const std::string& what) {
  throw Error(Family::kInvalidRequest, code::kLoadMapping, what, path);
}

std::string column_of(const Node& node, const Path& path) {
  if (node.type != Node::Type::kString || node.text.empty()) invalid(path.text(), "expected the name of a column");
  return std::string(node.text);
}

bool has_column(const ArrowColumnType& schema, std::string_view name) {
  return std::ranges::any_of(schema.children, [&](const ArrowColumnType& child) { return child.name == name; });
}

// The first of the names that is a column.
template <std::size_t kCount>
std::string first_of(const ArrowColumnType& schema, const std::array<std::string_view, kCount>& names) {
  for (const std::string_view name : names) {
    if (has_column(schema, name)) return std::string(name);
  }
  return {};
}

void parse_name(Fields& fields, const ArrowColumnType& schema, ArrowMapping& out) {
  const Path path = fields.path("name");
  const Node* const name = fields.take("name");
  if (out.type != RecordType::kEvent) {
    if (name != nullptr) invalid(path.text(), "traits have no name");
    return;
  }
  if (name == nullptr) {
    out.name_column = first_of(schema, std::array<std::string_view, 2>{"event", "name"});
    if (out.name_column.empty()) {
      invalid(path.text(), "no column event or name: say which holds the events' name, or {\"value\": a name for all}");
    }
  } else if (name->type == Node::Type::kMap) {
    Fields inner(*name, path);
    const Node* const value = inner.take("value");
    inner.done();
    if (value == nullptr || value->type != Node::Type::kString) invalid(path.text(), "expected {\"value\": a name}");
    out.name = std::string(value->text);
    if (out.name.empty()) invalid(path.text(), "expected a name of 1 to 256 bytes");
  } else {
    out.name_column = column_of(*name, path);
  }
}

void parse_ids(Fields& fields, const ArrowColumnType& schema, ArrowMapping& out) {
  const Path path = fields.path("ids");
  if (const Node* const ids = fields.take("ids")) {
    if (ids->type != Node::Type::kMap) invalid(path.text(), "expected a map of kinds of identities to columns");
    for (const auto& [kind, column] : ids->fields) {
      out.ids.emplace_back(std::string(kind), column_of(column, path.field(kind)));
    }
  } else {
    for (const KindRule& rule : default_kind_rules()) {
      if (rule.identifies && has_column(schema, rule.kind)) out.ids.emplace_back(rule.kind, rule.kind);
    }
  }
  if (out.ids.empty()) invalid(path.text(), "no column user_id or anonymous_id: say which hold identities");
}

void parse_properties(const Node& node, const Path& path, ArrowMapping& out) {
  out.properties.emplace();
  if (node.type == Node::Type::kMap) {
    for (const auto& [column, key] : node.fields) {
      out.properties->emplace_back(std::string(column), column_of(key, path.field(column)));
    }
    return;
  }
  if (node.type != Node::Type::kArray) invalid(path.text(), "expected a list of columns, or a map of columns to keys");
  for (std::size_t at = 0; at < node.items.size(); ++at) {
    const std::string column = column_of(node.items[at], path.item(at));
    out.properties->emplace_back(column, column);
  }
}

ArrowMapping parse_mapping(std::span<const std::uint8_t> spec, const ArrowColumnType& schema) {
  constexpr std::array<std::string_view, 2> kTypes = {"event", "traits"};
  constexpr std::array<std::string_view, 2> kNan = {"reject", "missing"};
  const Node node = parse_document(spec);
  const Path root;
  Fields fields(node, root);
  ArrowMapping out;
  if (fields.choice("type", kTypes, 0) == 1) out.type = RecordType::kTraits;
  parse_name(fields, schema, out);
  if (const Node* const time = fields.take("time")) {
    out.time_column = column_of(*time, fields.path("time"));
  } else {
    out.time_column = first_of(schema, std::array<std::string_view, 3>{"time", "time_ms", "timestamp"});
  }
  parse_ids(fields, schema, out);
  if (const Node* const id = fields.take("event_id")) {
    if (out.type != RecordType::kEvent) invalid("event_id", "traits have no event id");
    out.event_id_column = column_of(*id, fields.path("event_id"));
  } else if (out.type == RecordType::kEvent && has_column(schema, "event_id")) {
    out.event_id_column = "event_id";
  }
  if (const Node* const properties = fields.take("properties")) {
    parse_properties(*properties, fields.path("properties"), out);
  }
  out.nan_is_missing = fields.choice("nan", kNan, 0) == 1;
  fields.done();
  return out;
}

std::string last_error(ArrowArrayStream& stream, int status) {
  const char* const told = stream.get_last_error == nullptr ? nullptr : stream.get_last_error(&stream);
  if (told == nullptr) return std::strerror(status);
  return std::string(told, ::strnlen(told, 2'000));
}

[[noreturn]] void producer_failed(ArrowArrayStream& stream, int status) {
  throw Error(Family::kInvalidRequest, code::kArrowFailed,
              "the source of the rows failed: " + last_error(stream, status));
}

// Released at the end of its scope, whatever happens in between.
template <class Struct>
struct Released {
  Struct value{};
  Released() = default;
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;
  ~Released() {
    if (value.release != nullptr) value.release(&value);
  }
};

}  // namespace

struct ArrowLoad::Batch {
  Released<ArrowArray> array;
  std::optional<ArrowCells> cells;
};

ArrowLoad::ArrowLoad(ArrowArrayStream& stream, std::span<const std::uint8_t> spec) : stream_(stream) {
  stream.release = nullptr;  // moved
  try {
    if (stream_.release == nullptr || stream_.get_schema == nullptr || stream_.get_next == nullptr) {
      throw Error(Family::kInvalidRequest, code::kArrowInvalid, "a stream that was read already, or is none");
    }
    Released<ArrowSchema> schema;
    const int status = stream_.get_schema(&stream_, &schema.value);
    if (status != 0) {
      schema.value.release = nullptr;
      producer_failed(stream_, status);
    }
    schema_ = read_arrow_schema(schema.value);
    decoder_.emplace(schema_, parse_mapping(spec, schema_));
  } catch (...) {
    if (stream_.release != nullptr) stream_.release(&stream_);
    throw;
  }
}

ArrowLoad::~ArrowLoad() {
  batch_.reset();
  if (stream_.release != nullptr) stream_.release(&stream_);
}

bool ArrowLoad::fill() {
  while (!at_end_ && (batch_ == nullptr || next_row_ == batch_->cells->length())) {
    if (batch_ != nullptr) rows_before_ += static_cast<std::uint64_t>(batch_->cells->length());
    batch_.reset();
    next_row_ = 0;
    auto next = std::make_unique<Batch>();
    const int status = stream_.get_next(&stream_, &next->array.value);
    if (status != 0) {
      next->array.value.release = nullptr;
      at_end_ = true;
      producer_failed(stream_, status);
    }
    if (next->array.value.release == nullptr) {
      at_end_ = true;
      break;
    }
    next->cells.emplace(schema_, &next->array.value, 0, next->array.value.length, "");
    batch_ = std::move(next);
  }
  return !at_end_;
}

std::uint32_t ArrowLoad::slice_rows() const noexcept {
  const std::int64_t left = batch_->cells->length() - next_row_;
  std::int64_t count = std::min<std::int64_t>(left, static_cast<std::int64_t>(decoder_->slice_rows()));
  while (count > 1 && batch_->cells->content_bytes(next_row_, count) > kArrowSliceContentBytes) count /= 2;
  return static_cast<std::uint32_t>(count);
}

std::optional<ArrowLoad::Slice> ArrowLoad::next(const DecodeOptions& options) {
  if (!fill()) return std::nullopt;
  Slice slice;
  slice.first_row = rows_before_ + static_cast<std::uint64_t>(next_row_);
  slice.row_count = slice_rows();
  slice.decoded = decoder_->decode(*batch_->cells, next_row_, slice.row_count, options);
  next_row_ += slice.row_count;
  return slice;
}

std::uint32_t ArrowLoad::skip() {
  if (!fill()) return 0;
  const std::uint32_t count = slice_rows();
  next_row_ += count;
  return count;
}

}  // namespace cdp
