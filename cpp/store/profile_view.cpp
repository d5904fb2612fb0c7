#include "store/profile_view.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/limits.hpp"
#include "store/trait_fold.hpp"

namespace cdp {

namespace {

constexpr std::uint32_t kOrigins = TraitPage::kOrigins;

void read_origin(const PinnedColumn& column, Origin origin, KeyId key, std::vector<StoredOperation>& out) {
  const TraitPage* page = column.pages.find(raw(origin) / kOrigins);
  if (page == nullptr || column.history == nullptr) return;
  const std::optional<std::uint32_t> cell = page->find(raw(origin) % kOrigins);
  if (cell) read_chain(*column.history, page->newest(*cell), origin, key, out);
}

// Whether some operation of the origin is timed after `now_ms`.
[[nodiscard]] bool has_later(const PinnedColumn& column, Origin origin, std::int64_t now_ms) {
  const TraitPage* page = column.pages.find(raw(origin) / kOrigins);
  const std::optional<std::uint32_t> cell = page == nullptr ? std::nullopt : page->find(raw(origin) % kOrigins);
  return cell && page->newest(*cell) != 0 && column.history->read(page->newest(*cell)).latest_ms > now_ms;
}

// Origins that links alive at `as_of_ms` connect with `home`.
[[nodiscard]] std::vector<Origin> members_at(Origin home, std::span<const Link> alive) {
  std::vector<Origin> members{home};
  std::unordered_set<std::uint32_t> seen{raw(home)};
  for (bool grown = true; grown;) {
    grown = false;
    for (const Link& link : alive) {
      const bool winner = seen.contains(raw(link.winner)), loser = seen.contains(raw(link.loser));
      if (winner == loser) continue;
      members.push_back(winner ? link.loser : link.winner);
      seen.insert(raw(members.back()));
      grown = true;
    }
  }
  return members;
}

}  // namespace

void read_chain(const TraitHistory& history, std::uint32_t newest, Origin origin, KeyId key,
                std::vector<StoredOperation>& out) {
  const auto first = static_cast<std::ptrdiff_t>(out.size());
  for (std::uint32_t place = newest; place != 0;) {
    const HistoryEntry entry = history.read(place);
    out.push_back({origin, key, entry.kind, entry.time_ms, entry.order, entry.value});
    place = entry.before;
  }
  std::reverse(out.begin() + first, out.end());
}

void sort_operations(std::vector<StoredOperation>& operations) {
  const auto before = [](const StoredOperation& a, const StoredOperation& b) {
    return a.time_ms != b.time_ms ? a.time_ms < b.time_ms : a.order < b.order;
  };
  if (!std::is_sorted(operations.begin(), operations.end(), before)) {
    std::stable_sort(operations.begin(), operations.end(), before);
  }
}

PinnedProfiles::PinnedProfiles(CowPages<ColumnPage>::Picture columns, std::uint32_t column_count,
                               CowPages<ProfilePage>::Picture profiles, std::shared_ptr<const KeySets> key_sets,
                               Dictionary& strings)
    : columns_(std::move(columns)),
      column_count_(column_count),
      profiles_(std::move(profiles)),
      key_sets_(std::move(key_sets)),
      strings_(&strings) {}

const PinnedColumn* PinnedProfiles::column(KeyId key) const noexcept {
  const ColumnPage* page = columns_.find(raw(key) / kColumnsPerPage);
  return page == nullptr ? nullptr : &page->columns[raw(key) % kColumnsPerPage];
}

Value PinnedProfiles::trait(Origin home, KeyId key) const noexcept {
  const PinnedColumn* at = column(key);
  const TraitPage* page = at == nullptr ? nullptr : at->pages.find(raw(home) / kOrigins);
  if (page == nullptr) return {};
  const std::optional<std::uint32_t> cell = page->find(raw(home) % kOrigins);
  return cell ? page->value(*cell) : Value{};
}

void PinnedProfiles::traits(Origin first, KeyId key, std::span<Value> out) const noexcept {
  const PinnedColumn* at = column(key);
  for (std::uint32_t origin = raw(first); !out.empty();) {
    const std::uint32_t slot = origin % kOrigins;
    const std::size_t count = std::min<std::size_t>(out.size(), kOrigins - slot);
    const TraitPage* page = at == nullptr ? nullptr : at->pages.find(origin / kOrigins);
    if (page == nullptr) {
      std::fill_n(out.begin(), count, Value{});
    } else {
      page->values(slot, out.first(count));
    }
    out = out.subspan(count);
    origin += static_cast<std::uint32_t>(count);
  }
}

std::int64_t PinnedProfiles::latest_ms(KeyId key) const noexcept {
  const PinnedColumn* at = column(key);
  return at == nullptr ? INT64_MIN : at->latest_ms;
}

ProfileView::Seen PinnedProfiles::trait_at(Origin home, KeyId key, std::int64_t now_ms, const LinkView& links) const {
  const PinnedColumn* at = column(key);
  if (at == nullptr || at->history == nullptr) return {};
  if (at->latest_ms <= now_ms) return {trait(home, key), INT64_MAX};
  const std::span<const Origin> members = links.members(home);
  if (std::ranges::none_of(members, [&](Origin member) { return has_later(*at, member, now_ms); })) {
    return {trait(home, key), INT64_MAX};
  }
  std::vector<StoredOperation> operations;
  for (const Origin member : members) read_origin(*at, member, key, operations);
  sort_operations(operations);
  const auto later = std::ranges::find_if(operations, [&](const auto& each) { return each.time_ms > now_ms; });
  Seen seen;
  if (later != operations.end()) seen.next_ms = later->time_ms;
  operations.erase(later, operations.end());
  std::vector<Link> alive = links.links_of(home);
  std::ranges::stable_sort(alive, {}, &Link::time_ms);
  seen.value = fold_component(home, operations, alive, *strings_);
  return seen;
}

std::vector<KeyId> PinnedProfiles::keys() const {
  std::vector<KeyId> keys;
  for (std::uint32_t key = 0; key < column_count_; ++key) {
    const PinnedColumn* at = column(KeyId{key});
    if (at != nullptr && at->history != nullptr) keys.push_back(KeyId{key});
  }
  return keys;
}

std::vector<StoredOperation> PinnedProfiles::history(std::span<const Origin> members) const {
  std::vector<StoredOperation> operations;
  for (const Origin member : members) {
    const ProfilePage* page = profiles_.find(raw(member) / kOrigins);
    if (page == nullptr) continue;
    std::vector<KeyId> keys;
    key_sets_->each(page->keys[raw(member) % kOrigins], [&](KeyId key) { keys.push_back(key); });
    std::sort(keys.begin(), keys.end());
    for (const KeyId key : keys) {
      if (const PinnedColumn* at = column(key)) read_origin(*at, member, key, operations);
    }
  }
  sort_operations(operations);
  return operations;
}

Value PinnedProfiles::trait_as_of(Origin home, KeyId key, std::int64_t as_of_ms, const LinkView& links) const {
  const PinnedColumn* at = column(key);
  if (at == nullptr) return {};
  std::vector<Link> alive = links.history_of(home);
  std::erase_if(alive, [&](const Link& link) {
    return link.time_ms > as_of_ms || (link.dead_sequence != 0 && link.dead_from_ms <= as_of_ms);
  });
  std::stable_sort(alive.begin(), alive.end(), [](const Link& a, const Link& b) { return a.time_ms < b.time_ms; });
  std::vector<StoredOperation> operations;
  for (const Origin member : members_at(home, alive)) read_origin(*at, member, key, operations);
  std::erase_if(operations, [&](const StoredOperation& operation) { return operation.time_ms > as_of_ms; });
  sort_operations(operations);
  return fold_component(home, operations, alive, *strings_);
}

Value PinnedProfiles::trait_when(Origin origin, KeyId key, std::int64_t time_ms, const LinkView& links) const {
  if (links.relatives(origin).size() > 1) return trait_as_of(origin, key, time_ms, links);
  const PinnedColumn* at = column(key);
  const TraitPage* page = at == nullptr ? nullptr : at->pages.find(raw(origin) / kOrigins);
  const std::optional<std::uint32_t> cell = page == nullptr ? std::nullopt : page->find(raw(origin) % kOrigins);
  if (!cell || page->newest(*cell) == 0) return {};
  if (at->latest_ms <= time_ms) return page->value(*cell);
  const HistoryEntry newest = at->history->read(page->newest(*cell));
  if (newest.latest_ms <= time_ms) return page->value(*cell);
  if (newest.count == 1) return {};
  return trait_as_of(origin, key, time_ms, links);
}

Value PinnedProfiles::folded(Origin home, std::span<const StoredOperation> operations,
                             std::span<const Link> links) const {
  return fold_component(home, operations, links, *strings_);
}

std::int64_t PinnedProfiles::created_ms(Origin home, const LinkView& links) const {
  std::int64_t created_ms = limits::kTimeMaxMs;
  for (const Origin member : links.members(home)) {
    const ProfilePage* page = profiles_.find(raw(member) / kOrigins);
    const std::int64_t known = page == nullptr ? 0 : page->created_ms[raw(member) % kOrigins];
    if (known != 0) created_ms = std::min(created_ms, known);
  }
  return created_ms;
}

// Each step relies on what the one before fetched, so that the misses of all traits overlap.
std::vector<PinnedProfiles::Cell> PinnedProfiles::cells_of(Origin origin) const {
  std::vector<Cell> cells;
  const ProfilePage* profile = profiles_.find(raw(origin) / kOrigins);
  if (profile == nullptr) return cells;
  const std::uint32_t slot = raw(origin) % kOrigins;
  key_sets_->each(profile->keys[slot], [&](KeyId key) {
    const PinnedColumn* at = column(key);
    const TraitPage* page = at == nullptr || at->history == nullptr ? nullptr : at->pages.find(raw(origin) / kOrigins);
    if (page == nullptr) return;
    __builtin_prefetch(page);
    cells.push_back({.key = key, .column = at, .page = page, .slot = slot, .value = {}});
  });
  for (const Cell& cell : cells) cell.page->prefetch(cell.slot);
  for (Cell& cell : cells) {
    const std::optional<std::uint32_t> found = cell.page->find(cell.slot);
    if (!found) continue;
    cell.value = cell.page->value(*found);
    cell.newest = cell.page->newest(*found);
    if (cell.newest != 0) cell.column->history->prefetch(cell.newest);
  }
  std::ranges::sort(cells, {}, &Cell::key);
  return cells;
}

ProfileTraits PinnedProfiles::read(Origin home, std::int64_t now_ms, const LinkView& links) const {
  const std::span<const Origin> members = links.members(home);
  if (members.size() > 1) return ProfileView::read(home, now_ms, links);
  ProfileTraits out;
  out.created_ms = created_ms(home, links);
  const std::vector<Cell> cells = cells_of(home);
  out.values.reserve(cells.size());
  out.history.reserve(cells.size());
  for (const Cell& cell : cells) {
    if (cell.newest == 0) continue;
    const auto first = static_cast<std::ptrdiff_t>(out.history.size());
    read_chain(*cell.column->history, cell.newest, home, cell.key, out.history);
    const auto later = std::remove_if(out.history.begin() + first, out.history.end(),
                                      [&](const StoredOperation& each) { return each.time_ms > now_ms; });
    const bool seen_whole = later == out.history.end();
    out.history.erase(later, out.history.end());
    const Value value = seen_whole ? cell.value : trait_at(home, cell.key, now_ms, links).value;
    if (value.type != ValueType::kNull) out.values.emplace_back(cell.key, value);
  }
  sort_operations(out.history);
  return out;
}

ProfileTraits ProfileView::read(Origin home, std::int64_t now_ms, const LinkView& links) const {
  ProfileTraits out;
  out.created_ms = created_ms(home, links);
  out.history = history(links.members(home));
  std::vector<KeyId> keys;
  for (const StoredOperation& operation : out.history) keys.push_back(operation.key);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (const KeyId key : keys) {
    const Value value = trait_at(home, key, now_ms, links).value;
    if (value.type != ValueType::kNull) out.values.emplace_back(key, value);
  }
  std::erase_if(out.history, [&](const StoredOperation& operation) { return operation.time_ms > now_ms; });
  return out;
}

}  // namespace cdp
