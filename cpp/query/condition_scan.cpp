// Conditions over columns of a slice. A column is tested in the space of its codes where it can be: each distinct string
// once, integers by one subtraction and one comparison; rows are kept by a branch-free compress.
#include <algorithm>

#include "column/dictionary.hpp"
#include "query/codes.hpp"
#include "query/condition.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/place.hpp"
#include "query/profile_operand.hpp"
#include "simd/primitives.hpp"

namespace cdp {
// One test on one column: how its codes are decided.
class ColumnTest {
 public:
  ColumnTest(const BoundTest& test, const Column& column, std::uint32_t row_count, Scratch& scratch)
      : test_(test), column_(column) {
    if (test.value_test_ != nullptr) {
      bind_value_test(row_count, scratch);
      return;
    }
    switch (column.type) {
      case ValueType::kInt: bind_ints(test.ints_, test.int_set_); break;
      case ValueType::kDatetime: bind_ints(test.datetimes_, test.datetime_set_); break;
      case ValueType::kBool:
        bind_table(2, scratch, [&](std::uint64_t code) { return test.match_bool_[(column.base + code) & 1]; });
        break;
      case ValueType::kString: bind_strings(row_count, scratch); break;
      default: break;  // floats, lists: value by value
    }
  }

  // Keeps the rows of a dense column whose truth is `wanted`. REQUIRES: `rows` ascend; so all of a view are 0, 1, 2, ..
  std::uint32_t keep(const SliceView& view, Scratch& scratch, std::uint32_t* rows, std::uint32_t count,
                     bool wanted) const {
    const std::uint32_t first_row = view.first_row;
    if (mode_ == Mode::kTable && count == view.row_count && width_bits(column_.width) <= 8 && count >= kVectorRows) {
      return keep_of_all(first_row, scratch, rows, count, wanted);
    }
    switch (mode_) {
      case Mode::kTable:
        return keep_if(first_row, rows, count, wanted,
                       [table = table_.data()](std::uint64_t code) { return table[code] != 0; });
      case Mode::kInterval:
        return keep_if(first_row, rows, count, wanted,
                       [shift = shift_, span = span_](std::uint64_t code) { return code + shift <= span; });
      case Mode::kNone: return wanted ? 0 : count;
      case Mode::kValue: break;
    }
    return keep_if(first_row, rows, count, wanted, [this](std::uint64_t code) { return decide(code); });
  }
  // REQUIRES: the column has a value in the row.
  [[nodiscard]] bool at(std::uint32_t row) const {
    const std::uint64_t code = column_.code_at(column_.rank(row));
    switch (mode_) {
      case Mode::kTable: return table_[code] != 0;
      case Mode::kInterval: return code + shift_ <= span_;
      case Mode::kNone: return false;
      case Mode::kValue: break;
    }
    return decide(code);
  }

 private:
  enum class Mode { kNone, kTable, kInterval, kValue };

  [[nodiscard]] bool decide(std::uint64_t code) const {
    const std::uint64_t bits = column_.dictionary_coded ? column_.dictionary[code] : column_.base + code;
    return test_.positive(Value{column_.type, bits}, test_.at_);
  }

  // Each distinct text or list once; datetimes by their interval where there is one; all else value by value.
  void bind_value_test(std::uint32_t row_count, Scratch& scratch) {
    test_.check_moment(test_.at_);
    if (is_dictionary_type(column_.type) && column_.dictionary_coded && column_.dictionary.size() <= row_count) {
      bind_table(column_.dictionary.size(), scratch, [&](std::uint64_t code) {
        return test_.positive(Value{column_.type, column_.dictionary[code]}, test_.at_);
      });
    } else if (column_.type == ValueType::kBool) {
      bind_table(2, scratch, [&](std::uint64_t code) {
        return test_.positive(Value{column_.type, (column_.base + code) & 1}, test_.at_);
      });
    } else if (const auto interval = test_.value_test_->datetimes(test_.at_)) {
      if (column_.type == ValueType::kDatetime) return bind_ints(*interval, {});
      if (!is_dictionary_type(column_.type)) mode_ = Mode::kNone;
    }
  }

  static constexpr std::uint32_t kVectorRows = 256;

  // By the primitive that finds codes, over the codes as bytes. `rows` has room for its slack (select_rows asks for 16, and
  // it writes whole vectors), so the last rows go one by one.
  std::uint32_t keep_of_all(std::uint32_t first_row, Scratch& scratch, std::uint32_t* rows, std::uint32_t count,
                            bool wanted) const {
    std::uint8_t truth[256] = {};
    for (std::size_t code = 0; code < table_.size() && code < 256; ++code) truth[code] = (table_[code] != 0) == wanted;
    const std::uint32_t vectors = count - simd::kSlack;
    const auto bytes = scratch.lease<std::uint8_t>(count);
    std::uint32_t kept = 0;
    with_width(column_.width, [&]<Width width>() {
      const std::uint8_t* codes = column_.codes.data();
      for (std::uint32_t row = 0; row < count; ++row)
        bytes[row] = static_cast<std::uint8_t>(code_of<width>(codes, first_row + row));
      return count;
    });
    kept = simd::primitives().positions(bytes.data(), vectors, truth, rows);
    for (std::uint32_t row = vectors; row < count; ++row) {
      rows[kept] = row;
      kept += truth[bytes[row]];
    }
    return kept;
  }

  template <class Decide>
  std::uint32_t keep_if(std::uint32_t first_row, std::uint32_t* rows, std::uint32_t count, bool wanted,
                        Decide&& decide) const {
    return with_width(column_.width, [&]<Width width>() {
      const std::uint8_t* codes = column_.codes.data();
      std::uint32_t kept = 0;
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t row = rows[i];
        rows[kept] = row;
        kept += decide(code_of<width>(codes, first_row + row)) == wanted ? 1 : 0;
      }
      return kept;
    });
  }

  // lo ≤ base + code ≤ hi as one unsigned comparison, right for every base: all of it is modulo 2^64.
  void bind_ints(const BoundTest::IntInterval& interval, const std::vector<std::int64_t>& set) {
    if (test_.is_set()) {
      if (set.empty()) mode_ = Mode::kNone;
      return;
    }
    if (interval.lo > interval.hi) {
      mode_ = Mode::kNone;
      return;
    }
    mode_ = Mode::kInterval;
    shift_ = column_.base - static_cast<std::uint64_t>(interval.lo);
    span_ = static_cast<std::uint64_t>(interval.hi) - static_cast<std::uint64_t>(interval.lo);
  }

  template <class Decide>
  void bind_table(std::size_t codes, Scratch& scratch, Decide&& decide) {
    mode_ = Mode::kTable;
    table_ = scratch.lease<std::uint8_t>(codes);
    for (std::size_t code = 0; code < codes; ++code) table_[code] = decide(code) ? 1 : 0;
  }

  void bind_strings(std::uint32_t row_count, Scratch& scratch) {
    if (test_.texts_.empty() || (test_.by_id_ && test_.string_ids_.empty())) {
      mode_ = Mode::kNone;
      return;
    }
    if (!column_.dictionary_coded) {
      if (test_.by_id_) bind_direct_ids(row_count, scratch);
      return;
    }
    const std::vector<std::uint32_t>& dictionary = column_.dictionary;
    if (!test_.by_id_) {
      if (dictionary.size() > row_count) return;  // fewer rows than strings: row by row
      bind_table(dictionary.size(), scratch,
                 [&](std::uint64_t code) { return test_.positive_string(dictionary[code]); });
      return;
    }
    mode_ = Mode::kTable;
    table_ = scratch.zeroed<std::uint8_t>(dictionary.size());
    bool any = false;
    for (const std::uint32_t id : test_.string_ids_) {
      const auto at = std::lower_bound(dictionary.begin(), dictionary.end(), id);
      if (at == dictionary.end() || *at != id) continue;
      table_[static_cast<std::size_t>(at - dictionary.begin())] = 1;
      any = true;
    }
    if (!any) mode_ = Mode::kNone;
  }

  // base + code is the id itself: one id is an interval, a few are a table of all codes where those are not more than rows.
  void bind_direct_ids(std::uint32_t row_count, Scratch& scratch) {
    if (test_.string_ids_.size() == 1) {
      mode_ = Mode::kInterval;
      shift_ = column_.base - test_.string_ids_[0];
      span_ = 0;
      return;
    }
    if (width_bits(column_.width) > 16) return;
    const std::uint64_t codes = std::uint64_t{1} << width_bits(column_.width);
    if (codes > std::max<std::uint64_t>(256, row_count)) return;
    mode_ = Mode::kTable;
    table_ = scratch.zeroed<std::uint8_t>(codes);
    for (const std::uint32_t id : test_.string_ids_) {
      if (const std::uint64_t code = id - column_.base; code < codes) table_[code] = 1;
    }
  }

  const BoundTest& test_;
  const Column& column_;
  Mode mode_ = Mode::kValue;
  Scratch::Lease<std::uint8_t> table_;
  std::uint64_t shift_ = 0;
  std::uint64_t span_ = 0;
};

namespace {

// Columns of a key that hold something: null is missing.
std::span<const Column> columns_of(const Slice& slice, KeyId key) {
  const auto first = std::partition_point(slice.columns.begin(), slice.columns.end(), [key](const Column& column) {
    return column.key < key || (column.key == key && column.type == ValueType::kNull);
  });
  auto last = first;
  while (last != slice.columns.end() && last->key == key) ++last;
  return {first, last};
}

}  // namespace

std::uint32_t BoundTest::filter(const SliceView& view, KeyId key, Scratch& scratch, std::uint32_t* rows,
                                std::uint32_t count) const {
  const std::span<const Column> columns = columns_of(*view.slice, key);
  const bool existence = op_ == Op::kExists || op_ == Op::kNotExists;
  if (columns.empty()) return passes_missing() ? count : 0;
  if (columns.size() == 1 && columns[0].dense()) {
    if (existence) return op_ == Op::kExists ? count : 0;
    return ColumnTest(*this, columns[0], count, scratch).keep(view, scratch, rows, count, !negated_);
  }
  // 0 missing, 1 present, 2 present and positive: a row has a value in one column at most.
  const Scratch::Lease<std::uint8_t> hits = scratch.zeroed<std::uint8_t>(count);
  for (const Column& column : columns) {
    const ColumnTest test(*this, column, count, scratch);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t row = view.first_row + rows[i];
      if (column.has(row)) hits[i] = existence || test.at(row) ? 2 : 1;
    }
  }
  const std::uint8_t wanted = op_ == Op::kNotExists ? 0 : (negated_ ? 1 : 2);
  const std::uint8_t other = missing_ ? 0 : wanted;
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    rows[kept] = rows[i];
    kept += hits[i] == wanted || hits[i] == other ? 1 : 0;
  }
  return kept;
}

namespace {

// Value of a key in a row of the slice; null when it has none.
Value value_at(const Slice& slice, KeyId key, std::uint32_t row) {
  for (const Column& column : columns_of(slice, key)) {
    if (column.has(row)) return {column.type, column.bits_at(row)};
  }
  return {};
}

std::uint32_t filter_by_operand(const SliceView& view, KeyId key, const ProfileOperand& operand, Scratch& scratch,
                                std::uint32_t* rows, std::uint32_t count) {
  std::uint32_t kept = 0;
  if (const auto values = operand.of_task(*view.task, scratch)) {
    const auto left = scratch.lease<Value>(count);
    read_property(view, key, rows, count, left.data());
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t row = rows[i];
      rows[kept] = row;
      kept += operand.passes(left[i], (*values)[view.profile[row] + view.id_offset]) ? 1 : 0;
    }
    return kept;
  }
  std::optional<Origin> of;
  Value right;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t row = rows[i];
    const Origin origin = view.origin(row);
    if (of != origin) right = operand.right_of(origin);
    of = origin;
    rows[kept] = row;
    kept += operand.passes(value_at(*view.slice, key, view.first_row + row), right) ? 1 : 0;
  }
  return kept;
}

std::uint32_t filter_by_place(const SliceView& view, const BoundPlace& place, std::uint32_t* rows,
                              std::uint32_t count) {
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t row = view.first_row + rows[i];
    rows[kept] = rows[i];
    kept += place.spec->contains(value_at(*view.slice, place.lat, row), value_at(*view.slice, place.lon, row)) ? 1 : 0;
  }
  return kept;
}

// Takes `taken` out of `rows`, both ascending, the one part of the other; returns how many are left.
std::uint32_t take_out(std::uint32_t* rows, std::uint32_t count, const std::uint32_t* taken,
                       std::uint32_t taken_count) {
  std::uint32_t left = 0, at = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t row = rows[i];
    const bool is_taken = at < taken_count && taken[at] == row;
    at += is_taken ? 1 : 0;
    rows[left] = row;
    left += is_taken ? 0 : 1;
  }
  return left;
}

// Of `or` each part sees the rows that none before it has kept; of `not` those that it keeps are taken out.
std::uint32_t filter_by_tree(const SliceView& view, const BoundConditionTree& tree, Scratch& scratch,
                             std::uint32_t* rows, std::uint32_t count) {
  if (!tree.is_of(view.slice->name)) return 0;
  if (tree.type == ConditionTree::Type::kAnd) return filter_rows(view, tree.parts, scratch, rows, count);
  const auto rest = scratch.lease<std::uint32_t>(count + simd::kSlack);
  const auto kept = scratch.lease<std::uint32_t>(count + simd::kSlack);
  std::copy_n(rows, count, rest.data());
  std::uint32_t left = count;
  for (const BoundCondition& part : tree.parts) {
    std::copy_n(rest.data(), left, kept.data());
    const std::uint32_t found = filter_rows(view, {&part, 1}, scratch, kept.data(), left);
    left = take_out(rest.data(), left, kept.data(), found);
    if (left == 0) break;
  }
  if (tree.type == ConditionTree::Type::kOr) return take_out(rows, count, rest.data(), left);
  std::copy_n(rest.data(), left, rows);
  return left;
}

}  // namespace

std::uint32_t filter_rows(const SliceView& view, std::span<const BoundCondition> conditions, Scratch& scratch,
                          std::uint32_t* rows, std::uint32_t count) {
  for (const BoundCondition& condition : conditions) {
    if (count == 0) return 0;
    if (condition.tree) {
      count = filter_by_tree(view, *condition.tree, scratch, rows, count);
      continue;
    }
    if (condition.place) {
      count = filter_by_place(view, *condition.place, rows, count);
      continue;
    }
    if (!condition.key) {
      if (!condition.test.passes_missing()) return 0;
      continue;
    }
    if (condition.operand != nullptr) {
      count = filter_by_operand(view, *condition.key, *condition.operand, scratch, rows, count);
      continue;
    }
    count = condition.test.filter(view, *condition.key, scratch, rows, count);
  }
  return count;
}

}  // namespace cdp
