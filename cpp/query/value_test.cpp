#include "query/value_test.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "query/spec.hpp"
#include "query/zone_field.hpp"

namespace cdp {
namespace {

using Parts = std::pair<Op, bool>;  // a comparison of the columns' own, and whether it is negated

// What an operator may be given beside its value.
enum Extra : std::uint8_t { kNone, kIgnoresCase, kZone };

struct Operator {
  std::string_view name;
  Extra extra = kNone;
  std::optional<Parts> plain;  // else a test of its own
  std::shared_ptr<const ValueTest> (*make)(const Node& value, Fields& fields, const Test& test,
                                           const Path& path) = nullptr;
};

template <VersionOrder order>
std::shared_ptr<const ValueTest> version_op(const Node& value, Fields&, const Test&, const Path& path) {
  return version_test(order, value, path);
}
std::shared_ptr<const ValueTest> regex_op(const Node& value, Fields&, const Test& test, const Path& path) {
  return regex_test(value, test.ignore_case, path);
}
std::shared_ptr<const ValueTest> all_op(const Node& value, Fields&, const Test& test, const Path& path) {
  return all_test(value, test.ignore_case, path);
}
std::shared_ptr<const ValueTest> size_op(const Node& value, Fields&, const Test&, const Path& path) {
  return size_test(value, path);
}
std::shared_ptr<const ValueTest> within_op(const Node& value, Fields&, const Test&, const Path& path) {
  return within_test(value, path);
}
std::shared_ptr<const ValueTest> on_op(const Node& value, Fields& fields, const Test&, const Path& path) {
  return on_test(value, take_zone(fields), path);
}
std::shared_ptr<const ValueTest> anniversary_op(const Node& value, Fields& fields, const Test&, const Path& path) {
  return anniversary_test(value, take_zone(fields), path);
}

constexpr std::size_t kOperators = 19;
const std::array<Operator, kOperators> kTable{{
    {"not_contains", kIgnoresCase, Parts{Op::kContains, true}},
    {"not_starts", kIgnoresCase, Parts{Op::kStarts, true}},
    {"not_ends", kIgnoresCase, Parts{Op::kEnds, true}},
    {"regex", kIgnoresCase, {}, regex_op},
    {"not_regex", kIgnoresCase, {}, regex_op},
    {"any", kIgnoresCase, Parts{Op::kIn, false}},
    {"all", kIgnoresCase, {}, all_op},
    {"none", kIgnoresCase, Parts{Op::kNotIn, false}},
    {"size", kNone, {}, size_op},
    {"before", kNone, Parts{Op::kLt, false}},
    {"after", kNone, Parts{Op::kGt, false}},
    {"on", kZone, {}, on_op},
    {"within", kNone, {}, within_op},
    {"anniversary", kZone, {}, anniversary_op},
    {"version_lt", kNone, {}, version_op<VersionOrder::kLt>},
    {"version_le", kNone, {}, version_op<VersionOrder::kLe>},
    {"version_gt", kNone, {}, version_op<VersionOrder::kGt>},
    {"version_ge", kNone, {}, version_op<VersionOrder::kGe>},
    {"version_eq", kNone, {}, version_op<VersionOrder::kEq>},
}};

void check_plain(const Operator& op, const Test& test, const Node& value, const Path& path) {
  const ValueType wanted = op.plain->second ? ValueType::kString : ValueType::kDatetime;
  if (op.plain->first == Op::kIn || op.plain->first == Op::kNotIn || test.values.front().type == wanted) return;
  fail_expected(path, op.plain->second ? "a string" : "a datetime", value);
}

}  // namespace

std::span<const std::string_view> value_ops() noexcept {
  static const auto names = [] {
    std::array<std::string_view, kOperators> out;
    std::ranges::transform(kTable, out.begin(), &Operator::name);
    return out;
  }();
  return names;
}

void parse_value_op(std::size_t index, Fields& fields, Test& test) {
  const Operator& op = kTable[index];
  const Path path = fields.path("value");
  const Node* value = fields.take_nil("value");
  if (value == nullptr) fail_invalid(path, "missing; expected a value to test with");
  if (const Node* node = fields.take("ignore_case")) test.ignore_case = read_bool(*node, fields.path("ignore_case"));
  if (test.ignore_case && op.extra != kIgnoresCase) {
    fail_invalid(fields.path("ignore_case"), std::string(op.name) + " knows no letters");
  }
  if (op.plain) {
    test.op = op.plain->first;
    test.negated = op.plain->second;
    test.values = parse_constants(test.op, *value, path);
    check_plain(op, test, *value, path);
    return;
  }
  path.spend(sizeof(ValueTest));
  test.op = Op::kValueTest;
  test.negated = op.name == "not_regex";
  test.value_test = op.make(*value, fields, test, path);
}

bool ValueTest::decide(const Value& value, const Dictionary& strings, const Moment& at) const {
  if (!is_dictionary_type(value.type) || is_timed()) return matches(node_of(value, strings), at);
  const std::uint64_t key = (value.bits + 1) << 1;
  std::atomic<std::uint64_t>& entry = memory_[value.bits % kRemembered];
  const std::uint64_t known = entry.load(std::memory_order_relaxed);
  if ((known & ~std::uint64_t{1}) == key) return (known & 1) != 0;
  const bool truth = matches(node_of(value, strings), at);
  entry.store(key | (truth ? 1 : 0), std::memory_order_relaxed);
  return truth;
}

bool ElementTest::matches(const Node& value, const Moment& at) const {
  if (value.type != Node::Type::kArray) return passes(value, at);
  return std::ranges::any_of(value.items, [&](const Node& item) { return passes(item, at); });
}

std::int64_t ElementTest::valid_until(const Node& value, const Moment& at) const {
  if (value.type != Node::Type::kArray) return passes_until(value, at);
  std::int64_t until = INT64_MAX;
  for (const Node& item : value.items) until = std::min(until, passes_until(item, at));
  return until;
}

Node node_of(const Value& value, const Dictionary& strings) {
  Node out;
  switch (value.type) {
    case ValueType::kNull: break;
    case ValueType::kBool: out.type = Node::Type::kBool, out.integer = value.as_int(); break;
    case ValueType::kInt: out.type = Node::Type::kInt, out.integer = value.as_int(); break;
    case ValueType::kDatetime: out.type = Node::Type::kDatetime, out.integer = value.as_int(); break;
    case ValueType::kFloat: out.type = Node::Type::kFloat, out.number = value.as_float(); break;
    case ValueType::kString:
      out.type = Node::Type::kString;
      out.text = strings.at(static_cast<std::uint32_t>(value.bits));
      break;
    case ValueType::kList:
    case ValueType::kItems: return parse_stored(strings.at(static_cast<std::uint32_t>(value.bits)));
  }
  return out;
}

const Dictionary& no_strings() {
  static const Dictionary empty(0);
  return empty;
}

}  // namespace cdp
