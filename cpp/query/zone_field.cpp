#include "query/zone_field.hpp"

#include "base/limits.hpp"

namespace cdp {
namespace {

constexpr std::int64_t kOffsetMs = 26LL * 3'600'000;
constexpr std::int64_t kInstantMs = 20 * limits::kQueryDurationMs;

std::string read_zone_name(const Node& node, const Path& path) {
  const std::string_view name = read_string(node, path);
  if (name.empty() || name.size() > limits::kNameBytes) fail_expected(path, "the name of a zone", node);
  return std::string(name);
}

}  // namespace

std::shared_ptr<const Zone> parse_zone(const Node& node, const Path& path) {
  if (node.type == Node::Type::kString) {
    // Zones of the process's table live as long as it does.
    return {std::shared_ptr<const Zone>(), &zones().find(read_zone_name(node, path), path)};
  }
  if (node.type != Node::Type::kMap) fail_expected(path, "the name of a zone, or its table", node);
  Fields fields(node, path);
  if (fields.has("trait")) fail_unsupported(path, "a zone kept in a trait is for clauses of a question's predicates");
  std::string name = read_zone_name(fields.require("name", "the name of a zone"), fields.path("name"));
  std::string table;
  if (const Node* given = fields.take("table")) table = read_zone_name(*given, fields.path("table"));
  const Path list = fields.path("transitions");
  const std::vector<Node>& items =
      read_array(fields.require("transitions", "a list of [utc_ms, offset_ms]"), list, 1, kZoneTransitions);
  fields.done();
  std::vector<ZoneTransition> transitions;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Path at = list.item(i);
    const std::vector<Node>& pair = read_array(items[i], at, 2, 2);
    transitions.push_back({read_int(pair[0], at.item(0), -kInstantMs, kInstantMs),
                           read_int(pair[1], at.item(1), 1 - kOffsetMs, kOffsetMs - 1)});
    if (i > 0 && transitions[i].utc_ms <= transitions[i - 1].utc_ms) fail_invalid(at, "expected a later instant");
  }
  return std::make_shared<const Zone>(std::move(name), std::move(transitions), std::move(table));
}

std::shared_ptr<const Zone> take_zone(Fields& fields) {
  const Node* node = fields.take("zone");
  return node == nullptr ? nullptr : parse_zone(*node, fields.path("zone"));
}

}  // namespace cdp
