// A trait key is a column: pages by origin (folded value, place of the newest operation) over a history of its own. Memory
// of an operation: 14 to 20 bytes of history, 4 of index; of a value 5, or 9 in a page that holds wide ones.
//
// Equal operations are found by walking the origin's chain back to its time, at most once a batch for a long chain: then
// its operations are kept as a set until the next view.
#include "store/profile_store.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "store/profile_view.hpp"
#include "store/trait_fold.hpp"

namespace cdp {

namespace {

constexpr std::uint32_t kOrigins = TraitPage::kOrigins;
constexpr std::uint32_t kWalkMax = 64;  // entries walked back before a chain gets a set

struct Column {
  CowPages<TraitPage> pages;
  std::shared_ptr<TraitHistory> history = std::make_shared<TraitHistory>();
  std::uint64_t value_count = 0;
  std::int64_t latest_ms = INT64_MIN;
  std::size_t page_bytes = 0;
  bool touched = false;  // since the last view
};

// What makes two operations of one origin and key equal.
struct Equality {
  std::int64_t time_ms;
  TraitKind kind;
  Value value;
  friend bool operator==(const Equality&, const Equality&) = default;
};
struct EqualityHash {
  std::size_t operator()(const Equality& operation) const noexcept {
    return detail::fold_multiply(static_cast<std::uint64_t>(operation.time_ms) * 8 + raw(operation.kind),
                                 operation.value.bits ^ 0x9E3779B97F4A7C15ull);
  }
  static std::uint64_t raw(TraitKind kind) noexcept { return static_cast<std::uint64_t>(kind); }
};
using ChainSet = std::unordered_set<Equality, EqualityHash>;

struct Dirty {
  std::uint32_t origin;
  std::uint32_t key;
  friend auto operator<=>(const Dirty&, const Dirty&) = default;
};

[[nodiscard]] bool by_time(const Link& a, const Link& b) noexcept {
  return a.time_ms != b.time_ms ? a.time_ms < b.time_ms : a.sequence < b.sequence;
}

}  // namespace

struct ProfileStore::State {
  explicit State(Dictionary& values) : strings(values) {}

  Dictionary& strings;
  std::vector<std::unique_ptr<Column>> columns;  // by key
  std::vector<std::uint32_t> touched;            // keys whose columns changed since the last view
  CowPages<ColumnPage> pinned_columns;
  CowPages<ProfilePage> profiles;
  std::shared_ptr<KeySets> key_sets = std::make_shared<KeySets>();
  std::vector<Dirty> dirty;           // traits to fold again
  std::vector<Origin> dirty_origins;  // all traits of their components
  std::unordered_map<std::uint64_t, ChainSet> chain_sets;
  std::uint64_t profile_pages = 0;
  std::shared_ptr<const ProfileView> pinned;

  Column& column(KeyId key) {
    if (raw(key) >= columns.size()) columns.resize(raw(key) + std::size_t{1});
    auto& column = columns[raw(key)];
    if (column == nullptr) column = std::make_unique<Column>();
    return *column;
  }
  TraitPage& edit(Column& column, KeyId key, Origin origin) {
    if (!column.touched) column.touched = true, touched.push_back(raw(key));
    pinned = nullptr;
    return column.pages.edit(raw(origin) / kOrigins);
  }
  [[nodiscard]] static std::uint32_t newest(const Column& column, Origin origin) noexcept {
    const TraitPage* page = column.pages.find(raw(origin) / kOrigins);
    if (page == nullptr) return 0;
    const std::optional<std::uint32_t> cell = page->find(raw(origin) % kOrigins);
    return cell ? page->newest(*cell) : 0;
  }
  ProfilePage& edit_profile(Origin origin) {
    if (profiles.find(raw(origin) / kOrigins) == nullptr) ++profile_pages;
    pinned = nullptr;
    return profiles.edit(raw(origin) / kOrigins);
  }
  [[nodiscard]] std::uint32_t keys_of(Origin origin) const noexcept {
    const ProfilePage* page = profiles.find(raw(origin) / kOrigins);
    return page == nullptr ? 0 : page->keys[raw(origin) % kOrigins];
  }

  void set_value(Column& column, KeyId key, Origin home, const Value& value, bool make);
  [[nodiscard]] bool is_repeat(const TraitHistory& history, std::uint32_t newest, const HistoryEntry& last,
                               const StoredOperation& operation);
  void take(const StoredOperation& operation, bool linked);
  void fold(const LinkView& links);
  void fold_trait(KeyId key, Origin home, std::span<const Origin> members, std::span<const Link> links);
  void gather_dirty(const LinkView& links);
};

void ProfileStore::State::set_value(Column& column, KeyId key, Origin home, const Value& value, bool make) {
  const TraitPage* known = column.pages.find(raw(home) / kOrigins);
  const std::optional<std::uint32_t> had = known == nullptr ? std::nullopt : known->find(raw(home) % kOrigins);
  const Value before = had ? known->value(*had) : Value{};
  if (before == value && (had || !make)) return;
  if (before.type == ValueType::kNull && value.type != ValueType::kNull) ++column.value_count;
  if (before.type != ValueType::kNull && value.type == ValueType::kNull) --column.value_count;
  TraitPage& page = edit(column, key, home);
  const std::size_t bytes = page.size_bytes();
  page.set_value(page.make(raw(home) % kOrigins), value);
  column.page_bytes += page.size_bytes() - bytes;
}

bool ProfileStore::State::is_repeat(const TraitHistory& history, std::uint32_t newest, const HistoryEntry& last,
                                    const StoredOperation& operation) {
  if (operation.time_ms > last.latest_ms) return false;
  const Equality wanted{operation.time_ms, operation.kind, operation.value};
  const std::uint64_t chain = static_cast<std::uint64_t>(raw(operation.key)) << 32 | raw(operation.origin);
  if (const auto known = chain_sets.find(chain); known != chain_sets.end()) return known->second.contains(wanted);
  std::uint32_t place = newest;
  for (std::uint32_t walked = 0; place != 0 && walked < kWalkMax; ++walked) {
    const HistoryEntry entry = history.read(place);
    if (Equality{entry.time_ms, entry.kind, entry.value} == wanted) return true;
    if (entry.latest_ms < operation.time_ms) return false;  // and so is all before it
    place = entry.before;
  }
  if (place == 0) return false;
  ChainSet& set = chain_sets[chain];
  for (place = newest; place != 0;) {
    const HistoryEntry entry = history.read(place);
    set.insert({entry.time_ms, entry.kind, entry.value});
    place = entry.before;
  }
  return set.contains(wanted);
}

void ProfileStore::State::take(const StoredOperation& operation, bool linked) {
  Column& at = column(operation.key);
  const std::uint32_t before = newest(at, operation.origin);
  HistoryEntry entry{.kind = operation.kind,
                     .late = false,
                     .count = 1,
                     .before = before,
                     .time_ms = operation.time_ms,
                     .latest_ms = operation.time_ms,
                     .order = operation.order,
                     .value = operation.value};
  if (before != 0) {
    const HistoryEntry last = at.history->read(before);
    if (is_repeat(*at.history, before, last, operation)) return;
    entry.count = last.count + 1;
    entry.late = operation.time_ms < last.latest_ms;
    entry.latest_ms = std::max(last.latest_ms, operation.time_ms);
  }
  at.latest_ms = std::max(at.latest_ms, operation.time_ms);
  const std::uint32_t place = at.history->append(entry);
  if (before == 0) {
    std::uint32_t& keys = edit_profile(operation.origin).keys[raw(operation.origin) % kOrigins];
    keys = key_sets->add(keys, operation.key);
  }
  if (!chain_sets.empty()) {
    const auto set = chain_sets.find(static_cast<std::uint64_t>(raw(operation.key)) << 32 | raw(operation.origin));
    if (set != chain_sets.end()) set->second.insert({entry.time_ms, entry.kind, entry.value});
  }
  TraitPage& page = edit(at, operation.key, operation.origin);
  const std::size_t bytes = page.size_bytes();
  const std::uint32_t cell = page.make(raw(operation.origin) % kOrigins);
  page.set_newest(cell, place);
  const Value current = page.value(cell);
  const std::optional<Value> folded =
      linked || entry.late ? std::nullopt : fold_scalar(current, operation.kind, operation.value);
  if (!folded) {
    dirty.push_back({raw(operation.origin), raw(operation.key)});
  } else if (*folded != current) {
    page.set_value(cell, *folded);
    at.value_count += (folded->type != ValueType::kNull) - (current.type != ValueType::kNull);
  }
  at.page_bytes += page.size_bytes() - bytes;
}

// Names every dirty trait by its home of now, each once; members that are no homes lose their values.
void ProfileStore::State::gather_dirty(const LinkView& links) {
  for (Dirty& trait : dirty) trait.origin = raw(links.home(Origin{trait.origin}));
  std::vector<Origin> homes;
  for (const Origin origin : dirty_origins) homes.push_back(links.home(origin));
  std::sort(homes.begin(), homes.end());
  homes.erase(std::unique(homes.begin(), homes.end()), homes.end());
  for (const Origin home : homes) {
    // Also keys that only relatives have: the home may hold values that an unjoin took back.
    for (const Origin relative : links.relatives(home)) {
      key_sets->each(keys_of(relative), [&](KeyId key) { dirty.push_back({raw(home), raw(key)}); });
    }
  }
  std::sort(dirty.begin(), dirty.end());
  dirty.erase(std::unique(dirty.begin(), dirty.end()), dirty.end());
}

void ProfileStore::State::fold_trait(KeyId key, Origin home, std::span<const Origin> members,
                                     std::span<const Link> links) {
  Column& at = column(key);
  std::vector<StoredOperation> operations;
  for (const Origin member : members) {
    read_chain(*at.history, newest(at, member), member, key, operations);
    if (member != home) set_value(at, key, member, {}, false);
  }
  sort_operations(operations);
  set_value(at, key, home, fold_component(home, operations, links, strings), false);
}

void ProfileStore::State::fold(const LinkView& links) {
  gather_dirty(links);
  for (std::size_t first = 0; first < dirty.size();) {
    const Origin home{dirty[first].origin};
    const std::span<const Origin> members = links.members(home);
    std::vector<Link> live = links.links_of(home);
    std::sort(live.begin(), live.end(), by_time);
    for (; first < dirty.size() && dirty[first].origin == raw(home); ++first) {
      fold_trait(KeyId{dirty[first].key}, home, members, live);
    }
  }
  dirty.clear();
  dirty_origins.clear();
  chain_sets.clear();
}

ProfileStore::ProfileStore(Dictionary& strings) : state_(std::make_unique<State>(strings)) {}
ProfileStore::~ProfileStore() = default;

void ProfileStore::touch(Origin origin, std::int64_t time_ms) {
  const ProfilePage* page = state_->profiles.find(raw(origin) / kOrigins);
  const std::int64_t known = page == nullptr ? 0 : page->created_ms[raw(origin) % kOrigins];
  if (known != 0 && known <= time_ms) return;
  state_->edit_profile(origin).created_ms[raw(origin) % kOrigins] = time_ms;
}

void ProfileStore::prefetch(Origin origin) const noexcept {
  const ProfilePage* page = state_->profiles.find(raw(origin) / kOrigins);
  if (page != nullptr) __builtin_prefetch(&page->created_ms[raw(origin) % kOrigins]);
}

void ProfileStore::prefetch(Origin origin, KeyId key, int step) const noexcept {
  if (raw(key) >= state_->columns.size() || state_->columns[raw(key)] == nullptr) return;
  const Column& column = *state_->columns[raw(key)];
  const std::uint32_t page_number = raw(origin) / kOrigins, slot = raw(origin) % kOrigins;
  if (step == 0) return column.pages.prefetch(page_number);
  const TraitPage* page = column.pages.find(page_number);
  if (page == nullptr) return;
  if (step == 1) return page->prefetch(slot);
  const std::optional<std::uint32_t> cell = page->find(slot);
  if (cell && page->newest(*cell) != 0) column.history->prefetch(page->newest(*cell));
}

bool ProfileStore::accepts(Origin origin, std::span<const StoredOperation> operations) const {
  std::unordered_map<std::uint32_t, std::size_t> near;  // operations of this record for keys near the limit
  for (const StoredOperation& operation : operations) {
    if (raw(operation.key) >= state_->columns.size() || state_->columns[raw(operation.key)] == nullptr) continue;
    const Column& column = *state_->columns[raw(operation.key)];
    if (column.history->full()) return false;
    const std::uint32_t newest = State::newest(column, origin);
    if (newest == 0) continue;
    const HistoryEntry last = column.history->read(newest);
    if (last.count + operations.size() <= limits::kOperationsPerTrait) continue;
    StoredOperation own = operation;
    own.origin = origin;
    if (state_->is_repeat(*column.history, newest, last, own)) continue;
    if (last.count + ++near[raw(operation.key)] > limits::kOperationsPerTrait) return false;
  }
  return true;
}

bool ProfileStore::apply(std::span<const StoredOperation> operations, bool linked) {
  if (operations.empty()) return true;
  if (!accepts(operations.front().origin, operations)) return false;
  for (const StoredOperation& operation : operations) state_->take(operation, linked);
  return true;
}

void ProfileStore::refold(Origin origin) {
  state_->dirty_origins.push_back(origin);
  state_->pinned = nullptr;
}

std::shared_ptr<const ProfileView> ProfileStore::view(const LinkView& links) {
  State& state = *state_;
  if (!state.dirty.empty() || !state.dirty_origins.empty()) state.fold(links);
  if (state.pinned != nullptr) return state.pinned;
  for (const std::uint32_t key : state.touched) {
    Column& column = *state.columns[key];
    column.touched = false;
    state.pinned_columns.edit(key / kColumnsPerPage).columns[key % kColumnsPerPage] = {
        column.pages.picture(), column.history, column.value_count, column.latest_ms};
  }
  state.touched.clear();
  state.pinned =
      std::make_shared<PinnedProfiles>(state.pinned_columns.picture(), static_cast<std::uint32_t>(state.columns.size()),
                                       state.profiles.picture(), state.key_sets, state.strings);
  return state.pinned;
}

std::size_t ProfileStore::size_bytes() const noexcept {
  std::size_t bytes = state_->profile_pages * sizeof(ProfilePage) + state_->key_sets->size_bytes();
  for (const auto& column : state_->columns) {
    if (column != nullptr) bytes += column->page_bytes + column->history->size_bytes() + sizeof(Column);
  }
  return bytes;
}

}  // namespace cdp
