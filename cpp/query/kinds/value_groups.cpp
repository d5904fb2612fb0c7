#include "query/kinds/value_groups.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include "query/codes.hpp"
#include "query/condition.hpp"
#include "query/kinds/breakdown.hpp"

namespace cdp {
namespace {

using Form = ValueGroupsSpec::Form;

constexpr std::size_t kBordersMax = 1'000;
constexpr std::size_t kElementsKept = 1'000'000;  // 16 MB
constexpr std::string_view kNoNumber = "not a number", kNoDate = "not a date";

// 10, 0.5, 1e+300: a whole float as an integer.
std::string number_text(const Value& number) {
  std::array<char, 400> digits;
  char* const end = digits.data() + digits.size();
  if (number.type == ValueType::kInt) return {digits.data(), std::to_chars(digits.data(), end, number.as_int()).ptr};
  const double value = number.as_float(), size = std::fabs(value);
  const bool is_plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = is_plain ? std::chars_format::fixed : std::chars_format::scientific;
  return {digits.data(), std::to_chars(digits.data(), end, value, format).ptr};
}

std::vector<Value> parse_borders(const Node& node, const Path& path) {
  std::vector<Value> out;
  const std::vector<Node>& items = read_array(node, path, 1, kBordersMax);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Path item = path.item(i);
    if (items[i].type == Node::Type::kInt) {
      out.push_back({ValueType::kInt, static_cast<std::uint64_t>(items[i].integer)});
    } else if (items[i].type == Node::Type::kFloat) {
      out.push_back({ValueType::kFloat, std::bit_cast<std::uint64_t>(items[i].number + 0.0)});  // no negative zero
    } else {
      fail_expected(item, "a number", items[i]);
    }
    if (i > 0 && compare_number_values(out[i - 1], out[i]) >= 0)
      fail_invalid(item, "expected a number above the border before it");
  }
  return out;
}

Unit parse_named_unit(const Node& node, const Path& path) {
  if (node.type == Node::Type::kMap)
    fail_expected(path, "\"hour\", \"day\", \"week\", \"month\", \"quarter\" or \"year\"", node);
  return parse_unit(node, path);
}

// The integers from a border on begin here; none when no integer is that large.
std::optional<std::int64_t> least_int(const Value& border) noexcept {
  if (border.type == ValueType::kInt) return border.as_int();
  const double least = std::ceil(border.as_float());
  if (least >= 0x1p63) return std::nullopt;
  return least < -0x1p63 ? INT64_MIN : static_cast<std::int64_t>(least);
}

double least_float(const Value& border) noexcept {
  if (border.type == ValueType::kFloat) return border.as_float();
  const auto near = static_cast<double>(border.as_int());
  return compare_exact(border.as_int(), near) > 0 ? std::nextafter(near, INFINITY) : near;
}

}  // namespace

int compare_number_values(const Value& left, const Value& right) noexcept {
  const bool left_int = left.type == ValueType::kInt, right_int = right.type == ValueType::kInt;
  if (left_int && right_int) return left.as_int() < right.as_int() ? -1 : left.as_int() > right.as_int() ? 1 : 0;
  if (left_int) return compare_exact(left.as_int(), right.as_float());
  if (right_int) return -compare_exact(right.as_int(), left.as_float());
  return left.as_float() < right.as_float() ? -1 : left.as_float() > right.as_float() ? 1 : 0;
}

std::string borders_text(const std::vector<Value>& borders) {
  std::string out;
  for (const Value& border : borders) out.append(out.empty() ? "" : ", ").append(number_text(border));
  return out;
}

std::shared_ptr<const ValueGroupsSpec> take_value_groups(Fields& fields, const CalendarSpec& calendar) {
  ValueGroupsSpec out;
  out.calendar = calendar;
  const Path elements = fields.path("elements"), borders = fields.path("borders"), unit = fields.path("unit"),
             buckets = fields.path("buckets");
  if (const Node* node = fields.take("elements")) {
    if (node->type == Node::Type::kString) out.field = parse_key(*node, elements);
    out.elements = node->type == Node::Type::kString || read_bool(*node, elements);
  }
  const auto choose = [&](Form form, const Path& path) {
    if (out.form != Form::kWhole) fail_invalid(path, "one of borders, buckets and unit, not several");
    out.form = form;
  };
  if (const Node* node = fields.take("borders")) {
    choose(Form::kBorders, borders);
    out.borders = parse_borders(*node, borders);
  }
  if (const auto count = fields.integer("buckets", 2, kBordersMax)) {
    choose(Form::kBuckets, buckets);
    out.bucket_count = *count;
  }
  if (const Node* node = fields.take("unit")) {
    choose(Form::kUnit, unit);
    out.unit = parse_named_unit(*node, unit);
  }
  if (out.form == Form::kWhole && !out.elements) return nullptr;
  return std::make_shared<const ValueGroupsSpec>(std::move(out));
}

std::shared_ptr<const ValueGroupsSpec> event_groups() {
  ValueGroupsSpec out;
  out.of_name = true;
  return std::make_shared<const ValueGroupsSpec>(std::move(out));
}

std::shared_ptr<const ValueGroupsSpec> time_groups(const Node& unit, const Path& path, const CalendarSpec& calendar) {
  ValueGroupsSpec out;
  out.form = Form::kUnit;
  out.unit = parse_named_unit(unit, path);
  out.calendar = calendar;
  out.of_time = true;
  return std::make_shared<const ValueGroupsSpec>(std::move(out));
}

// Elements of the first lists that came, by the number of the list.
struct ValueGroups::Kept {
  std::shared_mutex mutex;
  std::unordered_map<std::uint64_t, std::vector<Value>> elements;
  std::size_t count = 0;
};

// Where the buckets of the slots of a partition begin; kSplit where a border lies inside the slot.
struct ValueGroups::PartitionTimes {
  static constexpr std::int64_t kSplit = INT64_MIN;
  std::int32_t partition = 0;
  std::vector<std::int64_t> slot_start_ms;

  PartitionTimes(std::int32_t number, const Calendar& calendar)
      : partition(number), slot_start_ms(limits::kSlotsPerPartition, kSplit) {
    const std::int64_t first_ms = partition_start_ms(partition), end_ms = first_ms + limits::kPartitionMs;
    for (std::int64_t at = first_ms, next; at < end_ms; at = next) {
      next = std::min(calendar.next_border(at), end_ms);
      const std::int64_t start_ms = calendar.bucket_start(at);
      const std::int64_t from = (at - first_ms + limits::kSlotMs - 1) / limits::kSlotMs;
      for (std::int64_t slot = from; (slot + 1) * limits::kSlotMs <= next - first_ms; ++slot)
        slot_start_ms[static_cast<std::size_t>(slot)] = start_ms;
    }
  }
};

ValueGroups::ValueGroups(const ValueGroupsSpec& spec, const Version& version) : spec_(spec), strings_(version.strings) {
  if (spec_.elements) kept_ = std::make_unique<Kept>();
  if (spec_.form == Form::kUnit) {
    const Zone& zone = spec_.calendar.zone != nullptr ? *spec_.calendar.zone : Zone::utc();
    calendar_.emplace(zone, spec_.unit, spec_.calendar.week_start);
    labels_.emplace_back(kNoDate);
  }
  if (spec_.form == Form::kBorders) {
    std::string before = "(-inf";
    for (const Value& border : spec_.borders) {
      const std::string text = number_text(border);
      labels_.push_back(before + ", " + text + ")");
      before = "[" + text;
      if (const auto least = least_int(border)) int_borders_.push_back(*least);
      float_borders_.push_back(least_float(border));
    }
    labels_.push_back(before + ", inf)");
    labels_.emplace_back(kNoNumber);
  }
  for (std::uint32_t name = 0; spec_.of_name && name < version.names->size(); ++name)
    names_.push_back({ValueType::kString, version.strings->intern(version.names->at(name))});
  if (!spec_.of_time) return;
  std::set<std::int32_t> partitions;
  for (const ShardLayers& shard : version.shards) {
    for (const auto& layer : shard.layers) partitions.insert(layer->partition);
  }
  for (const std::int32_t partition : partitions) partitions_.emplace_back(partition, *calendar_);
}

ValueGroups::~ValueGroups() = default;

Value ValueGroups::number_group(const Value& value) const noexcept {
  const auto above = [](const auto& borders, auto number) {
    return static_cast<std::uint64_t>(std::upper_bound(borders.begin(), borders.end(), number) - borders.begin());
  };
  if (value.type == ValueType::kInt) return {ValueType::kInt, above(int_borders_, value.as_int())};
  if (value.type == ValueType::kFloat) return {ValueType::kInt, above(float_borders_, value.as_float())};
  return {ValueType::kInt, labels_.size() - 1};
}

Value ValueGroups::of(const Value& value) const noexcept {
  if (value.type == ValueType::kNull) return {};
  switch (spec_.form) {
    case Form::kWhole:
    case Form::kBuckets: return value;
    case Form::kBorders: return number_group(value);
    case Form::kUnit: break;
  }
  return value.type == ValueType::kDatetime ? of_time(value.as_int()) : Value{ValueType::kInt, 0};
}

namespace {
// Buckets of instants that lie close together: of each stretch of an hour that lies in one bucket, where that begins.
class NearbyTimes {
 public:
  explicit NearbyTimes(const Calendar& calendar) : calendar_(calendar) { hours_.fill(INT64_MIN); }
  [[nodiscard]] std::int64_t start_ms(std::int64_t time_ms) {
    constexpr std::int64_t kHourMs = 3'600'000;
    const std::int64_t hour = time_ms / kHourMs - (time_ms % kHourMs < 0 ? 1 : 0);
    const std::size_t at = static_cast<std::size_t>(hour) % kKept;
    if (hours_[at] == hour) return starts_[at];
    const std::int64_t first_ms = hour * kHourMs, start_ms = calendar_.bucket_start(time_ms);
    if (calendar_.next_border(first_ms) >= first_ms + kHourMs) hours_[at] = hour, starts_[at] = start_ms;
    return start_ms;
  }

 private:
  static constexpr std::size_t kKept = 1'024;
  const Calendar& calendar_;
  std::array<std::int64_t, kKept> hours_;
  std::array<std::int64_t, kKept> starts_;
};
}  // namespace

void ValueGroups::of_each(Value* values, std::size_t count) const {
  if (spec_.form != Form::kUnit || count < 64) {
    for (std::size_t i = 0; i < count; ++i) values[i] = of(values[i]);
    return;
  }
  NearbyTimes times(*calendar_);
  for (std::size_t i = 0; i < count; ++i) {
    if (values[i].type == ValueType::kDatetime) {
      values[i].bits = static_cast<std::uint64_t>(times.start_ms(values[i].as_int()));
    } else {
      values[i] = of(values[i]);
    }
  }
}

void ValueGroups::add_element(const Node& node, std::vector<Value>& out) const {
  if (node.type == Node::Type::kNull || node.type == Node::Type::kArray) return;
  const Literal literal = parse_literal(node, Path());
  Value value = literal.value();
  if (value.type == ValueType::kString) value.bits = strings_->intern(literal.text);
  out.push_back(of(value));
}

void ValueGroups::add_elements(const Value& value, std::vector<Value>& out) const {
  const bool is_list = value.type == ValueType::kList, is_items = value.type == ValueType::kItems;
  if (!is_list && !is_items) {
    if (value.type != ValueType::kNull && spec_.field.empty()) out.push_back(of(value));
    return;
  }
  const Node list = parse_stored(strings_->at(static_cast<std::uint32_t>(value.bits)));
  for (const Node& item : list.items) {
    if (item.type != Node::Type::kMap) {
      if (spec_.field.empty()) add_element(item, out);
      continue;
    }
    for (const auto& [name, field] : item.fields) {
      if (name == spec_.field) add_element(field, out);
    }
  }
}

void ValueGroups::elements(const Value& value, std::vector<Value>& out) const {
  out.clear();
  const bool is_list = value.type == ValueType::kList || value.type == ValueType::kItems;
  if (is_list) {
    const std::shared_lock lock(kept_->mutex);
    const auto found = kept_->elements.find(value.bits);
    if (found != kept_->elements.end()) out = found->second;
  }
  if (!out.empty()) return;
  add_elements(value, out);
  std::sort(out.begin(), out.end(), [](const Value& left, const Value& right) {
    return left.type != right.type ? left.type < right.type : left.bits < right.bits;
  });
  out.erase(std::unique(out.begin(), out.end()), out.end());
  if (out.empty()) out.emplace_back();
  if (!is_list) return;
  const std::lock_guard lock(kept_->mutex);
  if (kept_->count + out.size() > kElementsKept) return;
  if (kept_->elements.try_emplace(value.bits, out).second) kept_->count += out.size();
}

void ValueGroups::read(const SliceView& view, KeyId key, const std::uint32_t* rows, std::uint32_t count,
                       Value* out) const {
  const auto less = [](const Column& column, KeyId wanted) { return raw(column.key) < raw(wanted); };
  const std::vector<Column>& columns = view.slice->columns;
  const auto first = std::lower_bound(columns.begin(), columns.end(), key, less);
  const bool is_alone = first != columns.end() && first->key == key &&
                        (std::next(first) == columns.end() || std::next(first)->key != key);
  const bool has_codes = is_alone && first->dense() && first->width <= Width::k16 && first->type != ValueType::kNull;
  const std::uint64_t codes = !has_codes                ? UINT64_MAX
                              : first->dictionary_coded ? first->dictionary.size()
                                                        : std::uint64_t{1} << width_bits(first->width);
  if (codes > count) {
    read_property(view, key, rows, count, out);
    return of_each(out, count);
  }
  const Column& column = *first;
  std::vector<Value> group(codes);
  for (std::uint64_t code = 0; code < codes; ++code)
    group[code] = {column.type, column.dictionary_coded ? column.dictionary[code] : column.base + code};
  of_each(group.data(), group.size());
  with_width(column.width, [&]<Width width>() {
    const std::uint8_t* bytes = column.codes.data();
    for (std::uint32_t i = 0; i < count; ++i) out[i] = group[code_of<width>(bytes, view.first_row + rows[i])];
    return count;
  });
}

void ValueGroups::read_times(const Chunk& chunk, const SliceView& view, const std::uint32_t* rows, std::uint32_t count,
                             Value* out) const {
  const auto found = std::ranges::lower_bound(partitions_, chunk.partition, {}, &PartitionTimes::partition);
  const bool has_slots = found != partitions_.end() && found->partition == chunk.partition;
  const std::int64_t base_ms = partition_start_ms(chunk.partition);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::int64_t start_ms = has_slots ? found->slot_start_ms[view.slot[rows[i]]] : PartitionTimes::kSplit;
    if (start_ms != PartitionTimes::kSplit) {
      out[i] = {ValueType::kDatetime, static_cast<std::uint64_t>(start_ms)};
    } else {
      out[i] = of_time(base_ms + chunk.time[view.slice->posting(view.first_row + rows[i])]);
    }
  }
}

bool ValueGroups::tells_text(const Value& group) const noexcept {
  return spec_.form == Form::kBorders || (spec_.form == Form::kUnit && group.type == ValueType::kInt);
}

ColumnType ValueGroups::column_type(const Value& group, ColumnType plain) const noexcept {
  return tells_text(group) ? ColumnType::kString : plain;
}

void ValueGroups::push(TableColumn& column, const Value& group, const Dictionary& strings) const {
  tells_text(group) ? column.push_string(labels_[group.bits]) : push_value(column, group, strings);
}

}  // namespace cdp
