#include "codec/arrow_decoder.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/utf8.hpp"
#include "codec/event_id.hpp"
#include "codec/identity_field.hpp"
#include "codec/msgpack_writer.hpp"
#include "codec/record_fields.hpp"
#include "codec/value_decoder.hpp"

namespace cdp {
namespace {

constexpr std::uint32_t kUnread = kNone - 1;   // a dictionary's entry nobody has named yet
constexpr std::uint32_t kRefused = kNone - 2;  // and one that is no value
constexpr std::size_t kEventIdBytes = 256;
constexpr std::int64_t kDictionaryMost = 4;  // entries a row: beyond, a table of them costs more than it saves

// Floor division: times before 1970 are refused anyway, but not by accident.
std::int64_t to_ms(std::int64_t value, std::int64_t per_second) noexcept {
  if (per_second == 1) {
    constexpr std::int64_t kMost = INT64_MAX / 1000;
    return value > kMost ? INT64_MAX : value < -kMost ? INT64_MIN : value * 1000;
  }
  const std::int64_t per_ms = per_second / 1000;
  const std::int64_t ms = value / per_ms;
  return ms - static_cast<std::int64_t>(value % per_ms < 0);
}

std::int64_t time_of(const ArrowCells& cells, std::int64_t row) noexcept {
  switch (cells.type().kind) {
    case ArrowKind::kTime: return to_ms(cells.int_at(row), cells.type().per_second);
    case ArrowKind::kDate32: return cells.int_at(row) * 86'400'000;
    default: return cells.int_at(row);  // kDate64
  }
}

bool is_time(ArrowKind kind) noexcept {
  return kind == ArrowKind::kTime || kind == ArrowKind::kDate32 || kind == ArrowKind::kDate64;
}

template <class Number>
std::string decimal(Number value) {
  char digits[40];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

Token text_token(std::string_view text) {
  Token token;
  token.wire = Wire::kString;
  token.data = text.data();
  // Over any limit stays over it.
  token.count = static_cast<std::uint32_t>(std::min<std::size_t>(text.size(), limits::kRecordBytes + 1));
  return token;
}

// Whether values of this type can be kept.
bool is_kept(const ArrowColumnType& type) noexcept {
  if (type.is_dictionary()) return is_kept(*type.values);
  if (type.kind == ArrowKind::kUnsupported) return false;
  return std::ranges::all_of(type.children, is_kept);
}

}  // namespace

// ---- binding

void ArrowDecoder::collect(const ArrowColumnType& type, const std::string& prefix, Place& place,
                           std::vector<Leaf>& out) const {
  for (std::uint32_t at = 0; at < type.children.size(); ++at) {
    const ArrowColumnType& child = type.children[at];
    const std::string path = prefix.empty() ? child.name : prefix + "." + child.name;
    place.push_back(at);
    if (child.kind == ArrowKind::kStruct) {
      collect(child, path, place, out);
    } else {
      out.push_back({path, place, &child});
    }
    place.pop_back();
  }
}

const ArrowDecoder::Leaf& ArrowDecoder::find(const std::vector<Leaf>& leaves, const std::string& column,
                                             std::string_view use) const {
  const Leaf* found = nullptr;
  for (const Leaf& leaf : leaves) {
    if (leaf.path != column) continue;
    if (found != nullptr) throw Error(Family::kInvalidRequest, code::kLoadColumn, "two columns of this name", column);
    found = &leaf;
  }
  if (found != nullptr) return *found;
  std::string known;
  for (const Leaf& leaf : leaves) {
    if (known.size() > 400) {
      known += " ..";
      break;
    }
    known.append(" \"").append(leaf.path).append("\"");
  }
  throw Error(Family::kInvalidRequest, code::kLoadColumn,
              std::string("no such column for ").append(use).append("; there are").append(known), column);
}

ArrowDecoder::ArrowDecoder(const ArrowColumnType& schema, const ArrowMapping& mapping) : mapping_(mapping) {
  if (schema.kind != ArrowKind::kStruct) {
    throw Error(Family::kInvalidRequest, code::kArrowInvalid, "expected a stream of tables, not of single columns");
  }
  std::vector<Leaf> leaves;
  Place place;
  collect(schema, {}, place, leaves);
  std::set<const ArrowColumnType*> used;
  const auto bind = [&](const std::string& column, std::string_view use, auto&& fits, std::string_view expected) {
    const Leaf& leaf = find(leaves, column, use);
    const ArrowColumnType& type = leaf.type->is_dictionary() ? *leaf.type->values : *leaf.type;
    if (!fits(type) && type.kind != ArrowKind::kNull) {
      throw Error(Family::kInvalidRequest, code::kLoadColumn,
                  std::string(use).append(" takes ").append(expected).append(", not the format ").append(type.format),
                  column);
    }
    used.insert(leaf.type);
    return leaf.place;
  };
  const auto is_text = [](const ArrowColumnType& type) { return type.is_text(); };
  const auto is_id = [](const ArrowColumnType& type) {
    return type.is_text() || type.kind == ArrowKind::kInt || type.kind == ArrowKind::kUint;
  };
  const auto is_instant = [](const ArrowColumnType& type) {
    return is_time(type.kind) || type.kind == ArrowKind::kInt || type.kind == ArrowKind::kUint;
  };
  if (!mapping_.name_column.empty()) name_ = bind(mapping_.name_column, "the event's name", is_text, "texts");
  if (!mapping_.time_column.empty()) {
    time_ = bind(mapping_.time_column, "the time", is_instant, "timestamps, dates, or integers of milliseconds");
  }
  const std::span<const KindRule> rules = default_kind_rules();
  for (const auto& [kind, column] : mapping_.ids) {
    const auto rule = std::ranges::find(rules, kind, &KindRule::kind);
    if (rule == rules.end()) {
      throw Error(Family::kInvalidRequest, code::kIdentityKindUnknown, "no such kind of identity", "ids." + kind);
    }
    if (!rule->identifies) {
      throw Error(Family::kInvalidRequest, code::kIdentityKindNotIdentifying, "this kind does not identify",
                  "ids." + kind);
    }
    ids_.push_back({bind(column, "an identity", is_id, "texts or integers"), kind});
  }
  std::ranges::stable_sort(ids_, {},
                           [&](const Identity& id) { return std::ranges::find(rules, id.kind, &KindRule::kind); });
  if (!mapping_.event_id_column.empty())
    event_id_ = bind(mapping_.event_id_column, "the event id", is_id, "texts or integers");

  const auto add = [&](const Leaf& leaf, const std::string& key) {
    if (!is_kept(*leaf.type)) {
      throw Error(Family::kInvalidRequest, code::kLoadColumn,
                  "values of the format " + leaf.type->format +
                      " are not kept: cast the column (decimals to double or text, binary to text), or leave it out",
                  leaf.path);
    }
    if (key.empty() || key.size() > limits::kNameBytes || key.front() == '$' || !is_utf8(key)) {
      throw Error(Family::kInvalidRequest, code::kLoadMapping,
                  "a key has 1 to 256 bytes and does not begin with $: map the column to another key", leaf.path);
    }
    properties_.push_back({leaf.place, key, false});
  };
  if (mapping_.properties) {
    for (const auto& [column, key] : *mapping_.properties) add(find(leaves, column, "a property"), key);
  } else {
    for (const Leaf& leaf : leaves) {
      if (!used.contains(leaf.type)) add(leaf, leaf.path);
    }
  }
  std::map<std::string_view, std::size_t> keys;
  for (const Property& property : properties_) ++keys[property.key];
  for (Property& property : properties_) property.shares_key = keys[property.key] > 1;
}

// ---- one slice

class ArrowSlice {
 public:
  ArrowSlice(const ArrowDecoder& decoder, const ArrowCells& batch, std::int64_t first, std::uint32_t count,
             const DecodeOptions& options)
      : decoder_(decoder),
        batch_(batch),
        first_(first),
        count_(count),
        options_(options),
        context_({}, options, result_.batch),
        identities_(context_),
        refused_(count) {
    result_.batch.received_ms = options.received_ms;
    result_.batch.source_id = options.source_id;
  }

  DecodeResult run() {
    refuse_null_rows();
    if (decoder_.mapping_.type == RecordType::kEvent) read_names();
    read_times();
    read_identities();
    if (decoder_.mapping_.type == RecordType::kEvent) read_event_ids();
    for (const auto& property : decoder_.properties_) read_property(property);
    mark_present();
    if (decoder_.mapping_.type == RecordType::kEvent) {
      add_events();
    } else {
      add_traits();
    }
    finish();
    return std::move(result_);
  }

 private:
  struct Values {
    ValueType type = ValueType::kNull;
    std::vector<std::uint64_t> bits;
    std::vector<std::uint8_t> has;
    std::vector<ValueType> types;  // of lists: list or items
  };

  // ---- rejects

  // The first defect of a row counts; what `context_` says of it.
  void refuse(std::uint32_t row, std::string_view under) {
    context_.under(under);
    if (!refused_[row]) {
      refused_[row] = true;
      context_.reject.index = row;
      result_.rejects.push_back(std::move(context_.reject));
    }
    context_.reject = {};
  }
  void refuse(std::uint32_t row, std::string_view code, std::string_view path, std::string value,
              std::string_view expected) {
    context_.fail(code, path, std::move(value), expected);
    refuse(row, {});
  }

  // ---- columns

  struct Column {
    const ArrowCells* cells;
    std::vector<const ArrowCells*> parents;  // structs above it that may be null
    [[nodiscard]] bool is_null(std::int64_t row) const noexcept {
      if (cells->is_null(row)) return true;
      return std::ranges::any_of(parents, [row](const ArrowCells* parent) { return parent->is_null(row); });
    }
  };
  [[nodiscard]] Column column(const ArrowDecoder::Place& place) const {
    Column out{&batch_, {}};
    for (const std::uint32_t child : place) {
      if (out.cells != &batch_ && out.cells->may_be_null()) out.parents.push_back(out.cells);
      out.cells = &out.cells->children()[child];
    }
    return out;
  }

  void refuse_null_rows() {
    if (!batch_.may_be_null()) return;
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (batch_.is_null(first_ + row)) refuse(row, code::kRecordNotAMap, "", "null", "a row");
    }
  }

  // Calls take(row, text) for each row that has one, `none(row)` for the others; texts of a dictionary once each:
  // take says what became of it, again(row, that) is for the rows that follow.
  template <class Take, class Again, class NoText>
  void each_text(const Column& column, Take&& take, Again&& again, NoText&& none) {
    const ArrowCells& cells = *column.cells;
    char digits[24];
    const auto text_of = [&](const ArrowCells& of, std::int64_t row) -> std::string_view {
      if (of.type().is_text()) return of.text_at(row);
      const char* const end = of.type().kind == ArrowKind::kUint
                                  ? std::to_chars(digits, digits + sizeof digits, of.uint_at(row)).ptr
                                  : std::to_chars(digits, digits + sizeof digits, of.int_at(row)).ptr;
      return {digits, static_cast<std::size_t>(end - digits)};
    };
    const bool is_dictionary = cells.type().is_dictionary();
    const bool by_table = is_dictionary && cells.values().length() <= kDictionaryMost * std::int64_t{kArrowSliceRows};
    if (by_table) known_.assign(static_cast<std::size_t>(cells.values().length()), kUnread);
    for (std::uint32_t row = 0; row < count_; ++row) {
      const std::int64_t at = first_ + row;
      if (column.is_null(at)) {
        none(row);
        continue;
      }
      if (!is_dictionary) {
        take(row, text_of(cells, at));
        continue;
      }
      const std::int64_t index = cells.index_at(at);
      if (cells.values().is_null(index)) {
        none(row);
      } else if (!by_table) {
        take(row, text_of(cells.values(), index));
      } else if (std::uint32_t& known = known_[static_cast<std::size_t>(index)]; known < kRefused) {
        again(row, known);
      } else if (known == kNone) {
        again(row, kNone);
      } else {
        known = take(row, text_of(cells.values(), index));  // a refused one is refused again for each row
      }
    }
  }

  // ---- fields

  void read_names() {
    name_.assign(count_, kNone);
    const auto take = [this](std::uint32_t row, std::string_view text) {
      const std::uint64_t hash = context_.strings.hash(text);
      name_[row] = context_.strings.find_text(text, hash);
      // A text that the batch holds already may be a property's: a name has rules of its own.
      const bool is_checked = name_[row] != kNone && name_[row] < name_checked_.size() && name_checked_[name_[row]];
      if (is_checked) return name_[row];
      if (!check_event_name(context_, text_token(text))) {
        refuse(row, {});
        name_[row] = kNone;
        return kRefused;
      }
      if (name_[row] == kNone) name_[row] = context_.strings.add_text(text, hash);
      if (name_checked_.size() <= name_[row]) name_checked_.resize(name_[row] + 1);
      name_checked_[name_[row]] = true;
      return name_[row];
    };
    if (decoder_.mapping_.name_column.empty()) {
      if (count_ == 0) return;
      if (take(0, decoder_.mapping_.name) == kRefused) {
        for (std::uint32_t row = 1; row < count_; ++row) take(row, decoder_.mapping_.name);
      }
      std::fill(name_.begin(), name_.end(), name_[0]);
      return;
    }
    each_text(
        column(decoder_.name_), take, [this](std::uint32_t row, std::uint32_t known) { name_[row] = known; },
        [this](std::uint32_t row) { refuse(row, code::kRecordFieldMissing, "name", "", "the event's name"); });
  }

  void read_times() {
    time_.assign(count_, options_.received_ms);
    if (decoder_.time_.empty()) return;
    const Column given = column(decoder_.time_);
    const ArrowCells& cells = *given.cells;
    const ArrowCells& values = cells.type().is_dictionary() ? cells.values() : cells;
    const bool is_instant = is_time(values.type().kind);
    for (std::uint32_t row = 0; row < count_; ++row) {
      std::int64_t at = first_ + row;
      if (given.is_null(at)) continue;
      if (cells.type().is_dictionary()) {
        at = cells.index_at(at);
        if (values.is_null(at)) continue;
      }
      std::int64_t ms = 0;
      if (is_instant) {
        ms = time_of(values, at);
      } else if (values.type().kind == ArrowKind::kUint) {
        ms = static_cast<std::int64_t>(std::min<std::uint64_t>(values.uint_at(at), INT64_MAX));
      } else {
        ms = values.int_at(at);
      }
      if (ms < limits::kTimeMinMs || ms > limits::kTimeMaxMs) {
        refuse(row, code::kTimeOutOfRange, "time_ms", decimal(ms),
               "a time from 1973-01-01 to 2100-01-01, in milliseconds since 1970 UTC");
        continue;
      }
      const RecordTime time{ms, true};
      time_[row] = time.time_ms(options_.received_ms);
      if (time.is_snapped(options_.received_ms)) {
        if (client_time_.empty()) client_time_.assign(count_, 0);
        client_time_[row] = ms;
      }
    }
  }

  void read_identities() {
    ids_.resize(decoder_.ids_.size());
    for (std::size_t at = 0; at < ids_.size(); ++at) {
      std::vector<std::uint32_t>& out = ids_[at];
      out.assign(count_, kNone);
      const std::string& kind = decoder_.ids_[at].kind;
      const std::uint32_t place = identities_.place_of(kind);
      const Column given = column(decoder_.ids_[at].place);
      const auto take = [&](std::uint32_t row, std::string_view text) {
        if (identities_.take(place, text, out[row])) return out[row];
        context_.under(kind);
        refuse(row, "ids");
        return kRefused;
      };
      if (given.cells->type().kind == ArrowKind::kUint && given.cells->type().width == 8 &&
          !given.cells->type().is_dictionary()) {
        refuse_beyond_int64(given, [&](std::uint32_t row) {
          context_.under(kind);
          refuse(row, "ids");
        });
      }
      each_text(given, take, [&](std::uint32_t row, std::uint32_t known) { out[row] = known; }, [](std::uint32_t) {});
    }
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (refused_[row]) continue;
      const bool nobody = std::ranges::all_of(ids_, [row](const auto& kind) { return kind[row] == kNone; });
      if (nobody) refuse(row, code::kIdentityNone, "ids", "", "at least one identity that is not generic");
    }
  }

  template <class Refuse>
  void refuse_beyond_int64(const Column& given, Refuse&& refuse_row) {
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (given.is_null(first_ + row)) continue;
      const std::uint64_t value = given.cells->uint_at(first_ + row);
      if (value >> 63 == 0) continue;
      context_.fail(code::kValueIntRange, "", decimal(value), "an integer from -2^63 to 2^63-1");
      refuse_row(row);
    }
  }

  void read_event_ids() {
    if (decoder_.event_id_.empty()) return;
    event_id_.assign(count_, EventKey{});
    const auto take = [this](std::uint32_t row, std::string_view text) {
      if (text.empty() || text.size() > kEventIdBytes) {
        refuse(row, code::kEventIdLength, "event_id", readable(text), "a string of 1 to 256 bytes");
      } else if (!is_utf8(text)) {
        refuse(row, code::kValueStringUtf8, "event_id", readable(text), "a string of valid UTF-8");
      } else {
        event_id_[row] = event_key(text, options_.hash_key);
      }
      return kRefused;  // each row is taken by itself
    };
    each_text(column(decoder_.event_id_), take, [](std::uint32_t, std::uint32_t) {}, [](std::uint32_t) {});
  }

  // ---- properties

  void refuse_value(std::uint32_t row, const std::string& key) {
    context_.under(key);
    refuse(row, decoder_.mapping_.type == RecordType::kEvent ? "properties" : "set");
  }

  void read_property(const ArrowDecoder::Property& property) {
    Values& values = values_.emplace_back();
    const Column given = column(property.place);
    values.bits.resize(count_);
    values.has.resize(count_);
    const ArrowCells& cells = *given.cells;
    if (cells.type().is_dictionary() && !cells.values().type().is_text()) return read_coded(property, given, values);
    const ArrowKind kind = cells.type().is_dictionary() ? cells.values().type().kind : cells.type().kind;
    switch (kind) {
      case ArrowKind::kNull:
      case ArrowKind::kStruct:
      case ArrowKind::kUnsupported: return;
      case ArrowKind::kText:
      case ArrowKind::kLargeText:
      case ArrowKind::kTextView: return read_texts(property, given, values);
      case ArrowKind::kList:
      case ArrowKind::kLargeList: return read_lists(property, given, values);
      default: break;
    }
    values.type = scalar_type(cells);
    for (std::uint32_t row = 0; row < count_; ++row) {
      const std::int64_t at = first_ + row;
      if (given.is_null(at)) continue;
      read_scalar(cells, at, row, property.key, values);
    }
  }

  // A dictionary of numbers or times.
  void read_coded(const ArrowDecoder::Property& property, const Column& given, Values& values) {
    const ArrowCells& entries = given.cells->values();
    if (entries.type().kind == ArrowKind::kList || entries.type().kind == ArrowKind::kLargeList ||
        entries.type().kind == ArrowKind::kStruct) {
      throw Error(Family::kInvalidRequest, code::kLoadColumn, "a dictionary of lists or structs", property.key);
    }
    values.type = scalar_type(entries);
    for (std::uint32_t row = 0; row < count_; ++row) {
      const std::int64_t at = first_ + row;
      if (given.is_null(at)) continue;
      const std::int64_t index = given.cells->index_at(at);
      if (!entries.is_null(index)) read_scalar(entries, index, row, property.key, values);
    }
  }

  static ValueType scalar_type(const ArrowCells& cells) noexcept {
    switch (cells.type().kind) {
      case ArrowKind::kBool: return ValueType::kBool;
      case ArrowKind::kFloat: return ValueType::kFloat;
      case ArrowKind::kTime:
      case ArrowKind::kDate32:
      case ArrowKind::kDate64: return ValueType::kDatetime;
      default: return ValueType::kInt;
    }
  }

  void read_scalar(const ArrowCells& cells, std::int64_t at, std::uint32_t row, const std::string& key,
                   Values& values) {
    switch (cells.type().kind) {
      case ArrowKind::kBool: values.bits[row] = cells.bool_at(at) ? 1 : 0; break;
      case ArrowKind::kInt: values.bits[row] = static_cast<std::uint64_t>(cells.int_at(at)); break;
      case ArrowKind::kUint:
        values.bits[row] = cells.uint_at(at);
        if (values.bits[row] >> 63 != 0) {
          context_.fail(code::kValueIntRange, "", decimal(values.bits[row]), "an integer from -2^63 to 2^63-1");
          return refuse_value(row, key);
        }
        break;
      case ArrowKind::kFloat: {
        const double value = cells.float_at(at);
        if (!std::isfinite(value)) [[unlikely]] {
          if (std::isnan(value) && decoder_.mapping_.nan_is_missing) return;
          context_.fail(code::kValueFloatNotFinite, "", decimal(value), "a finite number");
          return refuse_value(row, key);
        }
        values.bits[row] = value == 0.0 ? 0 : std::bit_cast<std::uint64_t>(value);
        break;
      }
      default: {
        const std::int64_t ms = time_of(cells, at);
        if (ms < limits::kTimeMinMs || ms > limits::kTimeMaxMs) {
          context_.fail(code::kTimeOutOfRange, "", decimal(ms),
                        "a time from 1973-01-01 to 2100-01-01, in milliseconds since 1970 UTC");
          return refuse_value(row, key);
        }
        values.bits[row] = static_cast<std::uint64_t>(ms);
      }
    }
    values.has[row] = 1;
  }

  void read_texts(const ArrowDecoder::Property& property, const Column& given, Values& values) {
    values.type = ValueType::kString;
    const auto keep = [&](std::uint32_t row, std::uint32_t string) {
      values.bits[row] = string;
      values.has[row] = 1;
    };
    const auto take = [&](std::uint32_t row, std::string_view text) {
      std::uint32_t string = context_.strings.find_text(text, context_.strings.hash(text));
      if (string == kNone) {
        Value value;
        if (!decode_value(context_, text_token(text), 1, value)) {
          refuse_value(row, property.key);
          return kRefused;
        }
        string = static_cast<std::uint32_t>(value.bits);
      }
      keep(row, string);
      return string;
    };
    each_text(given, take, keep, [](std::uint32_t) {});
  }

  // Lists go the way of records: as msgpack through the decoder of values, whose rules are theirs.
  void read_lists(const ArrowDecoder::Property& property, const Column& given, Values& values) {
    values.type = ValueType::kList;
    values.types.assign(count_, ValueType::kList);
    std::string packed;
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (given.is_null(first_ + row)) continue;
      packed.clear();
      MsgpackWriter writer(packed);
      Value value;
      if (write_cell(*given.cells, first_ + row, writer, packed)) {
        context_.reader = MsgpackReader(std::as_bytes(std::span(packed)));
        context_.record_begin = context_.reader.position();
        context_.keys.clear();
        if (decode_value(context_, context_.reader.next(), 1, value)) {
          values.bits[row] = value.bits;
          values.types[row] = value.type;
          values.has[row] = 1;
          continue;
        }
      } else {
        context_.fail(code::kRecordTooLarge, "", "", "at most 65536 bytes");
      }
      refuse_value(row, property.key);
    }
    context_.reader = MsgpackReader({});
  }

  // False when it grows beyond what any record may have. Nulls in structs are left out: the key is missing.
  bool write_cell(const ArrowCells& cells, std::int64_t at, MsgpackWriter& writer, const std::string& packed) const {
    if (packed.size() > limits::kRecordBytes) return false;
    if (cells.is_null(at)) return writer.nil(), true;
    if (cells.type().is_dictionary()) return write_cell(cells.values(), cells.index_at(at), writer, packed);
    switch (cells.type().kind) {
      case ArrowKind::kBool: writer.boolean(cells.bool_at(at)); break;
      case ArrowKind::kInt: writer.integer(cells.int_at(at)); break;
      case ArrowKind::kUint: write_unsigned(cells.uint_at(at), writer); break;
      case ArrowKind::kFloat: writer.float_bits(std::bit_cast<std::uint64_t>(cells.float_at(at))); break;
      case ArrowKind::kText:
      case ArrowKind::kLargeText:
      case ArrowKind::kTextView:
        if (cells.text_at(at).size() > limits::kRecordBytes) return false;
        writer.string(cells.text_at(at));
        break;
      case ArrowKind::kTime:
      case ArrowKind::kDate32:
      case ArrowKind::kDate64: {
        writer.map(1);  // any instant can be said so, also one that will be refused
        writer.string(kTimeKey);
        writer.integer(time_of(cells, at));
        break;
      }
      case ArrowKind::kList:
      case ArrowKind::kLargeList: {
        const auto [first, last] = cells.list_at(at);
        if (last - first > static_cast<std::int64_t>(limits::kRecordBytes)) return false;
        writer.array(static_cast<std::uint32_t>(last - first));
        for (std::int64_t item = first; item < last; ++item) {
          if (!write_cell(cells.children()[0], item, writer, packed)) return false;
        }
        break;
      }
      case ArrowKind::kStruct: return write_struct(cells, at, writer, packed);
      case ArrowKind::kNull:
      case ArrowKind::kUnsupported: writer.nil(); break;
    }
    return true;
  }

  bool write_struct(const ArrowCells& cells, std::int64_t at, MsgpackWriter& writer, const std::string& packed) const {
    std::uint32_t given = 0;
    for (const ArrowCells& child : cells.children()) given += child.is_null(at) ? 0 : 1;
    writer.map(given);
    for (const ArrowCells& child : cells.children()) {
      if (child.is_null(at)) continue;
      writer.string(child.type().name);
      if (!write_cell(child, at, writer, packed)) return false;
    }
    return true;
  }

  // As text of its own range: the decoder refuses what lies beyond int64.
  static void write_unsigned(std::uint64_t value, MsgpackWriter& writer) {
    if (value >> 63 == 0) return writer.integer(static_cast<std::int64_t>(value));
    writer.unsigned_integer(value);
  }

  // ---- rows

  [[nodiscard]] std::size_t words() const noexcept { return (values_.size() + 63) / 64; }
  [[nodiscard]] const std::uint64_t* present(std::uint32_t row) const noexcept { return &present_[row * words()]; }

  template <class Visit>
  void each_present(std::uint32_t row, Visit&& visit) const {
    for (std::size_t word = 0; word < words(); ++word) {
      for (std::uint64_t bits = present(row)[word]; bits != 0; bits &= bits - 1) {
        visit(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(std::countr_zero(bits)));
      }
    }
  }

  // The columns that have a value, a bit each; what a record may hold of them.
  void mark_present() {
    present_.assign(count_ * words(), 0);
    std::size_t text_columns = 0;
    bool shares = false;
    for (std::uint32_t at = 0; at < values_.size(); ++at) {
      const Values& values = values_[at];
      for (std::uint32_t row = 0; row < count_; ++row) {
        present_[row * words() + at / 64] |= std::uint64_t{values.has[row]} << (at & 63);
      }
      text_columns += is_dictionary_type(values.type) ? 1 : 0;
      shares |= decoder_.properties_[at].shares_key;
    }
    const bool may_be_long = text_columns * limits::kStringBytes > limits::kRecordBytes ||
                             std::ranges::any_of(values_, [](const Values& of) { return !of.types.empty(); });
    if (values_.size() <= limits::kProperties && !may_be_long && !shares) return;
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (!refused_[row]) check_row(row);
    }
  }

  void check_row(std::uint32_t row) {
    std::size_t count = 0, size_bytes = 0;
    std::set<std::string_view> shared;
    each_present(row, [&](std::uint32_t at) {
      const ArrowDecoder::Property& property = decoder_.properties_[at];
      ++count;
      size_bytes += property.key.size() + 9;
      if (is_dictionary_type(values_[at].type)) {
        size_bytes += result_.batch.strings.at(static_cast<std::uint32_t>(values_[at].bits[row])).size();
      }
      if (property.shares_key && !shared.insert(property.key).second) {
        context_.fail(code::kKeyDuplicate, "", "", "a value in one of the columns of this key");
        refuse_value(row, property.key);
      }
    });
    if (count > limits::kProperties) {
      const bool is_event = decoder_.mapping_.type == RecordType::kEvent;
      refuse(row, is_event ? code::kPropertiesTooMany : code::kTraitOperationsTooMany, is_event ? "properties" : "set",
             decimal(count), "at most 256");
    }
    if (size_bytes > limits::kRecordBytes)
      refuse(row, code::kRecordTooLarge, "", decimal(size_bytes), "at most 65536 bytes");
  }

  [[nodiscard]] ValueType type_of(std::uint32_t at, std::uint32_t row) const noexcept {
    return values_[at].types.empty() ? values_[at].type : values_[at].types[row];
  }

  void add_identities(std::uint32_t row, std::vector<std::uint32_t>& refs) const {
    for (const std::vector<std::uint32_t>& kind : ids_) {
      if (kind[row] != kNone) refs.push_back(kind[row]);
    }
  }

  void add_events() {
    EventColumns& events = result_.batch.events;
    for (const ArrowDecoder::Property& property : decoder_.properties_) {
      keys_.push_back(context_.strings.intern_text(property.key));
    }
    has_lists_ = std::ranges::any_of(values_, [](const Values& values) { return !values.types.empty(); });
    events.time_ms.reserve(count_);
    events.shape.reserve(count_);
    events.first_value.reserve(count_);
    events.first_identity.reserve(count_ + 1);
    events.identity_refs.reserve(count_);
    events.values.reserve(std::size_t{count_} * std::min<std::size_t>(values_.size(), 16));
    events.first_identity.push_back(0);
    const bool has_ids = std::ranges::any_of(event_id_, [](const EventKey& key) { return key != EventKey{}; });
    if (has_ids) events.event_id.reserve(count_);
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (refused_[row]) continue;
      const bool snapped = !client_time_.empty() && client_time_[row] != 0;
      events.shape.push_back(shape_of(row, snapped));
      events.first_value.push_back(static_cast<std::uint32_t>(events.values.size()));
      each_present(row, [&](std::uint32_t at) { events.values.push_back(values_[at].bits[row]); });
      if (snapped) events.values.push_back(static_cast<std::uint64_t>(client_time_[row]));
      events.time_ms.push_back(time_[row]);
      add_identities(row, events.identity_refs);
      events.first_identity.push_back(static_cast<std::uint32_t>(events.identity_refs.size()));
      if (has_ids) events.event_id.push_back(event_id_[row]);
    }
    if (events.size() != 0) result_.batch.runs.push_back({RecordType::kEvent, 0, events.size()});
  }

  // Rows of one name with values in the same columns share a shape.
  std::uint32_t shape_of(std::uint32_t row, bool snapped) {
    const std::uint64_t* const mask = present(row);
    std::uint64_t hash = detail::fold_multiply(name_[row] ^ 0xA0761D6478BD642Full, snapped ? 3 : 5);
    for (std::size_t word = 0; word < words(); ++word)
      hash = detail::fold_multiply(hash ^ mask[word], 0xE7037ED1A0B428DBull);
    if (has_lists_) {
      each_present(row, [&](std::uint32_t at) {
        hash = detail::fold_multiply(hash ^ static_cast<std::uint64_t>(type_of(at, row)), 0xA0761D6478BD642Full);
      });
    }
    const auto equal = [&](std::uint32_t index) {
      const ShapeKey& known = shape_keys_[index];
      if (known.name != name_[row] || known.snapped != snapped) return false;
      if (!std::equal(mask, mask + words(), present(known.row))) return false;
      bool same = true;
      if (has_lists_) each_present(row, [&](std::uint32_t at) { same &= type_of(at, row) == type_of(at, known.row); });
      return same;
    };
    const std::uint32_t known = shapes_.find(hash, equal);
    if (known != kNone) [[likely]]
      return known;
    EventColumns& events = result_.batch.events;
    Shape shape{name_[row], static_cast<std::uint32_t>(events.fields.size()), 0};
    each_present(row, [&](std::uint32_t at) { events.fields.push_back({keys_[at], type_of(at, row)}); });
    if (snapped) events.fields.push_back({context_.strings.intern_text(kClientTimeKey), ValueType::kDatetime});
    shape.field_count = static_cast<std::uint32_t>(events.fields.size()) - shape.first_field;
    const auto index = static_cast<std::uint32_t>(events.shapes.size());
    events.shapes.push_back(shape);
    shape_keys_.push_back({row, name_[row], snapped});
    shapes_.insert(hash, index);
    return index;
  }

  void add_traits() {
    CanonicalBatch& batch = result_.batch;
    for (const ArrowDecoder::Property& property : decoder_.properties_) {
      keys_.push_back(context_.strings.intern_text(property.key));
    }
    batch.events.first_identity.push_back(0);
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (refused_[row]) continue;
      TraitsRecord record{time_[row], static_cast<std::uint32_t>(batch.trait_identity_refs.size()), 0,
                          static_cast<std::uint32_t>(batch.trait_operations.size()), 0};
      add_identities(row, batch.trait_identity_refs);
      each_present(row, [&](std::uint32_t at) {
        batch.trait_operations.push_back({keys_[at], TraitKind::kSet, {type_of(at, row), values_[at].bits[row]}});
      });
      record.identity_count = static_cast<std::uint32_t>(batch.trait_identity_refs.size()) - record.first_identity;
      record.operation_count = static_cast<std::uint32_t>(batch.trait_operations.size()) - record.first_operation;
      batch.traits.push_back(record);
    }
    const auto count = static_cast<std::uint32_t>(batch.traits.size());
    if (count != 0) batch.runs.push_back({RecordType::kTraits, 0, count});
  }

  void finish() {
    std::ranges::sort(result_.rejects, {}, &Reject::index);
    if (result_.rejects.empty()) return;
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (!refused_[row]) result_.record_index.push_back(row);
    }
  }

  struct ShapeKey {
    std::uint32_t row, name;
    bool snapped;
  };

  const ArrowDecoder& decoder_;
  const ArrowCells& batch_;
  std::int64_t first_;
  std::uint32_t count_;
  const DecodeOptions& options_;
  DecodeResult result_;
  DecodeContext context_;
  IdentityField identities_;
  std::vector<std::uint8_t> refused_;
  std::vector<std::uint32_t> known_;  // of a dictionary's entries: what each became
  std::vector<std::uint32_t> name_;   // string of each row
  std::vector<std::uint8_t> name_checked_;
  std::vector<std::int64_t> time_;
  std::vector<std::int64_t> client_time_;  // of rows a little ahead; empty when there are none
  std::vector<std::vector<std::uint32_t>> ids_;
  std::vector<EventKey> event_id_;
  std::vector<Values> values_;
  std::vector<std::uint64_t> present_;
  std::vector<std::uint32_t> keys_;
  bool has_lists_ = false;
  IndexTable shapes_{64};
  std::vector<ShapeKey> shape_keys_;
};

DecodeResult ArrowDecoder::decode(const ArrowCells& batch, std::int64_t first, std::uint32_t count,
                                  const DecodeOptions& options) const {
  return ArrowSlice(*this, batch, first, count, options).run();
}

}  // namespace cdp
