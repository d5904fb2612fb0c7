#include "codec/arrow_decoder.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.hpp"
#include "base/limits.hpp"
#include "base/utf8.hpp"

namespace cdp {
namespace {

bool is_time(ArrowKind kind) noexcept {
  return kind == ArrowKind::kTime || kind == ArrowKind::kDate32 || kind == ArrowKind::kDate64;
}

// Whether values of this type can be kept.
bool is_kept(const ArrowColumnType& type) noexcept {
  if (type.is_dictionary()) return is_kept(*type.values);
  if (type.kind == ArrowKind::kUnsupported) return false;
  return std::ranges::all_of(type.children, is_kept);
}

}  // namespace

void ArrowDecoder::collect(const ArrowColumnType& type, const std::string& prefix, Place& place,
                           std::vector<Leaf>& out) const {
  for (std::uint32_t at = 0; at < type.children.size(); ++at) {
    const ArrowColumnType& child = type.children[at];
    const std::string path = prefix.empty() ? child.name : prefix + "." + child.name;
    place.push_back(at);
    if (child.kind == ArrowKind::kStruct) {
      collect(child, path, place, out);
    } else {
      out.push_back({path, place, &child});
    }
    place.pop_back();
  }
}

const ArrowDecoder::Leaf& ArrowDecoder::find(const std::vector<Leaf>& leaves, const std::string& column,
                                             std::string_view use) const {
  const Leaf* found = nullptr;
  for (const Leaf& leaf : leaves) {
    if (leaf.path != column) continue;
    if (found != nullptr) throw Error(Family::kInvalidRequest, code::kLoadColumn, "two columns of this name", column);
    found = &leaf;
  }
  if (found != nullptr) return *found;
  std::string known;
  for (const Leaf& leaf : leaves) {
    if (known.size() > 400) {
      known += " ..";
      break;
    }
    known.append(" \"").append(leaf.path).append("\"");
  }
  throw Error(Family::kInvalidRequest, code::kLoadColumn,
              std::string("no such column for ").append(use).append("; there are").append(known), column);
}

ArrowDecoder::ArrowDecoder(const ArrowColumnType& schema, const ArrowMapping& mapping) : mapping_(mapping) {
  if (schema.kind != ArrowKind::kStruct) {
    throw Error(Family::kInvalidRequest, code::kArrowInvalid, "expected a stream of tables, not of single columns");
  }
  std::vector<Leaf> leaves;
  Place place;
  collect(schema, {}, place, leaves);
  std::set<const ArrowColumnType*> used;
  const auto bind = [&](const std::string& column, std::string_view use, auto&& fits, std::string_view expected) {
    const Leaf& leaf = find(leaves, column, use);
    const ArrowColumnType& type = leaf.type->is_dictionary() ? *leaf.type->values : *leaf.type;
    if (!fits(type) && type.kind != ArrowKind::kNull) {
      throw Error(Family::kInvalidRequest, code::kLoadColumn,
                  std::string(use).append(" takes ").append(expected).append(", not the format ").append(type.format),
                  column);
    }
    used.insert(leaf.type);
    return leaf.place;
  };
  const auto is_text = [](const ArrowColumnType& type) { return type.is_text(); };
  const auto is_id = [](const ArrowColumnType& type) {
    return type.is_text() || type.kind == ArrowKind::kInt || type.kind == ArrowKind::kUint;
  };
  const auto is_instant = [](const ArrowColumnType& type) {
    return is_time(type.kind) || type.kind == ArrowKind::kInt || type.kind == ArrowKind::kUint;
  };
  if (!mapping_.name_column.empty()) name_ = bind(mapping_.name_column, "the event's name", is_text, "texts");
  if (!mapping_.time_column.empty()) {
    time_ = bind(mapping_.time_column, "the time", is_instant, "timestamps, dates, or integers of milliseconds");
  }
  const std::span<const KindRule> rules = default_kind_rules();
  for (const auto& [kind, column] : mapping_.ids) {
    const auto rule = std::ranges::find(rules, kind, &KindRule::kind);
    if (rule == rules.end()) {
      throw Error(Family::kInvalidRequest, code::kIdentityKindUnknown, "no such kind of identity", "ids." + kind);
    }
    if (!rule->identifies) {
      throw Error(Family::kInvalidRequest, code::kIdentityKindNotIdentifying, "this kind does not identify",
                  "ids." + kind);
    }
    ids_.push_back({bind(column, "an identity", is_id, "texts or integers"), kind});
  }
  std::ranges::stable_sort(ids_, {},
                           [&](const Identity& id) { return std::ranges::find(rules, id.kind, &KindRule::kind); });
  if (!mapping_.event_id_column.empty())
    event_id_ = bind(mapping_.event_id_column, "the event id", is_id, "texts or integers");

  const auto add = [&](const Leaf& leaf, const std::string& key) {
    if (!is_kept(*leaf.type)) {
      throw Error(Family::kInvalidRequest, code::kLoadColumn,
                  "values of the format " + leaf.type->format +
                      " are not kept: cast the column (decimals to double or text, binary to text), or leave it out",
                  leaf.path);
    }
    if (key.empty() || key.size() > limits::kNameBytes || key.front() == '$' || !is_utf8(key)) {
      throw Error(Family::kInvalidRequest, code::kLoadMapping,
                  "a key has 1 to 256 bytes and does not begin with $: map the column to another key", leaf.path);
    }
    properties_.push_back({leaf.place, key, false});
  };
  if (mapping_.properties) {
    for (const auto& [column, key] : *mapping_.properties) add(find(leaves, column, "a property"), key);
  } else {
    for (const Leaf& leaf : leaves) {
      if (!used.contains(leaf.type)) add(leaf, leaf.path);
    }
  }
  std::map<std::string_view, std::size_t> keys;
  for (const Property& property : properties_) ++keys[property.key];
  for (Property& property : properties_) property.shares_key = keys[property.key] > 1;
}

}  // namespace cdp
