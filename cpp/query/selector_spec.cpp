// Which events: names, conditions, and alternatives of them.
//
//   selector   "Name" | {"event": "Name" | ["A", "B"] | null, "where"?: [condition, ..]}    null: any event but the system's
//              | {"any_of": ["Name" | {"event", "where"?}, ..], "where"?: [condition, ..]}    events that one of these means
//   condition  {"property": key, test} | {"geo", "within"} | {"and": [condition, ..]} | {"or": [condition, ..]} | {"not": condition}
//
// Alternatives become names and a condition: all names that any of them has, and that some alternative means the event. So what
// takes a selector takes alternatives.
#include <algorithm>

#include "codec/normalise.hpp"
#include "query/condition_tree.hpp"
#include "query/place.hpp"
#include "query/spec.hpp"

namespace cdp {
namespace {

using Type = ConditionTree::Type;

constexpr std::string_view kNamesExpected = "the name of an event, a list of names, or null";

class ConditionParser {
 public:
  ConditionParser(const CalendarSpec* operands, ConditionCheck check) : operands_(operands), check_(check) {}

  std::vector<Condition> parse_list(const Node& node, const Path& path, std::size_t min, std::size_t depth) {
    const std::vector<Node>& items = read_array(node, path, min, limits::kQueryConditions);
    std::vector<Condition> out;
    out.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) out.push_back(parse(items[i], path.item(i), depth));
    return out;
  }

 private:
  Condition parse(const Node& node, const Path& path, std::size_t depth) {
    if (depth > limits::kQueryPredicateDepth) fail_invalid(path, "conditions nested over 32 levels");
    if (++count_ > limits::kQueryClauses) fail_invalid(path, "over 1,000 conditions in one list");
    Fields fields(node, path);
    Condition out;
    if (!parse_tree(fields, depth, out)) {
      parse_leaf(fields, out);
      if (check_ != nullptr) check_(out, path);
    }
    fields.done();
    return out;
  }

  bool parse_tree(Fields& fields, std::size_t depth, Condition& out) {
    auto tree = std::make_shared<ConditionTree>();
    const Path both = fields.path("and"), either = fields.path("or"), no = fields.path("not");
    if (fields.has("and")) {
      tree->parts = parse_list(fields.require("and", "a list of conditions"), both, 1, depth + 1);
    } else if (fields.has("or")) {
      tree->type = Type::kOr;
      tree->parts = parse_list(fields.require("or", "a list of conditions"), either, 1, depth + 1);
    } else if (fields.has("not")) {
      tree->type = Type::kNot;
      tree->parts.push_back(parse(fields.require("not", "a condition"), no, depth + 1));
    } else {
      return false;
    }
    out.tree = std::move(tree);
    return true;
  }

  void parse_leaf(Fields& fields, Condition& out) {
    if (fields.has("geo")) {
      out.place = std::make_shared<const PlaceSpec>(parse_place(fields));
      return;
    }
    out.property = parse_key(fields.require("property", "the key of a property"), fields.path("property"));
    out.test = parse_value_condition(fields, operands_);
  }

  const CalendarSpec* operands_;
  ConditionCheck check_;
  std::size_t count_ = 0;
};

void parse_names(const Node& node, const Path& path, Selector& out) {
  if (node.type == Node::Type::kNull) return;
  if (node.type == Node::Type::kString) {
    out.names.push_back(parse_name(node, path, "the name of an event"));
    return;
  }
  if (node.type != Node::Type::kArray) fail_expected(path, kNamesExpected, node);
  const std::vector<Node>& items = read_array(node, path, 1, limits::kQueryNames);
  for (std::size_t i = 0; i < items.size(); ++i) {
    out.names.push_back(parse_name(items[i], path.item(i), "the name of an event"));
  }
}

void take_where(Fields& fields, const CalendarSpec* operands, Selector& out) {
  const Node* node = fields.take("where");
  if (node == nullptr) return;
  std::vector<Condition> where = parse_conditions(*node, fields.path("where"), operands);
  std::move(where.begin(), where.end(), std::back_inserter(out.where));
}

// "Name" or {"event", "where"?}.
Selector parse_plain(const Node& node, const Path& path, const CalendarSpec* operands) {
  Selector out;
  if (node.type != Node::Type::kMap) {
    parse_names(node, path, out);
    return out;
  }
  Fields fields(node, path);
  const Node* event = fields.take_nil("event");
  if (event == nullptr)
    fail_invalid(fields.path("event"), "missing; expected a name, a list of names, or null for any");
  parse_names(*event, fields.path("event"), out);
  take_where(fields, operands, out);
  fields.done();
  return out;
}

// Any event leaves out the system's, so beside it a name of the system's would be lost.
void check_any(const Selector& all, bool any, const Path& path) {
  if (any && std::ranges::any_of(all.names, [](const std::string& name) { return is_system_name(name); }))
    fail_invalid(path, "an event of the system is not among any event: name the others too");
}

Selector parse_alternatives(const Node& node, const Path& path, const CalendarSpec* operands) {
  const std::vector<Node>& items = read_array(node, path, 1, limits::kQueryAlternatives);
  Selector out;
  bool any = false, plain = true;
  ConditionTree either{Type::kOr, {}, {}};
  for (std::size_t i = 0; i < items.size(); ++i) {
    Selector one = parse_plain(items[i], path.item(i), operands);
    any |= one.names.empty();
    plain &= one.where.empty();
    out.names.insert(out.names.end(), one.names.begin(), one.names.end());
    Condition& part = either.parts.emplace_back();
    part.tree =
        std::make_shared<const ConditionTree>(ConditionTree{Type::kAnd, std::move(one.where), std::move(one.names)});
  }
  check_any(out, any, path);
  if (out.names.size() > limits::kQueryNames) fail_invalid(path, "over 1,000 names of events");
  if (any) out.names.clear();
  if (!plain) out.where.emplace_back().tree = std::make_shared<const ConditionTree>(std::move(either));
  return out;
}

}  // namespace

std::vector<Condition> parse_conditions(const Node& node, const Path& path, const CalendarSpec* operands,
                                        ConditionCheck check) {
  return ConditionParser(operands, check).parse_list(node, path, 0, 0);
}

Selector parse_selector(const Node& node, const Path& path, const CalendarSpec* operands,
                        std::span<const std::string_view> also) {
  Selector out;
  if (node.type != Node::Type::kMap) {
    parse_names(node, path, out);
    return out;
  }
  Fields fields(node, path);
  out = parse_selector(fields, operands);
  fields.also(also);
  fields.done();
  return out;
}

Selector parse_selector(Fields& fields, const CalendarSpec* operands) {
  Selector out;
  const Path path = fields.path("any_of");
  if (const Node* alternatives = fields.take("any_of")) {
    if (fields.has("event")) fail_invalid(path, "either event or any_of, not both");
    out = parse_alternatives(*alternatives, path, operands);
  } else {
    const Node* event = fields.take_nil("event");
    if (event == nullptr)
      fail_invalid(fields.path("event"), "missing; expected a name, a list of names, or null for any");
    parse_names(*event, fields.path("event"), out);
  }
  take_where(fields, operands, out);
  return out;
}

Selector parse_selector(Fields& fields, std::string_view form, const CalendarSpec* operands) {
  Selector out;
  const Path path = fields.path(form);
  const Node* node = fields.take_nil(form);
  if (node != nullptr && node->type == Node::Type::kMap) {
    Fields inner(*node, path);
    const Path any_of = inner.path("any_of");
    if (!inner.has("any_of"))
      fail_expected(path, "the name of an event, a list of names, null, or {\"any_of\": [..]}", *node);
    out = parse_alternatives(inner.require("any_of", "a list of selectors"), any_of, operands);
    inner.done();
  } else if (node != nullptr) {
    parse_names(*node, path, out);
  }
  take_where(fields, operands, out);
  return out;
}

}  // namespace cdp
