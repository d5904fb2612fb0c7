// The fields of a retention and which of them go together.
//
//   "start": selector, "return"?: selector (default start), "interval": unit
//   "population"?: "first_in_range" | "first_ever" | "every_period"
//   "alignment"?: "calendar" | "rolling" | "rolling_hour"
//   "criterion"?: "on" | "on_or_after" | "on_or_before" | "streak" | {"brackets": [[first, last], ..]}
//   "min_count"?: int, "count_birth"?: bool, "share_value"?: bool, "periods"?: int
#include <algorithm>
#include <array>

#include "query/kinds/retention.hpp"

namespace cdp {
namespace {

constexpr std::int64_t kPeriodsMax = 65'534;
constexpr std::size_t kBracketsMax = 100;
constexpr std::int64_t kCountMax = 1'000'000'000;

bool same_condition(const Condition& left, const Condition& right) {
  const auto same_literal = [](const Literal& a, const Literal& b) {
    return a.type == b.type && a.bits == b.bits && a.text == b.text;
  };
  return left.property == right.property && left.test.op == right.test.op &&
         left.test.ignore_case == right.test.ignore_case &&
         std::equal(left.test.values.begin(), left.test.values.end(), right.test.values.begin(),
                    right.test.values.end(), same_literal);
}

bool same_selector(const Selector& left, const Selector& right) {
  return left.names == right.names &&
         std::equal(left.where.begin(), left.where.end(), right.where.begin(), right.where.end(), same_condition);
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

}  // namespace

std::unique_ptr<KindSpec> parse_retention(Fields& fields, const CommonSpec& common) {
  constexpr std::array<std::string_view, 3> kPopulations = {"first_in_range", "first_ever", "every_period"};
  constexpr std::array<std::string_view, 3> kAlignments = {"calendar", "rolling", "rolling_hour"};
  auto spec = std::make_unique<RetentionSpec>();
  RetentionSpec& own = *spec;
  own.start = parse_selector(fields.require("start", "a selector"), fields.path("start"));
  if (const Node* node = fields.take("return")) {
    own.returned = parse_selector(*node, fields.path("return"));
    if (same_selector(*own.returned, own.start)) own.returned.reset();
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
