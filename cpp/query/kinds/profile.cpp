#include "query/kinds/profile.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/limits.hpp"
#include "codec/normalise.hpp"
#include "column/dictionary.hpp"
#include "query/as_of.hpp"
#include "query/kinds/profile_clock.hpp"
#include "store/event_store.hpp"
#include "store/group_store.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"

namespace cdp {
namespace {

std::uint32_t rank_of(std::string_view kind) {
  for (const KindRule& rule : default_kind_rules()) {
    if (rule.kind == kind) return rule.rank;
  }
  return std::numeric_limits<std::uint32_t>::max();
}

void parse_ids(const Node& node, const Path& path, ProfileSpec& out) {
  if (node.type != Node::Type::kMap || node.fields.empty()) fail_expected(path, "a map of identities", node);
  for (const auto& [kind, value] : node.fields) {
    const Path at = path.field(kind);
    if (value.type != Node::Type::kString && value.type != Node::Type::kInt) fail_expected(at, "a string", value);
    const std::string text = value.type == Node::Type::kInt ? std::to_string(value.integer) : std::string(value.text);
    out.ids.emplace_back(kind, text);
  }
  settle_ids(out);
}

void parse_events(const Node& node, const Path& path, ProfileSpec& out) {
  Fields fields(node, path);
  out.with_events = true;
  out.limit = static_cast<std::uint64_t>(fields.integer("limit", 0, limits::kQueryRows).value_or(INT64_MAX));
  if (const Node* names = fields.take("names")) {
    const Path at = fields.path("names");
    const std::vector<Node>& items = read_array(*names, at, 0, limits::kQueryNames);
    for (std::size_t i = 0; i < items.size(); ++i) out.names.push_back(parse_key(items[i], at.item(i)));
  }
  if (const Node* newest = fields.take("newest_first"))
    out.newest_first = read_bool(*newest, fields.path("newest_first"));
  fields.done();
}

class ProfileReader {
 public:
  ProfileReader(const Version& version, const ProfileSpec& spec, std::int64_t now_ms)
      : version_(version), spec_(spec), now_ms_(now_ms) {}

  ProfileAnswer read(Origin home) {
    version_.identities->prefetch(home);
    answer_.profile_id = raw(home);
    answer_.watermark = version_.watermark;
    answer_.now_ms = now_ms_;
    const ProfileTraits traits = version_.profiles->read(home, now_ms_, *version_.links);
    if (traits.created_ms < limits::kTimeMaxMs) answer_.created_ms = traits.created_ms;
    read_identities(home);
    if (spec_.with_events && spec_.limit > 0) read_events(home);
    fetch_texts(traits);
    add_traits(traits);
    add_facts(home);
    add_events();
    return std::move(answer_);
  }

 private:
  [[nodiscard]] AnswerValue resolve(const Value& value) const { return answer_value(version_, value); }

  void read_identities(Origin home) {
    for (const Origin member : version_.links->members(home)) {
      const std::vector<IdentityEntry> entries = version_.identities->of(member);
      answer_.identities.insert(answer_.identities.end(), entries.begin(), entries.end());
    }
  }

  void read_events(Origin home) {
    std::vector<NameId> names;
    for (const std::string& name : spec_.names) {
      if (const auto id = version_.names->find(name)) names.push_back(NameId{*id});
    }
    if (names.empty() && !spec_.names.empty()) return;
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    const std::optional<Horizon> horizon = horizon_of(version_, now_ms_);
    rows_of(version_, home, names, {now_ms_, spec_.limit, spec_.newest_first, horizon ? &*horizon : nullptr}, rows_);
    if (spec_.newest_first) std::reverse(rows_.begin(), rows_.end());
    properties(rows_, properties_, ends_);
  }

  // Texts lie far apart: all are on their way before the first is read.
  void fetch_texts(const ProfileTraits& traits) const {
    for (const int step : {0, 1}) {
      const auto fetch = [&](const Value& value) {
        if (is_dictionary_type(value.type)) version_.strings->prefetch(static_cast<std::uint32_t>(value.bits), step);
      };
      for (const auto& [key, value] : traits.values) fetch(value);
      for (const auto& [key, value] : properties_) fetch(value);
    }
  }

  void add_traits(const ProfileTraits& traits) {
    answer_.traits.reserve(traits.values.size());
    for (const auto& [key, value] : traits.values) {
      answer_.traits.emplace_back(version_.keys->at(raw(key)), resolve(value));
    }
    answer_.trait_history.reserve(traits.history.size());
    for (const StoredOperation& operation : traits.history) {
      answer_.trait_history.push_back(
          {version_.keys->at(raw(operation.key)), operation.kind, resolve(operation.value), operation.time_ms});
    }
  }

  void add_facts(Origin home) {
    const std::span<const Origin> members = version_.links->members(home);
    std::vector<std::uint64_t> orders;  // of the changes
    for (const FactSpec& spec : kFactSpecs) {
      const FactView& view = *version_.facts[static_cast<std::size_t>(spec.type)];
      if (std::ranges::none_of(members, [&](Origin member) { return view.has(member); })) continue;
      const std::vector<StoredFact> operations = view.history(members, now_ms_);
      std::vector<AnswerFact>& out = answer_.facts[static_cast<std::size_t>(spec.type)];
      for (const Fact& fact : fold_facts(spec.type, operations)) {
        AnswerFact& answer = out.emplace_back();
        answer.subject = subject_texts(version_, spec.type, fact.subject);
        answer.fact = fact;
        if (spec.type == FactType::kMembership) add_group_traits(Origin{first_of(fact.subject)}, answer);
        std::ranges::transform(fact.texts, answer.texts.begin(), [this](const Value& text) { return text_of(text); });
      }
      for (const StoredFact& operation : operations) {
        AnswerChange& change = answer_.changes.emplace_back();
        change.type = spec.type;
        change.subject = subject_texts(version_, spec.type, operation.subject);
        change.state = operation.state;
        for (const FactText& text : operation.texts) change.texts.emplace_back(text.field, text_of(text.value));
        change.time_ms = operation.time_ms;
        orders.push_back(operation.order);
      }
    }
    sort_changes(orders);
  }

  void add_group_traits(Origin group, AnswerFact& answer) const {
    const ProfileTraits traits = version_.group_traits->read(group, now_ms_, version_.groups->links());
    for (const auto& [key, value] : traits.values) {
      answer.traits.emplace_back(version_.keys->at(raw(key)), resolve(value));
    }
  }

  [[nodiscard]] std::optional<std::string_view> text_of(const Value& text) const {
    if (text.type == ValueType::kNull) return std::nullopt;
    return version_.strings->at(static_cast<std::uint32_t>(text.bits));
  }

  void sort_changes(std::span<const std::uint64_t> orders) {
    std::vector<std::size_t> places(orders.size());
    std::iota(places.begin(), places.end(), std::size_t{0});
    std::ranges::sort(places, {}, [&](std::size_t at) { return std::pair(answer_.changes[at].time_ms, orders[at]); });
    std::vector<AnswerChange> sorted;
    sorted.reserve(places.size());
    for (const std::size_t at : places) sorted.push_back(std::move(answer_.changes[at]));
    answer_.changes = std::move(sorted);
  }

  void add_events() {
    answer_.events.reserve(rows_.size());
    answer_.properties.reserve(properties_.size());
    std::uint32_t first = 0;
    for (std::size_t at = 0; at < rows_.size(); ++at) {
      const Row& row = rows_[at];
      answer_.events.push_back({version_.names->at(raw(row.name)), row.time_ms, first, ends_[at] - first});
      first = ends_[at];
    }
    for (const auto& [key, value] : properties_) {
      answer_.properties.emplace_back(version_.keys->at(raw(key)), resolve(value));
    }
  }

  const Version& version_;
  const ProfileSpec& spec_;
  std::int64_t now_ms_;
  ProfileAnswer answer_;
  std::vector<Row> rows_;  // of the events, in the order asked for
  std::vector<std::pair<KeyId, Value>> properties_;
  std::vector<std::uint32_t> ends_;  // of each row's properties
};

void check_events_kept(const Version& version, const ProfileSpec& spec) {
  Mentions read;
  read.any_event = spec.names.empty();
  for (const std::string& name : spec.names) {
    if (const auto id = version.names->find(name)) read.events.insert(NameId{*id});
  }
  check_kept(version, read, *spec.as_of_ms, Path().field("as_of_ms"));
}

}  // namespace

AnswerValue answer_value(const Version& version, const Value& value) {
  if (!is_dictionary_type(value.type)) return {value.type, value.bits, {}};
  return {value.type, value.bits, version.strings->at(static_cast<std::uint32_t>(value.bits))};
}

ProfileSpec parse_profile(Fields& fields, const CommonSpec& common) {
  refuse_profile_zone(fields, common);
  if (common.where != nullptr) fail_invalid(fields.path("where"), "profile names one profile: it has no where");
  if (common.range.type != RangeSpec::Type::kAll) {
    fail_invalid(fields.path("range"), "profile has no range: it tells all events up to now, or events.limit of them");
  }
  if (!common.breakdown.empty()) fail_invalid(fields.path("breakdown"), "profile has no breakdown");
  if (common.limit) fail_invalid(fields.path("limit"), "expected the limit inside events");
  ProfileSpec out;
  out.now_ms = common.now_ms;
  out.as_of_ms = common.as_of_ms;
  const Node* ids = fields.take("ids");
  const Node* profile = fields.take("profile");
  if ((ids == nullptr) == (profile == nullptr))
    fail_invalid(fields.path("ids"), "expected ids or profile, one of the two");
  if (ids != nullptr) parse_ids(*ids, fields.path("ids"), out);
  if (profile != nullptr) {
    out.profile = static_cast<std::uint64_t>(read_int(*profile, fields.path("profile"), 0, INT64_MAX));
  }
  if (const Node* events = fields.take("events")) parse_events(*events, fields.path("events"), out);
  return out;
}

void settle_ids(ProfileSpec& spec) {
  std::string scratch;
  for (auto& [kind, value] : spec.ids) value = std::string(normalise_identity(kind, value, scratch));
  if (spec.ids.size() < 2) return;
  std::stable_sort(spec.ids.begin(), spec.ids.end(),
                   [](const auto& left, const auto& right) { return rank_of(left.first) < rank_of(right.first); });
}

Origin find_origin(const Version& version, const ProfileSpec& spec) {
  if (spec.profile)
    return *spec.profile < version.origin_count ? Origin{static_cast<std::uint32_t>(*spec.profile)} : kNoOrigin;
  for (const auto& [kind, value] : spec.ids) {
    const Origin origin = version.identities->find(kind, value);
    // The map runs ahead of the version: an origin behind its count is not there yet.
    if (origin != kNoOrigin && raw(origin) < version.origin_count) return origin;
  }
  return kNoOrigin;
}

std::optional<ProfileAnswer> read_profile(const Version& version, const ProfileSpec& spec, std::int64_t now_ms) {
  const Origin origin = find_origin(version, spec);
  if (origin == kNoOrigin) return std::nullopt;
  if (spec.as_of_ms && spec.with_events && spec.limit > 0) check_events_kept(version, spec);
  return ProfileReader(version, spec, now_ms).read(version.links->home(origin));
}

}  // namespace cdp
