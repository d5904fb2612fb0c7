// One slice of Arrow rows -> a canonical batch: columns first, then rows.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <set>

#include "base/utf8.hpp"
#include "codec/arrow_decoder.hpp"
#include "codec/arrow_loops.hpp"
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
constexpr std::int64_t kDictionaryMost = 16;  // entries a row: beyond, a table of them costs more than it saves

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

}  // namespace

class ArrowSlice {
 public:
  ArrowSlice(const ArrowDecoder& decoder, const ArrowCells& batch, std::int64_t first, std::uint32_t count,
             const DecodeOptions& options)
      : decoder_(decoder),
        batch_(batch),
        first_(first),
        count_(count),
        rows_{first, count},
        options_(options),
        context_({}, count, options, result_.batch),
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
    bool is_full = false;  // every row has one: `has` is empty
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

  [[nodiscard]] ArrowColumn column(const ArrowDecoder::Place& place) const {
    ArrowColumn out{&batch_, {}};
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
  void each_text(const ArrowColumn& column, Take&& take, Again&& again, NoText&& none) {
    const ArrowCells& cells = *column.cells;
    if (!cells.type().is_dictionary()) {
      char digits[24];
      each_row(column, rows_, [&](std::uint32_t row, std::int64_t at) { take(row, text_of(cells, at, digits)); }, none);
    } else if (cells.values().length() > kDictionaryMost * std::int64_t{kArrowSliceRows}) {
      char digits[24];
      each_entry(
          column, rows_,
          [&](std::uint32_t row, std::int64_t entry) { take(row, text_of(cells.values(), entry, digits)); }, none);
    } else {
      each_entry_once(column, take, again, none);
    }
  }

  template <class Take, class Again, class NoText>
  void each_entry_once(const ArrowColumn& column, Take&& take, Again&& again, NoText&& none) {
    const ArrowCells& entries = column.cells->values();
    known_.assign(static_cast<std::size_t>(entries.length()), kUnread);
    char digits[24];
    each_entry(
        column, rows_,
        [&](std::uint32_t row, std::int64_t entry) {
          std::uint32_t& known = known_[static_cast<std::size_t>(entry)];
          if (known < kRefused || known == kNone) [[likely]] {
            again(row, known);
          } else {
            known = take(row, text_of(entries, entry, digits));  // a refused one is refused again for each row
          }
        },
        none);
  }

  // Integers as their digits.
  static std::string_view text_of(const ArrowCells& cells, std::int64_t at, std::span<char> digits) {
    if (cells.type().is_text()) return cells.text_at(at);
    const bool is_unsigned = cells.type().kind == ArrowKind::kUint;
    char* const end = digits.data() + digits.size();
    const std::to_chars_result written = is_unsigned ? std::to_chars(digits.data(), end, cells.uint_at(at))
                                                     : std::to_chars(digits.data(), end, cells.int_at(at));
    return {digits.data(), static_cast<std::size_t>(written.ptr - digits.data())};
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
    const ArrowColumn given = column(decoder_.time_);
    const ArrowCells& cells = *given.cells;
    if (cells.type().is_dictionary()) {
      each_entry(
          given, rows_, [&](std::uint32_t row, std::int64_t entry) { take_time(row, time_in(cells.values(), entry)); },
          [](std::uint32_t) {});
    } else if (cells.type().kind == ArrowKind::kTime && cells.type().per_second == 1000) {
      each_row(given, rows_, [&](std::uint32_t row, std::int64_t at) { take_time(row, cells.load<std::int64_t>(at)); });
    } else {
      each_row(given, rows_, [&](std::uint32_t row, std::int64_t at) { take_time(row, time_in(cells, at)); });
    }
  }

  static std::int64_t time_in(const ArrowCells& cells, std::int64_t at) noexcept {
    if (is_time(cells.type().kind)) return time_of(cells, at);
    if (cells.type().kind != ArrowKind::kUint) return cells.int_at(at);
    return static_cast<std::int64_t>(std::min<std::uint64_t>(cells.uint_at(at), INT64_MAX));
  }

  void take_time(std::uint32_t row, std::int64_t ms) {
    if (ms >= limits::kTimeMinMs && ms <= options_.received_ms) [[likely]] {
      time_[row] = ms;
      return;
    }
    if (ms < limits::kTimeMinMs || ms > limits::kTimeMaxMs) {
      return refuse(row, code::kTimeOutOfRange, "time_ms", decimal(ms),
                    "a time from 1973-01-01 to 2100-01-01, in milliseconds since 1970 UTC");
    }
    const RecordTime time{ms, true};
    time_[row] = time.time_ms(options_.received_ms);
    if (time.is_snapped(options_.received_ms)) {
      if (client_time_.empty()) client_time_.assign(count_, 0);
      client_time_[row] = ms;
    }
  }

  void read_identities() {
    ids_.resize(decoder_.ids_.size());
    for (std::size_t at = 0; at < ids_.size(); ++at) {
      std::vector<std::uint32_t>& out = ids_[at];
      out.assign(count_, kNone);
      const std::string& kind = decoder_.ids_[at].kind;
      const std::uint32_t place = identities_.place_of(kind);
      const ArrowColumn given = column(decoder_.ids_[at].place);
      if (!given.cells->type().is_dictionary() && !given.cells->type().is_text()) {
        if (given.cells->type().kind != ArrowKind::kNull) read_numbers(given, kind, place, out);
        continue;
      }
      const auto take = [&](std::uint32_t row, std::string_view text) {
        if (identities_.take(place, text, out[row])) return out[row];
        context_.under(kind);
        refuse(row, "ids");
        return kRefused;
      };
      each_text(given, take, [&](std::uint32_t row, std::uint32_t known) { out[row] = known; }, [](std::uint32_t) {});
    }
    refuse_nobody();
  }

  // Identities that are integers: each distinct one becomes text once.
  void read_numbers(const ArrowColumn& given, const std::string& kind, std::uint32_t place,
                    std::vector<std::uint32_t>& out) {
    const bool is_unsigned = given.cells->type().kind == ArrowKind::kUint;
    if (is_unsigned && given.cells->type().width == 8) {
      refuse_beyond_int64(given, [&](std::uint32_t row) {
        context_.under(kind);
        refuse(row, "ids");
      });
    }
    struct Number {
      std::uint64_t bits;
      std::uint32_t identity;
    };
    std::vector<Number> numbers;
    IndexTable table(context_.table_slots);
    with_integers(*given.cells, [&](auto&& read) {
      each_row(given, rows_, [&](std::uint32_t row, std::int64_t at) {
        const std::uint64_t bits = read(at);
        const std::uint64_t hash = detail::fold_multiply(bits ^ options_.hash_key, 0xA0761D6478BD642Full);
        std::uint32_t index = table.find(hash, [&](std::uint32_t known) { return numbers[known].bits == bits; });
        if (index == kNone) [[unlikely]] {
          if (refused_[row]) return;
          char digits[24];
          std::uint32_t identity = kNone;
          // Digits are always taken, if only as nobody's.
          static_cast<void>(identities_.take(place, text_of(*given.cells, at, digits), identity));
          index = static_cast<std::uint32_t>(numbers.size());
          numbers.push_back({bits, identity});
          table.insert(hash, index);
        }
        out[row] = numbers[index].identity;
      });
    });
  }

  void refuse_nobody() {
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (ids_.front()[row] != kNone || refused_[row]) [[likely]]
        continue;
      const bool nobody = std::ranges::all_of(ids_, [row](const auto& kind) { return kind[row] == kNone; });
      if (nobody) refuse(row, code::kIdentityNone, "ids", "", "at least one identity that is not generic");
    }
  }

  template <class Refuse>
  void refuse_beyond_int64(const ArrowColumn& given, Refuse&& refuse_row) {
    each_row(given, rows_, [&](std::uint32_t row, std::int64_t at) {
      const std::uint64_t value = given.cells->uint_at(at);
      if (value >> 63 == 0) [[likely]]
        return;
      context_.fail(code::kValueIntRange, "", decimal(value), "an integer from -2^63 to 2^63-1");
      refuse_row(row);
    });
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
    const ArrowColumn given = column(property.place);
    values.bits.resize(count_);
    const ArrowCells& cells = *given.cells;
    if (cells.type().is_dictionary() && !cells.values().type().is_text()) return read_coded(property, given, values);
    const ArrowKind kind = cells.type().is_dictionary() ? cells.values().type().kind : cells.type().kind;
    switch (kind) {
      case ArrowKind::kNull:
      case ArrowKind::kStruct:
      case ArrowKind::kUnsupported: values.has.resize(count_); return;
      case ArrowKind::kText:
      case ArrowKind::kLargeText:
      case ArrowKind::kTextView: return read_texts(property, given, values);
      case ArrowKind::kList:
      case ArrowKind::kLargeList: return read_lists(property, given, values);
      case ArrowKind::kInt: return read_integers(given, values);
      case ArrowKind::kUint:
        if (cells.type().width < 8) return read_integers(given, values);
        break;
      default: break;
    }
    values.type = scalar_type(cells);
    values.has.resize(count_);
    each_row(given, rows_,
             [&](std::uint32_t row, std::int64_t at) { read_scalar(cells, at, row, property.key, values); });
  }

  void read_integers(const ArrowColumn& given, Values& values) {
    values.type = ValueType::kInt;
    values.is_full = !given.may_be_null();
    if (!values.is_full) values.has.resize(count_);
    with_integers(*given.cells, [&](auto&& read) {
      if (values.is_full) {
        for (std::uint32_t row = 0; row < count_; ++row) values.bits[row] = read(first_ + row);
        return;
      }
      each_row(given, rows_, [&](std::uint32_t row, std::int64_t at) {
        values.bits[row] = read(at);
        values.has[row] = 1;
      });
    });
  }

  // A dictionary of numbers or times.
  void read_coded(const ArrowDecoder::Property& property, const ArrowColumn& given, Values& values) {
    const ArrowCells& entries = given.cells->values();
    if (entries.type().kind == ArrowKind::kList || entries.type().kind == ArrowKind::kLargeList ||
        entries.type().kind == ArrowKind::kStruct) {
      throw Error(Family::kInvalidRequest, code::kLoadColumn, "a dictionary of lists or structs", property.key);
    }
    values.type = scalar_type(entries);
    values.has.resize(count_);
    each_entry(
        given, rows_,
        [&](std::uint32_t row, std::int64_t entry) { read_scalar(entries, entry, row, property.key, values); },
        [](std::uint32_t) {});
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

  void read_texts(const ArrowDecoder::Property& property, const ArrowColumn& given, Values& values) {
    values.type = ValueType::kString;
    const ArrowCells& cells = *given.cells;
    values.is_full = !given.may_be_null() && !(cells.type().is_dictionary() && cells.values().may_be_null());
    if (!values.is_full) values.has.resize(count_);
    const auto keep = [&](std::uint32_t row, std::uint32_t string) {
      values.bits[row] = string;
      if (!values.is_full) values.has[row] = 1;
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
  void read_lists(const ArrowDecoder::Property& property, const ArrowColumn& given, Values& values) {
    values.type = ValueType::kList;
    values.has.resize(count_);
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

  // Bits of the columns that have a value in this row. One row of them stands for all where every column is full.
  [[nodiscard]] const std::uint64_t* present(std::uint32_t row) const noexcept {
    return present_.data() + std::size_t{row} * stride_;
  }

  template <class Visit>
  void each_present(std::uint32_t row, Visit&& visit) const {
    const std::uint64_t* const mask = present(row);
    for (std::uint32_t word = 0; word < words_; ++word) {
      for (std::uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
        visit(word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
      }
    }
  }

  // Which columns have a value in which row; and what a record may hold of them.
  void mark_present() {
    words_ = static_cast<std::uint32_t>((values_.size() + 63) / 64);
    stride_ = std::ranges::all_of(values_, &Values::is_full) ? 0 : words_;
    present_.assign(stride_ == 0 ? words_ : count_ * std::size_t{words_}, 0);
    const std::uint32_t row_count = stride_ == 0 ? 1 : count_;
    std::size_t text_columns = 0;
    bool shares = false;
    for (std::uint32_t at = 0; at < values_.size(); ++at) {
      const Values& values = values_[at];
      std::uint64_t* word = present_.data() + at / 64;
      for (std::uint32_t row = 0; row < row_count; ++row, word += words_) {
        *word |= std::uint64_t{values.is_full || values.has[row] != 0} << (at & 63);
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

  [[nodiscard]] bool is_snapped(std::uint32_t row) const noexcept {
    return !client_time_.empty() && client_time_[row] != 0;
  }

  void add_events() {
    for (const ArrowDecoder::Property& property : decoder_.properties_) {
      keys_.push_back(context_.strings.intern_text(property.key));
    }
    has_lists_ = std::ranges::any_of(values_, [](const Values& values) { return !values.types.empty(); });
    latest_shape_.assign(result_.batch.strings.size(), kNone);
    keep_rows();
    add_shapes();
    add_values();
    add_owners();
    EventColumns& events = result_.batch.events;
    for (const std::uint32_t row : kept_) events.time_ms.push_back(time_[row]);
    const bool has_ids = std::ranges::any_of(event_id_, [](const EventKey& key) { return key != EventKey{}; });
    if (has_ids) {
      events.event_id.reserve(kept_.size());
      for (const std::uint32_t row : kept_) events.event_id.push_back(event_id_[row]);
    }
    if (events.size() != 0) result_.batch.runs.push_back({RecordType::kEvent, 0, events.size()});
  }

  void keep_rows() {
    kept_.reserve(count_);
    for (std::uint32_t row = 0; row < count_; ++row) {
      if (!refused_[row]) kept_.push_back(row);
    }
    result_.batch.events.time_ms.reserve(kept_.size());
  }

  void add_shapes() {
    EventColumns& events = result_.batch.events;
    events.shape.reserve(kept_.size());
    for (const std::uint32_t row : kept_) events.shape.push_back(shape_of(row, is_snapped(row)));
  }

  void add_values() {
    EventColumns& events = result_.batch.events;
    events.first_value.resize(kept_.size());
    std::uint32_t total = 0;
    for (std::size_t at = 0; at < kept_.size(); ++at) {
      events.first_value[at] = total;
      total += events.shapes[events.shape[at]].field_count;
    }
    events.values.resize(total);
    std::vector<const std::uint64_t*> columns;
    for (const Values& values : values_) columns.push_back(values.bits.data());
    std::uint64_t* out = events.values.data();
    for (const std::uint32_t row : kept_) {
      if (stride_ == 0) {
        for (const std::uint64_t* const column : columns) *out++ = column[row];
      } else {
        each_present(row, [&](std::uint32_t at) { *out++ = columns[at][row]; });
      }
      if (is_snapped(row)) *out++ = static_cast<std::uint64_t>(client_time_[row]);
    }
  }

  void add_owners() {
    EventColumns& events = result_.batch.events;
    events.first_identity.reserve(kept_.size() + 1);
    events.identity_refs.reserve(kept_.size());
    events.first_identity.push_back(0);
    for (const std::uint32_t row : kept_) {
      add_identities(row, events.identity_refs);
      events.first_identity.push_back(static_cast<std::uint32_t>(events.identity_refs.size()));
    }
  }

  // Rows of one name with values in the same columns share a shape; mostly that of the name's row before.
  std::uint32_t shape_of(std::uint32_t row, bool snapped) {
    std::uint32_t& latest = latest_shape_[name_[row]];
    if (latest == kNone || !is_shape(latest, row, snapped)) latest = find_shape(row, snapped);
    return latest;
  }

  [[nodiscard]] bool is_shape(std::uint32_t shape, std::uint32_t row, bool snapped) const {
    const ShapeKey& known = shape_keys_[shape];
    if (known.name != name_[row] || known.snapped != snapped) return false;
    const std::uint64_t* const mask = present(row);
    if (stride_ != 0 && !std::equal(mask, mask + words_, present(known.row))) return false;
    bool same = true;
    if (has_lists_) each_present(row, [&](std::uint32_t at) { same &= type_of(at, row) == type_of(at, known.row); });
    return same;
  }

  std::uint32_t find_shape(std::uint32_t row, bool snapped) {
    const std::uint64_t* const mask = present(row);
    std::uint64_t hash = detail::fold_multiply(name_[row] ^ 0xA0761D6478BD642Full, snapped ? 3 : 5);
    for (std::uint32_t word = 0; word < words_; ++word)
      hash = detail::fold_multiply(hash ^ mask[word], 0xE7037ED1A0B428DBull);
    if (has_lists_) {
      each_present(row, [&](std::uint32_t at) {
        hash = detail::fold_multiply(hash ^ static_cast<std::uint64_t>(type_of(at, row)), 0xA0761D6478BD642Full);
      });
    }
    const std::uint32_t known = shapes_.find(hash, [&](std::uint32_t index) { return is_shape(index, row, snapped); });
    if (known != kNone) return known;
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
  ArrowRows rows_;
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
  std::uint32_t words_ = 0;                  // of bits for all columns
  std::uint32_t stride_ = 0;                 // words from row to row
  std::vector<std::uint32_t> kept_;          // rows that are not refused
  std::vector<std::uint32_t> latest_shape_;  // by name
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
