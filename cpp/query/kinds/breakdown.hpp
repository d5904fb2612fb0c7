// Splits of a result by values of properties and traits. A group is a tuple of values, one an operand; within a partial it
// is a dense number, between partials it is compared by value (strings by StringId: a store has one dictionary).
//
// Segments, groups (member_operand.hpp) and elements of lists (value_groups.hpp) put a profile or a row into several: then
// `groups_of` tells all of them, and the other ways do not hold. A missing value is a group of its own (null). Types are kept apart: the integer 1 and the float 1.0 are two groups.
// Cost: ~3 ns a value looked up; ~1 ns when it is a string among the first 262,144 of the store, or an integer below.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "query/kernel.hpp"
#include "query/moment.hpp"
#include "query/scan.hpp"
#include "query/scratch.hpp"
#include "query/spec.hpp"
#include "query/table.hpp"

namespace cdp {

namespace limits {
inline constexpr std::size_t kGroupsOfProfile = 100'000;  // that one row counts in
}  // namespace limits

// Order of values in answers: by type (null, bool, int, float, string, datetime, list, items), then by value, strings and
// lists bytewise.
[[nodiscard]] int compare_values(const Value& left, const Value& right, const Dictionary& strings);
// The same for keys of several operands, first operand first. REQUIRES: equal sizes.
[[nodiscard]] int compare_keys(std::span<const Value> left, std::span<const Value> right, const Dictionary& strings);

// Adds a value to a column of its type, or kMixed.
void push_value(TableColumn& column, const Value& value, const Dictionary& strings);

// (number of a prefix, value) <-> dense number.
class GroupTable {
 public:
  std::uint32_t find_or_add(std::uint32_t prefix, Value value) {
    if (prefix == 0 && value.bits < kDirect) {
      if (value.type == ValueType::kString) return find_or_add_direct(direct_strings_, value);
      if (value.type == ValueType::kInt) return find_or_add_direct(direct_ints_, value);
    }
    return find_or_add_hashed(prefix, value);
  }
  // The same for many: number[i] is the prefix, and becomes the number found. Without a branch a value where all prefixes
  // are 0 and all values small integers, for then most are new and no branch is foreseen.
  void find_or_add(const Value* values, std::uint32_t count, std::uint32_t* number);
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(values_.size()); }
  [[nodiscard]] const Value* values() const noexcept { return values_.data(); }
  [[nodiscard]] Value value(std::uint32_t id) const noexcept { return values_[id]; }
  [[nodiscard]] std::uint32_t prefix(std::uint32_t id) const noexcept { return prefixes_[id]; }
  [[nodiscard]] std::size_t size_bytes() const noexcept {
    return values_.capacity() * sizeof(Value) + prefixes_.capacity() * 4 + slots_.capacity() * 4 +
           (direct_strings_.capacity() + direct_ints_.capacity()) * 4;
  }

 private:
  static constexpr std::uint32_t kBatch = 32;
  static constexpr std::size_t kDirect = 262'144;  // of 4 bytes: what stays in L2
  std::uint32_t find_or_add_direct(std::vector<std::uint32_t>& direct, Value value) {
    if (value.bits >= direct.size()) grow_direct(direct, value.bits);
    std::uint32_t& id = direct[value.bits];
    if (id == kNone) id = add(0, value);
    return id;
  }
  std::uint32_t find_or_add_hashed(std::uint32_t prefix, Value value);
  std::uint32_t add(std::uint32_t prefix, Value value);
  void grow();
  void add_small_ints(const Value* values, std::uint32_t count, std::uint64_t largest, std::uint32_t* number);
  static void grow_direct(std::vector<std::uint32_t>& direct, std::uint64_t bits);
  std::vector<Value> values_;
  std::vector<std::uint32_t> prefixes_;
  std::vector<std::uint32_t> slots_;           // open addressing, power of two, at most half full; kNone = free
  std::vector<std::uint32_t> direct_strings_;  // StringId -> number, of prefix 0
  std::vector<std::uint32_t> direct_ints_;     // the same of integers
};

// The groups of one partial: a table an operand, each on the numbers of the one before.
class Groups {
 public:
  explicit Groups(std::size_t operands) : levels_(operands) {}
  [[nodiscard]] std::uint32_t size() const noexcept { return levels_.empty() ? 1 : levels_.back().size(); }
  [[nodiscard]] std::size_t operands() const noexcept { return levels_.size(); }
  [[nodiscard]] std::vector<Value> key(std::uint32_t group) const;
  [[nodiscard]] std::size_t size_bytes() const noexcept;
  GroupTable& level(std::size_t operand) noexcept { return levels_[operand]; }
  std::uint32_t find_or_add(std::span<const Value> key);
  // The number in `into` of each group here, added where new.
  [[nodiscard]] std::vector<std::uint32_t> merge_into(Groups& into) const;

 private:
  std::vector<GroupTable> levels_;
};

// Whether so many groups came since it last said so that what they hold is to be charged: a row alone may be in thousands.
class GrownGroups {
 public:
  [[nodiscard]] bool operator()(const Groups& groups) noexcept {
    if (groups.size() < charged_ + kMany) return false;
    charged_ = groups.size();
    return true;
  }

 private:
  static constexpr std::uint32_t kMany = 16'384;
  std::uint32_t charged_ = 0;
};

// Values of `key` at rows of a slice view; null where absent.
void read_property(const SliceView& view, KeyId key, const std::uint32_t* rows, std::uint32_t count, Value* out);

class MemberOperand;  // member_operand.hpp
class ProfileClocks;  // profile_clock.hpp
class ValueGroups;    // value_groups.hpp

// What one profile is in: a list of values for each operand of members, empty for the others.
using MemberValues = std::vector<std::vector<Value>>;

// Some operand puts a profile, or a row of it, into several groups.
[[nodiscard]] bool has_members(std::span<const Operand> operands) noexcept;
// Some operand puts a profile with all its rows into several.
[[nodiscard]] bool splits_profiles(std::span<const Operand> operands) noexcept;

// Operands bound to a version.
class Breakdown {
 public:
  // `at.now_ms`: trait operations timed later are left out.
  Breakdown(std::span<const Operand> operands, const Version& version, const Moment& at);
  // Times of events are what the clocks of their profiles show.
  void use(std::shared_ptr<const ProfileClocks> clocks) { clocks_ = std::move(clocks); }
  [[nodiscard]] std::size_t size() const noexcept { return operands_.size(); }
  [[nodiscard]] bool empty() const noexcept { return operands_.empty(); }
  [[nodiscard]] bool reads_properties() const noexcept { return reads_properties_; }
  [[nodiscard]] bool reads_traits() const noexcept { return reads_traits_; }
  [[nodiscard]] bool reads_times() const noexcept { return reads_times_; }

  // Values of the trait operands for the profiles of a task.
  class TaskTraits {
   public:
    TaskTraits(const Breakdown& breakdown, const Task& task, Scratch& scratch);

   private:
    friend class Breakdown;
    const Task* task_;
    std::vector<Scratch::Lease<Value>> values_;  // one an operand, empty for properties
  };
  // Groups of profiles (indexes into the task). REQUIRES: no property operand.
  void profile_groups(const TaskTraits& traits, const std::uint32_t* profiles, std::uint32_t count, Groups& groups,
                      std::uint32_t* out) const;
  // Groups of rows of a slice view.
  void row_groups(const TaskTraits& traits, const Chunk& chunk, const SliceView& view, const std::uint32_t* rows,
                  std::uint32_t count, Groups& groups, Scratch& scratch, std::uint32_t* out) const;
  // The same where a row may be in several: visit(at, group) for some of the rows after the others, `at` a place in `rows`, with each
  // of its groups once; of those from `shown` on, `shown` alone. REQUIRES: no operand puts profiles into several.
  // Throws LimitExceeded as groups_of. ~10 ns a row, ~3 ns a group of it.
  using VisitGroups = std::function<void(std::span<const std::uint32_t> at, std::span<const std::uint32_t> group)>;
  void split_rows(const TaskTraits& traits, const Chunk& chunk, const SliceView& view,
                  std::span<const std::uint32_t> rows, std::uint32_t shown, Groups& groups, Scratch& scratch,
                  const VisitGroups& visit) const;
  [[nodiscard]] bool is_trait(std::size_t operand) const noexcept { return operands_[operand].is_trait; }
  // One operand's value for a row of a profile; `row` may be null for a trait. REQUIRES: not several.
  [[nodiscard]] Value value_of(std::size_t operand, const Version& version, Origin home, const Row* row) const;
  // All of them, as ValueGroups tells them; null alone for none. REQUIRES: no segments or groups.
  void values_of(std::size_t operand, const Version& version, Origin home, const Row* row,
                 std::vector<Value>& out) const;
  // Some property tells several.
  [[nodiscard]] bool splits_rows() const noexcept { return splits_rows_; }
  // By the event's name and nothing else: all rows of a slice are of one group.
  [[nodiscard]] bool by_name_alone() const noexcept { return operands_.size() == 1 && operands_.front().of_name; }
  [[nodiscard]] std::uint32_t group_of_name(NameId name, Groups& groups) const;
  // Group of one profile's row; `row` may be null when no operand is a property.
  [[nodiscard]] std::uint32_t group_of(const Version& version, Origin home, const Row* row, Groups& groups) const;

  [[nodiscard]] bool has_members() const noexcept { return has_members_; }
  [[nodiscard]] MemberValues members_of(const Version& version, Origin home) const;
  // The same of the profiles of a task that are in `where`.
  class TaskMembers {
   public:
    TaskMembers(const Breakdown& breakdown, const QueryContext& context, const Task& task, Scratch& scratch);
    ~TaskMembers();
    TaskMembers(const TaskMembers&) = delete;
    TaskMembers& operator=(const TaskMembers&) = delete;
    [[nodiscard]] const MemberValues& of(std::uint32_t profile);

   private:
    struct State;
    std::unique_ptr<State> state_;  // null without members
    MemberValues values_;
  };
  // Every group of a profile's row (null when no operand is a property), each once; of those from `shown` on, `shown` alone.
  // Throws LimitExceeded when they are over kGroupsOfProfile.
  void groups_of(const Version& version, Origin home, const Row* row, const MemberValues& members, std::uint32_t shown,
                 Groups& groups, std::vector<std::uint32_t>& out) const;
  // The same, by the values of all operands that are no members.
  void groups_of(std::vector<Value> values, const MemberValues& members, std::uint32_t shown, Groups& groups,
                 std::vector<std::uint32_t>& out) const;

  // One column an operand, filled in the order of `keys`; a null key is the rest of a limit: the text `other`.
  void add_columns(Table& table, std::span<const std::vector<Value>* const> keys, const Dictionary& strings) const;

 private:
  struct Bound {
    bool is_trait = false;
    std::optional<KeyId> key;
    std::string name;
    std::shared_ptr<const MemberOperand> members{};
    std::shared_ptr<const ValueGroups> groups{};
    bool of_time = false;
    bool of_name = false;
    bool at_event = false;
    [[nodiscard]] bool has_several() const noexcept;
  };
  // Numbers rows by one operand more: out[i] is the number by those before.
  void add_level(std::size_t level, const TaskTraits& traits, const Chunk& chunk, const SliceView& view,
                 const std::uint32_t* rows, std::uint32_t count, Groups& groups, Scratch& scratch,
                 std::uint32_t* out) const;
  class Elements;
  // A trait as it was when each row happened.
  static void read_traits_then(const Bound& operand, const Task& task, const Chunk& chunk, const SliceView& view,
                               const std::uint32_t* rows, std::uint32_t count, Value* out);
  // The raw value, before groups are made of it.
  [[nodiscard]] Value raw_value(const Bound& operand, const Version& version, Origin home, const Row* row) const;
  [[nodiscard]] std::optional<ColumnType> type_of(const std::vector<Value>* key, std::size_t operand) const;
  std::vector<Bound> operands_;
  std::shared_ptr<const ProfileClocks> clocks_;
  std::int64_t now_ms_;
  bool reads_properties_ = false;
  bool reads_traits_ = false;
  bool has_members_ = false;
  bool splits_rows_ = false;
  bool reads_times_ = false;
};

}  // namespace cdp
