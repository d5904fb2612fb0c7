#include <algorithm>

#include "column/dictionary.hpp"
#include "query/clauses/fact_clause.hpp"
#include "query/condition_tree.hpp"
#include "query/named_keys.hpp"
#include "query/predicate.hpp"
#include "store/fact_store.hpp"
#include "store/group_store.hpp"
#include "store/profile_store.hpp"

namespace cdp {

namespace {

// What a membership is asked for: keys that no client's trait can have, then traits of the group.
constexpr std::string_view kId = "$id", kRole = "$role";

class GroupClause final : public FactClause {
 public:
  GroupClause(const FactClauseSpec& spec, const Version& version, const Moment& at)
      : any_kind_(spec.name.empty()),
        conditions_(spec.where, [&](const Condition& condition) { return bind(condition, version, at); }) {
    if (!any_kind_) kind_ = version.strings->find(spec.name);
    resolved_ = any_kind_ || kind_.has_value();
    for (const Bound& bound : conditions_.leaves())
      resolved_ &= bound.test.resolved() && (bound.asked != Bound::kTrait || bound.key.has_value());
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    const FactView& memberships = *version.facts[static_cast<std::size_t>(FactType::kMembership)];
    const std::span<const Origin> members = version.links->members(home);
    if (std::ranges::none_of(members, [&](Origin member) { return memberships.has(member); })) {
      return {false, INT64_MAX};
    }
    Truth truth;
    for (const Fact& membership : memberships.facts(members, now_ms, &truth.valid_until_ms)) {
      if (membership.state != fact::kJoined) continue;
      if (meets(version, membership, now_ms, truth.valid_until_ms)) truth.value = true;
    }
    return truth;
  }
  [[nodiscard]] bool resolved() const noexcept override { return resolved_; }

 private:
  struct Bound {
    enum Asked : std::uint8_t { kTrait, kGroupId, kGroupRole };
    Asked asked{};
    std::optional<KeyId> key;  // of a trait; empty: no group has it
    BoundTest test;
  };

  [[nodiscard]] static Bound bind(const Condition& condition, const Version& version, const Moment& at) {
    Bound bound{Bound::kTrait, {}, BoundTest(condition.test, *version.strings, at)};
    if (condition.property == kId) bound.asked = Bound::kGroupId;
    if (condition.property == kRole) bound.asked = Bound::kGroupRole;
    if (bound.asked == Bound::kTrait) bound.key = find_trait(condition.property, version, at);
    return bound;
  }

  // Every condition is looked at, so that `valid_until_ms` hears of each trait's future.
  [[nodiscard]] bool meets(const Version& version, const Fact& membership, std::int64_t now_ms,
                           std::int64_t& valid_until_ms) const {
    const Origin group{first_of(membership.subject)};
    if (!any_kind_ && kind_ != version.groups->kind(group)) return false;
    std::vector<bool> passes;
    for (const Bound& condition : conditions_.leaves()) {
      switch (condition.asked) {
        case Bound::kGroupId:
          passes.push_back(condition.test.matches(Value{ValueType::kString, version.groups->id(group)}, now_ms));
          break;
        case Bound::kGroupRole: passes.push_back(condition.test.matches(membership.texts[0], now_ms)); break;
        case Bound::kTrait: {
          if (!condition.key) {
            passes.push_back(condition.test.passes_missing());
            break;
          }
          const auto seen = version.group_traits->trait_at(group, *condition.key, now_ms, version.groups->links());
          valid_until_ms = std::min(valid_until_ms, seen.next_ms);
          valid_until_ms = std::min(valid_until_ms, condition.test.valid_until(seen.value, now_ms));
          passes.push_back(condition.test.matches(seen.value, now_ms));
        }
      }
    }
    return conditions_.hold([&](std::size_t leaf) { return passes[leaf]; });
  }

  bool any_kind_;
  std::optional<std::uint32_t> kind_;  // empty: any, or one that the store never heard of
  BoundConditions<Bound> conditions_;
  bool resolved_ = true;
};

}  // namespace

FactClauseSpec parse_group_clause(Fields& fields) {
  FactClauseSpec out;
  out.type = FactClauseSpec::Type::kGroup;
  const Node* kind = fields.take_nil("group");
  if (kind->type != Node::Type::kNull) out.name = parse_key(*kind, fields.path("group"));
  const Path where_path = fields.path("where");
  const auto refuse_places = [](const Condition& condition, const Path& at) {
    if (condition.place) fail_invalid(at.field("geo"), "a group has no place of its own");
  };
  if (const Node* where = fields.take("where"))
    out.where = parse_conditions(*where, where_path, nullptr, refuse_places);
  return out;
}

std::unique_ptr<const FactClause> bind_group_clause(const FactClauseSpec& spec, const Version& version,
                                                    const Moment& at) {
  return std::make_unique<GroupClause>(spec, version, at);
}

}  // namespace cdp
