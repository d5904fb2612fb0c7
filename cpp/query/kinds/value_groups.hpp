// What a breakdown makes of a value before it tells groups apart: the elements of a list, the bucket that a number lies in, the
// hour .. year that a datetime lies in.
//
//   operand   {"property" | "trait": key, "elements"?: true | field, one of "borders", "buckets", "unit" or none, "name"?: column}
//             | {"time": unit, "name"?: column ("time")} | {"event": "name", "name"?: column ("event")}
//   borders   [number, ..] (1 to 1,000, ascending): (-inf, a) [a, b) .. [z, inf), each closed at its lower end
//   buckets   n (2 to 1,000): the same, border i being the value that i/n of the values lie in front of (equal_buckets.hpp)
//   unit      "hour" .. "year": where the bucket of the calendar begins
//
// A missing value stays null. What is no number (bools and datetimes too) is the row "not a number", what is no datetime "not a date".
// `elements`: a list counts once in the row of each group that its elements make, null elements left out; with a field, a list of
// objects by the values of that field. Anything else is the list of itself (with a field: of nothing); a list of nothing is null.
//
// Cost: a column of codes is grouped once a distinct code where there are fewer of those than rows; else ~5 ns a number, ~10 ns a
// datetime. A list ~0.3 us, when it is among the first with a million elements in all ~30 ns. Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/value.hpp"
#include "column/dictionary.hpp"
#include "query/calendar.hpp"
#include "query/document.hpp"
#include "query/scan.hpp"
#include "query/spec.hpp"
#include "query/table.hpp"

namespace cdp {

struct ValueGroupsSpec {
  enum class Form : std::uint8_t { kWhole, kBorders, kBuckets, kUnit };
  Form form = Form::kWhole;
  bool elements = false;
  std::string field;              // of objects; empty: of lists of scalars
  std::vector<Value> borders;     // kBorders: numbers, ascending
  std::int64_t bucket_count = 0;  // kBuckets: until set_equal_borders has made borders of it
  Unit unit;
  CalendarSpec calendar;
  bool of_time = false;  // of the event's time, in place of a property
  bool of_name = false;  // its name as it is, in place of a property
};

// Takes the fields that say so; null when there are none.
[[nodiscard]] std::shared_ptr<const ValueGroupsSpec> take_value_groups(Fields& fields, const CalendarSpec& calendar);
// The event's own name.
[[nodiscard]] std::shared_ptr<const ValueGroupsSpec> event_groups();
// The unit of the event's own time.
[[nodiscard]] std::shared_ptr<const ValueGroupsSpec> time_groups(const Node& unit, const Path& path,
                                                                 const CalendarSpec& calendar);

// "0, 9.5": borders as they are told.
[[nodiscard]] std::string borders_text(const std::vector<Value>& borders);
// Exact three-way order of two numbers, integers and floats alike.
[[nodiscard]] int compare_number_values(const Value& left, const Value& right) noexcept;

class ValueGroups {
 public:
  ValueGroups(const ValueGroupsSpec& spec, const Version& version);
  ~ValueGroups();
  ValueGroups(const ValueGroups&) = delete;
  ValueGroups& operator=(const ValueGroups&) = delete;

  // A value may lie in several groups: then only `elements` tells them.
  [[nodiscard]] bool splits() const noexcept { return spec_.elements; }
  [[nodiscard]] Value of(const Value& value) const noexcept;
  [[nodiscard]] Value of_time(std::int64_t time_ms) const noexcept {
    return {ValueType::kDatetime, static_cast<std::uint64_t>(calendar_->bucket_start(time_ms))};
  }
  [[nodiscard]] Value of_name(NameId name) const noexcept {
    return raw(name) < names_.size() ? names_[raw(name)] : Value{};
  }
  void of_each(Value* values, std::size_t count) const;
  // The groups of a value, each once, in one order for equal sets; null alone for none.
  void elements(const Value& value, std::vector<Value>& out) const;
  // Groups of the values of `key` at rows of a slice view.
  void read(const SliceView& view, KeyId key, const std::uint32_t* rows, std::uint32_t count, Value* out) const;
  // Groups of the times of rows.
  void read_times(const Chunk& chunk, const SliceView& view, const std::uint32_t* rows, std::uint32_t count,
                  Value* out) const;

  // A group that is not null in the answer.
  [[nodiscard]] ColumnType column_type(const Value& group, ColumnType plain) const noexcept;
  void push(TableColumn& column, const Value& group, const Dictionary& strings) const;

 private:
  struct Kept;
  struct PartitionTimes;
  [[nodiscard]] Value number_group(const Value& value) const noexcept;
  [[nodiscard]] bool tells_text(const Value& group) const noexcept;
  void add_element(const Node& node, std::vector<Value>& out) const;
  void add_elements(const Value& value, std::vector<Value>& out) const;

  ValueGroupsSpec spec_;
  Dictionary* strings_;
  std::optional<Calendar> calendar_;
  std::vector<Value> names_;               // of `of_name`, by event name
  std::vector<std::int64_t> int_borders_;  // the least integer of each group but the first; those beyond int64 left out
  std::vector<double> float_borders_;      // the same of floats
  std::vector<std::string> labels_;        // of groups, then of what is none
  std::unique_ptr<Kept> kept_;             // elements of lists
  std::vector<PartitionTimes> partitions_;  // of `of_time`, ascending
};

}  // namespace cdp
