// Specs: what is refused, with which code and path; and hostile bytes, of which none may do more than throw.
#include <random>

#include "check.hpp"
#include "json_msgpack.hpp"
#include "query/kinds/kinds.hpp"
#include "query/kinds/profile.hpp"
#include "query/spec.hpp"
#include "query/table.hpp"

namespace {

using namespace cdp;
using cdp::test::pack_json;

std::string failure(std::string_view json) {
  const auto bytes = pack_json(json);
  try {
    static_cast<void>(parse_spec(bytes));
  } catch (const Error& error) {
    return std::string(error.code()) + " " + error.path();
  }
  return "accepted";
}

std::string where_failure(const std::string& predicate) {
  return failure("{\"kind\": \"profiles\", \"where\": " + predicate + "}");
}

TEST("a spec is refused with the code and the path of its fault") {
  CHECK_EQ(failure("[]"), "query.invalid ");
  CHECK_EQ(failure("{}"), "query.invalid kind");
  CHECK_EQ(failure(R"({"kind": "nonsense"})"), "query.invalid kind");
  CHECK_EQ(failure(R"({"kind": "rfm"})"), "query.unsupported kind");
  CHECK_EQ(failure(R"({"kind": "profiles"})"), "query.invalid where");
  CHECK_EQ(failure(R"({"kind": "profiles", "where": {"trait": "a", "op": "exists"}, "colour": 1})"),
           "query.field.unknown colour");
  CHECK_EQ(failure(R"({"kind": "profiles", "where": {"trait": "a", "op": "exists"}, "as_of_ms": 1, "now_ms": 2})"),
           "query.invalid now_ms");
  CHECK_EQ(failure(R"({"kind": "profiles", "where": {"trait": "a", "op": "exists"}, "limit": -1})"),
           "query.invalid limit");
  CHECK_EQ(failure(R"({"kind": "profiles", "where": {"trait": "a", "op": "exists"}, "week_start": "funday"})"),
           "query.invalid week_start");
  CHECK_EQ(where_failure(R"({"trait": "a", "op": "exists"})"), "accepted");
  CHECK_EQ(where_failure(R"({})"), "query.invalid where");
  CHECK_EQ(where_failure(R"({"and": []})"), "query.invalid where.and");
  CHECK_EQ(where_failure(R"({"trait": "a", "did": "b", "op": "exists"})"), "query.invalid where.did");
  CHECK_EQ(where_failure(R"({"and": [{"trait": "a", "op": "exists"}, {"trait": "a", "op": "is"}]})"),
           "query.invalid where.and[1].op");
  CHECK_EQ(where_failure(R"({"trait": "a", "op": "eq"})"), "query.invalid where.value");
  CHECK_EQ(where_failure(R"({"trait": "a", "op": "eq", "value": null})"), "query.invalid where.value");
  CHECK_EQ(where_failure(R"({"trait": "a", "op": "exists", "value": 1})"), "query.invalid where.value");
  CHECK_EQ(where_failure(R"({"trait": "a", "op": "lt", "value": true})"), "query.invalid where.value");
  CHECK_EQ(where_failure(R"({"trait": "a", "op": "between", "value": [1, "b"]})"), "query.invalid where.value");
  CHECK_EQ(where_failure(R"({"trait": "", "op": "exists"})"), "query.invalid where.trait");
  CHECK_EQ(where_failure(R"({"did": {"event": "a"}})"), "query.invalid where.did");
  CHECK_EQ(where_failure(R"({"did": "a", "window": {"last": "30y"}})"), "query.invalid where.window.last");
  CHECK_EQ(where_failure(R"({"did": "a", "window": {"last": "30d", "start_ms": 1}})"),
           "query.field.unknown where.window.start_ms");
  CHECK_EQ(where_failure(R"({"did": "a", "window": {"start_ms": 2, "end_ms": 1}})"),
           "query.invalid where.window.end_ms");
  CHECK_EQ(where_failure(R"({"did": "a", "sum": {"op": "ge", "value": 1}})"), "query.invalid where.sum.property");
  CHECK_EQ(where_failure(R"({"did": "a", "count": {"op": "ge", "value": "1"}})"), "query.invalid where.count.value");
  CHECK_EQ(where_failure(R"({"did": "a", "count": {"op": "contains", "value": "1"}})"), "query.invalid where.count.op");
  CHECK_EQ(where_failure(R"({"did_not": "a", "count": {"op": "ge", "value": 1}})"), "query.field.unknown where.count");
  CHECK_EQ(where_failure(R"({"did": "a", "where": [{"property": "p", "op": "in", "value": [1, [2]]}]})"),
           "query.invalid where.where[0].value[1]");
}

TEST("predicates nest to a bound and no further") {
  const auto nested = [](int depth) {
    std::string json = R"({"trait": "a", "op": "exists"})";
    for (int i = 0; i < depth; ++i) json = "{\"not\": " + json + "}";
    return where_failure(json);
  };
  CHECK_EQ(nested(30), "accepted");
  CHECK(nested(40).starts_with("query.invalid where.not"));
  CHECK(nested(100).starts_with("query.invalid where.not.not"));
}

TEST("durations are read in every unit") {
  const auto duration = [](std::string_view json) -> std::int64_t {
    const auto bytes = pack_json(json);
    const Node node = parse_document(bytes);
    try {
      return parse_duration(node, Path());
    } catch (const Error&) {
      return -1;
    }
  };
  CHECK_EQ(duration("\"500ms\""), 500);
  CHECK_EQ(duration("\"15m\""), 900'000);
  CHECK_EQ(duration("\"2w\""), 1'209'600'000);
  CHECK_EQ(duration("86400000"), 86'400'000);
  for (const char* bad : {"0", "-5", "\"\"", "\"d\"", "\"5\"", "\"5 d\"", "\"-5d\"", "\"1.5d\"", "\"99999999999999d\"",
                          "\"9999999999999999999d\"", "1.5", "true", "{}"}) {
    CHECK_EQ(duration(bad), -1);
  }
}

TEST("a profile is named by ids or by number") {
  const auto parse = [](std::string_view json) -> std::string {
    const auto bytes = pack_json(json);
    try {
      const ProfileSpec spec = parse_profile_spec(bytes);
      return spec.profile ? std::to_string(*spec.profile) : spec.ids.at(0).first + "=" + spec.ids.at(0).second;
    } catch (const Error& error) {
      return std::string(error.code()) + " " + error.path();
    }
  };
  CHECK_EQ(parse(R"({"kind": "profile", "profile": 7})"), "7");
  CHECK_EQ(parse(R"({"kind": "profile", "ids": {"anonymous_id": "a", "user_id": 12}})"), "user_id=12");
  CHECK_EQ(parse(R"({"kind": "profile"})"), "query.invalid ids");
  CHECK_EQ(parse(R"({"kind": "profile", "profile": 7, "ids": {"user_id": "u"}})"), "query.invalid ids");
  CHECK_EQ(parse(R"({"kind": "profile", "profile": 7, "events": {"first": 1}})"), "query.field.unknown events.first");
}

TEST("damaged and random bytes throw BadQuery or parse, and do nothing else") {
  std::mt19937_64 random(cdp::test::seed());
  const std::vector<std::uint8_t> good = pack_json(
      R"({"kind": "profiles", "range": null, "zone": "UTC", "where": {"and": [{"trait": "plan", "op": "in", "value": ["a", 1, 2.5]},
          {"not": {"did": ["x", "y"], "window": {"last": "30d"}, "count": {"op": "ge", "value": 3},
          "where": [{"property": "p", "op": "contains", "value": "abc", "ignore_case": true}]}}]}})");
  static_cast<void>(parse_spec(good));
  const auto attempt = [](const std::vector<std::uint8_t>& bytes) {
    try {
      static_cast<void>(parse_spec(bytes));
    } catch (const Error& error) {
      CHECK(error.family() == Family::kBadQuery);
    }
  };
  for (std::size_t length = 0; length < good.size(); ++length)
    attempt({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)});
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::uint8_t> bytes = good;
    for (std::uint64_t i = 0; i <= random() % 4; ++i)
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    attempt(bytes);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    attempt(bytes);
  }
  attempt(std::vector<std::uint8_t>(100'000, 0x91));  // lists in lists
  attempt({0xDD, 0xFF, 0xFF, 0xFF, 0xFF});            // a list of 2^32 - 1
}

TEST("a table keeps nulls, strings and decimals apart") {
  Table table;
  TableColumn& names = table.add("name", ColumnType::kString);
  for (int i = 0; i < 20; ++i) {
    if (i % 3 == 0) {
      names.push_null();
    } else {
      names.push_string(std::to_string(i));
    }
  }
  const TableColumn& column = *table.find("name");
  CHECK_EQ(column.null_count(), 7u);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK_EQ(column.is_null(i), i % 3 == 0);
    CHECK_EQ(std::string(column.string_at(i)), i % 3 == 0 ? std::string() : std::to_string(i));
  }
  CHECK_EQ(decimal_text((static_cast<__int128>(1) << 100) * -1), "-1267650600228229401496703205376");
  CHECK_EQ(decimal_text(0), "0");
}

}  // namespace

TEST_MAIN()
