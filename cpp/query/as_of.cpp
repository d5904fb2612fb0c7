#include "query/as_of.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "codec/normalise.hpp"
#include "column/dictionary.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"
#include "store/retention.hpp"

namespace cdp {
namespace {

bool lives(const Link& link, std::int64_t as_of_ms) noexcept {
  return link.time_ms <= as_of_ms && (link.dead_sequence == 0 || link.dead_from_ms > as_of_ms);
}

// Over the links of now: those of the profiles whose links differ.
class LinksAsOf final : public LinkView {
 public:
  // `only`: of the relatives of this origin; others stay as they are.
  LinksAsOf(std::shared_ptr<const LinkView> base, std::int64_t as_of_ms, std::optional<Origin> only)
      : base_(std::move(base)), as_of_ms_(as_of_ms) {
    for (const Link& link : only ? base_->history_of(*only) : base_->all()) {
      if (lives(link, as_of_ms) != (link.dead_sequence == 0) && !profiles_.contains(raw(link.winner)))
        rejoin(link.winner);
    }
    for (const auto& [origin, profile] : profiles_) changed_.push_back(Origin{origin});
    std::sort(changed_.begin(), changed_.end());
  }

  // Origins whose profile may be another than now, ascending.
  [[nodiscard]] const std::vector<Origin>& changed() const noexcept { return changed_; }

  [[nodiscard]] Origin home(Origin origin) const noexcept override {
    const Profile* profile = find(origin);
    return profile == nullptr ? base_->home(origin) : profile->home;
  }
  [[nodiscard]] std::span<const Origin> members(const Origin& home) const noexcept override {
    const Profile* profile = find(home);
    return profile == nullptr ? base_->members(home) : std::span<const Origin>(profile->members);
  }
  [[nodiscard]] std::span<const Origin> relatives(const Origin& origin) const noexcept override {
    return base_->relatives(origin);
  }
  [[nodiscard]] std::vector<Link> links_of(Origin home) const override {
    const Profile* profile = find(home);
    return profile == nullptr ? base_->links_of(home) : profile->links;
  }
  [[nodiscard]] std::vector<Origin> changed_since(std::uint64_t sequence) const override {
    const std::vector<Origin> since = base_->changed_since(sequence);
    std::vector<Origin> out;
    std::set_union(since.begin(), since.end(), changed_.begin(), changed_.end(), std::back_inserter(out));
    return out;
  }
  // Above that of any layer: every layer is looked at for `changed`.
  [[nodiscard]] std::uint64_t last_change() const noexcept override { return base_->last_change() + 1; }
  [[nodiscard]] std::vector<Link> all() const override { return base_->all(); }
  [[nodiscard]] std::vector<Link> history_of(Origin origin) const override { return base_->history_of(origin); }

 private:
  struct Profile {
    Origin home{};
    std::vector<Origin> members;  // ascending
    std::vector<Link> links;      // alive then, by sequence
  };

  [[nodiscard]] const Profile* find(Origin origin) const noexcept {
    const auto found = profiles_.find(raw(origin));
    return found == profiles_.end() ? nullptr : found->second.get();
  }

  // The profiles of all relatives of an origin, by the links that lived then: in order of their records, each puts one home
  // under another. Links that never lived at once may both do so in valid time, and then the second joins nothing.
  void rejoin(const Origin& origin) {
    std::vector<Link> alive = base_->history_of(origin);
    std::erase_if(alive, [&](const Link& link) { return !lives(link, as_of_ms_); });
    std::unordered_map<std::uint32_t, Origin> under;
    const auto home_of = [&](Origin of) {
      for (auto found = under.find(raw(of)); found != under.end(); found = under.find(raw(of))) of = found->second;
      return of;
    };
    for (const Link& link : alive) {
      const Origin winner = home_of(link.winner), loser = home_of(link.loser);
      if (winner != loser) under.emplace(raw(loser), winner);
    }
    std::unordered_map<std::uint32_t, std::shared_ptr<Profile>> by_home;
    for (const Origin relative : base_->relatives(origin)) {  // ascending
      const Origin home = home_of(relative);
      std::shared_ptr<Profile>& profile = by_home[raw(home)];
      if (profile == nullptr) profile = std::make_shared<Profile>();
      profile->home = home;
      profile->members.push_back(relative);
      profiles_.emplace(raw(relative), profile);
    }
    for (const Link& link : alive) by_home[raw(home_of(link.winner))]->links.push_back(link);
  }

  std::shared_ptr<const LinkView> base_;
  std::int64_t as_of_ms_;
  std::unordered_map<std::uint32_t, std::shared_ptr<const Profile>> profiles_;  // by member
  std::vector<Origin> changed_;
};

// Over the traits of now: those of the profiles whose links differ are folded anew.
class ProfilesAsOf final : public ProfileView {
 public:
  ProfilesAsOf(std::shared_ptr<const ProfileView> base, std::shared_ptr<const LinkView> base_links,
               std::shared_ptr<const LinksAsOf> links, std::int64_t as_of_ms)
      : base_(std::move(base)), base_links_(std::move(base_links)), links_(std::move(links)), as_of_ms_(as_of_ms) {}

  [[nodiscard]] Value trait(Origin home, KeyId key) const override {
    return is_changed(home) ? base_->trait_as_of(home, key, as_of_ms_, *base_links_) : base_->trait(home, key);
  }
  void traits(Origin first, KeyId key, std::span<Value> out) const override {
    base_->traits(first, key, out);
    const std::vector<Origin>& changed = links_->changed();
    for (auto at = std::lower_bound(changed.begin(), changed.end(), first);
         at != changed.end() && raw(*at) - raw(first) < out.size(); ++at) {
      if (links_->home(*at) == *at) out[raw(*at) - raw(first)] = trait(*at, key);
    }
  }
  [[nodiscard]] Seen trait_at(Origin home, KeyId key, std::int64_t now_ms, const LinkView& links) const override {
    if (!is_changed(home)) return base_->trait_at(home, key, now_ms, links);
    return {base_->trait_as_of(home, key, std::min(now_ms, as_of_ms_), *base_links_), INT64_MAX};
  }
  [[nodiscard]] std::int64_t latest_ms(KeyId key) const noexcept override { return base_->latest_ms(key); }
  [[nodiscard]] std::vector<KeyId> keys() const override { return base_->keys(); }
  [[nodiscard]] std::vector<StoredOperation> history(std::span<const Origin> members) const override {
    return base_->history(members);
  }
  [[nodiscard]] Value trait_as_of(Origin home, KeyId key, std::int64_t as_of_ms, const LinkView& links) const override {
    return base_->trait_as_of(home, key, as_of_ms, links);
  }
  [[nodiscard]] Value trait_when(Origin origin, KeyId key, std::int64_t time_ms, const LinkView& links) const override {
    return base_->trait_when(origin, key, time_ms, links);
  }
  [[nodiscard]] Value folded(Origin home, std::span<const StoredOperation> operations,
                             std::span<const Link> links) const override {
    return base_->folded(home, operations, links);
  }
  [[nodiscard]] std::int64_t created_ms(Origin home, const LinkView& links) const override {
    return base_->created_ms(home, links);
  }

 private:
  [[nodiscard]] bool is_changed(Origin origin) const noexcept {
    return std::binary_search(links_->changed().begin(), links_->changed().end(), origin);
  }
  std::shared_ptr<const ProfileView> base_;
  std::shared_ptr<const LinkView> base_links_;
  std::shared_ptr<const LinksAsOf> links_;
  std::int64_t as_of_ms_;
};

[[noreturn]] void fail_past_retention(std::string_view name, std::int64_t kept_from_ms, const Path& path) {
  fail_invalid(path, "events \"" + std::string(shown(name)) + "\" are kept since " + std::to_string(kept_from_ms) +
                         " (retention); expected an instant not before that");
}

}  // namespace

VersionPtr version_as_of(const VersionPtr& version, std::int64_t as_of_ms, std::optional<Origin> only) {
  auto links = std::make_shared<const LinksAsOf>(version->links, as_of_ms, only);
  if (links->changed().empty()) return version;
  auto out = std::make_shared<Version>(*version);
  out->scan_plan = ScanPlanSlot();
  out->profiles = std::make_shared<const ProfilesAsOf>(version->profiles, version->links, links, as_of_ms);
  out->links = std::move(links);
  return out;
}

void check_kept(const Version& version, const Mentions& read, std::int64_t instant_ms, const Path& path) {
  const std::optional<Horizon> horizon = horizon_of(version, instant_ms);
  if (!horizon || instant_ms > horizon->latest_cut_ms()) return;
  const auto check = [&](NameId name) {
    const std::int64_t cut_ms = horizon->cut_ms(name);
    if (instant_ms <= cut_ms) fail_past_retention(version.names->at(raw(name)), cut_ms + 1, path);
  };
  for (const NameId name : read.events) check(name);
  for (std::uint32_t id = 0; read.any_event && id < version.names->size(); ++id) {
    if (!is_system_name(version.names->at(id))) check(NameId{id});
  }
}

}  // namespace cdp
