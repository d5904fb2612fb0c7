#include "store/retention.hpp"

#include <algorithm>

#include "store/version.hpp"

namespace cdp {
namespace {

std::int64_t cut_at(std::int64_t now_ms, std::int64_t window_ms) {
  return window_ms == INT64_MAX ? INT64_MIN : now_ms - window_ms;
}

}  // namespace

const Horizon::Rule& Horizon::of(NameId name) const noexcept {
  const auto found =
      std::lower_bound(names_.begin(), names_.end(), name, [](const auto& at, NameId id) { return at.first < id; });
  return found != names_.end() && found->first == name ? found->second : others_;
}

std::int64_t Retention::window_ms(std::string_view name) const {
  const auto found = rules_.of_name.find(name);
  return found != rules_.of_name.end() ? found->second : rules_.others.value_or(INT64_MAX);
}

std::int64_t Retention::cut_ms(std::string_view name, std::int64_t now_ms) const {
  const auto found = cuts_.find(name);
  return std::max(found != cuts_.end() ? found->second : others_cut_ms_, cut_at(now_ms, window_ms(name)));
}

std::shared_ptr<const Retention> Retention::replace(const Retention* before, RetentionRules rules,
                                                    std::int64_t tick_ms) {
  auto after = std::make_shared<Retention>();
  if (before != nullptr) {
    for (const auto& [name, cut] : before->cuts_) after->cuts_[name] = before->cut_ms(name, tick_ms);
    for (const auto& [name, window] : before->rules_.of_name) after->cuts_[name] = before->cut_ms(name, tick_ms);
    after->others_cut_ms_ =
        std::max(before->others_cut_ms_, cut_at(tick_ms, before->rules_.others.value_or(INT64_MAX)));
  }
  after->rules_ = std::move(rules);
  return after;
}

Horizon Retention::at(const Dictionary& names, std::int64_t now_ms) const {
  Horizon horizon;
  horizon.others_.window_ms = rules_.others.value_or(INT64_MAX);
  horizon.others_.cut_ms = std::max(others_cut_ms_, cut_at(now_ms, horizon.others_.window_ms));
  horizon.latest_cut_ms_ = horizon.others_.cut_ms;
  const auto add = [&](const std::string& name) {
    const auto id = names.find(name);
    if (!id) return;  // never seen
    horizon.names_.push_back({NameId{*id}, {cut_ms(name, now_ms), window_ms(name)}});
    horizon.latest_cut_ms_ = std::max(horizon.latest_cut_ms_, horizon.names_.back().second.cut_ms);
  };
  for (const auto& [name, window] : rules_.of_name) add(name);
  for (const auto& [name, cut] : cuts_) {
    if (!rules_.of_name.contains(name)) add(name);
  }
  std::ranges::sort(horizon.names_, {}, [](const auto& at) { return at.first; });
  return horizon;
}

std::optional<Horizon> horizon_of(const Version& version, std::int64_t now_ms) {
  if (version.retention == nullptr) return std::nullopt;
  return version.retention->at(*version.names, std::max(now_ms, version.tick_ms));
}

Expired expired(const Chunk& chunk, const Horizon& horizon) noexcept {
  const std::int64_t first_ms = partition_start_ms(chunk.partition) + chunk.time_min;
  const std::int64_t last_ms = partition_start_ms(chunk.partition) + chunk.time_max;
  if (horizon.latest_cut_ms() < first_ms) return Expired::kNone;
  bool any = false, all = true;
  for (const Slice& slice : chunk.slices) {
    const std::int64_t cut_ms = horizon.cut_ms(slice.name);
    any |= cut_ms >= first_ms;
    all &= cut_ms >= last_ms;
  }
  return all ? Expired::kAll : (any ? Expired::kSome : Expired::kNone);
}

}  // namespace cdp
