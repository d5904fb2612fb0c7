// The fields of a retention and which of them go together.
//
//   "start": selector, "return"?: selector (default start), "interval": unit
//   "population"?: "first_in_range" | "first_ever" | "every_period"
//   "alignment"?: "calendar" | "rolling" | "rolling_hour"
//   "criterion"?: "on" | "on_or_after" | "on_or_before" | "streak" | {"brackets": [[first, last], ..]}
//   "min_count"?: int, "count_birth"?: bool, "share_value"?: bool, "periods"?: int
//   "order"?: "later" | "ignored", "fill"?: bool
#include <algorithm>
#include <array>
#include <span>

#include "query/kinds/retention.hpp"

namespace cdp {
namespace {

constexpr std::int64_t kPeriodsMax = 65'534;
constexpr std::size_t kBracketsMax = 100;
constexpr std::int64_t kCountMax = 1'000'000'000;

const Node* field_of(const Node& map, std::string_view name) {
  const auto found =
      std::find_if(map.fields.begin(), map.fields.end(), [&](const auto& field) { return field.first == name; });
  return found == map.fields.end() ? nullptr : &found->second;
}

// Says as much as if it were left out.
bool is_default(std::string_view name, const Node& value) {
  if (value.type == Node::Type::kNull) return true;
  return value.type == Node::Type::kBool && value.integer == 0 && (name == "ignore_case" || name == "missing");
}

// Whether two conditions are written alike, whatever the order of their fields. Compared as sent: what a test means is spread
// over many forms of it, and one forgotten here would be a wrong answer.
bool same_node(const Node& left, const Node& right) {
  if (left.type != right.type) return false;
  const auto in = [](const Node& map) {
    return [&map](const auto& field) {
      const Node* other = field_of(map, field.first);
      return is_default(field.first, field.second) ? other == nullptr || is_default(field.first, *other)
                                                   : other != nullptr && same_node(field.second, *other);
    };
  };
  return left.integer == right.integer && left.number == right.number && left.text == right.text &&
         std::equal(left.items.begin(), left.items.end(), right.items.begin(), right.items.end(), same_node) &&
         std::all_of(left.fields.begin(), left.fields.end(), in(right)) &&
         std::all_of(right.fields.begin(), right.fields.end(), in(left));
}

// The items of the field; none of what has no such field.
std::span<const Node> items_of(const Node& selector, std::string_view field) {
  const Node* found = selector.type == Node::Type::kMap ? field_of(selector, field) : nullptr;
  return found == nullptr ? std::span<const Node>() : std::span<const Node>(found->items);
}

bool same_conditions(const Node& left, const Node& right) {
  const std::span<const Node> of_left = items_of(left, "where"), of_right = items_of(right, "where");
  return std::equal(of_left.begin(), of_left.end(), of_right.begin(), of_right.end(), same_node);
}

// Of an alternative: a name, several, or a map of them; none of any event.
std::span<const Node> names_of(const Node& alternative) {
  switch (alternative.type) {
    case Node::Type::kString: return {&alternative, 1};
    case Node::Type::kArray: return alternative.items;
    case Node::Type::kMap: break;
    default: return {};
  }
  const Node* event = field_of(alternative, "event");
  return event == nullptr ? std::span<const Node>() : names_of(*event);
}

bool same_alternative(const Node& left, const Node& right) {
  const std::span<const Node> of_left = names_of(left), of_right = names_of(right);
  return std::equal(of_left.begin(), of_left.end(), of_right.begin(), of_right.end(), same_node) &&
         same_conditions(left, right);
}

// The names as they were understood, the conditions as they were sent.
bool same_selector(const Selector& left, const Node& left_node, const Selector& right, const Node& right_node) {
  const std::span<const Node> of_left = items_of(left_node, "any_of"), of_right = items_of(right_node, "any_of");
  return left.names == right.names && same_conditions(left_node, right_node) &&
         std::equal(of_left.begin(), of_left.end(), of_right.begin(), of_right.end(), same_alternative);
}

void parse_brackets(const Node& node, const Path& path, RetentionSpec& out) {
  Fields inner(node, path);
  const Path list = inner.path("brackets");
  const std::vector<Node>& items = read_array(inner.require("brackets", "pairs of periods"), list, 1, kBracketsMax);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Path item = list.item(i);
    const std::vector<Node>& pair = read_array(items[i], item, 2, 2);
    const std::int64_t first = read_int(pair[0], item.item(0), 0, kPeriodsMax);
    out.brackets.emplace_back(first, read_int(pair[1], item.item(1), first, kPeriodsMax));
  }
  inner.done();
  out.criterion = RetentionSpec::Criterion::kBrackets;
}

void parse_criterion(Fields& fields, RetentionSpec& out) {
  constexpr std::array<std::string_view, 4> kCriteria = {"on", "on_or_after", "on_or_before", "streak"};
  const Path path = fields.path("criterion");
  const Node* node = fields.take("criterion");
  if (node == nullptr) return;
  if (node->type == Node::Type::kMap) return parse_brackets(*node, path, out);
  const auto found =
      node->type == Node::Type::kString ? std::find(kCriteria.begin(), kCriteria.end(), node->text) : kCriteria.end();
  if (found == kCriteria.end()) {
    fail_expected(path, "\"on\", \"on_or_after\", \"on_or_before\", \"streak\" or {\"brackets\": [[first, last], ..]}",
                  *node);
  }
  out.criterion = static_cast<RetentionSpec::Criterion>(found - kCriteria.begin());
}

void parse_measures(Fields& fields, RetentionSpec& out) {
  constexpr std::size_t kMeasuresMax = 16;
  constexpr std::string_view kExpected = "{\"sum\": key} or {\"mean\": key}";
  const Path path = fields.path("measures");
  const Node* node = fields.take("measures");
  if (node == nullptr) return;
  const std::vector<Node>& items = read_array(*node, path, 1, kMeasuresMax);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Path item = path.item(i);
    if (items[i].type != Node::Type::kMap || items[i].fields.size() != 1) fail_expected(item, kExpected, items[i]);
    const auto& [name, of] = items[i].fields.front();
    if (name != "sum" && name != "mean") fail_expected(item, kExpected, items[i]);
    out.measures.push_back({name == "mean", parse_key(of, item.field(name))});
  }
}

}  // namespace

std::unique_ptr<RetentionSpec> RetentionSpec::of_births() const {
  auto out = std::make_unique<RetentionSpec>();
  out->start = start;
  out->unit = unit;
  out->population = population;
  out->count_birth = true;
  out->is_whole = is_whole;
  return out;
}

CountedKind RetentionSpec::counted() const {
  auto out = of_births();
  out->periods = 1;
  return {std::move(out), "eligible"};
}

std::unique_ptr<KindSpec> parse_retention(Fields& fields, const CommonSpec& common) {
  constexpr std::array<std::string_view, 3> kPopulations = {"first_in_range", "first_ever", "every_period"};
  constexpr std::array<std::string_view, 3> kAlignments = {"calendar", "rolling", "rolling_hour"};
  auto spec = std::make_unique<RetentionSpec>();
  RetentionSpec& own = *spec;
  const Node& start = fields.require("start", "a selector");
  own.start = parse_selector(start, fields.path("start"), &common.calendar);
  if (const Node* node = fields.take("return")) {
    own.returned = parse_selector(*node, fields.path("return"), &common.calendar);
    if (same_selector(*own.returned, *node, own.start, start)) own.returned.reset();
  }
  own.unit = parse_unit(fields.require("interval", "a unit of time"), fields.path("interval"));
  own.population = static_cast<RetentionSpec::Population>(fields.choice("population", kPopulations, 0));
  own.alignment = static_cast<RetentionSpec::Alignment>(fields.choice("alignment", kAlignments, 0));
  parse_criterion(fields, own);
  own.min_count = fields.integer("min_count", 1, kCountMax).value_or(1);
  own.count_birth = !own.returned;
  if (const Node* node = fields.take("count_birth")) own.count_birth = read_bool(*node, fields.path("count_birth"));
  const Path share = fields.path("share_value");
  if (const Node* node = fields.take("share_value")) own.share_value = read_bool(*node, share);
  if (const auto periods = fields.integer("periods", 1, kPeriodsMax)) own.periods = *periods;
  constexpr std::array<std::string_view, 2> kOrders = {"later", "ignored"};
  own.ignores_order = fields.choice("order", kOrders, 0) == 1;
  if (const Node* node = fields.take("fill")) own.fill = read_bool(*node, fields.path("fill"));
  parse_measures(fields, own);
  const bool reads = std::any_of(common.breakdown.begin(), common.breakdown.end(),
                                 [](const Operand& operand) { return !operand.is_trait; });
  if (own.share_value && !reads) fail_invalid(share, "says to compare a breakdown's property, but there is none");
  if (own.criterion == RetentionSpec::Criterion::kBrackets && own.periods != INT64_MAX)
    fail_invalid(fields.path("periods"), "brackets say which periods");
  if (common.limit && common.breakdown.empty())
    fail_unsupported(fields.path("limit"), "retention has no limit without a breakdown: every cell is answered");
  own.is_whole = common.breakdown.empty();
  return spec;
}

}  // namespace cdp
