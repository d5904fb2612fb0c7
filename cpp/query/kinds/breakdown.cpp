#include "query/kinds/breakdown.hpp"

#include <algorithm>
#include <string>

#include "base/hash.hpp"
#include "column/dictionary.hpp"
#include "query/budget.hpp"
#include "query/codes.hpp"
#include "query/kinds/member_operand.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/kinds/task_traits.hpp"
#include "query/kinds/value_groups.hpp"

namespace cdp {
namespace {

template <class T>
int compare(const T& left, const T& right) noexcept {
  return left < right ? -1 : right < left ? 1 : 0;
}

constexpr std::string_view kOther = "other";

ColumnType column_type(ValueType type) noexcept {
  switch (type) {
    case ValueType::kBool: return ColumnType::kBool;
    case ValueType::kInt: return ColumnType::kInt64;
    case ValueType::kFloat: return ColumnType::kFloat64;
    case ValueType::kDatetime: return ColumnType::kDatetime;
    case ValueType::kList:
    case ValueType::kItems: return ColumnType::kList;
    case ValueType::kNull:
    case ValueType::kString: break;
  }
  return ColumnType::kString;
}

std::uint64_t hash_group(std::uint32_t prefix, const Value& value) noexcept {
  const std::uint64_t low = (std::uint64_t{prefix} << 8) | static_cast<std::uint64_t>(value.type);
  return detail::fold_multiply(value.bits ^ 0x9E3779B97F4A7C15u, low ^ 0xA0761D6478BD642Fu);
}

std::span<const Column> columns_of(const Slice& slice, KeyId key) {
  const auto less = [](const Column& column, KeyId wanted) { return raw(column.key) < raw(wanted); };
  const auto first = std::lower_bound(slice.columns.begin(), slice.columns.end(), key, less);
  auto last = first;
  while (last != slice.columns.end() && last->key == key) ++last;
  return {first, last};
}

}  // namespace

int compare_values(const Value& left, const Value& right, const Dictionary& strings) {
  if (left.type != right.type) return compare(left.type, right.type);
  if (left.bits == right.bits) return 0;
  if (is_dictionary_type(left.type)) {
    return strings.at(static_cast<std::uint32_t>(left.bits))
        .compare(strings.at(static_cast<std::uint32_t>(right.bits)));
  }
  return left.type == ValueType::kFloat ? compare(left.as_float(), right.as_float())
                                        : compare(left.as_int(), right.as_int());
}

void push_value(TableColumn& column, const Value& value, const Dictionary& strings) {
  switch (value.type) {
    case ValueType::kNull: return column.push_null();
    case ValueType::kBool: return column.push_bool(value.bits != 0);
    case ValueType::kInt: return column.push_int(value.as_int());
    case ValueType::kFloat: return column.push_float(value.as_float());
    case ValueType::kDatetime: return column.push_datetime(value.as_int());
    case ValueType::kString: return column.push_string(strings.at(static_cast<std::uint32_t>(value.bits)));
    case ValueType::kList:
    case ValueType::kItems: return column.push_list(strings.at(static_cast<std::uint32_t>(value.bits)));
  }
}

int compare_keys(std::span<const Value> left, std::span<const Value> right, const Dictionary& strings) {
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (const int order = compare_values(left[i], right[i], strings); order != 0) return order;
  }
  return 0;
}

std::uint32_t GroupTable::add(std::uint32_t prefix, Value value) {
  values_.push_back(value);
  prefixes_.push_back(prefix);
  return size() - 1;
}

void GroupTable::grow() {
  const std::size_t count = slots_.empty() ? 64 : slots_.size() * 2;
  std::vector<std::uint32_t> slots(count, kNone);
  for (const std::uint32_t id : slots_) {
    if (id == kNone) continue;
    std::size_t at = hash_group(prefixes_[id], values_[id]) & (count - 1);
    while (slots[at] != kNone) at = (at + 1) & (count - 1);
    slots[at] = id;
  }
  slots_ = std::move(slots);
}

void GroupTable::grow_direct(std::vector<std::uint32_t>& direct, std::uint64_t bits) {
  std::size_t count = std::max<std::size_t>(direct.size(), 1'024);
  while (count <= bits) count *= 2;
  direct.resize(std::min(count, kDirect), kNone);
}

void GroupTable::find_or_add(const Value* values, std::uint32_t count, std::uint32_t* number) {
  std::uint64_t largest = 0, others = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    largest = std::max(largest, values[i].bits);
    others |= number[i] | static_cast<std::uint64_t>(values[i].type != ValueType::kInt);
  }
  if (others == 0 && largest < kDirect && count >= kBatch) return add_small_ints(values, count, largest, number);
  for (std::uint32_t i = 0; i < count; ++i) number[i] = find_or_add(number[i], values[i]);
}

void GroupTable::add_small_ints(const Value* values, std::uint32_t count, std::uint64_t largest,
                                std::uint32_t* number) {
  if (largest >= direct_ints_.size()) grow_direct(direct_ints_, largest);
  std::uint32_t next = size();
  if (values_.capacity() < next + std::size_t{count}) values_.reserve(2 * (next + std::size_t{count}));
  values_.resize(next + std::size_t{count});
  std::uint32_t* const direct = direct_ints_.data();
  Value* const added = values_.data();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t known = direct[values[i].bits];
    const std::uint32_t found = known == kNone ? next : known;
    direct[values[i].bits] = found;
    added[next] = values[i];  // kept when it is new, else written over
    next += known == kNone ? 1 : 0;
    number[i] = found;
  }
  values_.resize(next);
  prefixes_.resize(next);  // 0
}

std::uint32_t GroupTable::find_or_add_hashed(std::uint32_t prefix, Value value) {
  if ((values_.size() + 1) * 2 > slots_.size()) grow();
  std::size_t at = hash_group(prefix, value) & (slots_.size() - 1);
  for (; slots_[at] != kNone; at = (at + 1) & (slots_.size() - 1)) {
    const std::uint32_t id = slots_[at];
    if (values_[id] == value && prefixes_[id] == prefix) return id;
  }
  return slots_[at] = add(prefix, value);
}

std::vector<Value> Groups::key(std::uint32_t group) const {
  std::vector<Value> key(levels_.size());
  for (std::size_t level = levels_.size(); level-- > 0;) {
    key[level] = levels_[level].value(group);
    group = levels_[level].prefix(group);
  }
  return key;
}

std::size_t Groups::size_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const GroupTable& level : levels_) bytes += level.size_bytes();
  return bytes;
}

std::uint32_t Groups::find_or_add(std::span<const Value> key) {
  std::uint32_t group = 0;
  for (std::size_t level = 0; level < levels_.size(); ++level) group = levels_[level].find_or_add(group, key[level]);
  return group;
}

std::vector<std::uint32_t> Groups::merge_into(Groups& into) const {
  std::vector<std::uint32_t> before{0};
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    std::vector<std::uint32_t> now(levels_[level].size());
    for (std::uint32_t id = 0; id < now.size(); ++id) now[id] = before[levels_[level].prefix(id)];
    into.levels_[level].find_or_add(levels_[level].values(), levels_[level].size(), now.data());
    before = std::move(now);
  }
  return before;
}

void read_property(const SliceView& view, KeyId key, const std::uint32_t* rows, std::uint32_t count, Value* out) {
  std::fill_n(out, count, Value{});
  for (const Column& column : columns_of(*view.slice, key)) {
    const ValueType type = column.type;
    if (type == ValueType::kNull) continue;
    if (column.dense()) {
      with_width(column.width, [&]<Width width>() {
        const std::uint8_t* codes = column.codes.data();
        if (column.dictionary_coded) {
          for (std::uint32_t i = 0; i < count; ++i)
            out[i] = {type, column.dictionary[code_of<width>(codes, view.first_row + rows[i])]};
        } else {
          for (std::uint32_t i = 0; i < count; ++i)
            out[i] = {type, column.base + code_of<width>(codes, view.first_row + rows[i])};
        }
        return count;
      });
      continue;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t row = view.first_row + rows[i];
      if (column.has(row)) out[i] = {type, column.bits_at(row)};
    }
  }
}

namespace {

constexpr std::size_t kCodeGroupsMost = 32'768;  // of 4 bytes: what stays near

// The same as reading the values and finding their groups, where each code of one column stands for a value: every pair of a
// prefix and a code is looked for once. False when the property is not laid out so; nothing is done then.
bool group_by_codes(const SliceView& view, KeyId key, const std::uint32_t* rows, std::uint32_t count,
                    std::size_t prefixes, GroupTable& table, Scratch& scratch, std::uint32_t* number) {
  const std::span<const Column> columns = columns_of(*view.slice, key);
  if (columns.size() != 1 || !columns[0].dense() || columns[0].type == ValueType::kNull) return false;
  const Column& column = columns[0];
  if (!column.dictionary_coded && column.width > Width::k8) return false;
  const std::size_t codes =
      column.dictionary_coded ? column.dictionary.size() : std::size_t{1} << width_bits(column.width);
  if (prefixes > kCodeGroupsMost || prefixes * codes > std::max<std::size_t>(kCodeGroupsMost, count)) return false;
  const auto known = scratch.lease<std::uint32_t>(prefixes * codes);
  std::fill_n(known.data(), known.size(), kNone);
  with_width(column.width, [&]<Width width>() {
    const std::uint8_t* const at = column.codes.data();
    std::uint32_t* const group_of = known.data();
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t code = code_of<width>(at, view.first_row + rows[i]);
      std::uint32_t& group = group_of[number[i] * codes + code];
      if (group == kNone) {
        group = table.find_or_add(
            number[i], {column.type, column.dictionary_coded ? column.dictionary[code] : column.base + code});
      }
      number[i] = group;
    }
    return count;
  });
  return true;
}

}  // namespace

namespace {
void check_group_count(std::size_t count) {
  if (count <= limits::kGroupsOfProfile) return;
  throw Error(Family::kLimitExceeded, code::kQueryInvalid,
              "a profile is in over " + std::to_string(limits::kGroupsOfProfile) + " groups", "breakdown");
}
}  // namespace

bool has_members(std::span<const Operand> operands) noexcept {
  return std::ranges::any_of(operands, [](const Operand& operand) {
    return operand.members != nullptr || (operand.groups != nullptr && operand.groups->elements);
  });
}

bool splits_profiles(std::span<const Operand> operands) noexcept {
  return std::ranges::any_of(operands, [](const Operand& operand) {
    return operand.members != nullptr || (operand.is_trait && operand.groups != nullptr && operand.groups->elements);
  });
}

Breakdown::Breakdown(std::span<const Operand> operands, const Version& version, const Moment& at) : now_ms_(at.now_ms) {
  for (const Operand& operand : operands) {
    Bound bound{operand.is_trait, std::nullopt, operand.name};
    if (operand.groups != nullptr) {
      bound.groups = std::make_shared<const ValueGroups>(*operand.groups, version);
      bound.of_time = operand.groups->of_time;
      bound.of_name = operand.groups->of_name;
    }
    bound.at_event = operand.is_at_event;
    if (operand.members != nullptr) {
      bound.members = std::make_shared<const MemberOperand>(*operand.members, version, at);
    } else {
      if (const auto id = version.keys->find(operand.key); id && !bound.of_time && !bound.of_name)
        bound.key = KeyId{*id};
      (operand.is_trait ? reads_traits_ : reads_properties_) = true;
    }
    has_members_ |= bound.has_several();
    splits_rows_ |= bound.has_several() && !bound.is_trait;
    reads_times_ |= bound.of_time;
    operands_.push_back(std::move(bound));
  }
}

bool Breakdown::Bound::has_several() const noexcept {
  return members != nullptr || (groups != nullptr && groups->splits());
}

MemberValues Breakdown::members_of(const Version& version, Origin home) const {
  MemberValues out(has_members_ ? operands_.size() : 0);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (operands_[i].members != nullptr) {
      operands_[i].members->add_values(version, home, now_ms_, out[i]);
    } else if (operands_[i].is_trait && operands_[i].has_several()) {
      values_of(i, version, home, nullptr, out[i]);
    }
  }
  return out;
}

struct Breakdown::TaskMembers::State {
  const Breakdown& breakdown;
  const QueryContext& context;
  const Task& task;
  std::vector<std::optional<MemberOperand::OfTask>> operands;
};

Breakdown::TaskMembers::TaskMembers(const Breakdown& breakdown, const QueryContext& context, const Task& task,
                                    Scratch& scratch) {
  if (!breakdown.has_members_) return;
  state_ = std::make_unique<State>(State{breakdown, context, task, {}});
  for (const Bound& operand : breakdown.operands_) {
    state_->operands.emplace_back();
    if (operand.members != nullptr) state_->operands.back().emplace(*operand.members, context, task, scratch);
  }
  values_.resize(breakdown.operands_.size());
}

Breakdown::TaskMembers::~TaskMembers() = default;

const MemberValues& Breakdown::TaskMembers::of(std::uint32_t profile) {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    values_[i].clear();
    const Bound& operand = state_->breakdown.operands_[i];
    if (state_->operands[i]) {
      state_->operands[i]->add_values(state_->context, state_->task, profile, values_[i]);
    } else if (operand.is_trait && operand.has_several()) {
      state_->breakdown.values_of(i, *state_->context.version, state_->task.origin(profile), nullptr, values_[i]);
    }
  }
  return values_;
}

void Breakdown::groups_of(const Version& version, Origin home, const Row* row, const MemberValues& members,
                          std::uint32_t shown, Groups& groups, std::vector<std::uint32_t>& out) const {
  if (!has_members_) return out.assign(1, std::min(group_of(version, home, row, groups), shown));
  std::vector<Value> values(operands_.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!operands_[i].has_several()) values[i] = value_of(i, version, home, row);
  }
  if (!splits_rows_) return groups_of(std::move(values), members, shown, groups, out);
  MemberValues several = members;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (operands_[i].has_several() && !operands_[i].is_trait) values_of(i, version, home, row, several[i]);
  }
  groups_of(std::move(values), several, shown, groups, out);
}

void Breakdown::groups_of(std::vector<Value> values, const MemberValues& members, std::uint32_t shown, Groups& groups,
                          std::vector<std::uint32_t>& out) const {
  std::size_t count = 1;
  for (const std::vector<Value>& each : members) {
    count *= std::max<std::size_t>(each.size(), 1);
    check_group_count(count);
  }
  out.clear();
  for (std::size_t tuple = 0; tuple < count; ++tuple) {
    std::size_t left = tuple;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (members[i].empty()) continue;
      values[i] = members[i][left % members[i].size()];
      left /= members[i].size();
    }
    out.push_back(std::min(groups.find_or_add(values), shown));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

Breakdown::TaskTraits::TaskTraits(const Breakdown& breakdown, const Task& task, Scratch& scratch) : task_(&task) {
  for (const Bound& operand : breakdown.operands_) {
    if (!operand.is_trait) {
      values_.emplace_back();
      continue;
    }
    values_.push_back(operand.key ? traits_of_task(task, *operand.key, breakdown.now_ms_, scratch)
                                  : scratch.zeroed<Value>(task.size()));
    if (operand.groups != nullptr) operand.groups->of_each(values_.back().data(), task.size());
  }
}

void Breakdown::profile_groups(const TaskTraits& traits, const std::uint32_t* profiles, std::uint32_t count,
                               Groups& groups, std::uint32_t* out) const {
  std::fill_n(out, count, 0);
  for (std::size_t level = 0; level < operands_.size(); ++level) {
    GroupTable& table = groups.level(level);
    const Value* values = traits.values_[level].data();
    for (std::uint32_t i = 0; i < count; ++i) out[i] = table.find_or_add(out[i], values[profiles[i]]);
  }
}

void Breakdown::row_groups(const TaskTraits& traits, const Chunk& chunk, const SliceView& view,
                           const std::uint32_t* rows, std::uint32_t count, Groups& groups, Scratch& scratch,
                           std::uint32_t* out) const {
  std::fill_n(out, count, 0);
  for (std::size_t level = 0; level < operands_.size(); ++level)
    add_level(level, traits, chunk, view, rows, count, groups, scratch, out);
}

void Breakdown::add_level(std::size_t level, const TaskTraits& traits, const Chunk& chunk, const SliceView& view,
                          const std::uint32_t* rows, std::uint32_t count, Groups& groups, Scratch& scratch,
                          std::uint32_t* out) const {
  const Bound& operand = operands_[level];
  GroupTable& table = groups.level(level);
  if (operand.is_trait) {
    const Value* of_profile = traits.values_[level].data();
    for (std::uint32_t i = 0; i < count; ++i)
      out[i] = table.find_or_add(out[i], of_profile[view.profile[rows[i]] + view.id_offset]);
    return;
  }
  const bool is_plain = operand.key && !operand.at_event && operand.groups == nullptr && !operand.of_name;
  const std::size_t prefixes = level == 0 ? 1 : groups.level(level - 1).size();
  if (is_plain && group_by_codes(view, *operand.key, rows, count, prefixes, table, scratch, out)) return;
  const auto values = scratch.lease<Value>(count);
  if (operand.of_name) {
    std::fill_n(values.data(), count, operand.groups->of_name(view.slice->name));
  } else if (operand.at_event && operand.key) {
    read_traits_then(operand, *traits.task_, chunk, view, rows, count, values.data());
    if (operand.groups != nullptr) operand.groups->of_each(values.data(), count);
  } else if (operand.of_time) {
    operand.groups->read_times(chunk, view, rows, count, values.data());
  } else if (operand.key && operand.groups != nullptr) {
    operand.groups->read(view, *operand.key, rows, count, values.data());
  } else if (operand.key) {
    read_property(view, *operand.key, rows, count, values.data());
  } else {
    std::fill_n(values.data(), count, Value{});
  }
  table.find_or_add(values.data(), count, out);
}

// What one operand tells of each row of a slice: a list of values, each list looked up once.
class Breakdown::Elements {
 public:
  Elements(const Bound& operand, const Task& task, const Chunk& chunk, const SliceView& view,
           std::span<const std::uint32_t> rows, Scratch& scratch)
      : number_(scratch.zeroed<std::uint32_t>(rows.size())) {
    const auto count = static_cast<std::uint32_t>(rows.size());
    const auto values = scratch.zeroed<Value>(count);
    if (operand.key && operand.at_event) {
      read_traits_then(operand, task, chunk, view, rows.data(), count, values.data());
    } else if (operand.key) {
      read_property(view, *operand.key, rows.data(), count, values.data());
    }
    GroupTable lists;
    lists.find_or_add(values.data(), count, number_.data());
    std::vector<Value> found;
    for (std::uint32_t list = 0; list < lists.size(); ++list) {
      begins_.push_back(values_.size());
      operand.groups->elements(lists.value(list), found);
      values_.insert(values_.end(), found.begin(), found.end());
    }
    begins_.push_back(values_.size());
  }
  [[nodiscard]] std::span<const Value> of(std::uint32_t at) const noexcept {
    const std::uint32_t list = number_[at];
    return {values_.data() + begins_[list], begins_[list + 1] - begins_[list]};
  }

 private:
  Scratch::Lease<std::uint32_t> number_;  // of each row's list
  std::vector<std::size_t> begins_;
  std::vector<Value> values_;
};

void Breakdown::split_rows(const TaskTraits& traits, const Chunk& chunk, const SliceView& view,
                           std::span<const std::uint32_t> rows, std::uint32_t shown, Groups& groups, Scratch& scratch,
                           const VisitGroups& visit) const {
  constexpr std::size_t kPairs = 65'536;  // at once, but for a row that has more
  std::vector<std::optional<Elements>> elements(operands_.size());
  for (std::size_t level = 0; level < operands_.size(); ++level) {
    if (operands_[level].has_several())
      elements[level].emplace(operands_[level], *traits.task_, chunk, view, rows, scratch);
  }
  std::vector<std::uint32_t> at, group, next_at, next_group, picked;
  for (std::uint32_t first = 0, last = 0; first < rows.size(); first = last) {
    at.clear();
    for (std::size_t pairs = 0; last < rows.size(); ++last) {
      std::size_t count = 1;
      for (const auto& each : elements) check_group_count(count *= each ? each->of(last).size() : 1);
      if (!at.empty() && pairs + count > kPairs) break;
      pairs += count;
      at.push_back(last);
    }
    group.assign(at.size(), 0);
    for (std::size_t level = 0; level < operands_.size(); ++level) {
      if (!elements[level]) {
        picked.resize(at.size());
        for (std::size_t i = 0; i < at.size(); ++i) picked[i] = rows[at[i]];
        add_level(level, traits, chunk, view, picked.data(), static_cast<std::uint32_t>(at.size()), groups, scratch,
                  group.data());
        continue;
      }
      next_at.clear();
      next_group.clear();
      for (std::size_t i = 0; i < at.size(); ++i) {
        for (const Value& value : elements[level]->of(at[i])) {
          next_at.push_back(at[i]);
          next_group.push_back(groups.level(level).find_or_add(group[i], value));
        }
      }
      at.swap(next_at);
      group.swap(next_group);
    }
    // Of a row's groups behind those that are shown one is left.
    std::size_t kept = 0;
    std::uint32_t in_rest = kNone;
    for (std::size_t i = 0; i < at.size(); ++i) {
      const bool is_rest = group[i] >= shown;
      if (is_rest && in_rest == at[i]) continue;
      if (is_rest) in_rest = at[i];
      at[kept] = at[i];
      group[kept++] = std::min(group[i], shown);
    }
    visit({at.data(), kept}, {group.data(), kept});
  }
}

void Breakdown::read_traits_then(const Bound& operand, const Task& task, const Chunk& chunk, const SliceView& view,
                                 const std::uint32_t* rows, std::uint32_t count, Value* out) {
  const std::int64_t base_ms = partition_start_ms(chunk.partition);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (task.budget != nullptr && i % 256 == 255) task.budget->check();  // profiles that were joined take long
    const std::uint32_t spine_row = view.slice->posting(view.first_row + rows[i]);
    const Origin place = task.origin(view.profile[rows[i]] + view.id_offset);
    const Origin origin = chunk.foreign.empty() ? place : chunk.foreign.at(spine_row, place);
    out[i] =
        task.version->profiles->trait_when(origin, *operand.key, base_ms + chunk.time[spine_row], *task.version->links);
  }
}

Value Breakdown::raw_value(const Bound& operand, const Version& version, Origin home, const Row* row) const {
  if (!operand.key) return {};
  if (operand.at_event) return version.profiles->trait_when(row->origin, *operand.key, row->time_ms, *version.links);
  if (!operand.is_trait) return property(*row, *operand.key);
  return version.profiles == nullptr ? Value{}
                                     : version.profiles->trait_at(home, *operand.key, now_ms_, *version.links).value;
}

Value Breakdown::value_of(std::size_t operand, const Version& version, Origin home, const Row* row) const {
  const Bound& bound = operands_[operand];
  if (bound.of_time) {
    const bool by_clocks = clocks_ != nullptr && clocks_->are_own();
    return bound.groups->of_time(by_clocks ? clocks_->of(version, home).shown(row->time_ms) : row->time_ms);
  }
  if (bound.of_name) return bound.groups->of_name(row->name);
  const Value value = raw_value(bound, version, home, row);
  return bound.groups != nullptr ? bound.groups->of(value) : value;
}

void Breakdown::values_of(std::size_t operand, const Version& version, Origin home, const Row* row,
                          std::vector<Value>& out) const {
  const Bound& bound = operands_[operand];
  if (!bound.has_several()) return out.assign(1, value_of(operand, version, home, row));
  bound.groups->elements(raw_value(bound, version, home, row), out);
}

std::uint32_t Breakdown::group_of_name(NameId name, Groups& groups) const {
  return groups.level(0).find_or_add(0, operands_.front().groups->of_name(name));
}

std::uint32_t Breakdown::group_of(const Version& version, Origin home, const Row* row, Groups& groups) const {
  std::uint32_t group = 0;
  for (std::size_t level = 0; level < operands_.size(); ++level)
    group = groups.level(level).find_or_add(group, value_of(level, version, home, row));
  return group;
}

// Of a cell; none of a null, which fits any.
std::optional<ColumnType> Breakdown::type_of(const std::vector<Value>* key, std::size_t operand) const {
  if (key == nullptr) return ColumnType::kString;
  const Value& value = (*key)[operand];
  if (value.type == ValueType::kNull) return std::nullopt;
  const auto& members = operands_[operand].members;
  if (members != nullptr && members->of_segments()) return ColumnType::kString;
  const ColumnType plain = column_type(value.type);
  return operands_[operand].groups != nullptr ? operands_[operand].groups->column_type(value, plain) : plain;
}

void Breakdown::add_columns(Table& table, std::span<const std::vector<Value>* const> keys,
                            const Dictionary& strings) const {
  for (std::size_t operand = 0; operand < operands_.size(); ++operand) {
    std::optional<ColumnType> shared;  // kMixed when there is none
    for (const std::vector<Value>* key : keys) {
      const std::optional<ColumnType> type = type_of(key, operand);
      if (type && shared.value_or(*type) != *type) shared = ColumnType::kMixed;
      if (type && shared != ColumnType::kMixed) shared = type;
    }
    TableColumn& column = table.add(operands_[operand].name, shared.value_or(ColumnType::kString));
    for (const std::vector<Value>* key : keys) {
      const Bound& bound = operands_[operand];
      if (key == nullptr) {
        column.push_string(kOther);
      } else if (bound.members != nullptr && (*key)[operand].type != ValueType::kNull) {
        bound.members->push(column, (*key)[operand], strings);
      } else if (bound.groups != nullptr && (*key)[operand].type != ValueType::kNull) {
        bound.groups->push(column, (*key)[operand], strings);
      } else {
        push_value(column, (*key)[operand], strings);
      }
    }
  }
}

}  // namespace cdp
