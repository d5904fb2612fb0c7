#include "query/export_spec.hpp"

#include <algorithm>
#include <array>

#include "codec/fact_spec.hpp"
#include "query/clauses/zoned_clause.hpp"

namespace cdp {
namespace {

constexpr std::array<std::string_view, 4> kExports = {"events", "profiles", "facts", "groups"};  // in the order of What
constexpr std::array<std::string_view, kValueTypeCount> kTypeNames = {"null",   "bool",     "int",  "float",
                                                                      "string", "datetime", "list", "items"};

ExportColumnSpec parse_column(const Node& node, const Path& path, std::string_view key_field) {
  ExportColumnSpec out;
  if (node.type == Node::Type::kString) {
    out.key = parse_key(node, path);
    return out;
  }
  if (node.type != Node::Type::kMap) {
    fail_expected(path, "a key, or {\"" + std::string(key_field) + "\": key, \"type\"?, \"as\"?}", node);
  }
  Fields fields(node, path);
  out.key = parse_key(fields.require(key_field, "a key"), fields.path(key_field));
  if (fields.has("type")) out.type = static_cast<ValueType>(fields.choice("type", kTypeNames, std::nullopt));
  if (const Node* as = fields.take("as")) out.as = parse_key(*as, fields.path("as"));
  fields.done();
  return out;
}

void parse_names(const Node& node, const Path& path, Selector& out) {
  if (node.type != Node::Type::kString && node.type != Node::Type::kArray) {
    fail_expected(path, "the name of an event, or a list of names", node);
  }
  out = parse_selector(node, path);
}

FactType parse_fact_type(Fields& fields) {
  std::array<std::string_view, kFactTypes> names;
  for (std::size_t at = 0; at < kFactTypes; ++at) names[at] = kFactSpecs[at].name;
  return static_cast<FactType>(fields.choice("type", names, std::nullopt));
}

}  // namespace

std::string_view value_type_name(ValueType type) noexcept { return kTypeNames[static_cast<std::size_t>(type)]; }

ExportSpec parse_export_spec(std::span<const std::uint8_t> bytes) {
  const Node node = parse_document(bytes);
  const Path root;
  Fields fields(node, root);
  ExportSpec out;
  using What = ExportSpec::What;
  out.what = static_cast<What>(fields.choice("export", kExports, std::nullopt));
  if (out.what == What::kEvents) {
    if (const Node* names = fields.take("names")) parse_names(*names, fields.path("names"), out.names);
    if (const Node* range = fields.take("range")) out.range = parse_range(*range, fields.path("range"), {});
  }
  if (out.what == What::kFacts) out.fact = parse_fact_type(fields);
  if (out.what == What::kGroups) {
    if (const Node* kind = fields.take("kind")) out.group_kind = parse_key(*kind, fields.path("kind"));
  }
  if (const Node* where = out.what == What::kGroups ? nullptr : fields.take("where")) {
    const Path path = fields.path("where");
    out.where = parse_predicate(*where, path, {});
    out.zones = zones_kept(*where);
  }
  const Node* columns = out.what == What::kFacts ? nullptr : fields.take("columns");
  if (columns != nullptr) {
    const Path path = fields.path("columns");
    const std::vector<Node>& items = read_array(*columns, path, 0, limits::kQueryValues);
    out.columns.emplace();
    for (std::size_t at = 0; at < items.size(); ++at) {
      out.columns->push_back(parse_column(items[at], path.item(at), out.what == What::kEvents ? "property" : "trait"));
    }
  }
  out.now_ms = fields.integer("now_ms", -limits::kQueryDurationMs, limits::kQueryDurationMs);
  fields.done();
  return out;
}

}  // namespace cdp
