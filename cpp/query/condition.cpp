#include "query/condition.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "codec/normalise.hpp"
#include "column/dictionary.hpp"
#include "query/named_keys.hpp"
#include "query/place.hpp"
#include "query/profile_operand.hpp"

namespace cdp {
namespace {

constexpr double kTwo63 = 9'223'372'036'854'775'808.0;
constexpr std::int64_t kIntMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kIntMax = std::numeric_limits<std::int64_t>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

char lower(char letter) noexcept { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter; }

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// The integer equal to a double, if there is one.
std::optional<std::int64_t> exact_int(double number) noexcept {
  if (!(number >= -kTwo63 && number < kTwo63) || number != std::floor(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

// The double equal to an integer, if there is one.
std::optional<double> exact_float(std::int64_t integer) noexcept {
  const auto number = static_cast<double>(integer);
  if (compare_exact(integer, number) != 0) return std::nullopt;
  return number;
}

}  // namespace

int compare_exact(std::int64_t integer, double number) noexcept {
  if (number >= kTwo63) return -1;
  if (number < -kTwo63) return 1;
  const auto whole = static_cast<std::int64_t>(number);  // towards zero
  if (integer != whole) return integer < whole ? -1 : 1;
  const double rest = number - static_cast<double>(whole);  // exact: |number| < 2^53 wherever there is a rest
  return rest > 0 ? -1 : (rest < 0 ? 1 : 0);
}

BoundTest::BoundTest(const Test& test, const Dictionary& strings, const Moment& at)
    : op_(test.op),
      negated_(test.op == Op::kNe || test.op == Op::kNotIn || test.negated),
      missing_(test.missing),
      ignore_case_(test.ignore_case),
      strings_(&strings),
      value_test_(test.value_test),
      at_(at) {
  const bool equality = op_ == Op::kEq || op_ == Op::kNe || is_set();
  by_id_ = equality && !ignore_case_;
  for (std::size_t i = 0; i < test.values.size(); ++i) {
    const Literal& literal = test.values[i];
    switch (literal.type) {
      case ValueType::kInt:
      case ValueType::kFloat: bind_number(literal, i); break;
      case ValueType::kBool: match_bool_[literal.bits & 1] = equality; break;
      case ValueType::kString: bind_string(literal); break;
      case ValueType::kDatetime:
        if (is_set()) {
          datetime_set_.push_back(literal.value().as_int());
        } else {
          bind_int_bound(datetimes_, literal, i);
        }
        break;
      default: break;
    }
  }
  std::sort(int_set_.begin(), int_set_.end());
  std::sort(float_set_.begin(), float_set_.end());
  std::sort(datetime_set_.begin(), datetime_set_.end());
  std::sort(string_ids_.begin(), string_ids_.end());
  if (is_set()) std::sort(texts_.begin(), texts_.end());
}

void BoundTest::bind_number(const Literal& literal, std::size_t index) {
  numbers_.push_back(literal.value());
  if (!is_set()) {
    bind_int_bound(ints_, literal, index);
    bind_float_bound(literal, index);
    return;
  }
  const Value value = literal.value();
  const bool is_int = literal.type == ValueType::kInt;
  if (const auto integer = is_int ? std::optional(value.as_int()) : exact_int(value.as_float())) {
    int_set_.push_back(*integer);
  }
  if (const auto number = is_int ? exact_float(value.as_int()) : std::optional(value.as_float())) {
    float_set_.push_back(*number);
  }
}

// Integers that pass: at or above the literal, at or below, or both, as a closed interval.
void BoundTest::bind_int_bound(IntInterval& interval, const Literal& literal, std::size_t index) {
  const Value value = literal.value();
  // Neighbours of the literal among integers: floor ≤ literal ≤ ceiling; 128 bits so that ±1 cannot overflow.
  __int128 floor = 0, ceiling = 0;
  if (literal.type != ValueType::kFloat) {
    floor = ceiling = value.as_int();
  } else {
    const double number = std::clamp(value.as_float(), -2 * kTwo63, 2 * kTwo63);
    floor = static_cast<__int128>(std::floor(number));
    ceiling = static_cast<__int128>(std::ceil(number));
  }
  const bool whole = floor == ceiling;
  __int128 low = kIntMin, high = kIntMax;
  switch (op_) {
    case Op::kEq:
    case Op::kNe: low = ceiling, high = floor; break;  // empty when the literal is no integer
    case Op::kLt: high = whole ? floor - 1 : floor; break;
    case Op::kLe: high = floor; break;
    case Op::kGt: low = whole ? ceiling + 1 : ceiling; break;
    case Op::kGe: low = ceiling; break;
    case Op::kBetween:
      if (index == 0) {
        low = ceiling;
      } else {
        high = floor, low = interval.lo <= interval.hi ? __int128{interval.lo} : __int128{1} + kIntMax;
      }
      break;
    default: return;
  }
  low = std::max<__int128>(low, kIntMin), high = std::min<__int128>(high, kIntMax);
  interval = low <= high ? IntInterval{static_cast<std::int64_t>(low), static_cast<std::int64_t>(high)} : IntInterval{};
}

void BoundTest::bind_float_bound(const Literal& literal, std::size_t index) {
  // Neighbours of the literal among doubles: below ≤ literal ≤ above.
  double below = 0, above = 0;
  if (literal.type == ValueType::kFloat) {
    below = above = literal.value().as_float();
  } else {
    const std::int64_t integer = literal.value().as_int();
    below = above = static_cast<double>(integer);
    const int order = compare_exact(integer, below);
    if (order < 0) below = std::nextafter(below, -kInfinity);
    if (order > 0) above = std::nextafter(above, kInfinity);
  }
  const bool exact = below == above;
  double low = -kInfinity, high = kInfinity;
  switch (op_) {
    case Op::kEq:
    case Op::kNe: low = above, high = below; break;
    case Op::kLt: high = exact ? std::nextafter(below, -kInfinity) : below; break;
    case Op::kLe: high = below; break;
    case Op::kGt: low = exact ? std::nextafter(above, kInfinity) : above; break;
    case Op::kGe: low = above; break;
    case Op::kBetween:
      if (index == 0) {
        low = above;
      } else {
        low = floats_.lo, high = below;
      }
      break;
    default: return;
  }
  floats_ = {low, high};
}

void BoundTest::bind_string(const Literal& literal) {
  if (by_id_) {
    if (const auto id = strings_->find(literal.text)) {
      string_ids_.push_back(*id);
    } else {
      resolved_ = false;
    }
  }
  texts_.push_back(ignore_case_ ? lowered(literal.text) : literal.text);
}

bool BoundTest::positive_int(std::int64_t value) const noexcept {
  if (is_set()) return std::binary_search(int_set_.begin(), int_set_.end(), value);
  return value >= ints_.lo && value <= ints_.hi;
}

bool BoundTest::positive_float(double value) const noexcept {
  if (is_set()) return std::binary_search(float_set_.begin(), float_set_.end(), value);
  return value >= floats_.lo && value <= floats_.hi;
}

namespace {
// REQUIRES: value beyond 64 bits, so no literal integer is near it.
int compare_wide(__int128 value, const Value& number) noexcept {
  if (number.type == ValueType::kInt) return value < 0 ? -1 : 1;
  const double other = number.as_float();
  if (other >= 0x1p126) return -1;
  if (other <= -0x1p126) return 1;
  const auto whole = static_cast<__int128>(other);  // exact where it matters: |other| ≥ 2^53 has no fraction
  return value < whole ? -1 : (value > whole ? 1 : 0);
}
}  // namespace

bool BoundTest::matches_wide(__int128 value) const {
  if (value_test_ != nullptr) return value_test_->matches_wide(value);
  if (value >= kIntMin && value <= kIntMax) return positive_int(static_cast<std::int64_t>(value)) != negated_;
  const auto equal = [value](const Value& number) { return compare_wide(value, number) == 0; };
  if (numbers_.empty()) return negated_;
  const int order = compare_wide(value, numbers_.front());
  switch (op_) {
    case Op::kEq: return order == 0;
    case Op::kNe: return order != 0;
    case Op::kLt: return order < 0;
    case Op::kLe: return order <= 0;
    case Op::kGt: return order > 0;
    case Op::kGe: return order >= 0;
    case Op::kBetween: return order >= 0 && compare_wide(value, numbers_.back()) <= 0;
    case Op::kIn: return std::any_of(numbers_.begin(), numbers_.end(), equal);
    case Op::kNotIn: return std::none_of(numbers_.begin(), numbers_.end(), equal);
    default: return false;
  }
}

bool BoundTest::positive_datetime(std::int64_t value) const noexcept {
  if (is_set()) return std::binary_search(datetime_set_.begin(), datetime_set_.end(), value);
  return value >= datetimes_.lo && value <= datetimes_.hi;
}

bool BoundTest::positive_string(std::uint32_t id) const {
  if (by_id_) return std::binary_search(string_ids_.begin(), string_ids_.end(), id);
  return positive_text(strings_->at(id));
}

bool BoundTest::positive_text(std::string_view text) const {
  if (texts_.empty()) return false;
  std::string folded;
  if (ignore_case_) text = folded = lowered(text);
  const std::string& first = texts_.front();
  switch (op_) {
    case Op::kEq:
    case Op::kNe: return text == first;
    case Op::kIn:
    case Op::kNotIn: return std::binary_search(texts_.begin(), texts_.end(), text);
    case Op::kLt: return text < first;
    case Op::kLe: return text <= first;
    case Op::kGt: return text > first;
    case Op::kGe: return text >= first;
    case Op::kBetween: return text >= first && text <= texts_[1];
    case Op::kContains: return text.find(first) != std::string_view::npos;
    case Op::kStarts: return text.starts_with(first);
    case Op::kEnds: return text.ends_with(first);
    default: return false;
  }
}

bool BoundTest::positive(const Node& value, const Moment& at) const {
  if (value_test_ != nullptr) return value_test_->matches(value, at);
  switch (value.type) {
    case Node::Type::kBool: return match_bool_[value.integer & 1];
    case Node::Type::kInt: return positive_int(value.integer);
    case Node::Type::kFloat: return positive_float(value.number);
    case Node::Type::kDatetime: return positive_datetime(value.integer);
    case Node::Type::kString: return positive_text(value.text);
    case Node::Type::kArray:
      return std::ranges::any_of(value.items, [&](const Node& item) { return positive(item, at); });
    default: return false;
  }
}

bool BoundTest::positive(const Value& value, const Moment& at) const {
  if (value_test_ != nullptr) return value_test_->decide(value, *strings_, at);
  switch (value.type) {
    case ValueType::kBool: return match_bool_[value.bits & 1];
    case ValueType::kInt: return positive_int(value.as_int());
    case ValueType::kFloat: return positive_float(value.as_float());
    case ValueType::kDatetime: return positive_datetime(value.as_int());
    case ValueType::kString: return positive_string(static_cast<std::uint32_t>(value.bits));
    case ValueType::kList: return positive(node_of(value, *strings_), at);
    default: return false;
  }
}

bool BoundTest::matches_at(const Value& value, const Moment& at) const {
  if (value.type == ValueType::kNull) return passes_missing();
  if (op_ == Op::kExists) return true;
  if (op_ == Op::kNotExists) return false;
  check_moment(at);
  return positive(value, at) != negated_;
}

bool BoundTest::matches(const Node& value, const Moment& at) const {
  if (value.type == Node::Type::kNull) return passes_missing();
  if (op_ == Op::kExists) return true;
  if (op_ == Op::kNotExists) return false;
  check_moment(at);
  return positive(value, at) != negated_;
}

void BoundTest::check_moment(const Moment& at) const {
  if (at.now_ms != Moment::kUnset || !is_timed()) return;
  throw Error(Family::kInternal, code::kInternal, "a test relative to now was bound without an instant");
}

std::int64_t BoundTest::valid_until(const Value& value, std::int64_t now_ms) const {
  if (!is_timed() || value.type == ValueType::kNull) return INT64_MAX;
  return value_test_->valid_until(node_of(value, *strings_), {now_ms, at_.zone});
}

std::int64_t BoundTest::valid_until(const Node& value, const Moment& at) const {
  return !is_timed() || value.type == Node::Type::kNull ? INT64_MAX : value_test_->valid_until(value, at);
}

namespace {

BoundCondition bind_place(const Condition& condition, const Version& version, const Moment& at) {
  // The test is never asked: it says that a place the store has never seen does not pass.
  BoundCondition out{std::nullopt, BoundTest(Test{Op::kExists, {}}, no_strings(), {})};
  const auto lat = find_property(condition.place->lat_key, version, at);
  const auto lon = find_property(condition.place->lon_key, version, at);
  if (lat && lon) out.place = BoundPlace{condition.place, *lat, *lon};
  out.resolved = out.place.has_value();
  return out;
}

BoundCondition bind_tree(const ConditionTree& tree, const Version& version, const Moment& at) {
  // The test is never asked: it says that nothing is missing.
  BoundCondition out{std::nullopt, BoundTest(Test{Op::kExists, {}}, no_strings(), {})};
  auto bound = std::make_shared<BoundConditionTree>();
  bound->type = tree.type;
  bound->parts = bind_conditions(tree.parts, version, at);
  bound->of_names = !tree.names.empty();
  for (const std::string& name : tree.names) {
    if (const auto id = version.names->find(name))
      bound->names.push_back(NameId{*id});  // the selector notes the others
  }
  std::ranges::sort(bound->names);
  for (const BoundCondition& part : bound->parts) out.resolved &= part.resolved;
  out.resolved &= bound->names.size() == tree.names.size();
  out.tree = std::move(bound);
  return out;
}

}  // namespace

bool BoundConditionTree::matches(const Row& row, std::optional<std::int64_t> now_ms) const {
  if (!is_of(row.name)) return false;
  const auto holds = [&](const BoundCondition& part) {
    return now_ms ? part.matches(row, *now_ms) : part.matches(row);
  };
  switch (type) {
    case ConditionTree::Type::kAnd: return std::ranges::all_of(parts, holds);
    case ConditionTree::Type::kOr: return std::ranges::any_of(parts, holds);
    case ConditionTree::Type::kNot: break;
  }
  return !holds(parts.front());
}

bool BoundCondition::is_timed() const noexcept {
  return test.is_timed() || (tree != nullptr && std::ranges::any_of(tree->parts, &BoundCondition::is_timed));
}

std::int64_t BoundCondition::valid_until(const Row& row, std::int64_t now_ms) const {
  if (key && test.is_timed()) return test.valid_until(property(row, *key), now_ms);
  std::int64_t until = INT64_MAX;
  if (tree == nullptr || !tree->is_of(row.name)) return until;
  for (const BoundCondition& part : tree->parts) until = std::min(until, part.valid_until(row, now_ms));
  return until;
}

bool BoundCondition::matches_otherwise(const Row& row, std::optional<std::int64_t> now_ms) const {
  if (tree != nullptr) return tree->matches(row, now_ms);
  if (key) return operand->passes(property(row, *key), operand->right_of(row.origin));
  if (!place) return test.passes_missing();
  return place->spec->contains(property(row, place->lat), property(row, place->lon));
}

std::vector<BoundCondition> bind_conditions(std::span<const Condition> conditions, const Version& version,
                                            const Moment& at) {
  std::vector<BoundCondition> out;
  out.reserve(conditions.size());
  for (const Condition& condition : conditions) {
    if (condition.place || condition.tree) {
      out.push_back(condition.place ? bind_place(condition, version, at) : bind_tree(*condition.tree, version, at));
      continue;
    }
    const auto key = find_property(condition.property, version, at);
    out.push_back({key, BoundTest(condition.test, *version.strings, at)});
    out.back().resolved = key.has_value() && out.back().test.resolved();
    if (condition.test.operand == nullptr || condition.test.value_test != nullptr) continue;
    out.back().operand =
        std::make_shared<const ProfileOperand>(*condition.test.operand, condition.test.missing, version, at);
    out.back().resolved &= out.back().operand->resolved();
  }
  return out;
}

namespace {

void bind_any(BoundSelector& out, const Dictionary& names) {
  out.open = true;
  out.store_names = &names;
  out.known_names = names.size();
  for (std::uint32_t id = 0; id < out.known_names; ++id) {
    if (!is_system_name(names.at(id))) out.names.push_back(NameId{id});
  }
  out.any = out.names.size() == out.known_names;
  if (out.any) out.names.clear();
}

}  // namespace

BoundSelector bind_selector(const Selector& selector, const Version& version, const Moment& at) {
  BoundSelector out;
  if (selector.names.empty()) {
    bind_any(out, *version.names);
    if (at.mentions != nullptr) at.mentions->any_event = true;
  }
  for (const std::string& name : selector.names) {
    if (const auto id = version.names->find(name)) {
      out.names.push_back(NameId{*id});
      if (at.mentions != nullptr) at.mentions->events.insert(NameId{*id});
    } else {
      out.resolved = false;
      if (at.mentions != nullptr) at.mentions->unknown_events.insert(name);
    }
  }
  std::sort(out.names.begin(), out.names.end());
  out.names.erase(std::unique(out.names.begin(), out.names.end()), out.names.end());
  out.where = bind_conditions(selector.where, version, at);
  for (const BoundCondition& condition : out.where) out.resolved &= condition.resolved;
  return out;
}

bool BoundSelector::selects(NameId name) const noexcept {
  if (open && raw(name) >= known_names) return !is_system_name(store_names->at(raw(name)));
  return any || std::binary_search(names.begin(), names.end(), name);
}

bool BoundSelector::matches(const Row& row) const {
  return selects(row.name) && std::all_of(where.begin(), where.end(),
                                          [&](const BoundCondition& condition) { return condition.matches(row); });
}

bool BoundSelector::matches(const Row& row, std::int64_t now_ms) const {
  return selects(row.name) &&
         std::ranges::all_of(where, [&](const BoundCondition& condition) { return condition.matches(row, now_ms); });
}

bool BoundSelector::is_timed() const noexcept { return std::ranges::any_of(where, &BoundCondition::is_timed); }

std::int64_t BoundSelector::valid_until(const Row& row, std::int64_t now_ms) const {
  std::int64_t until = INT64_MAX;
  for (const BoundCondition& condition : where) until = std::min(until, condition.valid_until(row, now_ms));
  return until;
}

}  // namespace cdp
