// Columns against the plain list of their values.

#include "column/column.hpp"

#include <bit>
#include <optional>
#include <random>
#include <vector>

#include "check.hpp"

namespace {

using namespace cdp;

// A value a row, or none.
using Values = std::vector<std::optional<std::uint64_t>>;

Column build(ValueType type, const Values& values) {
  std::vector<std::uint64_t> bits, present((values.size() + 63) / 64);
  for (std::size_t row = 0; row < values.size(); ++row) {
    if (!values[row]) continue;
    bits.push_back(*values[row]);
    present[row / 64] |= std::uint64_t{1} << (row % 64);
  }
  const bool dense = bits.size() == values.size();
  return build_column(KeyId{1}, type, static_cast<std::uint32_t>(values.size()), bits,
                      dense ? std::span<const std::uint64_t>{} : std::span<const std::uint64_t>{present});
}

void check_values(const Column& column, const Values& values) {
  std::vector<std::uint64_t> decoded(column.value_count);
  decode_values(column, 0, decoded);
  std::uint32_t rank = 0;
  for (std::uint32_t row = 0; row < values.size(); ++row) {
    CHECK_EQ(column.has(row), values[row].has_value());
    CHECK_EQ(column.rank(row), rank);
    if (!values[row]) continue;
    CHECK_EQ(column.bits_at(row), *values[row]);
    CHECK_EQ(decoded[rank], *values[row]);
    ++rank;
  }
  CHECK_EQ(column.value_count, rank);
  if (width_bits(column.width) > 32) return;
  for (std::uint32_t first = 0; first < std::min(rank, 9u); ++first) {
    std::vector<std::uint32_t> codes(rank - first);
    decode_codes(column, first, codes);
    for (std::uint32_t at = first; at < rank; ++at) CHECK_EQ(codes[at - first], column.code_at(at));
  }
}

TEST("a column gives back its values at every width, dense and sparse") {
  std::mt19937_64 random(test::seed());
  for (const unsigned bits : {0u, 1u, 2u, 3u, 4u, 7u, 8u, 11u, 16u, 20u, 24u, 29u, 32u, 33u, 63u, 64u}) {
    for (const std::size_t rows : {1u, 2u, 7u, 63u, 64u, 65u, 1'000u}) {
      for (const ValueType type : {ValueType::kInt, ValueType::kFloat, ValueType::kString, ValueType::kDatetime}) {
        if (type == ValueType::kString && bits > 32) continue;
        const std::uint64_t mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
        const std::uint64_t base = type == ValueType::kString ? 0 : random();
        for (const bool sparse : {false, true}) {
          Values values(rows);
          for (auto& value : values) {
            if (!sparse || random() % 3 == 0) value = base + (random() & mask);
          }
          check_values(build(type, values), values);
        }
      }
    }
  }
}

TEST("a column is as narrow as its values allow") {
  const auto width = [](ValueType type, const Values& values) { return build(type, values).width; };
  CHECK(width(ValueType::kInt, {5, 5, 5}) == Width::k0);
  CHECK(width(ValueType::kFloat, {std::bit_cast<std::uint64_t>(0.5), std::bit_cast<std::uint64_t>(0.5)}) == Width::k0);
  CHECK(width(ValueType::kNull, {0, 0, std::nullopt}) == Width::k0);
  CHECK(width(ValueType::kBool, {0, 1}) == Width::k1);
  CHECK(width(ValueType::kInt, {static_cast<std::uint64_t>(-1), 2}) == Width::k2);
  CHECK(width(ValueType::kInt, {1'000'000, 1'000'015}) == Width::k4);
  CHECK(width(ValueType::kInt, {0, 2'000'000}) == Width::k24);
  CHECK(width(ValueType::kInt, {static_cast<std::uint64_t>(INT64_MIN), INT64_MAX}) == Width::k64);
  CHECK_EQ(build(ValueType::kInt, Values(1'000, 7)).codes.size(), 8u);
}

TEST("strings take a dictionary when it is smaller, and lie plain when most are distinct") {
  std::mt19937_64 random(test::seed());
  Values few(5'000), many(5'000), middle(5'000);
  for (auto& value : few) value = random() % 20 * 123'457;
  for (auto& value : many) value = random() % 4'000'000'000;
  for (auto& value : middle) value = random() % 300 * 7'000'003 % 4'000'000'000;
  const Column with_few = build(ValueType::kString, few), with_many = build(ValueType::kString, many);
  CHECK(with_few.dictionary_coded && with_few.width == Width::k8 && with_few.dictionary.size() == 20);
  CHECK(!with_many.dictionary_coded && with_many.width == Width::k32);
  const Column with_middle = build(ValueType::kList, middle);
  CHECK(with_middle.dictionary_coded && with_middle.width == Width::k16);
  check_values(with_few, few), check_values(with_many, many), check_values(with_middle, middle);
  const Values two{1, 4'000'000'000};  // a dictionary of two would take more than the two
  CHECK(!build(ValueType::kString, two).dictionary_coded);
}

}  // namespace

TEST_MAIN()
