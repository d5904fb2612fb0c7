#include "store/schema.hpp"

#include <algorithm>
#include <tuple>

namespace cdp {

void SchemaCounts::add(std::vector<Column>& columns, std::uint32_t key, ValueType type, std::uint64_t count) {
  const auto at =
      std::lower_bound(columns.begin(), columns.end(), std::pair(key, type),
                       [](const Column& column, auto to) { return std::pair(column.key, column.type) < to; });
  if (at != columns.end() && at->key == key && at->type == type) {
    at->count += count;
  } else {
    columns.insert(at, {key, type, count});
  }
}

void SchemaCounts::add_events(NameId name, const Seen& seen, std::span<const ShapeField> fields,
                              std::span<const std::uint32_t> keys) {
  if (names_.size() <= raw(name)) names_.resize(raw(name) + 1);
  Name& known = names_[raw(name)];
  known.seen.count += seen.count;
  known.seen.first_ms = std::min(known.seen.first_ms, seen.first_ms);
  known.seen.last_ms = std::max(known.seen.last_ms, seen.last_ms);
  for (std::size_t at = 0; at < fields.size(); ++at) add(known.columns, keys[at], fields[at].type, seen.count);
}

void SchemaCounts::add_trait(KeyId key, ValueType type) { add(traits_, raw(key), type, 1); }

void SchemaCounts::block(std::string_view name, bool blocked) {
  const auto known = blocked_.find(name);
  if (known != blocked_.end()) {
    known->second.first = blocked;
  } else if (blocked) {
    blocked_.emplace(name, std::pair(true, 0));
  }
}

bool SchemaCounts::is_blocked(std::string_view name) const {
  const auto known = blocked_.find(name);
  return known != blocked_.end() && known->second.first;
}

void SchemaCounts::count_blocked(std::string_view name) { ++blocked_.find(name)->second.second; }

std::vector<TypeCount> SchemaCounts::told(const std::vector<Column>& columns, const Dictionary& keys) {
  std::vector<TypeCount> out;
  out.reserve(columns.size());
  for (const Column& column : columns) out.push_back({std::string(keys.at(column.key)), column.type, column.count});
  std::ranges::sort(out, {}, [](const TypeCount& each) { return std::tie(each.key, each.type); });
  return out;
}

SchemaView SchemaCounts::view(const Dictionary& names, const Dictionary& keys) const {
  SchemaView out;
  for (std::uint32_t id = 0; id < names_.size(); ++id) {
    const Name& known = names_[id];
    if (known.seen.count == 0) continue;
    out.events.push_back({std::string(names.at(id)), known.seen.first_ms, known.seen.last_ms, known.seen.count,
                          told(known.columns, keys)});
  }
  std::ranges::sort(out.events, {}, &SchemaView::Event::name);
  out.traits = told(traits_, keys);
  for (const auto& [name, state] : blocked_) out.blocked.push_back({name, state.second, state.first});
  return out;
}

std::uint64_t SchemaCounts::size_bytes() const noexcept {
  std::uint64_t size = names_.capacity() * sizeof(Name) + traits_.capacity() * sizeof(Column);
  for (const Name& name : names_) size += name.columns.capacity() * sizeof(Column);
  return size;
}

}  // namespace cdp
