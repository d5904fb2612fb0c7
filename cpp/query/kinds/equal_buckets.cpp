#include "query/kinds/equal_buckets.hpp"

#include <algorithm>
#include <bit>

#include "query/kinds/value_groups.hpp"

namespace cdp {
namespace {

struct Counted {
  Value number;
  std::uint64_t count = 0;
};

bool has_buckets(const Operand& operand) noexcept {
  return operand.groups != nullptr && operand.groups->form == ValueGroupsSpec::Form::kBuckets;
}

// The numbers of a column, ascending, with how often each is counted.
std::vector<Counted> counted_numbers(const TableColumn& values, const TableColumn& counts) {
  std::vector<Counted> out;
  for (std::size_t row = 0; row < values.size(); ++row) {
    if (values.is_null(row) || counts.is_null(row)) continue;
    const ColumnType type = values.type_at(row);
    if (type != ColumnType::kInt64 && type != ColumnType::kFloat64) continue;
    const Value number = type == ColumnType::kInt64
                             ? Value{ValueType::kInt, values.uint_at(row)}
                             : Value{ValueType::kFloat, std::bit_cast<std::uint64_t>(values.float_at(row))};
    out.push_back({number, static_cast<std::uint64_t>(counts.int_at(row))});
  }
  std::stable_sort(out.begin(), out.end(), [](const Counted& left, const Counted& right) {
    const int order = compare_number_values(left.number, right.number);
    return order != 0 ? order < 0 : left.number.type < right.number.type;
  });
  return out;
}

std::vector<Value> equal_borders(const std::vector<Counted>& numbers, std::uint64_t bucket_count) {
  unsigned __int128 total = 0, before = 0;
  for (const Counted& each : numbers) total += each.count;
  std::vector<Value> out;
  std::size_t at = 0;
  for (std::uint64_t bucket = 1; bucket < bucket_count && total != 0; ++bucket) {
    const unsigned __int128 place = total * bucket / bucket_count;
    while (before + numbers[at].count <= place) before += numbers[at++].count;
    if (out.empty() || compare_number_values(out.back(), numbers[at].number) < 0) out.push_back(numbers[at].number);
  }
  return out;
}

}  // namespace

void set_equal_borders(CommonSpec& common, const KindSpec& kind, const Binding& binding, const RunKind& run) {
  constexpr const char* kValues = "value";
  const std::vector<Operand> asked = common.breakdown;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (!has_buckets(asked[i])) continue;
    auto whole = std::make_shared<ValueGroupsSpec>(*asked[i].groups);
    whole->form = ValueGroupsSpec::Form::kWhole;
    CommonSpec counted = common;
    counted.breakdown = {asked[i]};
    counted.breakdown.front().name = kValues;
    counted.breakdown.front().groups = whole;
    counted.limit.reset();
    const Binding of_counts{binding.version, counted,          binding.range, binding.now_ms,
                            binding.zone,    binding.mentions, binding.budget};
    const CountedKind counts = kind.counted();
    const Table table = run(*counts.kind->bind(of_counts));
    whole->form = ValueGroupsSpec::Form::kBorders;
    whole->borders = equal_borders(counted_numbers(*table.find(kValues), *table.find(counts.column)),
                                   static_cast<std::uint64_t>(asked[i].groups->bucket_count));
    common.breakdown[i].groups = whole;
  }
}

void note_equal_borders(const CommonSpec& asked, const CommonSpec& used, Table& table) {
  for (std::size_t i = 0; i < asked.breakdown.size(); ++i) {
    if (!has_buckets(asked.breakdown[i])) continue;
    table.notes.emplace_back("borders(" + asked.breakdown[i].name + ")",
                             borders_text(used.breakdown[i].groups->borders));
  }
}

}  // namespace cdp
