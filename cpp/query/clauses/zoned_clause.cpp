#include "query/clauses/zoned_clause.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "column/dictionary.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"
#include "query/zone_field.hpp"
#include "query/zone_names.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"

namespace cdp {
namespace {

const Node* field_of(const Node& node, std::string_view name) {
  const auto found = std::ranges::find(node.fields, name, &std::pair<std::string_view, Node>::first);
  return found == node.fields.end() ? nullptr : &found->second;
}

bool is_profile_zone(std::string_view name, const Node& node) {
  return name == "zone" && node.type == Node::Type::kMap && field_of(node, "trait") != nullptr;
}

struct ProfileZone {
  std::string trait;
  std::string otherwise;  // empty: as if none were given
};

// Zones in the order of the document.
void collect(const Node& node, const Path& path, std::vector<ProfileZone>& out) {
  for (std::size_t i = 0; i < node.items.size(); ++i) collect(node.items[i], path.item(i), out);
  for (const auto& [name, value] : node.fields) {
    const Path at = path.field(name);
    if (!is_profile_zone(name, value)) {
      collect(value, at, out);
      continue;
    }
    Fields fields(value, at);
    ProfileZone zone;
    zone.trait = parse_key(fields.require("trait", "the key of a trait"), fields.path("trait"));
    if (const Node* otherwise = fields.take("else")) {
      if (otherwise->type != Node::Type::kString) fail_expected(fields.path("else"), "the name of a zone", *otherwise);
      zone.otherwise = parse_zone(*otherwise, fields.path("else"))->name();
    }
    fields.done();
    out.push_back(std::move(zone));
  }
}

// A copy whose texts are its own.
struct Document {
  std::deque<std::string> texts;
  Node root;

  std::string_view keep(std::string_view text) { return texts.emplace_back(text); }
  // `zone` gives the name in place of the next profile's zone; empty: the field is left out. In the order of `collect`.
  template <class ZoneOf>
  Node copy(const Node& node, ZoneOf&& zone) {
    Node out;
    out.type = node.type;
    out.integer = node.integer;
    out.number = node.number;
    out.text = keep(node.text);
    for (const Node& item : node.items) out.items.push_back(copy(item, zone));
    for (const auto& [name, value] : node.fields) {
      if (!is_profile_zone(name, value)) {
        out.fields.emplace_back(keep(name), copy(value, zone));
        continue;
      }
      const std::string& given = zone();
      if (given.empty()) continue;
      Node named;
      named.type = Node::Type::kString;
      named.text = keep(given);
      out.fields.emplace_back(keep(name), std::move(named));
    }
    return out;
  }
  Node copy_whole(const Node& node) {
    Node out = node;
    own_texts(out);
    return out;
  }

 private:
  void own_texts(Node& node) {
    node.text = keep(node.text);
    for (Node& item : node.items) own_texts(item);
    for (auto& [name, value] : node.fields) {
      name = keep(name);
      own_texts(value);
    }
  }
};

using ZoneNames = std::vector<std::string>;  // one a profile's zone; empty: as if none were given

// The clause with zones in place of those of a profile.
std::shared_ptr<const PredicateSpec> clause_in(const Node& node, const ZoneNames& names, const Path& path,
                                               const CalendarSpec& calendar) {
  Document document;
  std::size_t next = 0;
  document.root = document.copy(node, [&]() -> const std::string& { return names[next++]; });
  return parse_predicate(document.root, path, calendar);
}

bool is_zone_name(std::string_view name) {
  const std::shared_ptr<const ZoneNameSet> known = zone_names();
  if (known == nullptr)
    throw Error(Family::kBadQuery, code::kQueryZoneNames, "the names of zones have not been set", "zone");
  return known->contains(name);
}

[[noreturn]] void fail_zone_needed(std::string names) {
  throw Error(Family::kBadQuery, code::kQueryZoneNeeded, "the table of a zone has not been added", std::move(names));
}

struct ZonedSpec final : LocalClauseSpec, std::enable_shared_from_this<ZonedSpec> {
  Document document;
  CalendarSpec calendar;
  std::vector<ProfileZone> zones;

  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version& version, const Moment& at) const override;
  [[nodiscard]] std::string_view needs_question() const noexcept override {
    return "a zone kept in a trait is for questions; a live segment names its zones";
  }
};

class ZonedClause final : public FactClause {
 public:
  ZonedClause(const ZonedSpec& spec, const Version& version, const Moment& at)
      : spec_(spec.shared_from_this()),
        node_(spec.document.root),
        calendar_(spec.calendar),
        zones_(spec.zones),
        version_(version),
        at_(at) {
    ZoneNames names;
    for (const ProfileZone& zone : zones_) {
      traits_.emplace_back();
      if (const auto key = version.keys->find(zone.trait)) traits_.back() = KeyId{*key};
      if (!traits_.back() && at.mentions != nullptr) at.mentions->unknown_traits.insert(zone.trait);
      names.push_back(zone.otherwise);
    }
    static_cast<void>(
        compiled(names));  // what it names and nobody knows is noted here; not by the threads of a question
    at_.mentions = nullptr;
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    std::int64_t until_ms = INT64_MAX;
    ZoneNames names;
    for (std::size_t i = 0; i < zones_.size(); ++i) names.push_back(zone_of(version, home, now_ms, i, until_ms));
    const Truth truth = evaluate_profile(version, compiled(names), home, now_ms);
    return {truth.value, std::min(truth.valid_until_ms, until_ms)};
  }
  // Profiles of the same zones at once, where they are more than a few.
  void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const override {
    std::ranges::fill(out, 0);
    std::array<std::uint64_t, kStripeWords> asked, found;
    for (const auto& [names, profiles] : by_zones(task, now_ms, scratch, candidates)) {
      const Predicate& predicate = compiled(names);
      if (profiles.size() < kManyOfZones) {
        for (const std::uint32_t profile : profiles) {
          if (evaluate_profile(*task.version, predicate, task.origin(profile), now_ms).value)
            out[profile >> 6] |= std::uint64_t{1} << (profile & 63);
        }
        continue;
      }
      asked.fill(0);
      for (const std::uint32_t profile : profiles) asked[profile >> 6] |= std::uint64_t{1} << (profile & 63);
      predicate.evaluate_task(task, now_ms, scratch, asked, found);
      for (std::uint32_t word = 0; word < kStripeWords; ++word) out[word] |= found[word];
    }
  }
  [[nodiscard]] bool resolved() const noexcept override { return true; }  // of one question: nothing is bound again

 private:
  static constexpr std::uint32_t kManyOfZones = 32;  // one by one a scan costs more
  struct ByTraits {
    bool operator()(const std::vector<Value>& left, const std::vector<Value>& right) const noexcept {
      return std::ranges::lexicographical_compare(left, right, [](const Value& one, const Value& other) {
        return std::pair(one.type, one.bits) < std::pair(other.type, other.bits);
      });
    }
  };
  template <class Visit>
  static void for_each_bit(std::span<const std::uint64_t> words, Visit&& visit) {
    for (std::uint32_t word = 0; word < words.size(); ++word) {
      for (std::uint64_t left = words[word]; left != 0; left &= left - 1)
        visit(word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(left)));
    }
  }

  using Profiles = std::vector<std::uint32_t>;

  // Candidates by the zones that their traits name.
  [[nodiscard]] std::map<ZoneNames, Profiles> by_zones(const Task& task, std::int64_t now_ms, Scratch& scratch,
                                                       std::span<const std::uint64_t> candidates) const {
    std::vector<Scratch::Lease<Value>> held;
    for (const std::optional<KeyId>& key : traits_) {
      held.push_back(scratch.zeroed<Value>(task.size()));
      if (key) read_traits(task, *key, now_ms, candidates, held.back().span());
    }
    std::map<ZoneNames, Profiles> out;
    std::map<std::vector<Value>, Profiles*, ByTraits> known;       // by texts; null is what is none
    std::unordered_map<std::uint64_t, Profiles*> known_of_single;  // the same where there is one
    std::vector<Value> values(held.size());
    for_each_bit(candidates, [&](std::uint32_t profile) {
      for (std::size_t i = 0; i < held.size(); ++i)
        values[i] = held[i][profile].type == ValueType::kString ? held[i][profile] : Value{};
      const std::uint64_t single = values[0].type == ValueType::kNull ? UINT64_MAX : values[0].bits;
      Profiles*& of = values.size() == 1 ? known_of_single[single] : known[values];
      if (of == nullptr) of = &out[names_of(values)];
      of->push_back(profile);
    });
    return out;
  }
  [[nodiscard]] ZoneNames names_of(const std::vector<Value>& values) const {
    ZoneNames out;
    for (std::size_t i = 0; i < zones_.size(); ++i) out.push_back(zone_named(version_, values[i], i));
    return out;
  }
  static void read_traits(const Task& task, KeyId key, std::int64_t now_ms, std::span<const std::uint64_t> candidates,
                          std::span<Value> out) {
    const ProfileView& profiles = *task.version->profiles;
    const bool is_plain = profiles.latest_ms(key) <= now_ms;
    const std::uint32_t origins = task.version->origin_count;
    if (is_plain && task.version->placement.shard_count == 1 && task.first_id < origins)
      return profiles.traits(task.origin(0), key, out.first(std::min(task.size(), origins - task.first_id)));
    for_each_bit(candidates, [&](std::uint32_t profile) {
      const Origin home = task.origin(profile);
      out[profile] =
          is_plain ? profiles.trait(home, key) : profiles.trait_at(home, key, now_ms, *task.version->links).value;
    });
  }

  [[nodiscard]] std::string zone_of(const Version& version, Origin home, std::int64_t now_ms, std::size_t index,
                                    std::int64_t& until_ms) const {
    if (!traits_[index]) return zones_[index].otherwise;
    const ProfileView::Seen seen = version.profiles->trait_at(home, *traits_[index], now_ms, *version.links);
    until_ms = std::min(until_ms, seen.next_ms);
    return zone_named(version, seen.value, index);
  }
  [[nodiscard]] std::string zone_named(const Version& version, const Value& value, std::size_t index) const {
    const std::string& otherwise = zones_[index].otherwise;
    if (value.type != ValueType::kString) return otherwise;
    const std::string_view name = version.strings->at(static_cast<std::uint32_t>(value.bits));
    if (zones().has(name)) return std::string(name);
    if (!is_zone_name(name)) return otherwise;
    fail_zone_needed(std::string(name));
  }

  const Predicate& compiled(const ZoneNames& names) const {
    const std::lock_guard lock(mutex_);
    const auto found = compiled_.find(names);
    if (found != compiled_.end()) return found->second;
    const std::shared_ptr<const PredicateSpec> spec = clause_in(node_, names, Path(), calendar_);
    return compiled_.emplace(names, Predicate(*spec, version_, at_)).first->second;
  }

  std::shared_ptr<const ZonedSpec> spec_;
  Node node_;  // its texts are the spec's
  CalendarSpec calendar_;
  std::vector<ProfileZone> zones_;
  const Version& version_;
  Moment at_;
  std::vector<std::optional<KeyId>> traits_;
  mutable std::mutex mutex_;
  mutable std::map<ZoneNames, Predicate> compiled_;  // nodes never move: references stay good
};

std::unique_ptr<const FactClause> ZonedSpec::bind(const Version& version, const Moment& at) const {
  return std::make_unique<ZonedClause>(*this, version, at);
}

}  // namespace

bool has_profile_zone(const Node& node) {
  return std::ranges::any_of(node.items, has_profile_zone) || std::ranges::any_of(node.fields, [](const auto& field) {
           return is_profile_zone(field.first, field.second) || has_profile_zone(field.second);
         });
}

namespace {
void collect_kept(const Node& node, ZonesKept& out) {
  for (const Node& item : node.items) collect_kept(item, out);
  for (const auto& [name, value] : node.fields) {
    if (is_profile_zone(name, value)) out.traits.emplace_back(field_of(value, "trait")->text);
    if (name == "now_ms" && value.type == Node::Type::kInt) out.instants_ms.push_back(value.integer);
    collect_kept(value, out);
  }
}
}  // namespace

ZonesKept zones_kept(const Node& node) {
  ZonesKept out;
  if (has_profile_zone(node)) collect_kept(node, out);
  return out;
}

void require_zones(const Version& version, const ZonesKept& kept, std::int64_t now_ms) {
  std::set<std::string_view> seen, needed;
  std::vector<std::int64_t> instants_ms = kept.instants_ms;
  instants_ms.push_back(now_ms);
  for (const std::string& trait : kept.traits) {
    const auto key = version.keys->find(trait);
    for (std::uint32_t origin = 0; key && origin < version.origin_count; ++origin) {
      if (version.links->home(Origin{origin}) != Origin{origin}) continue;
      for (const std::int64_t at_ms : instants_ms) {
        const Value value = version.profiles->trait_at(Origin{origin}, KeyId{*key}, at_ms, *version.links).value;
        if (value.type != ValueType::kString) continue;
        const std::string_view name = version.strings->at(static_cast<std::uint32_t>(value.bits));
        if (seen.insert(name).second && !zones().has(name) && is_zone_name(name)) needed.insert(name);
      }
    }
  }
  std::string names;
  for (const std::string_view name : needed) names.append(names.empty() ? "" : " ").append(name);
  if (!names.empty()) fail_zone_needed(std::move(names));
}

LocalClausePtr parse_zoned_clause(const Node& node, const Path& path, const CalendarSpec& calendar) {
  constexpr std::array<std::string_view, 5> kOthers = {"and", "or", "not", "cell", "quantile"};
  if (node.type != Node::Type::kMap || !has_profile_zone(node)) return nullptr;
  if (std::ranges::any_of(kOthers, [&](std::string_view name) { return field_of(node, name) != nullptr; }))
    return nullptr;
  auto out = std::make_shared<ZonedSpec>();
  collect(node, path, out->zones);
  ZoneNames names;
  for (const ProfileZone& zone : out->zones) names.push_back(zone.otherwise);
  static_cast<void>(clause_in(node, names, path, calendar));  // refuses what is wrong with the rest of it
  out->document.root = out->document.copy_whole(node);
  out->calendar = calendar;
  return out;
}

}  // namespace cdp
