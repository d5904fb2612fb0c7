#include "query/kinds/profile.hpp"

#include <algorithm>
#include <limits>

#include "base/limits.hpp"
#include "codec/normalise.hpp"
#include "column/dictionary.hpp"
#include "store/event_store.hpp"
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
  std::string scratch;
  for (const auto& [kind, value] : node.fields) {
    const Path at = path.field(kind);
    if (value.type != Node::Type::kString && value.type != Node::Type::kInt) fail_expected(at, "a string", value);
    const std::string text = value.type == Node::Type::kInt ? std::to_string(value.integer) : std::string(value.text);
    out.ids.emplace_back(std::string(kind), std::string(normalise_identity(kind, text, scratch)));
  }
  std::stable_sort(out.ids.begin(), out.ids.end(),
                   [](const auto& left, const auto& right) { return rank_of(left.first) < rank_of(right.first); });
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

class ProfileReader {
 public:
  ProfileReader(const Version& version, const ProfileSpec& spec, std::int64_t now_ms)
      : version_(version), spec_(spec), now_ms_(now_ms) {}

  ProfileAnswer read(Origin home) {
    answer_.profile_id = raw(home);
    answer_.watermark = version_.watermark;
    answer_.now_ms = now_ms_;
    const std::span<const Origin> members = version_.links->members(home);
    for (const Origin member : members) {
      for (const IdentityEntry& entry : version_.identities->of(member)) answer_.identities.push_back(entry);
    }
    read_traits(home, members);
    if (spec_.with_events) read_events(home);
    return std::move(answer_);
  }

 private:
  [[nodiscard]] AnswerValue resolve(const Value& value) const {
    if (!is_dictionary_type(value.type)) return {value.type, value.bits, {}};
    return {value.type, value.bits, version_.strings->at(static_cast<std::uint32_t>(value.bits))};
  }

  void read_traits(Origin home, std::span<const Origin> members) {
    std::vector<KeyId> keys;
    for (const StoredOperation& operation : version_.profiles->history(members)) {
      keys.push_back(operation.key);
      if (operation.time_ms > now_ms_) continue;
      answer_.trait_history.push_back(
          {version_.keys->at(raw(operation.key)), operation.kind, resolve(operation.value), operation.time_ms});
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    for (const KeyId key : keys) {
      const Value value = version_.profiles->trait_at(home, key, now_ms_, *version_.links).value;
      if (value.type != ValueType::kNull) answer_.traits.emplace_back(version_.keys->at(raw(key)), resolve(value));
    }
    const std::int64_t created_ms = version_.profiles->created_ms(home, *version_.links);
    if (created_ms < limits::kTimeMaxMs) answer_.created_ms = created_ms;
  }

  void read_events(Origin home) {
    std::vector<NameId> names;
    for (const std::string& name : spec_.names) {
      if (const auto id = version_.names->find(name)) names.push_back(NameId{*id});
    }
    if (names.empty() && !spec_.names.empty()) return;
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::vector<Row> rows;
    rows_of(version_, home, names, rows);
    while (!rows.empty() && rows.back().time_ms > now_ms_) rows.pop_back();
    const std::size_t count = std::min<std::uint64_t>(rows.size(), spec_.limit);
    answer_.events.reserve(count);
    for (std::size_t i = 0; i < count; ++i) add_event(spec_.newest_first ? rows[rows.size() - 1 - i] : rows[i]);
  }

  void add_event(const Row& row) {
    properties_.clear();
    properties(row, properties_);
    answer_.events.push_back({version_.names->at(raw(row.name)), row.time_ms,
                              static_cast<std::uint32_t>(answer_.properties.size()),
                              static_cast<std::uint32_t>(properties_.size())});
    for (const auto& [key, value] : properties_)
      answer_.properties.emplace_back(version_.keys->at(raw(key)), resolve(value));
  }

  const Version& version_;
  const ProfileSpec& spec_;
  std::int64_t now_ms_;
  ProfileAnswer answer_;
  std::vector<std::pair<KeyId, Value>> properties_;
};

}  // namespace

ProfileSpec parse_profile(Fields& fields, const CommonSpec& common) {
  if (common.where != nullptr) fail_invalid(fields.path("where"), "profile names one profile: it has no where");
  if (common.range.type != RangeSpec::Type::kAll) fail_unsupported(fields.path("range"), "profile has no range yet");
  if (!common.breakdown.empty()) fail_invalid(fields.path("breakdown"), "profile has no breakdown");
  if (common.limit) fail_invalid(fields.path("limit"), "expected the limit inside events");
  ProfileSpec out;
  out.now_ms = common.now_ms;
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

std::optional<ProfileAnswer> read_profile(const Version& version, const ProfileSpec& spec, std::int64_t now_ms) {
  const Origin origin = find_origin(version, spec);
  if (origin == kNoOrigin) return std::nullopt;
  return ProfileReader(version, spec, now_ms).read(version.links->home(origin));
}

}  // namespace cdp
