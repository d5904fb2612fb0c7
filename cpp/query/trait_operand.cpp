#include "query/trait_operand.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "column/dictionary.hpp"
#include "query/exact_product.hpp"
#include "query/value_test.hpp"

namespace cdp {
namespace {

constexpr Value kOne{ValueType::kInt, 1};

bool is_number(ValueType type) noexcept { return type == ValueType::kInt || type == ValueType::kFloat; }

int sign(int order) noexcept { return (order > 0 ? 1 : 0) - (order < 0 ? 1 : 0); }

// -1, 0, 1; nullopt where the two do not compare.
std::optional<int> compare(const Node& left, const Value& right, const Value& times, const Dictionary& strings) {
  const bool left_number = left.type == Node::Type::kInt || left.type == Node::Type::kFloat;
  if (left_number && is_number(right.type)) {
    const Value number = left.type == Node::Type::kInt
                             ? Value{ValueType::kInt, static_cast<std::uint64_t>(left.integer)}
                             : Value{ValueType::kFloat, std::bit_cast<std::uint64_t>(left.number)};
    return compare_product(number, right, times);
  }
  if (left.type == Node::Type::kString && right.type == ValueType::kString) {
    return sign(left.text.compare(strings.at(static_cast<std::uint32_t>(right.bits))));
  }
  const bool both_times = left.type == Node::Type::kDatetime && right.type == ValueType::kDatetime;
  const bool both_bools = left.type == Node::Type::kBool && right.type == ValueType::kBool;
  if (!both_times && !both_bools) return std::nullopt;
  return (left.integer > right.as_int() ? 1 : 0) - (left.integer < right.as_int() ? 1 : 0);
}

}  // namespace

std::optional<OperandTest> parse_operand_test(Fields& fields) {
  const Node* peeked = fields.peek("value");
  if (peeked == nullptr || peeked->type != Node::Type::kMap) return std::nullopt;
  const bool has_trait = std::ranges::any_of(peeked->fields, [](const auto& field) { return field.first == "trait"; });
  if (!has_trait) return std::nullopt;
  constexpr std::array<std::string_view, 6> kNames{"eq", "ne", "lt", "le", "gt", "ge"};
  constexpr std::array<Op, 6> kOps{Op::kEq, Op::kNe, Op::kLt, Op::kLe, Op::kGt, Op::kGe};
  OperandTest out;
  out.op = kOps[fields.choice("op", kNames, std::nullopt)];
  const Path path = fields.path("value");
  Fields value(*fields.take("value"), path);
  out.trait = parse_key(value.require("trait", "the key of a trait"), value.path("trait"));
  if (const Node* times = value.take("times")) {
    out.times = parse_literal(*times, value.path("times"));
    if (!is_number(out.times->type)) fail_expected(value.path("times"), "a number", *times);
  }
  value.done();
  return out;
}

BoundOperandTest::BoundOperandTest(const OperandTest& test, const Version& version)
    : op_(test.op), strings_(version.strings) {
  if (test.times) times_ = test.times->value();
  if (const auto found = version.keys->find(test.trait)) key_ = KeyId{*found};
}

ProfileView::Seen BoundOperandTest::operand(const Version& version, Origin home, std::int64_t now_ms) const {
  if (!key_) return {};
  return version.profiles->trait_at(home, *key_, now_ms, *version.links);
}

bool BoundOperandTest::passes_scalar(const Node& left, const Value& right) const {
  const std::optional<int> order = compare(left, right, times_.value_or(kOne), *strings_);
  if (!order) return false;
  if (left.type == Node::Type::kBool && op_ != Op::kEq && op_ != Op::kNe) return false;
  switch (op_) {
    case Op::kLt: return *order < 0;
    case Op::kLe: return *order <= 0;
    case Op::kGt: return *order > 0;
    case Op::kGe: return *order >= 0;
    default: return *order == 0;  // kNe: turned by who asks
  }
}

bool BoundOperandTest::passes(const Value& left, const Value& right) const {
  if (right.type == ValueType::kNull || (times_ && !is_number(right.type))) return false;
  const Node value = node_of(left, *strings_);
  const bool found =
      value.type == Node::Type::kArray
          ? std::ranges::any_of(value.items, [&](const Node& item) { return passes_scalar(item, right); })
          : passes_scalar(value, right);
  return found != (op_ == Op::kNe);
}

}  // namespace cdp
