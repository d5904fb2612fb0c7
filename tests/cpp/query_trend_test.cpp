// Trends by tasks against rows, and rows against the definition.
#include <cmath>
#include <map>
#include <set>

#include "kind_harness.hpp"
#include "query/kinds/measure_cells.hpp"

using namespace cdp;
using namespace cdp::test;

namespace {

constexpr std::int64_t kHour = 3'600'000;

// total, unique and the integer sum of "key 1" by definition, one interval, no breakdown.
std::string defined(std::uint32_t name, const std::optional<Unit>& unit, const History& history,
                    const TimeRange& range) {
  std::map<std::int64_t, std::vector<const ModelRow*>> buckets;
  const Calendar calendar(Zone::utc(), unit.value_or(Unit{}), 0, std::max<std::int64_t>(range.start_ms, 0));
  for (const ModelRow& row : history.model.rows()) {
    if (raw(row.name) != name || !range.contains(row.time_ms)) continue;
    buckets[unit ? calendar.bucket_start(row.time_ms) : 0].push_back(&row);
  }
  if (!unit) buckets[0];
  std::string out = unit ? "start_ms total unique " : "total unique ";
  for (const auto& [start, rows] : buckets) {
    std::set<Origin> profiles;
    for (const ModelRow* row : rows) profiles.insert(history.version.links->home(row->origin));
    out += "\n" + (unit ? std::to_string(start) + " " : std::string()) + std::to_string(rows.size()) + " " +
           std::to_string(profiles.size()) + " ";
  }
  return out;
}

History& grown(History& history, std::uint32_t events, int joins) {
  for (int batch = 0; batch < 6; ++batch) {
    history.add(1 + history.model.below(events));
    if (history.model.below(2) == 0) history.join_some(joins);
    if (history.model.below(3) == 0) history.seal_all();
  }
  return history;
}

CommonSpec some_range(History& history, const Shapes& shapes) {
  CommonSpec common;
  if (history.model.below(2) == 0) return common;
  const std::int64_t odd = history.model.below(2) == 0 ? 0 : 1'234'567;
  common.range = absolute_range(shapes.start_ms + history.model.below(20 * 24) * kHour + odd,
                                shapes.start_ms + (20 + history.model.below(40)) * 24 * kHour + odd);
  return common;
}

}  // namespace

TEST("a trend of one event by tasks, by rows and by definition is one") {
  const std::vector<std::pair<Node, std::optional<Unit>>> units = {
      {Node{}, std::nullopt},
      {text("hour"), Unit{Unit::Type::kHour, 0}},
      {text("day"), Unit{Unit::Type::kDay, 0}},
      {text("week"), Unit{Unit::Type::kWeek, 0}},
      {text("month"), Unit{Unit::Type::kMonth, 0}},
      {text("year"), Unit{Unit::Type::kYear, 0}},
      {map({{"days", integer(30)}}), Unit{Unit::Type::kDays, 30}}};
  for (std::uint64_t round = 0; round < 16; ++round) {
    Shapes shapes{.names = 4, .strings = 3, .origins = 90, .fields_max = 2};
    shapes.span_ms = round % 2 == 0 ? 45 * 24 * kHour : 4 * limits::kPartitionMs;
    shapes.step_ms = kHour / (1 + round % 7);
    History history(test::seed() + round, shapes, round % 3 == 0 ? 4 : 1);
    grown(history, 250, static_cast<int>(round % 4));
    for (const auto& [node, unit] : units) {
      const Question question(
          history, "trend",
          map({{"event", text("name 4")}, {"measures", list({text("total"), text("unique")})}, {"interval", node}}),
          some_range(history, shapes));
      CHECK_EQ(check_equal(question), defined(4, unit, history, question.range()));
    }
  }
}

TEST("several intervals of any events are those of each alone") {
  for (std::uint64_t round = 0; round < 16; ++round) {
    Shapes shapes{.names = 6, .strings = 3, .origins = 120, .fields_max = 3};
    shapes.step_ms = kHour / 3;
    History history(test::seed() + 200 + round, shapes, round % 2 == 0 ? 1 : 4);
    grown(history, 400, static_cast<int>(round % 3));
    const std::vector<Node> units = {text("day"), text("week"), map({{"days", integer(30)}}), text("month"),
                                     text("hour")};
    const std::vector<Node> events = {event(Node{}), event(list({text("name 1"), text("name 7"), text("name 10")})),
                                      event(Node{}, {condition("key 1", "ge", integer(500))})};
    for (const Node& asked : events) {
      CommonSpec common = some_range(history, shapes);
      if (round % 4 == 3) common.breakdown = {of_trait("key 1")};
      Question all(
          history, "trend",
          map({{"event", asked}, {"measures", list({text("unique"), text("total")})}, {"interval", list(units)}}),
          common);
      const std::string together = check_equal(all);
      std::string expected;
      for (std::size_t i = 0; i < units.size(); ++i) {
        const Question one(
            history, "trend",
            map({{"event", asked}, {"measures", list({text("unique"), text("total")})}, {"interval", units[i]}}),
            common);
        std::string lines = one.by_rows();
        lines.erase(0, lines.find('\n') == std::string::npos ? lines.size() : lines.find('\n'));
        for (std::size_t at = 0; (at = lines.find('\n', at)) != std::string::npos; at += 2)
          lines.insert(at + 1, std::to_string(i) + " ");
        expected += lines;
      }
      const std::size_t body = together.find('\n');
      CHECK_EQ(body == std::string::npos ? std::string() : together.substr(body), expected);
      const ProfileMask mask = some_profiles(history);
      all.where(mask);
      check_equal(all);
    }
  }
}

TEST("a trend of nearly all names, whose other rows are covered up, is the same by tasks and by rows") {
  for (std::uint64_t round = 0; round < 24; ++round) {
    Shapes shapes{.names = 8, .strings = 2, .origins = round % 2 == 0 ? 20u : 300u, .fields_max = 1};
    shapes.step_ms = kHour * (1 + static_cast<std::int64_t>(round % 5));
    History history(test::seed() + 700 + round, shapes, 1);
    if (round % 3 == 0) {
      grown(history, 600, 1);
    } else {
      history.add(2'000);  // one layer a partition: nothing is in two places, so a row counted twice would show
    }
    std::vector<std::string> texts;  // a node points into them
    for (std::uint32_t name = 0; name < shapes.names; ++name) texts.push_back("name " + std::to_string(1 + 3 * name));
    std::vector<Node> names;
    for (std::uint32_t name = 0; name < shapes.names; ++name) {
      if (name != round % shapes.names) names.push_back(text(texts[name]));
    }
    CommonSpec common = some_range(history, shapes);
    Question question(history, "trend",
                      map({{"event", event(list(names))},
                           {"measures", list({text("unique"), text("total")})},
                           {"interval", list({text("day"), text("week"), text("month")})}}),
                      common);
    check_equal(question);
    const ProfileMask mask = some_profiles(history);
    question.where(mask);
    check_equal(question);
  }
}

TEST("number measures, property breakdowns, ranks and limits are the same by tasks and by rows") {
  for (std::uint64_t round = 0; round < 16; ++round) {
    Shapes shapes{.names = 4, .strings = 2, .origins = 100, .fields_max = 6};
    shapes.step_ms = kHour / 3;
    History history(test::seed() + 400 + round, shapes, round % 2 == 0 ? 1 : 4);
    grown(history, 300, static_cast<int>(round % 3));
    const Node measures =
        list({map({{"sum", text("key 1")}}), text("total"), map({{"mean", text("key 1")}}),
              map({{"min", text("key 3")}}), map({{"max", text("key 1")}}), map({{"sum", text("never seen")}})});
    const std::vector<Node> intervals = {Node{}, text("week"), list({text("day"), text("hour")})};
    for (const Node& interval : intervals) {
      for (int kind = 0; kind < 4; ++kind) {
        CommonSpec common = some_range(history, shapes);
        if (kind == 1) common.breakdown = {of_property("key 3")};
        if (kind == 2) common.breakdown = {of_trait("key 1"), of_property("key 5")};
        if (kind == 3) common.breakdown = {of_property("key 5"), of_trait("key 1"), of_property("unknown")};
        if (history.model.below(2) == 0) common.limit = 3;
        const Node selector =
            event(list({text("name 1"), text("name 4")}), {condition("key 1", "lt", integer(80'000))});
        Node fields = map({{"event", selector},
                           {"measures", measures},
                           {"interval", interval},
                           {"order", integer(history.model.below(6))}});
        check_equal(Question(history, "trend", fields, common));
        common.limit.reset();
        fields.fields[1].second.items.push_back(text("unique"));
        fields.fields[3].second.integer = 6;
        Question question(history, "trend", fields, common);
        check_equal(question);
        const ProfileMask mask = some_profiles(history);
        question.where(mask);
        check_equal(question);
      }
    }
  }
}

TEST("a limit of a trait breakdown leaves one exact rest") {
  Shapes shapes{.names = 3, .strings = 2, .origins = 200, .fields_max = 2};
  History history(test::seed(), shapes);
  grown(history, 500, 2);
  CommonSpec common;
  common.breakdown = {of_trait("key 1")};
  common.limit = 2;
  const Question question(
      history, "trend",
      map({{"event", event(Node{})}, {"measures", list({text("unique"), text("total")})}, {"interval", text("week")}}),
      common);
  const std::string answer = check_equal(question);
  CHECK(answer.find("s111.116.104.101.114.") != std::string::npos);
}

TEST("sums beyond 64 bits stay exact and floats are rounded once") {
  NumberCells cells(true, true, true);
  cells.resize(3);
  for (int i = 0; i < 4; ++i) cells.add(0, {ValueType::kInt, static_cast<std::uint64_t>(INT64_MAX)});
  for (int i = 0; i < 10; ++i) cells.add(1, {ValueType::kFloat, std::bit_cast<std::uint64_t>(0.1)});
  cells.add(1, {ValueType::kString, 7});
  CHECK(cells.sum(0).integer == __int128{INT64_MAX} * 4);
  CHECK_EQ(cells.sum(1).real, 1.0);
  CHECK_EQ(cells.mean(1).real, 0.1);
  CHECK(cells.mean(2).type == Number::Type::kNone);
  CHECK(cells.sum(2).integer == 0);
  CHECK_EQ(compare_numbers(Number::of(__int128{1} << 53), Number::of(0x1p53)), 0);
  CHECK_EQ(compare_numbers(Number::of((__int128{1} << 53) + 1), Number::of(0x1p53)), 1);
  Table table;
  add_number_column(table, "sum", {cells.sum(0), cells.sum(1), {}});
  CHECK_EQ(show_cell(table.columns[0], 0), "36893488147419103228");
  CHECK_EQ(show_cell(table.columns[0], 2), "null");
}

TEST_MAIN()
