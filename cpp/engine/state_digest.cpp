#include "engine/state_digest.hpp"

#include <cstring>

#include "disk/digest.hpp"

namespace cdp {
namespace {

// Every field goes in with its length or a fixed width, so that no two states share a byte string.
class Hasher {
 public:
  void number(std::uint64_t value) { sha_.update(std::as_bytes(std::span(&value, 1))); }
  void signed_number(std::int64_t value) { number(static_cast<std::uint64_t>(value)); }
  void text(std::string_view value) {
    number(value.size());
    sha_.update(std::as_bytes(std::span(value.data(), value.size())));
  }
  void value(const Value& value, const Dictionary& strings) {
    number(static_cast<std::uint64_t>(value.type));
    if (is_dictionary_type(value.type)) {
      text(strings.at(static_cast<std::uint32_t>(value.bits)));
    } else {
      number(value.bits);
    }
  }
  [[nodiscard]] std::string finish() { return hex_of(sha_.finish()); }

 private:
  Sha256 sha_;
};

void add_rows(Hasher& hasher, const Version& version, Origin home, const Horizon* horizon, std::vector<Row>& rows,
              std::vector<std::pair<KeyId, Value>>& fields) {
  rows.clear();
  rows_of(version, home, {}, {.horizon = horizon}, rows);
  hasher.number(rows.size());
  for (const Row& row : rows) {
    hasher.signed_number(row.time_ms);
    hasher.number(raw(row.origin));
    hasher.text(version.names->at(raw(row.name)));
    fields.clear();
    properties(row, fields);
    hasher.number(fields.size());
    for (const auto& [key, value] : fields) {
      hasher.text(version.keys->at(raw(key)));
      hasher.value(value, *version.strings);
    }
  }
}

void add_history(Hasher& hasher, const Version& version, const ProfileView& profiles, std::span<const Origin> members) {
  const auto history = profiles.history(members);
  hasher.number(history.size());
  for (const StoredOperation& operation : history) {
    hasher.number(raw(operation.origin));
    hasher.text(version.keys->at(raw(operation.key)));
    hasher.number(static_cast<std::uint64_t>(operation.kind));
    hasher.signed_number(operation.time_ms);
    hasher.value(operation.value, *version.strings);
  }
}

void add_traits(Hasher& hasher, const Version& version, Origin home) {
  for (const KeyId key : version.profiles->keys()) {
    const Value value = version.profiles->trait(home, key);
    if (value.type == ValueType::kNull) continue;
    hasher.text(version.keys->at(raw(key)));
    hasher.value(value, *version.strings);
  }
  add_history(hasher, version, *version.profiles, version.links->members(home));
}

void add_facts(Hasher& hasher, const Version& version, Origin home) {
  for (const FactSpec& spec : kFactSpecs) {
    const FactView& view = *version.facts[static_cast<std::size_t>(spec.type)];
    const std::vector<StoredFact> operations = view.history(version.links->members(home), INT64_MAX);
    hasher.number(operations.size());
    for (const StoredFact& operation : operations) {
      hasher.number(raw(operation.origin));
      for (const std::string_view text : subject_texts(version, spec.type, operation.subject)) hasher.text(text);
      hasher.number(operation.state);
      hasher.signed_number(operation.time_ms);
      hasher.number(operation.texts.size());
      for (const FactText& text : operation.texts) {
        hasher.number(text.field);
        hasher.value(text.value, *version.strings);
      }
    }
  }
}

void add_profiles(Hasher& hasher, const Version& version) {
  std::vector<Row> rows;
  std::vector<std::pair<KeyId, Value>> fields;
  const std::optional<Horizon> horizon = horizon_of(version, version.tick_ms);
  hasher.number(version.origin_count);
  for (std::uint32_t id = 0; id < version.origin_count; ++id) {
    const Origin origin{id};
    hasher.number(raw(version.links->home(origin)));
    for (const IdentityEntry& identity : version.identities->of(origin)) {
      hasher.text(identity.kind);
      hasher.text(identity.value);
    }
    if (version.links->home(origin) != origin) continue;
    add_rows(hasher, version, origin, horizon ? &*horizon : nullptr, rows, fields);
    add_traits(hasher, version, origin);
    add_facts(hasher, version, origin);
  }
}

void add_groups(Hasher& hasher, const Version& version) {
  hasher.number(version.group_count);
  for (std::uint32_t number = 0; number < version.group_count; ++number) {
    const Origin group{number};
    hasher.text(version.strings->at(version.groups->kind(group)));
    hasher.text(version.strings->at(version.groups->id(group)));
    add_history(hasher, version, *version.group_traits, {&group, 1});
  }
}

void add_links(Hasher& hasher, const Version& version) {
  for (const Link& link : version.links->all()) {
    hasher.number(raw(link.winner));
    hasher.number(raw(link.loser));
    hasher.number(link.sequence);
    hasher.signed_number(link.time_ms);
    hasher.number(link.dead_sequence);
    hasher.signed_number(link.dead_from_ms);
  }
}

void add_watches(Hasher& hasher, const WatchSet& watches) {
  hasher.number(watches.last_cursor());
  for (const Definition& definition : watches.definitions()) {
    hasher.text(definition.kind);
    hasher.text(definition.name);
    hasher.text(definition.body);
    if (definition.kind != "watch") continue;
    for (const std::uint64_t member : watches.members(definition.name)) hasher.number(member);
  }
}

}  // namespace

std::string state_digest(const Version& version, const Applier& applier, const WatchSet& watches) {
  Hasher hasher;
  hasher.number(version.watermark);
  add_profiles(hasher, version);
  add_groups(hasher, version);
  add_links(hasher, version);
  add_watches(hasher, watches);
  for (const auto& [key, day] : applier.live_event_ids()) {
    hasher.number(key.low);
    hasher.number(key.high);
    hasher.signed_number(day);
  }
  return hasher.finish();
}

}  // namespace cdp
