// Funnels by tasks against rows, and rows against brute force over every choice of steps.
#include "kind_harness.hpp"

using namespace cdp;
using namespace cdp::test;

namespace {

constexpr std::int64_t kHour = 3'600'000;

struct Funnel {
  std::vector<std::vector<std::uint32_t>> steps;  // names of each; empty = any event
  std::int64_t window = INT64_MAX;
  bool strictly = false;

  [[nodiscard]] Node node() const {
    std::vector<Node> selectors;
    for (const auto& names : steps) {
      std::vector<Node> items;
      for (const std::uint32_t name : names) items.push_back(text(kNames[name]));
      selectors.push_back(event(items.empty() ? Node{} : list(std::move(items))));
    }
    return map({{"steps", list(std::move(selectors))},
                {"window", window == INT64_MAX ? Node{} : integer(window)},
                {"same_time", text(strictly ? "later" : "counts")}});
  }
  static const std::vector<std::string> kNames;
};
const std::vector<std::string> Funnel::kNames = [] {
  std::vector<std::string> names;
  for (int i = 0; i < 64; ++i) names.push_back("name " + std::to_string(i));
  return names;
}();

bool selects(const std::vector<std::uint32_t>& names, const ModelRow& row) {
  return names.empty() || std::find(names.begin(), names.end(), raw(row.name)) != names.end();
}

// Deepest of every continuation behind row `at`, which took `step` steps.
std::uint32_t deepest_from(const Funnel& funnel, const std::vector<const ModelRow*>& rows, std::size_t at,
                           std::uint32_t step, std::int64_t entry) {
  if (step == funnel.steps.size()) return step;
  std::uint32_t best = step;
  for (std::size_t next = at + 1; next < rows.size(); ++next) {
    if (funnel.window != INT64_MAX && rows[next]->time_ms - entry > funnel.window) break;
    if (funnel.strictly && rows[next]->time_ms == rows[at]->time_ms) continue;
    if (selects(funnel.steps[step], *rows[next]))
      best = std::max(best, deepest_from(funnel, rows, next, step + 1, entry));
    if (best == funnel.steps.size()) break;
  }
  return best;
}

std::string brute_force(const Funnel& funnel, const History& history, const TimeRange& range, std::int64_t now_ms) {
  std::vector<std::uint64_t> reached(funnel.steps.size());
  for (const Origin home : history.homes()) {
    std::vector<const ModelRow*> rows = history.model.rows_of(*history.version.links, home);
    std::erase_if(rows, [&](const ModelRow* row) { return row->time_ms > now_ms; });
    std::uint32_t best = 0;
    for (std::size_t at = 0; at < rows.size(); ++at) {
      if (!range.contains(rows[at]->time_ms) || !selects(funnel.steps[0], *rows[at])) continue;
      best = std::max(best, deepest_from(funnel, rows, at, 1, rows[at]->time_ms));
    }
    for (std::uint32_t step = 0; step < best; ++step) ++reached[step];
  }
  std::string out, numbers = "\n";
  for (std::size_t step = 0; step < reached.size(); ++step) {
    out += "step_" + std::to_string(step + 1) + " ";
    numbers += std::to_string(reached[step]) + " ";
  }
  return out + numbers;
}

// A history with layers that overlap in time, links of every age, and a tail.
void grow(History& history, int rounds, std::uint32_t events, int joins) {
  for (int round = 0; round < rounds; ++round) {
    history.add(1 + history.model.below(events));
    if (history.model.below(2) == 0) history.join_some(joins);
    if (history.model.below(3) == 0) history.seal_all();
  }
}

}  // namespace

TEST("a funnel by tasks, by rows and by brute force is one") {
  std::size_t late = 0;
  for (std::uint64_t round = 0; round < 24; ++round) {
    Shapes shapes{
        .names = 4, .strings = 3, .origins = 60 + 40 * static_cast<std::uint32_t>(round % 3), .fields_max = 2};
    shapes.span_ms = round % 2 == 0 ? 40 * 24 * kHour : 3 * limits::kPartitionMs;
    shapes.step_ms = round % 4 == 0 ? 12 * kHour : kHour;
    History history(test::seed() + round, shapes, round % 3 == 0 ? 4 : 1);
    grow(history, 6, 150, round % 5 == 4 ? 0 : 2);
    const std::vector<std::vector<std::vector<std::uint32_t>>> shapes_of_steps = {
        {{1}, {4}, {7}}, {{1}, {1}},      {{4}, {4}, {4}, {1}}, {{1, 4}, {4, 7}},
        {{}, {1}},       {{1}, {}, {10}}, {{44}, {1}},          {{10}, {7}, {4}, {1}}};
    for (const auto& steps : shapes_of_steps) {
      for (const bool strictly : {false, true}) {
        Funnel funnel{steps, INT64_MAX, strictly};
        if (history.model.below(3) != 0) funnel.window = 12 * kHour * history.model.below(40) + 1;
        CommonSpec common;
        if (history.model.below(2) == 0) {
          common.range = absolute_range(shapes.start_ms + history.model.below(20) * 24 * kHour,
                                        shapes.start_ms + (15 + history.model.below(40)) * 24 * kHour);
          common.now_ms = shapes.start_ms + (25 + history.model.below(60)) * 24 * kHour;
        }
        const Question question(history, "funnel", funnel.node(), common);
        const std::string answer = check_equal(question);
        CHECK_EQ(answer, brute_force(funnel, history, question.range(), common.now_ms.value_or(INT64_MAX / 4)));
        late += question.late;
      }
    }
  }
  CHECK(late > 0);  // the slow path was taken
}

TEST("a funnel with conditions, breakdown and a set of profiles is the same by tasks and by rows") {
  for (std::uint64_t round = 0; round < 12; ++round) {
    Shapes shapes{.names = 4, .strings = 3, .origins = 200, .fields_max = 6};
    shapes.span_ms = 50 * 24 * kHour;
    History history(test::seed() + 100 + round, shapes, round % 2 == 0 ? 4 : 1);
    grow(history, 6, 400, 3);
    CommonSpec common;
    common.breakdown = {of_trait("key 1"), of_trait("never seen")};
    if (round % 3 != 0) common.breakdown[1] = of_property(round % 3 == 1 ? "key 1" : "key 3");
    if (round % 4 == 0) common.limit = 2;
    const Node steps =
        list({event(text("name 1"), {condition("key 1", "gt", integer(20'000))}),
              event(list({text("name 1"), text("name 4")}), {condition("key 3", "exists", Node{})}), text("name 7")});
    Node node = map({{"steps", steps}, {"window", integer(20 * 24 * kHour)}});
    node.fields[0].second.items[1].fields[1].second.items[0].fields.pop_back();  // exists has no value
    Question question(history, "funnel", std::move(node), common);
    check_equal(question);
    const ProfileMask mask = some_profiles(history);
    question.where(mask);
    check_equal(question);
  }
}

TEST("a funnel of which only the steps are counted is the same by tasks and by rows, whatever its rules") {
  std::size_t late = 0;
  const auto name = [](const char* of) { return event(text(of)); };
  const auto with = [&](const char* of, const char* field, Node value) {
    Node out = name(of);
    out.fields.emplace_back(field, std::move(value));
    return out;
  };
  Node yes;
  yes.type = Node::Type::kBool;
  yes.integer = 1;
  const Node excluded = list({name("name 10")});
  using Fields = std::vector<std::pair<std::string_view, Node>>;
  const Node plain = list({name("name 1"), name("name 4"), name("name 7")});
  const std::vector<std::pair<Node, Fields>> rules = {
      {plain, {{"order", text("strict_steps")}}},
      {plain, {{"order", text("strict_all")}}},
      {plain, {{"order", text("strict_all")}, {"attempt", text("first_entry")}, {"same_time", text("later")}}},
      {plain, {{"order", text("any_order")}}},
      {plain, {{"order", text("any_order")}, {"attempt", text("first_entry")}}},
      {plain, {{"attempt", text("first_entry")}}},
      {plain, {{"event_fills", text("several_steps")}}},
      {list({name("name 1"), event(Node{}), name("name 7")}), {{"event_fills", text("several_steps")}}},
      {plain, {{"window", map({{"step", integer(30 * kHour)}})}}},
      {plain, {{"window", map({{"session", integer(10 * kHour)}})}}},
      {plain, {{"window", map({{"session", integer(10 * kHour)}})}, {"order", text("any_order")}}},
      {plain, {{"window", map({{"calendar", text("week")}})}}},
      {plain, {{"window", map({{"calendar", text("month")}})}, {"order", text("any_order")}}},
      {plain, {{"exclude", excluded}}},
      {plain, {{"exclude", excluded}, {"exclude_mode", text("remove")}}},
      {plain, {{"exclude", excluded}, {"exclude_mode", text("any_clean_path")}, {"order", text("strict_steps")}}},
      {list({name("name 1"), with("name 4", "optional", yes), name("name 7")}), {}},
      {list({with("name 1", "first", text("event")), with("name 4", "first", text("matching")), name("name 7")}), {}},
      {list({with("name 1", "first", text("event")), name("name 4")}), {{"order", text("any_order")}}},
  };
  for (std::uint64_t round = 0; round < 10; ++round) {
    Shapes shapes{
        .names = 4, .strings = 3, .origins = 60 + 40 * static_cast<std::uint32_t>(round % 3), .fields_max = 2};
    shapes.span_ms = round % 2 == 0 ? 40 * 24 * kHour : 3 * limits::kPartitionMs;
    shapes.step_ms = round % 4 == 0 ? 12 * kHour : kHour;
    History history(test::seed() + 1000 + round, shapes, round % 3 == 0 ? 4 : 1);
    grow(history, 6, 150, round % 5 == 4 ? 0 : 2);
    for (const auto& [steps, fields] : rules) {
      Node node = map({{"steps", steps}, {"window", integer(12 * kHour * history.model.below(40) + 1)}});
      for (const auto& [field, value] : fields) {
        std::erase_if(node.fields, [&](const auto& each) { return each.first == field; });
        node.fields.emplace_back(field, value);
      }
      CommonSpec common;
      if (round % 2 == 0) common.breakdown = {of_trait("key 1")};
      if (history.model.below(2) == 0) {
        common.range = absolute_range(shapes.start_ms + history.model.below(20) * 24 * kHour,
                                      shapes.start_ms + (15 + history.model.below(40)) * 24 * kHour);
        common.now_ms = shapes.start_ms + (25 + history.model.below(60)) * 24 * kHour;
      }
      const Question question(history, "funnel", std::move(node), common);
      check_equal(question);
      late += question.late;
    }
  }
  CHECK(late > 0);
}

TEST_MAIN()
