#include <algorithm>
#include <array>

#include "column/dictionary.hpp"
#include "query/clauses/fact_clause.hpp"
#include "query/condition_tree.hpp"
#include "query/predicate.hpp"
#include "store/fact_store.hpp"

namespace cdp {

namespace {

constexpr const FactSpec& kDevice = spec_of(FactType::kDevice);

// What a device is asked for: its texts by their place, then these.
enum Asked : std::uint8_t { kId = kFactTexts, kDead, kFirstSeen, kLastSeen };

std::optional<std::uint8_t> asked_for(std::string_view property) {
  const auto text = std::ranges::find(kDevice.texts, property, &FactTextSpec::name);
  if (text != kDevice.texts.end()) return static_cast<std::uint8_t>(text - kDevice.texts.begin());
  constexpr std::array<std::string_view, 4> kOthers{"id", "dead", "first_seen", "last_seen"};
  const auto* const other = std::ranges::find(kOthers, property);
  if (other == kOthers.end()) return std::nullopt;
  return static_cast<std::uint8_t>(kId + (other - kOthers.begin()));
}

Value value_of(const Fact& device, std::uint8_t asked) {
  const auto time_of = [](std::int64_t time_ms) {
    return time_ms == 0 ? Value{} : Value{ValueType::kDatetime, static_cast<std::uint64_t>(time_ms)};
  };
  switch (asked) {
    case kId: return {ValueType::kString, first_of(device.subject)};
    case kDead: return {ValueType::kBool, device.state == fact::kDead ? 1u : 0u};
    case kFirstSeen: return time_of(device.first_ms);
    case kLastSeen: return time_of(device.last_ms[fact::kSeen]);
    default: return device.texts[asked];
  }
}

class DeviceClause final : public FactClause {
 public:
  DeviceClause(const FactClauseSpec& spec, const Version& version, const Moment& at)
      : conditions_(spec.where, [&](const Condition& condition) {
          return Bound{*asked_for(condition.property), BoundTest(condition.test, *version.strings, at)};
        }) {}

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    const FactView& devices = *version.facts[static_cast<std::size_t>(FactType::kDevice)];
    const std::span<const Origin> members = version.links->members(home);
    if (std::ranges::none_of(members, [&](Origin member) { return devices.has(member); })) return {false, INT64_MAX};
    Truth truth;
    const std::vector<Fact> facts = devices.facts(members, now_ms, &truth.valid_until_ms);
    truth.value = std::ranges::any_of(facts, [&](const Fact& device) { return meets(device, now_ms); });
    for (const Fact& device : facts) truth.valid_until_ms = std::min(truth.valid_until_ms, valid_until(device, now_ms));
    return truth;
  }
  [[nodiscard]] bool resolved() const noexcept override {
    return std::ranges::all_of(conditions_.leaves(), [](const Bound& condition) { return condition.test.resolved(); });
  }

 private:
  struct Bound {
    std::uint8_t asked;
    BoundTest test;
  };

  [[nodiscard]] bool meets(const Fact& device, std::int64_t now_ms) const {
    return conditions_.hold([&](std::size_t leaf) {
      const Bound& condition = conditions_.leaves()[leaf];
      return condition.test.matches(value_of(device, condition.asked), now_ms);
    });
  }
  [[nodiscard]] std::int64_t valid_until(const Fact& device, std::int64_t now_ms) const {
    std::int64_t until = INT64_MAX;
    for (const Bound& condition : conditions_.leaves()) {
      until = std::min(until, condition.test.valid_until(value_of(device, condition.asked), now_ms));
    }
    return until;
  }

  BoundConditions<Bound> conditions_;
};

void check_asked(const Condition& condition, const Path& path) {
  if (condition.place) fail_invalid(path.field("geo"), "a device has no place of its own");
  if (asked_for(condition.property)) return;
  fail_invalid(path.field("property"),
               "expected one of id, platform, token, app_version, zone, reason, dead, first_seen, last_seen");
}

}  // namespace

FactClauseSpec parse_device_clause(Fields& fields) {
  FactClauseSpec out;
  out.type = FactClauseSpec::Type::kDevice;
  const Path path = fields.path("device");
  out.where = parse_conditions(fields.require("device", "a list of conditions"), path, nullptr, check_asked);
  return out;
}

std::unique_ptr<const FactClause> bind_device_clause(const FactClauseSpec& spec, const Version& version,
                                                     const Moment& at) {
  return std::make_unique<DeviceClause>(spec, version, at);
}

}  // namespace cdp
