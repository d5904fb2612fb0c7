// Predicates over all profiles and over one, against their meaning written out naively; and the law of valid_until.
#include <cmath>
#include <optional>
#include <set>

#include "base/pool.hpp"
#include "check.hpp"
#include "query/predicate.hpp"
#include "query_model.hpp"

namespace {

using namespace cdp;
using namespace cdp::test;

// x87 long doubles hold every int64 and every double exactly.
std::optional<long double> number_of(const PlainValue& value) {
  if (value.type == ValueType::kInt) return static_cast<long double>(static_cast<std::int64_t>(value.bits));
  if (value.type == ValueType::kFloat) return static_cast<long double>(std::bit_cast<double>(value.bits));
  return std::nullopt;
}

std::string folded(std::string text, bool ignore_case) {
  if (ignore_case) {
    for (char& letter : text) letter = static_cast<char>(letter >= 'A' && letter <= 'Z' ? letter + 32 : letter);
  }
  return text;
}

template <class T>
bool ordered(Op op, const T& left, const T& right) {
  switch (op) {
    case Op::kEq: return left == right;
    case Op::kLt: return left < right;
    case Op::kLe: return left <= right;
    case Op::kGt: return left > right;
    case Op::kGe: return left >= right;
    default: return false;
  }
}

bool one_passes(const PlainValue& value, Op op, const Literal& literal, bool ignore_case) {
  const PlainValue wanted{literal.type, literal.bits, literal.text, {}};
  if (const auto left = number_of(value), right = number_of(wanted); left && right) return ordered(op, *left, *right);
  if (value.type != wanted.type) return false;
  if (value.type == ValueType::kBool) return op == Op::kEq && value.bits == wanted.bits;
  if (value.type == ValueType::kDatetime) return ordered(op, value.bits, wanted.bits);
  if (value.type != ValueType::kString) return false;
  const std::string text = folded(value.text, ignore_case), part = folded(wanted.text, ignore_case);
  if (op == Op::kContains) return text.find(part) != std::string::npos;
  if (op == Op::kStarts) return text.starts_with(part);
  if (op == Op::kEnds) return text.ends_with(part);
  return ordered(op, text, part);
}

bool naive_passes(const PlainValue& value, const Test& test) {
  if (value.type == ValueType::kNull) return test.op == Op::kNotExists;
  if (test.op == Op::kExists || test.op == Op::kNotExists) return test.op == Op::kExists;
  if (test.op == Op::kNe || test.op == Op::kNotIn) {
    Test positive = test;
    positive.op = test.op == Op::kNe ? Op::kEq : Op::kIn;
    return !naive_passes(value, positive);
  }
  if (value.type == ValueType::kList) {
    return std::any_of(value.items.begin(), value.items.end(),
                       [&](const PlainValue& item) { return naive_passes(item, test); });
  }
  if (test.op == Op::kIn) {
    return std::any_of(test.values.begin(), test.values.end(),
                       [&](const Literal& each) { return one_passes(value, Op::kEq, each, test.ignore_case); });
  }
  if (test.op == Op::kBetween) {
    return one_passes(value, Op::kGe, test.values[0], test.ignore_case) &&
           one_passes(value, Op::kLe, test.values[1], test.ignore_case);
  }
  return one_passes(value, test.op, test.values[0], test.ignore_case);
}

bool naive_selects(const Selector& selector, const PlainRow& row) {
  const bool named = selector.names.empty() ||
                     std::find(selector.names.begin(), selector.names.end(), row.name) != selector.names.end();
  return named && std::all_of(selector.where.begin(), selector.where.end(), [&](const Condition& condition) {
           const auto at = row.properties.find(condition.property);
           return naive_passes(at == row.properties.end() ? PlainValue() : at->second, condition.test);
         });
}

// Sums in long double are not exact enough: quarters and tenths scaled by a power of two fit 128 bits.
struct NaiveSum {
  __int128 scaled = 0;  // · 2^-60; tenths have 53 bits below 1, integers stay below 2^66
  bool floats = false;
  int count = 0;
  void add(const PlainValue& value) {
    ++count;
    if (value.type == ValueType::kInt) {
      scaled += static_cast<__int128>(static_cast<std::int64_t>(value.bits)) << 58;
    } else {
      floats = true;
      scaled += static_cast<__int128>(std::ldexp(std::bit_cast<double>(value.bits), 58));
    }
  }
};

// The nearest double of scaled · 2^-58 / count, by long division in 128 bits; ties do not occur with these values.
double nearest(__int128 scaled, int count) {
  double guess =
      static_cast<double>(std::ldexp(static_cast<long double>(scaled) / static_cast<long double>(count), -58));
  const auto error = [&](double candidate) {
    const __int128 product = static_cast<__int128>(std::ldexp(candidate, 58)) * count;
    return scaled > product ? scaled - product : product - scaled;
  };
  if (std::fabs(guess) >= 0x1p52) return guess;
  for (const double next : {std::nextafter(guess, -1e300), std::nextafter(guess, 1e300)}) {
    if (error(next) < error(guess)) guess = next;
  }
  return guess;
}

std::optional<PlainValue> naive_measure(const MeasureSpec& measure, const std::vector<const PlainRow*>& rows) {
  if (measure.measure == Measure::kCount) return PlainValue{ValueType::kInt, rows.size(), {}, {}};
  std::vector<PlainValue> values;
  for (const PlainRow* row : rows) {
    const auto at = row->properties.find(measure.property);
    if (at != row->properties.end() && at->second.type != ValueType::kNull) values.push_back(at->second);
  }
  if (measure.measure == Measure::kDistinct) {
    std::set<std::tuple<int, std::uint64_t, std::string>> distinct;
    for (const PlainValue& value : values) distinct.emplace(static_cast<int>(value.type), value.bits, value.text);
    return PlainValue{ValueType::kInt, distinct.size(), {}, {}};
  }
  NaiveSum sum;
  std::optional<PlainValue> least, most;
  for (const PlainValue& value : values) {
    if (!number_of(value)) continue;
    sum.add(value);
    if (!least || *number_of(value) < *number_of(*least)) least = value;
    if (!most || *number_of(value) > *number_of(*most)) most = value;
  }
  if (measure.measure == Measure::kMin) return least;
  if (measure.measure == Measure::kMax) return most;
  if (measure.measure == Measure::kMean) {
    if (sum.count == 0) return std::nullopt;
    return PlainValue{ValueType::kFloat, std::bit_cast<std::uint64_t>(nearest(sum.scaled, sum.count)), {}, {}};
  }
  constexpr __int128 kWide = __int128{1} << 63;
  if (!sum.floats && (sum.scaled >> 58 >= kWide || sum.scaled >> 58 < -kWide)) {  // compared with small numbers only
    return PlainValue{ValueType::kFloat, std::bit_cast<std::uint64_t>(static_cast<double>(sum.scaled >> 58)), {}, {}};
  }
  if (sum.floats) return PlainValue{ValueType::kFloat, std::bit_cast<std::uint64_t>(nearest(sum.scaled, 1)), {}, {}};
  return PlainValue{ValueType::kInt, static_cast<std::uint64_t>(static_cast<std::int64_t>(sum.scaled >> 58)), {}, {}};
}

bool in_window(const RangeSpec& window, std::int64_t time_ms, std::int64_t now_ms) {
  if (time_ms > now_ms) return false;
  if (window.type == RangeSpec::Type::kLast) {
    return time_ms > now_ms - window.last_ms && time_ms <= now_ms - window.until_ms;
  }
  return window.type == RangeSpec::Type::kAll || (time_ms >= window.start_ms && time_ms < window.end_ms);
}

bool naive_holds(const QueryModel& model, const PredicateSpec& spec, Origin home,
                 const std::vector<const PlainRow*>& rows, std::int64_t now_ms) {
  const auto child_holds = [&](const PredicateSpec& child) { return naive_holds(model, child, home, rows, now_ms); };
  switch (spec.type) {
    case PredicateSpec::Type::kAnd: return std::all_of(spec.children.begin(), spec.children.end(), child_holds);
    case PredicateSpec::Type::kOr: return std::any_of(spec.children.begin(), spec.children.end(), child_holds);
    case PredicateSpec::Type::kNot: return !child_holds(spec.children[0]);
    case PredicateSpec::Type::kTrait: {
      const auto key = model.keys.find(spec.trait);
      return naive_passes(key ? model.plain(model.profiles.trait(home, KeyId{*key})) : PlainValue(), spec.test);
    }
    case PredicateSpec::Type::kRows:  // tests/cpp/query_row_clause_test.cpp
    case PredicateSpec::Type::kLocal:
    case PredicateSpec::Type::kSegment:
    case PredicateSpec::Type::kFact: throw std::logic_error("the model has none of these");
    case PredicateSpec::Type::kDid: break;
  }
  std::vector<const PlainRow*> found;
  for (const PlainRow* row : rows) {
    if (in_window(spec.window, row->time_ms, now_ms) && naive_selects(spec.selector, *row)) found.push_back(row);
  }
  return std::all_of(spec.measures.begin(), spec.measures.end(), [&](const MeasureSpec& measure) {
    const auto value = naive_measure(measure, found);
    return value && naive_passes(*value, measure.test);
  });
}

std::string random_literal(QueryModel& model) {
  switch (model.below(7)) {
    case 0: return std::to_string(static_cast<int>(model.below(14)) - 4);
    case 1: return std::to_string((static_cast<int>(model.below(80)) - 40) / 4.0);
    case 2: return "\"v" + std::to_string(model.below(7)) + "\"";
    case 3: return "\"V" + std::to_string(model.below(30)) + "\"";
    case 4: return model.below(2) == 0 ? "true" : "4611686018427387905";
    case 5: return "{\"$time\": " + std::to_string(model.shape.start_ms + model.below(1'000'000)) + "}";
    default: return std::to_string(model.below(40));
  }
}

std::string random_test(QueryModel& model) {
  static const char* const kOps[] = {"eq", "ne",      "in",       "not_in", "lt",   "le",     "gt",
                                     "ge", "between", "contains", "starts", "ends", "exists", "not_exists"};
  const std::uint32_t op = model.below(14);
  std::string out = std::string("\"op\": \"") + kOps[op] + "\"";
  if (model.below(3) == 0) out += ", \"ignore_case\": true";
  if (op >= 12) return out;
  if (op >= 9) return out + ", \"value\": \"v" + std::to_string(model.below(4)) + "\"";
  if (op == 8) {
    return out + (model.below(2) == 0 ? ", \"value\": [\"v1\", \"v4\"]"
                                      : ", \"value\": [-1.5, " + std::to_string(model.below(30)) + "]");
  }
  if (op == 2 || op == 3) {
    std::string values;
    for (std::uint32_t i = 0; i < model.below(5); ++i) values += random_literal(model) + ", ";
    return out + ", \"value\": [" + values + "]";
  }
  std::string literal = random_literal(model);
  if (op >= 4 && literal == "true") literal = "1";
  return out + ", \"value\": " + literal;
}

std::string random_window(QueryModel& model) {
  switch (model.below(5)) {
    case 0: return "";
    case 3: {
      const std::uint32_t until = 1 + model.below(30);
      return ", \"window\": {\"last\": \"" + std::to_string(until + 1 + model.below(30)) + "d\", \"until\": \"" +
             std::to_string(until) + "d\"}";
    }
    case 1: return ", \"window\": {\"last\": \"" + std::to_string(1 + model.below(50)) + "d\"}";
    case 2: return ", \"window\": {\"last\": " + std::to_string(1 + model.below(2'000'000'000)) + "}";
    default: {
      const std::int64_t start = model.shape.start_ms + model.below(3'000'000) * std::int64_t{1'000};
      return ", \"window\": {\"start_ms\": " + std::to_string(start) +
             ", \"end_ms\": " + std::to_string(start + model.below(3'000'000) * std::int64_t{1'000}) + "}";
    }
  }
}

std::string random_predicate(QueryModel& model, int depth) {
  const std::uint32_t form = model.below(depth > 2 ? 5 : 8);
  if (form == 0) return "{\"trait\": \"trait\", " + random_test(model) + "}";
  if (form >= 5) {
    if (form == 7) return "{\"not\": " + random_predicate(model, depth + 1) + "}";
    std::string children;
    for (std::uint32_t i = 0; i <= model.below(3); ++i) children += random_predicate(model, depth + 1) + ", ";
    return std::string("{\"") + (form == 5 ? "and" : "or") + "\": [" + children + "]}";
  }
  std::string name = model.below(8) == 0 ? "null" : "\"event " + std::to_string(model.below(6)) + "\"";
  if (model.below(8) == 0) name = "[\"event 0\", \"event 3\"]";
  std::string where;
  for (std::uint32_t i = model.below(3); i > 1; --i) {
    where += "{\"property\": \"key " + std::to_string(model.below(5)) + "\", " + random_test(model) + "}, ";
  }
  if (!where.empty()) where = ", \"where\": [" + where + "]";
  if (form == 4) return "{\"did_not\": " + name + where + random_window(model) + "}";
  std::string out = "{\"did\": " + name + where + random_window(model);
  static const char* const kOps[] = {"ge", "le", "eq", "ne", "gt", "lt"};
  if (model.below(2) == 0) {
    out += std::string(", \"count\": {\"op\": \"") + kOps[model.below(6)] +
           "\", \"value\": " + std::to_string(model.below(6)) + "}";
  }
  static const char* const kMeasures[] = {"sum", "mean", "min", "max", "distinct"};
  if (model.below(3) == 0) {
    out += std::string(", \"") + kMeasures[model.below(5)] + "\": {\"property\": \"key " +
           std::to_string(model.below(5)) + "\", \"op\": \"" + kOps[model.below(6)] + "\", \"value\": " +
           (model.below(2) == 0 ? std::to_string(model.below(60)) : std::to_string(model.below(40) / 4.0)) + "}";
  }
  return out + "}";
}

std::vector<std::uint64_t> ids_of(const Table& table) { return table.columns[0].words(); }

void check_store(QueryModel& model, Pool& pool) {
  auto profiles = model.rows_by_home();
  for (int round = 0; round < 20; ++round) {
    const std::string json = random_predicate(model, 0);
    const std::int64_t now_ms = model.end_ms() - static_cast<std::int64_t>(model.below(4)) * 86'400'000 * 15;
    const auto bytes = pack_json(json);
    const auto spec = parse_predicate(std::span<const std::uint8_t>(bytes));
    std::vector<std::uint64_t> expected;
    for (const Origin home : model.homes()) {
      if (naive_holds(model, *spec, home, profiles[home], now_ms)) expected.push_back(raw(home));
    }
    const std::string query = "{\"kind\": \"profiles\", \"where\": " + json + "}";
    const Table fast = model.query(query, now_ms, false, &pool), slow = model.query(query, now_ms, true);
    if (ids_of(fast) != expected || ids_of(slow) != expected) std::printf("predicate %s\n", json.c_str());
    CHECK(ids_of(slow) == expected);
    CHECK(ids_of(fast) == expected);
  }
}

TEST("fast, by rows, and naive agree on random predicates over one shard") {
  Pool pool(1);
  for (std::uint64_t i = 0; i < 6; ++i) {
    QueryModel model(seed() + i, {});
    model.grow(6, 250);
    check_store(model, pool);
  }
}

TEST("fast, by rows, and naive agree over four shards and ties") {
  Pool pool(1);
  for (std::uint64_t i = 0; i < 3; ++i) {
    QueryModel model(seed() + 100 + i, {.shards = 4, .step_ms = 3'600'000, .late = 0.3});
    model.grow(6, 250);
    check_store(model, pool);
  }
}

TEST("fast and naive agree over several stripes") {
  Pool pool(1);
  QueryModel model(seed() + 200, {.origins = 40'000});
  model.grow(8, 400);
  check_store(model, pool);
}

TEST("a truth stands until valid_until, whatever the time in between") {
  QueryModel model(seed() + 300, {.origins = 60});
  model.grow(5, 200);
  const VersionPtr version = model.pin();
  auto profiles = model.rows_by_home();
  for (int round = 0; round < 300; ++round) {
    const std::string json = random_predicate(model, 1);
    const auto bytes = pack_json(json);
    const auto spec = parse_predicate(std::span<const std::uint8_t>(bytes));
    const Predicate predicate(*spec, *version);
    const auto homes = model.homes();
    const Origin home = homes[model.below(static_cast<std::uint32_t>(homes.size()))];
    const auto& rows = profiles[home];
    const std::int64_t now_ms = model.shape.start_ms + static_cast<std::int64_t>(model.below(3'000'000)) * 2'000;
    const Truth truth = evaluate_profile(*version, predicate, home, now_ms);
    CHECK_EQ(truth.value, naive_holds(model, *spec, home, rows, now_ms));
    CHECK(truth.valid_until_ms > now_ms);
    for (int probe = 0; probe < 40; ++probe) {
      std::int64_t at = now_ms + static_cast<std::int64_t>(model.below(2'000'000)) * 4'000;
      if (probe == 0) at = truth.valid_until_ms - 1;
      if (at < now_ms || at >= truth.valid_until_ms || at > model.end_ms() + 400LL * 86'400'000) continue;
      if (naive_holds(model, *spec, home, rows, at) != truth.value) {
        std::printf("predicate %s now %lld at %lld\n", json.c_str(), static_cast<long long>(now_ms),
                    static_cast<long long>(at));
        CHECK(false);
      }
    }
  }
}

TEST("profiles come in pages with the exact count") {
  QueryModel model(seed() + 400, {});
  model.grow(3, 200);
  const Table all = model.query(R"({"kind": "profiles", "where": {"trait": "trait", "op": "exists"}})", model.end_ms());
  std::vector<std::uint64_t> paged;
  std::string after;
  for (;;) {
    const Table page =
        model.query(R"({"kind": "profiles", "where": {"trait": "trait", "op": "exists"}, "limit": 7)" + after + "}",
                    model.end_ms());
    CHECK(page.notes[0].second == NoteValue(static_cast<std::int64_t>(all.row_count())));
    const auto ids = ids_of(page);
    paged.insert(paged.end(), ids.begin(), ids.end());
    if (ids.size() < 7) break;
    after = ", \"after\": " + std::to_string(ids.back());
  }
  CHECK(paged == ids_of(all));
}

}  // namespace

TEST_MAIN()
