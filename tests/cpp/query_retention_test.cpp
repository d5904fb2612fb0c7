// Retention by tasks against rows, and rows against the definition.
#include <map>
#include <set>

#include "kind_harness.hpp"

using namespace cdp;
using namespace cdp::test;

namespace {

constexpr std::int64_t kHour = 3'600'000;

struct Asked {
  std::uint32_t start = 1;
  std::optional<std::uint32_t> returned;
  Unit unit;
  bool first_ever = false;
  std::int64_t periods = 0;
};

// The definition, profile by profile.
std::string defined(const Asked& asked, const History& history, const TimeRange& range, std::int64_t now_ms) {
  const Calendar calendar(Zone::utc(), asked.unit, 0, std::max<std::int64_t>(range.start_ms, 0));
  std::map<std::int64_t, std::uint64_t> sizes;
  std::map<std::pair<std::int64_t, std::int64_t>, std::uint64_t> cells;
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> ends;
  for (const Origin home : history.homes()) {
    const std::vector<const ModelRow*> rows = history.model.rows_of(*history.version.links, home);
    std::optional<std::size_t> birth;
    for (std::size_t i = 0; i < rows.size() && !birth; ++i) {
      if (raw(rows[i]->name) != asked.start || rows[i]->time_ms > now_ms) continue;
      if (range.contains(rows[i]->time_ms)) birth = i;
      if (asked.first_ever) break;
    }
    if (!birth) continue;
    const std::int64_t cohort = calendar.bucket_start(rows[*birth]->time_ms);
    std::set<std::int64_t> periods;
    ends[{cohort, 0}] = calendar.next_start(cohort);
    if (!asked.returned) periods.insert(0);
    for (std::size_t i = *birth + 1; i < rows.size(); ++i) {
      if (raw(rows[i]->name) != asked.returned.value_or(asked.start) || rows[i]->time_ms > now_ms) continue;
      const std::int64_t bucket = calendar.bucket_start(rows[i]->time_ms);
      periods.insert(calendar.distance(cohort, bucket));
      ends[{cohort, calendar.distance(cohort, bucket)}] = calendar.next_start(bucket);
    }
    ++sizes[cohort];
    for (const std::int64_t period : periods) ++cells[{cohort, period}];
  }
  std::string out = "cohort_ms period profiles eligible elapsed ";
  for (const auto& [at, count] : cells) {
    if (asked.periods != 0 && at.second >= asked.periods) continue;
    out += "\n" + std::to_string(at.first) + " " + std::to_string(at.second) + " " + std::to_string(count) + " " +
           std::to_string(sizes[at.first]) + " " + std::to_string(ends.at(at) <= now_ms ? sizes[at.first] : 0) + " ";
  }
  return out;
}

}  // namespace

TEST("retention by tasks, by rows and by definition is one") {
  const std::vector<std::pair<Node, Unit>> units = {{text("week"), {Unit::Type::kWeek, 0}},
                                                    {text("day"), {Unit::Type::kDay, 0}},
                                                    {text("month"), {Unit::Type::kMonth, 0}},
                                                    {text("hour"), {Unit::Type::kHour, 0}},
                                                    {map({{"days", integer(10)}}), {Unit::Type::kDays, 10}}};
  std::size_t late = 0;
  for (std::uint64_t round = 0; round < 20; ++round) {
    Shapes shapes{.names = 4, .strings = 3, .origins = 80, .fields_max = 2};
    shapes.span_ms = round % 2 == 0 ? 50 * 24 * kHour : 3 * limits::kPartitionMs;
    shapes.step_ms = round % 4 == 0 ? 12 * kHour : kHour / 7;
    History history(test::seed() + round, shapes, round % 3 == 0 ? 4 : 1);
    for (int batch = 0; batch < 6; ++batch) {
      history.add(1 + history.model.below(200));
      if (history.model.below(2) == 0 && round % 5 != 4) history.join_some(2);
      if (history.model.below(3) == 0) history.seal_all();
    }
    for (const auto& [unit_node, unit] : units) {
      for (const bool other : {false, true}) {
        for (const bool first_ever : {false, true}) {
          Asked asked{1, std::nullopt, unit, first_ever, 0};
          if (other) asked.returned = 4;
          Node node = map({{"start", text("name 1")}, {"interval", unit_node}});
          if (other) node.fields.emplace_back("return", text("name 4"));
          if (first_ever) node.fields.emplace_back("population", text("first_ever"));
          if (history.model.below(4) == 0) {
            asked.periods = 1 + history.model.below(4);
            node.fields.emplace_back("periods", integer(asked.periods));
          }
          CommonSpec common;
          if (history.model.below(2) == 0) {
            common.range = absolute_range(shapes.start_ms + history.model.below(20 * 24) * kHour + 1,
                                          shapes.start_ms + (20 + history.model.below(40)) * 24 * kHour);
            common.now_ms = shapes.start_ms + (25 + history.model.below(60)) * 24 * kHour;
          }
          const Question question(history, "retention", std::move(node), common);
          CHECK_EQ(check_equal(question),
                   defined(asked, history, question.range(), common.now_ms.value_or(INT64_MAX / 4)));
          late += question.late;
        }
      }
    }
  }
  CHECK(late > 0);
}

TEST("retention with conditions, overlapping selectors and a set of profiles is the same by tasks and by rows") {
  for (std::uint64_t round = 0; round < 10; ++round) {
    Shapes shapes{.names = 4, .strings = 3, .origins = 150, .fields_max = 6};
    shapes.step_ms = 6 * kHour;
    History history(test::seed() + 50 + round, shapes, round % 2 == 0 ? 4 : 1);
    for (int batch = 0; batch < 6; ++batch) {
      history.add(300);
      if (batch % 2 == 0) history.join_some(3);
      if (batch % 3 == 1) history.seal_all();
    }
    const Node start = event(list({text("name 1"), text("name 4")}), {condition("key 1", "gt", integer(3'000))});
    const Node back = event(list({text("name 4"), text("name 7")}));
    for (const bool any : {false, true}) {
      Question question(history, "retention",
                        map({{"start", start}, {"return", any ? event(Node{}) : back}, {"interval", text("week")}}));
      check_equal(question);
      const ProfileMask mask = some_profiles(history);
      question.where(mask);
      check_equal(question);
    }
    Question same(history, "retention", map({{"start", start}, {"return", start}, {"interval", text("day")}}));
    check_equal(same);
    const ProfileMask mask = some_profiles(history);
    same.where(mask);
    check_equal(same);
  }
}

TEST_MAIN()
