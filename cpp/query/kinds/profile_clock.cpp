#include "query/kinds/profile_clock.hpp"

#include <algorithm>
#include <map>
#include <shared_mutex>

#include "column/dictionary.hpp"
#include "query/kinds/value_groups.hpp"
#include "query/zone_field.hpp"
#include "query/zone_names.hpp"
#include "store/profile_store.hpp"

namespace cdp {
namespace {

bool is_of_clocks(const RangeSpec& range) noexcept {
  return range.type == RangeSpec::Type::kAbsolute || range.type == RangeSpec::Type::kCalendar;
}

std::int64_t earlier(std::int64_t time_ms) noexcept { return time_ms == INT64_MIN ? time_ms : time_ms - kClockMostMs; }

}  // namespace

ProfileClock::ProfileClock(const Zone& zone, const RangeSpec& range, std::int64_t now_ms) : zone_(&zone) {
  if (is_of_clocks(range)) {
    instants_.end_ms = now_ms + 1;
    shown_ = resolve_range(range, now_ms + zone.offset_ms(now_ms));
    if (!range.is_past) shown_.end_ms = range.end_ms;  // now hides the rest
  } else {
    instants_ = resolve_range(range, now_ms);
  }
}

namespace {
// Some times on both sides of the border were shown before it and after.
bool is_shown_again(const Zone& zone, std::int64_t border_ms) noexcept {
  const std::vector<ZoneTransition>& all = zone.transitions();
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (all[i].utc_ms + all[i].offset_ms < border_ms && border_ms < all[i].utc_ms + all[i - 1].offset_ms) return true;
  }
  return false;
}
}  // namespace

std::optional<TimeRange> ProfileClock::counted() const noexcept {
  if (zone_ == nullptr) return instants_;
  TimeRange out = instants_;
  if (shown_.start_ms != INT64_MIN) {
    if (is_shown_again(*zone_, shown_.start_ms)) return std::nullopt;
    out.start_ms = std::max(out.start_ms, zone_->utc_of_local(shown_.start_ms));
  }
  if (shown_.end_ms != INT64_MAX) {
    if (is_shown_again(*zone_, shown_.end_ms)) return std::nullopt;
    out.end_ms = std::min(out.end_ms, zone_->utc_of_local(shown_.end_ms));
  }
  return out;
}

struct ProfileClocks::Known {
  std::shared_mutex mutex;
  std::map<std::uint64_t, const Zone*> zones;
};

ProfileClocks::ProfileClocks(const Binding& binding)
    : are_own_(!binding.common.zone_trait.empty()),
      range_(binding.range),
      asked_(binding.common.range),
      now_ms_(binding.now_ms),
      otherwise_(binding.zone),
      known_(std::make_unique<Known>()) {
  if (!are_own_) return;
  if (const auto key = binding.version.keys->find(binding.common.zone_trait)) trait_ = KeyId{*key};
  if (!trait_ && binding.mentions != nullptr) binding.mentions->unknown_traits.insert(binding.common.zone_trait);
}

ProfileClocks::~ProfileClocks() = default;

ProfileClock ProfileClocks::of(const Version& version, Origin home) const {
  if (!are_own_) return ProfileClock(range_);
  const Value name = trait_ ? version.profiles->trait_at(home, *trait_, now_ms_, *version.links).value : Value{};
  return of(version, name);
}

const Zone& ProfileClocks::zone_of(const Version& version, const Value& name) const {
  if (name.type != ValueType::kString) return otherwise_;
  {
    const std::shared_lock lock(known_->mutex);
    const auto found = known_->zones.find(name.bits);
    if (found != known_->zones.end()) return *found->second;
  }
  const std::string_view text = version.strings->at(static_cast<std::uint32_t>(name.bits));
  const Zone* zone = &otherwise_;
  if (zones().has(text)) {
    zone = &zones().find(text, Path());
  } else {
    const std::shared_ptr<const ZoneNameSet> names = zone_names();
    if (names == nullptr)
      throw Error(Family::kBadQuery, code::kQueryZoneNames, "the names of zones have not been set", "zone");
    if (names->contains(text)) {
      throw Error(Family::kBadQuery, code::kQueryZoneNeeded, "the table of a zone has not been added",
                  std::string(text));
    }
  }
  const std::lock_guard lock(known_->mutex);
  known_->zones.emplace(name.bits, zone);
  return *zone;
}

TimeRange range_of_all(const CommonSpec& common, std::int64_t now_ms) noexcept {
  TimeRange out = resolve_range(common.range, now_ms);
  if (common.zone_trait.empty() || !is_of_clocks(common.range)) return out;
  out.start_ms = earlier(resolve_range(common.range, now_ms - kClockMostMs).start_ms);
  out.end_ms = now_ms + 1;
  if (common.range.end_ms != INT64_MAX) out.end_ms = std::min(out.end_ms, common.range.end_ms + kClockMostMs);
  return out;
}

TimeRange shown_range(const CommonSpec& common, const TimeRange& instants) noexcept {
  if (common.zone_trait.empty()) return instants;
  return {earlier(instants.start_ms), instants.end_ms + kClockMostMs};
}

std::int64_t steps_origin_ms(const Binding& binding) noexcept {
  const RangeSpec& range = binding.common.range;
  std::int64_t start_ms = binding.range.start_ms;
  if (!binding.common.zone_trait.empty()) {
    const bool of_clocks = is_of_clocks(range);
    const std::int64_t now_ms = binding.now_ms;
    start_ms = resolve_range(range, of_clocks ? now_ms + binding.zone.offset_ms(now_ms) : now_ms).start_ms;
    if (!of_clocks && start_ms != INT64_MIN) start_ms += binding.zone.offset_ms(start_ms);
  }
  return std::max<std::int64_t>(start_ms, 0);
}

bool take_profile_zone(Fields& fields, CommonSpec& out) {
  const Path path = fields.path("zone");
  const Node* peeked = fields.peek("zone");
  if (peeked == nullptr || peeked->type != Node::Type::kMap) return false;
  if (std::ranges::none_of(peeked->fields, [](const auto& field) { return field.first == "trait"; })) return false;
  Fields zone(*fields.take("zone"), path);
  const Path trait = zone.path("trait"), otherwise = zone.path("else");
  out.zone_trait = parse_key(zone.require("trait", "the key of a trait"), trait);
  if (const Node* given = zone.take("else")) {
    if (given->type != Node::Type::kString) fail_expected(otherwise, "the name of a zone", *given);
    out.zone = parse_zone(*given, otherwise)->name();
  }
  zone.done();
  return true;
}

void use_profile_clocks(CommonSpec& common, const Node* range, const Path& question) {
  const Path range_path = question.field("range"), breakdown = question.field("breakdown");
  if (range != nullptr && range->type == Node::Type::kMap &&
      std::ranges::any_of(range->fields, [](const auto& field) { return field.first == "zone"; })) {
    fail_unsupported(range_path.field("zone"), "on the clocks of profiles the range has no zone of its own");
  }
  for (std::size_t i = 0; i < common.breakdown.size(); ++i) {
    std::shared_ptr<const ValueGroupsSpec>& groups = common.breakdown[i].groups;
    if (groups == nullptr || groups->form != ValueGroupsSpec::Form::kUnit) continue;
    if (!groups->of_time)
      fail_unsupported(breakdown.item(i).field("unit"), "datetimes have no unit on the clocks of profiles yet");
    auto shown = std::make_shared<ValueGroupsSpec>(*groups);
    shown->calendar.zone = nullptr;
    groups = std::move(shown);
  }
}

void refuse_profile_zone(const Fields& fields, const CommonSpec& common) {
  if (!common.zone_trait.empty())
    fail_unsupported(fields.path("zone"), "a zone kept in a trait is for trends, funnels and retention");
}

}  // namespace cdp
