// Links by number (in order of sequence) in copy-on-write pages, and three things by origin: its home, the newest link
// that touched it (links chain back through both of their origins), and whether an unjoin ever reached it ("frayed").
//
// A component is one shared array kept at its home: [member count, link count, members ascending, live links ascending].
// Live links are a forest: a link is only made between two components, and killing links keeps it so. Every live link's
// loser lost once, so exactly one member of a component is the loser of none: its home.
//
// Relatives are the members as long as no link of theirs died; else they are searched for and kept with the view.
#include "store/links.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "base/limits.hpp"
#include "base/segmented_array.hpp"
#include "store/cow_pages.hpp"

namespace cdp {

namespace {

constexpr std::uint32_t kOriginsPerPage = 1'024, kComponentsPerPage = 64, kLinksPerPage = 64;

using Component = std::shared_ptr<const Origin[]>;  // counts and link numbers as Origin: one array, one allocation

struct StoredLink {
  Link link;
  std::uint32_t before_winner = 0;  // number + 1 of the link that touched the winner before, 0 = none
  std::uint32_t before_loser = 0;
};
struct LinkPage {
  std::array<StoredLink, kLinksPerPage> links{};
};
struct OriginPage {
  std::array<std::uint32_t, kOriginsPerPage> home{};    // + 1, 0 = itself
  std::array<std::uint32_t, kOriginsPerPage> newest{};  // link number + 1
  std::array<std::uint8_t, kOriginsPerPage> frayed{};
};
struct ComponentPage {
  std::array<Component, kComponentsPerPage> components{};
};
struct Change {
  std::uint64_t sequence;
  std::uint32_t link;
};
using Changes = SegmentedArray<Change>;

[[nodiscard]] std::span<const Origin> members_of(const Component& component) noexcept {
  return {component.get() + 2, raw(component[0])};
}
[[nodiscard]] std::span<const Origin> links_in(const Component& component) noexcept {
  return {component.get() + 2 + raw(component[0]), raw(component[1])};
}
[[nodiscard]] Component make_component(std::span<const Origin> members, std::span<const Origin> links) {
  auto component = std::make_shared<Origin[]>(2 + members.size() + links.size());
  component[0] = Origin{static_cast<std::uint32_t>(members.size())};
  component[1] = Origin{static_cast<std::uint32_t>(links.size())};
  std::copy(members.begin(), members.end(), component.get() + 2);
  std::copy(links.begin(), links.end(), component.get() + 2 + members.size());
  return component;
}

// The three arrays as apply has them now or as a version pinned them: reading is the same.
template <class Links_, class Origins_, class Components_>
struct Reading {
  const Links_& links;
  const Origins_& origins;
  const Components_& components;

  [[nodiscard]] const OriginPage* page(Origin origin) const noexcept {
    return origins.find(raw(origin) / kOriginsPerPage);
  }
  [[nodiscard]] Origin home(Origin origin) const noexcept {
    const OriginPage* at = page(origin);
    const std::uint32_t home = at == nullptr ? 0 : at->home[raw(origin) % kOriginsPerPage];
    return home == 0 ? origin : Origin{home - 1};
  }
  [[nodiscard]] const Component* component(Origin home) const noexcept {
    const ComponentPage* at = components.find(raw(home) / kComponentsPerPage);
    if (at == nullptr) return nullptr;
    const Component& component = at->components[raw(home) % kComponentsPerPage];
    return component == nullptr ? nullptr : &component;
  }
  [[nodiscard]] std::span<const Origin> members(const Origin& home) const noexcept {
    const Component* found = component(home);
    return found == nullptr ? std::span<const Origin>(&home, 1) : members_of(*found);
  }
  [[nodiscard]] const StoredLink& link(std::uint32_t number) const noexcept {
    return links.find(number / kLinksPerPage)->links[number % kLinksPerPage];
  }
  [[nodiscard]] bool frayed(Origin origin) const noexcept {
    const OriginPage* at = page(origin);
    return at != nullptr && at->frayed[raw(origin) % kOriginsPerPage] != 0;
  }
  // Calls visit(number, link) for every link that ever touched the origin, newest first.
  template <class Visit>
  void links_at(Origin origin, Visit&& visit) const {
    const OriginPage* at = page(origin);
    std::uint32_t next = at == nullptr ? 0 : at->newest[raw(origin) % kOriginsPerPage];
    while (next != 0) {
      const StoredLink& stored = link(next - 1);
      visit(next - 1, stored.link);
      next = stored.link.winner == origin ? stored.before_winner : stored.before_loser;
    }
  }
  // All that links, alive or dead, connect with the origin; ascending.
  [[nodiscard]] std::vector<Origin> connected(Origin origin) const {
    std::unordered_set<std::uint32_t> seen{raw(origin)};
    std::vector<Origin> found{origin};
    for (std::size_t index = 0; index < found.size(); ++index) {
      links_at(found[index], [&](std::uint32_t, const Link& link) {
        for (const Origin end : {link.winner, link.loser}) {
          if (seen.insert(raw(end)).second) found.push_back(end);
        }
      });
    }
    std::sort(found.begin(), found.end());
    return found;
  }
};

class PinnedLinks final : public LinkView {
 public:
  PinnedLinks(CowPages<LinkPage>::Picture links, CowPages<OriginPage>::Picture origins,
              CowPages<ComponentPage>::Picture components, std::uint32_t link_count,
              std::shared_ptr<const Changes> changes, std::uint32_t change_count)
      : links_(std::move(links)),
        origins_(std::move(origins)),
        components_(std::move(components)),
        link_count_(link_count),
        changes_(std::move(changes)),
        change_count_(change_count) {}

  [[nodiscard]] Origin home(Origin origin) const noexcept override { return reading().home(origin); }
  [[nodiscard]] std::span<const Origin> members(const Origin& home) const noexcept override {
    return reading().members(home);
  }
  [[nodiscard]] std::span<const Origin> relatives(const Origin& origin) const noexcept override {
    if (!reading().frayed(origin)) {
      const Component* component = reading().component(reading().home(origin));
      return component == nullptr ? std::span<const Origin>(&origin, 1) : members_of(*component);
    }
    const std::lock_guard lock(searching_);
    const auto known = relatives_.find(raw(origin));
    if (known != relatives_.end()) return *known->second;
    const auto found = std::make_shared<const std::vector<Origin>>(reading().connected(origin));
    for (const Origin relative : *found) relatives_.emplace(raw(relative), found);
    return *found;
  }
  [[nodiscard]] std::vector<Link> links_of(Origin home) const override {
    std::vector<Link> links;
    const Component* component = reading().component(home);
    if (component == nullptr) return links;
    for (const Origin number : links_in(*component)) links.push_back(reading().link(raw(number)).link);
    return links;
  }
  [[nodiscard]] std::vector<Link> history_of(Origin origin) const override {
    std::vector<Link> links;
    for (const Origin relative : relatives(origin)) {
      reading().links_at(relative, [&](std::uint32_t, const Link& link) {
        if (link.winner == relative) links.push_back(link);
      });
    }
    std::sort(links.begin(), links.end(), [](const Link& a, const Link& b) { return a.sequence < b.sequence; });
    return links;
  }
  [[nodiscard]] std::vector<Origin> changed_since(std::uint64_t sequence) const override {
    std::unordered_set<std::uint32_t> seen;
    std::vector<Origin> changed;
    for (std::uint32_t index = change_count_; index > 0 && (*changes_)[index - 1].sequence > sequence; --index) {
      const Link& link = reading().link((*changes_)[index - 1].link).link;
      if (!seen.insert(raw(link.winner)).second) continue;
      for (const Origin relative : relatives(link.winner)) {
        seen.insert(raw(relative));
        changed.push_back(relative);
      }
    }
    std::sort(changed.begin(), changed.end());
    return changed;
  }
  [[nodiscard]] std::uint64_t last_change() const noexcept override {
    return change_count_ == 0 ? 0 : (*changes_)[change_count_ - 1].sequence;
  }
  [[nodiscard]] std::vector<Link> all() const override {
    std::vector<Link> links;
    links.reserve(link_count_);
    for (std::uint32_t number = 0; number < link_count_; ++number) links.push_back(reading().link(number).link);
    return links;
  }

 private:
  using Pictures =
      Reading<CowPages<LinkPage>::Picture, CowPages<OriginPage>::Picture, CowPages<ComponentPage>::Picture>;
  [[nodiscard]] Pictures reading() const noexcept { return {links_, origins_, components_}; }

  CowPages<LinkPage>::Picture links_;
  CowPages<OriginPage>::Picture origins_;
  CowPages<ComponentPage>::Picture components_;
  std::uint32_t link_count_;
  std::shared_ptr<const Changes> changes_;
  std::uint32_t change_count_;
  mutable std::mutex searching_;
  mutable std::unordered_map<std::uint32_t, std::shared_ptr<const std::vector<Origin>>> relatives_;
};

}  // namespace

struct Links::State {
  CowPages<LinkPage> links;
  CowPages<OriginPage> origins;
  CowPages<ComponentPage> components;
  std::uint32_t link_count = 0;
  std::shared_ptr<Changes> changes = std::make_shared<Changes>();
  std::uint32_t change_count = 0;
  std::shared_ptr<const LinkView> pinned;  // of the state as it is; null when something changed since

  [[nodiscard]] auto reading() const noexcept {
    return Reading<CowPages<LinkPage>, CowPages<OriginPage>, CowPages<ComponentPage>>{links, origins, components};
  }
  [[nodiscard]] OriginPage& edit(Origin origin) { return origins.edit(raw(origin) / kOriginsPerPage); }

  void note(std::uint64_t sequence, std::uint32_t link) {
    changes->make(change_count) = {sequence, link};
    ++change_count;
    pinned = nullptr;
  }
  // One origin alone is no component.
  void place(Origin home, std::span<const Origin> members, std::span<const Origin> live) {
    for (const Origin member : members) edit(member).home[raw(member) % kOriginsPerPage] = raw(home) + 1;
    components.edit(raw(home) / kComponentsPerPage).components[raw(home) % kComponentsPerPage] =
        members.size() == 1 ? nullptr : make_component(members, live);
  }
  void forget(Origin home) {
    components.edit(raw(home) / kComponentsPerPage).components[raw(home) % kComponentsPerPage] = nullptr;
  }
  // All that ever was connected with the origin may be more than its members from now on.
  void fray(Origin origin) {
    for (const Origin relative : reading().connected(origin)) {
      edit(relative).frayed[raw(relative) % kOriginsPerPage] = 1;
    }
  }
  [[nodiscard]] std::uint32_t append(const Link& link) {
    const std::uint32_t number = link_count++;
    StoredLink stored{.link = link};
    std::uint32_t& winner = edit(link.winner).newest[raw(link.winner) % kOriginsPerPage];
    stored.before_winner = std::exchange(winner, number + 1);
    std::uint32_t& loser = edit(link.loser).newest[raw(link.loser) % kOriginsPerPage];
    stored.before_loser = std::exchange(loser, number + 1);
    links.edit(number / kLinksPerPage).links[number % kLinksPerPage] = stored;
    return number;
  }
  [[nodiscard]] std::optional<std::uint32_t> number_of(std::uint64_t sequence) const {
    std::uint32_t low = 0, high = link_count;
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (reading().link(middle).link.sequence < sequence) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low == link_count || reading().link(low).link.sequence != sequence) return std::nullopt;
    return low;
  }
  void split(const Link& dead, std::uint32_t number);
};

// Parts the component of a link that died: what the remaining links still connect with its winner, and the rest.
void Links::State::split(const Link& dead, std::uint32_t number) {
  const Origin old_home = reading().home(dead.winner);
  const Component component = *reading().component(old_home);
  std::vector<Origin> live;
  for (const Origin link : links_in(component)) {
    if (raw(link) != number) live.push_back(link);
  }
  const std::span<const Origin> members = members_of(component);
  const auto index_of = [&](Origin origin) {
    return static_cast<std::size_t>(std::lower_bound(members.begin(), members.end(), origin) - members.begin());
  };
  std::vector<std::vector<std::size_t>> neighbours(members.size());
  std::vector<std::uint8_t> lost(members.size(), 0), winning(members.size(), 0);
  for (const Origin at : live) {
    const Link& link = reading().link(raw(at)).link;
    const std::size_t winner = index_of(link.winner), loser = index_of(link.loser);
    neighbours[winner].push_back(loser);
    neighbours[loser].push_back(winner);
    lost[loser] = 1;
  }
  std::vector<std::size_t> open{index_of(dead.winner)};
  winning[open.front()] = 1;
  while (!open.empty()) {
    const std::size_t at = open.back();
    open.pop_back();
    for (const std::size_t next : neighbours[at]) {
      if (winning[next] == 0) winning[next] = 1, open.push_back(next);
    }
  }
  forget(old_home);
  for (const std::uint8_t side : {1, 0}) {
    std::vector<Origin> own, own_live;
    Origin home = kNoOrigin;
    for (std::size_t index = 0; index < members.size(); ++index) {
      if (winning[index] != side) continue;
      own.push_back(members[index]);
      if (lost[index] == 0) home = members[index];
    }
    for (const Origin at : live) {
      if (winning[index_of(reading().link(raw(at)).link.winner)] == side) own_live.push_back(at);
    }
    place(home, own, own_live);
  }
}

Links::Links() : state_(std::make_unique<State>()) {}
Links::~Links() = default;

Links::Result Links::join(Origin winner, Origin loser, std::uint64_t sequence, std::int64_t time_ms) {
  State& state = *state_;
  const Origin home = this->home(winner), other = this->home(loser);
  if (home == other) return Result::kSame;
  const std::span<const Origin> left = members(home), right = members(other);
  if (left.size() + right.size() > limits::kOriginsPerProfile) return Result::kTooLarge;

  std::vector<Origin> joined(left.size() + right.size());
  std::merge(left.begin(), left.end(), right.begin(), right.end(), joined.begin());
  std::vector<Origin> live;
  for (const Origin side : {home, other}) {
    const Component* component = state.reading().component(side);
    if (component == nullptr) continue;
    const std::span<const Origin> links = links_in(*component);
    live.insert(live.end(), links.begin(), links.end());
  }
  std::sort(live.begin(), live.end());
  const bool frayed = state.reading().frayed(home), other_frayed = state.reading().frayed(other);
  const std::uint32_t number = state.append({.winner = home, .loser = other, .sequence = sequence, .time_ms = time_ms});
  live.push_back(Origin{number});
  state.forget(other);
  state.place(home, joined, live);
  if (frayed != other_frayed) {
    for (const Origin member : joined) state.edit(member).frayed[raw(member) % kOriginsPerPage] = 1;
  }
  state.note(sequence, number);
  return Result::kJoined;
}

bool Links::unjoin(std::uint64_t link_sequence, std::uint64_t sequence, std::int64_t time_ms) {
  State& state = *state_;
  const std::optional<std::uint32_t> number = state.number_of(link_sequence);
  if (!number || state.reading().link(*number).link.dead_sequence != 0) return false;
  Link& link = state.links.edit(*number / kLinksPerPage).links[*number % kLinksPerPage].link;
  link.dead_sequence = sequence;
  link.dead_from_ms = time_ms;
  const Link dead = link;
  if (!state.reading().frayed(dead.winner)) state.fray(dead.winner);
  state.split(dead, *number);
  state.note(sequence, *number);
  return true;
}

Origin Links::home(Origin origin) const noexcept { return state_->reading().home(origin); }

std::span<const Origin> Links::members(const Origin& home) const noexcept { return state_->reading().members(home); }

std::optional<Link> Links::made_by(std::uint64_t sequence) const {
  const std::optional<std::uint32_t> number = state_->number_of(sequence);
  if (!number) return std::nullopt;
  return state_->reading().link(*number).link;
}

std::uint64_t Links::size() const noexcept { return state_->link_count; }

std::size_t Links::size_bytes() const {
  const State& state = *state_;
  std::size_t bytes = state.change_count * sizeof(Change);
  state.links.each([&](const LinkPage&) { bytes += sizeof(LinkPage); });
  state.origins.each([&](const OriginPage&) { bytes += sizeof(OriginPage); });
  state.components.each([&](const ComponentPage& page) {
    bytes += sizeof(ComponentPage);
    for (const Component& component : page.components) {
      if (component == nullptr) continue;
      bytes += (2 + members_of(component).size() + links_in(component).size()) * sizeof(Origin);
    }
  });
  return bytes;
}

std::shared_ptr<const LinkView> Links::view() const {
  State& state = *state_;
  if (state.pinned == nullptr) {
    state.pinned =
        std::make_shared<PinnedLinks>(state.links.picture(), state.origins.picture(), state.components.picture(),
                                      state.link_count, state.changes, state.change_count);
  }
  return state.pinned;
}

}  // namespace cdp
