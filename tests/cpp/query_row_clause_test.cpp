// Clauses on the rows of a profile: over tasks as by rows, whatever the layout; and the law of valid_until. What they mean is
// told in Python (tests/oracle/test_event_clauses.py).
#include "base/pool.hpp"
#include "check.hpp"
#include "query/budget.hpp"
#include "query/predicate.hpp"
#include "query/scan_plan.hpp"
#include "query_model.hpp"

namespace {

using namespace cdp;
using namespace cdp::test;

std::string event(QueryModel& model) {
  switch (model.below(8)) {
    case 0: return "null";
    case 1: return R"(["event 0", "event 3"])";
    default: return "\"event " + std::to_string(model.below(6)) + "\"";
  }
}

std::string at(QueryModel& model) {
  switch (model.below(4)) {
    case 0: return R"({"hours": [[9, 18]]})";
    case 1: return R"({"hours": [["22:30", 6]], "weekdays": ["monday", "sunday", "friday"]})";
    case 2: return R"({"days_of_month": [1, 2, 3, -1, -2], "months": [1, 2]})";
    default: return R"({"weekdays": ["saturday", "sunday", "tuesday"]})";
  }
}

std::string timed(QueryModel& model) {
  if (model.below(2) == 0) return event(model);
  std::string where;
  if (model.below(2) == 0) {
    where = R"(, "where": [{"property": "key 0", "op": "lt", "value": )" + std::to_string(model.below(50)) + "}]";
  }
  if (model.below(3) == 0) where += ", \"at\": " + at(model);
  return "{\"event\": " + event(model) + where + "}";
}

std::string days(std::uint32_t count) { return "\"" + std::to_string(count) + "d\""; }

std::string window(QueryModel& model) {
  switch (model.below(6)) {
    case 0: return ", \"window\": {\"last\": " + days(1 + model.below(60)) + "}";
    case 1:
      return ", \"window\": {\"last\": " + days(31 + model.below(30)) + ", \"until\": " + days(1 + model.below(30)) +
             "}";
    case 2: return ", \"window\": {\"until\": " + days(1 + model.below(30)) + "}";
    case 3: return R"(, "window": {"last": "7d", "calendar": true})";
    case 4: return R"(, "window": {"this": "month"})";
    default: return "";
  }
}

std::string op(QueryModel& model) {
  static const char* const kOps[] = {"ge", "le", "eq", "ne", "gt", "lt"};
  return std::string("\"op\": \"") + kOps[model.below(6)] + "\"";
}

std::string did(QueryModel& model) {
  std::string out = "{\"did\": " + event(model) + window(model);
  if (model.below(3) == 0) out += ", \"at\": " + at(model);
  switch (model.below(7)) {
    case 0: out += ", \"first_ever\": \"event\""; break;
    case 1: out += ", \"first_ever\": \"matching\""; break;
    case 2: out += R"(, "last": {"property": "key 1", "op": "in", "value": ["v1", "v2", "v3"]})"; break;
    case 3: out += ", \"last_time\": {\"op\": \"older_than\", \"value\": " + days(1 + model.below(20)) + "}"; break;
    case 4: out += ", \"first_time\": {\"op\": \"newer_than\", \"value\": " + days(1 + model.below(60)) + "}"; break;
    case 5: out += ", \"distinct_days\": {" + op(model) + ", \"value\": " + std::to_string(model.below(5)) + "}"; break;
    default: break;
  }
  if (model.below(3) == 0) {
    out += ", \"not_followed_by\": " + timed(model) + ", \"within\": " + days(1 + model.below(20));
    if (model.below(2) == 0) out += R"(, "by": "key 1")";
  }
  return out + "}";
}

std::string sequence(QueryModel& model) {
  std::string out = "{\"sequence\": [" + timed(model) + ", " + timed(model);
  const bool three = model.below(2) == 0;
  if (three) out += ", " + timed(model);
  out += "]" + window(model);
  if (model.below(2) == 0) out += ", \"within\": " + days(1 + model.below(30));
  if (model.below(3) == 0) {
    const std::string gap = "{" + op(model).replace(7, 2, "le") + ", \"value\": " + days(1 + model.below(9)) + "}";
    out += ", \"gaps\": [" + gap + (three ? ", null]" : "]");
  }
  if (model.below(3) == 0) out += ", \"without\": " + timed(model);
  if (model.below(3) == 0) out += R"(, "hold": "key 1")";
  if (model.below(2) == 0) out += ", \"count\": {" + op(model) + ", \"value\": " + std::to_string(model.below(4)) + "}";
  return out + "}";
}

std::string share(QueryModel& model) {
  std::string found = "\"event\": " + event(model) + window(model);
  switch (model.below(3)) {
    case 0: found += R"(, "property": "key 1", "values": ["v1", "v2"])"; break;
    case 1: found += R"(, "hours": [[8, 20]])"; break;
    default: found += R"(, "weekdays": ["saturday", "sunday"])"; break;
  }
  if (model.below(2) == 0) return "{\"predominantly\": {" + found + "}}";
  return "{\"share\": {" + found + ", " + op(model) + ", \"value\": 0.5}}";
}

std::string random_clause(QueryModel& model) {
  switch (model.below(6)) {
    case 0: return sequence(model);
    case 1: return share(model);
    case 2: return "{\"and\": [" + did(model) + ", " + sequence(model) + "]}";
    case 3: return "{\"stopped\": " + event(model) + ", \"for\": " + days(1 + model.below(20)) + "}";
    default: return did(model);
  }
}

void check_store(QueryModel& model, Pool& pool) {
  for (int round = 0; round < 30; ++round) {
    const std::string json = "{\"kind\": \"profiles\", \"where\": " + random_clause(model) + "}";
    const std::int64_t now_ms = model.end_ms() - static_cast<std::int64_t>(model.below(4)) * 86'400'000 * 15;
    const Table fast = model.query(json, now_ms, false, &pool), slow = model.query(json, now_ms, true);
    const bool equal = fast.columns[0].words() == slow.columns[0].words();
    if (!equal) std::printf("%s\n", json.c_str());
    CHECK(equal);
  }
}

TEST("over tasks and by rows agree, late rows, joins and ties included") {
  Pool pool(1);
  for (std::uint64_t i = 0; i < 5; ++i) {
    QueryModel model(seed() + i, {.shards = i % 2 == 0 ? 1u : 4u, .step_ms = i == 1 ? 3'600'000 : 1, .late = 0.2});
    model.grow(6, 250);
    check_store(model, pool);
  }
}

TEST("over tasks and by rows agree over several stripes") {
  Pool pool(1);
  QueryModel model(seed() + 200, {.origins = 40'000});
  model.grow(6, 300);
  check_store(model, pool);
}

// What a budget's end does to a clause over one task.
std::string ended(QueryModel& model, std::string_view json, Budget& budget) {
  const VersionPtr version = model.pin();
  const auto bytes = pack_json(json);
  const auto spec = parse_predicate(std::span<const std::uint8_t>(bytes));
  const Predicate predicate(*spec, *version, {model.end_ms(), nullptr});
  const auto plan = scan_plan(*version);
  Task task = plan->tasks.front();
  task.budget = &budget;
  Scratch scratch;
  std::array<std::uint64_t, kStripeWords> all{}, out{};
  for (std::uint32_t id = 0; id < task.size(); ++id) all[id >> 6] |= std::uint64_t{1} << (id & 63);
  try {
    predicate.evaluate_task(task, model.end_ms(), scratch, all, out);
  } catch (const Error& error) {
    return std::string(error.code());
  }
  return {};
}

TEST("clauses that go through profiles one by one end with the budget inside a task") {
  QueryModel model(seed() + 400, {.origins = 8'000});
  for (int batch = 0; batch < 4; ++batch) model.add_batch(8'000);
  model.seal_tail();
  // A gap with a least has no scan of its own.
  const char* const by_rows = R"({"sequence": ["event 0", "event 1"], "gaps": [{"op": "ge", "value": 1}]})";
  for (const char* json : {by_rows, R"({"bucket": {"salt": "s"}})"}) {
    Budget whole;
    CHECK_EQ(ended(model, json, whole), std::string());
    CHECK_EQ(whole.used_bytes(), std::uint64_t{0});  // what was held is given back
    Budget cancelled;
    cancelled.cancel();
    CHECK_EQ(ended(model, json, cancelled), std::string("query.cancelled"));
  }
  Budget small(1'000);
  CHECK_EQ(ended(model, by_rows, small), std::string("query.memory"));
}

TEST("a truth stands until valid_until, whatever the time in between") {
  QueryModel model(seed() + 300, {.origins = 60});
  model.grow(5, 200);
  const VersionPtr version = model.pin();
  for (int round = 0; round < 400; ++round) {
    const std::string json = random_clause(model);
    const auto bytes = pack_json(json);
    const auto spec = parse_predicate(std::span<const std::uint8_t>(bytes));
    const Predicate predicate(*spec, *version);
    const auto homes = model.homes();
    const Origin home = homes[model.below(static_cast<std::uint32_t>(homes.size()))];
    const std::int64_t now_ms = model.shape.start_ms + static_cast<std::int64_t>(model.below(3'000'000)) * 2'000;
    const Truth truth = evaluate_profile(*version, predicate, home, now_ms);
    CHECK(truth.valid_until_ms > now_ms);
    for (int probe = 0; probe < 40; ++probe) {
      std::int64_t time_ms = now_ms + static_cast<std::int64_t>(model.below(2'000'000)) * 4'000;
      if (probe == 0) time_ms = truth.valid_until_ms - 1;
      if (time_ms < now_ms || time_ms >= truth.valid_until_ms || time_ms > model.end_ms() + 400LL * 86'400'000)
        continue;
      if (evaluate_profile(*version, predicate, home, time_ms).value == truth.value) continue;
      std::printf("%s now %lld at %lld\n", json.c_str(), static_cast<long long>(now_ms),
                  static_cast<long long>(time_ms));
      CHECK(false);
    }
  }
}

}  // namespace

TEST_MAIN()
