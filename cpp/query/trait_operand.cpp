#include "query/trait_operand.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "column/dictionary.hpp"
#include "query/clauses/own_aggregate.hpp"
#include "query/exact_product.hpp"
#include "query/named_keys.hpp"
#include "query/scan.hpp"
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

std::optional<OperandTest> parse_operand_test(Fields& fields, const CalendarSpec& calendar) {
  const Node* peeked = fields.peek("value");
  if (peeked == nullptr || peeked->type != Node::Type::kMap) return std::nullopt;
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(peeked->fields, [&](const auto& field) { return field.first == name; });
  };
  if (!has("trait") && !has("own")) return std::nullopt;
  constexpr std::array<std::string_view, 6> kNames{"eq", "ne", "lt", "le", "gt", "ge"};
  constexpr std::array<Op, 6> kOps{Op::kEq, Op::kNe, Op::kLt, Op::kLe, Op::kGt, Op::kGe};
  OperandTest out;
  out.op = kOps[fields.choice("op", kNames, std::nullopt)];
  const Path path = fields.path("value");
  Fields value(*fields.take("value"), path);
  const Path own = value.path("own");
  if (has("own")) {
    if (has("trait")) fail_invalid(own, "either a trait or an aggregate, not both");
    out.own = std::make_shared<const OwnSpec>(parse_own(value.require("own", "an aggregate"), own, calendar));
  } else {
    out.trait = parse_key(value.require("trait", "the key of a trait"), value.path("trait"));
  }
  if (const Node* times = value.take("times")) {
    out.times = parse_literal(*times, value.path("times"));
    if (!is_number(out.times->type)) fail_expected(value.path("times"), "a number", *times);
  }
  value.done();
  return out;
}

BoundOperandTest::BoundOperandTest(const OperandTest& test, const Version& version, const Moment& at)
    : op_(test.op), strings_(version.strings) {
  if (test.times) times_ = test.times->value();
  if (test.own != nullptr) {
    own_ = std::make_shared<const OwnAggregate>(*test.own, version, at);
    return;
  }
  key_ = find_trait(test.trait, version, at);
}

ProfileView::Seen BoundOperandTest::operand(const Version& version, Origin home, std::int64_t now_ms) const {
  if (own_ != nullptr) return own_->seen(version, home, now_ms);
  if (!key_) return {};
  return version.profiles->trait_at(home, *key_, now_ms, *version.links);
}

void BoundOperandTest::operands(const Task& task, std::int64_t now_ms, Scratch& scratch,
                                std::span<const std::uint64_t> candidates, std::span<Value> values) const {
  if (own_ == nullptr && !key_) return std::fill(values.begin(), values.end(), Value{});
  const bool scanned = own_ != nullptr && own_->scan(task, now_ms, scratch, values);
  const bool is_plain = own_ == nullptr && task.version->profiles->latest_ms(*key_) <= now_ms;
  for (std::uint32_t word = 0; word < candidates.size(); ++word) {
    std::uint64_t bits = candidates[word];
    if (scanned) bits &= task.slow.empty() ? 0 : task.slow[word];
    for (; bits != 0; bits &= bits - 1) {
      const std::uint32_t profile = word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits));
      const Origin home = task.origin(profile);
      values[profile] =
          is_plain ? task.version->profiles->trait(home, *key_) : operand(*task.version, home, now_ms).value;
    }
  }
}

bool BoundOperandTest::resolved() const noexcept { return own_ != nullptr ? own_->resolved() : key_.has_value(); }

bool BoundOperandTest::passes_order(int order) const noexcept {
  switch (op_) {
    case Op::kLt: return order < 0;
    case Op::kLe: return order <= 0;
    case Op::kGt: return order > 0;
    case Op::kGe: return order >= 0;
    default: return order == 0;  // kNe: turned by who asks
  }
}

bool BoundOperandTest::passes_scalar(const Node& left, const Value& right) const {
  const std::optional<int> order = compare(left, right, times_.value_or(kOne), *strings_);
  if (!order || (left.type == Node::Type::kBool && op_ != Op::kEq && op_ != Op::kNe)) return false;
  return passes_order(*order);
}

namespace {
// -1, 0, 1 of left against right · factor where doubles are enough to tell; 2 where they may not be.
int compare_roughly(const Value& left, const Value& right, const Value& factor) noexcept {
  const auto real = [](const Value& value) {
    return value.type == ValueType::kInt ? static_cast<double>(value.as_int()) : value.as_float();
  };
  const double product = real(right) * real(factor), one = real(left);
  const double difference = one - product;
  const double most_wrong = (std::abs(one) + std::abs(product)) * 0x1p-50 + 0x1p-1000;  // each rounded a few times
  return difference > most_wrong ? 1 : (difference < -most_wrong ? -1 : 2);             // what is not finite is neither
}
}  // namespace

bool BoundOperandTest::passes(const Value& left, const Value& right) const {
  if (!is_number(left.type) || !is_number(right.type)) return passes(node_of(left, *strings_), right);
  const Value factor = times_.value_or(kOne);
  const int rough = compare_roughly(left, right, factor);
  return passes_order(rough != 2 ? rough : compare_product(left, right, factor)) != (op_ == Op::kNe);
}

bool BoundOperandTest::passes(const Node& left, const Value& right) const {
  if (right.type == ValueType::kNull || (times_ && !is_number(right.type))) return false;
  const bool found = left.type == Node::Type::kArray
                         ? std::ranges::any_of(left.items, [&](const Node& item) { return passes_scalar(item, right); })
                         : passes_scalar(left, right);
  return found != (op_ == Op::kNe);
}

// Against one value, for as long as its store lives.
class FixedOperandTest final : public ValueTest {
 public:
  FixedOperandTest(const BoundOperandTest& test, const Value& right) : test_(test), right_(right) {}
  [[nodiscard]] bool matches(const Node& value, const Moment&) const override { return test_.passes(value, right_); }
  [[nodiscard]] bool matches_number(double value) const override {
    if (!is_number(right_.type)) return right_.type != ValueType::kNull && !test_.times_ && test_.op_ == Op::kNe;
    const int order = std::isinf(value) ? (value > 0 ? 1 : -1)
                                        : compare_product(Value{ValueType::kFloat, std::bit_cast<std::uint64_t>(value)},
                                                          right_, test_.times_.value_or(kOne));
    return test_.passes_order(order) != (test_.op_ == Op::kNe);
  }
  [[nodiscard]] bool matches_wide(__int128 value) const override {
    if (!is_number(right_.type)) return right_.type != ValueType::kNull && !test_.times_ && test_.op_ == Op::kNe;
    return test_.passes_order(compare_product(value, right_, test_.times_.value_or(kOne))) != (test_.op_ == Op::kNe);
  }

 private:
  BoundOperandTest test_;
  Value right_;
};

std::shared_ptr<const ValueTest> BoundOperandTest::test_of(const Value& right) const {
  return std::make_shared<const FixedOperandTest>(*this, right);
}

}  // namespace cdp
