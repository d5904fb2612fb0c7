#include "query/scan_plan.hpp"

#include <algorithm>
#include <unordered_set>

#include "query/budget.hpp"

namespace cdp {
namespace {

// How many batches of the version's tail the piece holds, when they are just those from `first` on; else 0. A reader of an
// old version may find pieces whose rows are placed by links that it must not know: those do not count either.
std::size_t covers(const SealedPiece& piece, const Version& version, std::size_t first) {
  const std::size_t count = piece.batches.size();
  if (piece.link_sequence > version.links->last_change() || first + count > version.tail.size()) return 0;
  const auto at = version.tail.begin() + static_cast<std::ptrdiff_t>(first);
  return std::equal(piece.batches.begin(), piece.batches.end(), at) ? count : 0;
}

// Pieces of batches that were sealed for good since are gone; those behind them are kept, whole or not at all.
void seal_tail(const Version& version, const ScanPlan* before, ScanPlan& plan) {
  std::size_t sealed = 0;
  if (before != nullptr) {
    for (const auto& piece : before->pieces) {
      const std::size_t count = covers(*piece, version, sealed);
      if (count != 0) plan.pieces.push_back(piece);
      sealed += count;
    }
  }
  if (sealed < version.tail.size() && plan.pieces.size() >= kSealedPiecesMax) plan.pieces.clear(), sealed = 0;
  const std::span fresh = std::span(version.tail).subspan(sealed);
  if (fresh.empty()) return;
  auto piece = std::make_shared<SealedPiece>();
  piece->batches.assign(fresh.begin(), fresh.end());
  piece->link_sequence = version.links->last_change();
  piece->layers = seal(fresh, version.placement, *version.links);
  plan.pieces.push_back(std::move(piece));
}

// All layers in (partition, log order): the stored ones and those of the tail.
std::vector<PlacedLayer> layers_of(const Version& version, const ScanPlan& plan) {
  std::vector<PlacedLayer> out;
  for (std::uint32_t shard = 0; shard < version.shards.size(); ++shard) {
    for (const auto& layer : version.shards[shard].layers) out.push_back({shard, layer});
  }
  for (const auto& piece : plan.pieces) {
    for (const SealedLayer& sealed : piece->layers) out.push_back({sealed.shard, sealed.layer});
  }
  std::ranges::stable_sort(
      out, {}, [](const PlacedLayer& placed) { return std::pair(placed.layer->partition, placed.layer->first_order); });
  return out;
}

std::uint32_t stripe_count(const Version& version, std::uint32_t shard) {
  const std::uint32_t shards = version.placement.shard_count;
  if (version.origin_count <= shard) return 0;
  const std::uint32_t ids = (version.origin_count - shard + shards - 1) / shards;
  return (ids + limits::kStripeIds - 1) / limits::kStripeIds;
}

// Rows of a layer built at sequence h can be misplaced for origins linked or unlinked since. The relatives of an origin
// only change with a link that touches them, so an earlier plan's marks hold and those of newer links are added.
void mark_slow(const Version& version, std::span<const PlacedLayer> layers, const ScanPlan* before, ScanPlan& plan) {
  plan.slow.resize(version.placement.shard_count);
  plan.link_sequence = version.links->last_change();
  plan.homed_least = plan.link_sequence;
  for (const PlacedLayer& placed : layers) plan.homed_least = std::min(plan.homed_least, placed.layer->homed_sequence);
  if (plan.homed_least == plan.link_sequence) return;
  std::uint64_t marked = plan.homed_least;
  if (before != nullptr && (before->homed_least != plan.homed_least || before->link_sequence > plan.link_sequence))
    before = nullptr;
  if (before != nullptr) {
    plan.slow = before->slow;
    marked = before->link_sequence;
  }
  for (std::uint32_t shard = 0; shard < version.placement.shard_count; ++shard) {
    if (plan.slow[shard].empty()) continue;
    plan.slow[shard].resize(std::size_t{stripe_count(version, shard)} * limits::kStripeIds / 64);
  }
  const auto changed = marked == plan.link_sequence ? std::vector<Origin>() : version.links->changed_since(marked);
  for (const Origin origin : changed) {
    const std::uint32_t shard = version.placement.shard(origin), id = version.placement.local_id(origin);
    std::vector<std::uint64_t>& words = plan.slow[shard];
    if (words.empty()) words.resize(std::size_t{stripe_count(version, shard)} * limits::kStripeIds / 64);
    if (id / 64 < words.size()) words[id / 64] |= std::uint64_t{1} << (id % 64);
  }
  plan.slow_places.find(version.placement, layers, plan.slow, before != nullptr ? &before->slow_places : nullptr);
}

// `gone`: chunks to leave out.
void build_tasks(const Version& version, std::span<const PlacedLayer> layers,
                 const std::unordered_set<const Chunk*>& gone, ScanPlan& plan) {
  for (std::uint32_t shard = 0; shard < version.placement.shard_count; ++shard) {
    plan.first_task.push_back(plan.tasks.size());
    constexpr std::size_t kWords = limits::kStripeIds / 64;
    for (std::uint32_t stripe = 0; stripe < stripe_count(version, shard); ++stripe) {
      Task& task = plan.tasks.emplace_back();
      task.version = &version;
      task.plan = &plan;
      task.shard = shard;
      task.first_id = stripe * limits::kStripeIds;
      task.last_id = task.first_id + limits::kStripeIds;
      if (plan.slow[shard].empty()) continue;
      const std::span words = std::span<const std::uint64_t>(plan.slow[shard]).subspan(stripe * kWords, kWords);
      if (std::any_of(words.begin(), words.end(), [](std::uint64_t word) { return word != 0; })) task.slow = words;
    }
  }
  plan.first_task.push_back(plan.tasks.size());
  plan.places.resize(plan.tasks.size());
  for (std::uint32_t rank = 0; rank < layers.size(); ++rank) {
    const std::size_t first_task = plan.first_task[layers[rank].shard];
    const auto stripes = static_cast<std::uint32_t>(plan.first_task[layers[rank].shard + 1] - first_task);
    for (const auto& chunk : layers[rank].layer->chunks) {
      if (chunk->row_count == 0 || gone.contains(chunk.get())) continue;
      const std::uint32_t first = chunk->first_id / limits::kStripeIds;
      const std::uint32_t last = std::min((chunk->last_id + limits::kStripeIds - 1) / limits::kStripeIds, stripes);
      for (std::uint32_t stripe = first; stripe < last; ++stripe) {
        plan.tasks[first_task + stripe].chunks.push_back(chunk.get());
        plan.places[first_task + stripe].push_back({chunk.get(), chunk->first_id, chunk->last_id, rank});
      }
    }
  }
}

}  // namespace

std::shared_ptr<const ScanPlan> scan_plan(const Version& version) {
  if (std::shared_ptr<const ScanPlan> made = version.scan_plan.get()) return made;
  const auto making = version.scan_plan.making();
  if (std::shared_ptr<const ScanPlan> made = version.scan_plan.get()) return made;
  auto plan = std::make_shared<ScanPlan>();
  const std::shared_ptr<const ScanPlan> before = version.scan_plan.newest();
  seal_tail(version, before.get(), *plan);
  const std::vector<PlacedLayer> layers = layers_of(version, *plan);
  mark_slow(version, layers, before.get(), *plan);
  build_tasks(version, layers, {}, *plan);
  if (before != nullptr) plan->take_everyone(*before);
  version.scan_plan.set(plan, version.watermark);
  return plan;
}

std::shared_ptr<const ScanPlan> scan_plan(const Version& version, std::int64_t now_ms) {
  std::shared_ptr<const ScanPlan> plan = scan_plan(version);
  const std::optional<Horizon> horizon = horizon_of(version, now_ms);
  if (!horizon) return plan;
  std::shared_ptr<const ScanPlan> within = plan->within(version, *horizon);
  return within != nullptr ? within : plan;
}

std::shared_ptr<const ScanPlan> ScanPlan::within(const Version& version, const Horizon& asked) const {
  const std::lock_guard lock(within_mutex_);
  if (within_horizon_ == asked) return within_;
  const std::vector<PlacedLayer> layers = layers_of(version, *this);
  std::unordered_set<const Chunk*> gone;
  std::vector<std::vector<std::uint64_t>> marked = slow;
  bool any = false;
  for (const PlacedLayer& placed : layers) {
    std::vector<std::uint64_t>& words = marked[placed.shard];
    for (const auto& chunk : placed.layer->chunks) {
      const Expired how = expired(*chunk, asked);
      if (how == Expired::kAll) gone.insert(chunk.get());
      if (how != Expired::kSome) continue;
      words.resize(std::size_t{cdp::stripe_count(version, placed.shard)} * limits::kStripeIds / 64);
      each_expired(*chunk, asked, [&](std::uint32_t row) {
        const std::uint32_t id = chunk->local_id(row);
        if (id / 64 >= words.size()) return;
        words[id / 64] |= std::uint64_t{1} << (id % 64);
        any = true;
      });
    }
  }
  std::shared_ptr<ScanPlan> made;
  if (any || !gone.empty()) {
    made = std::make_shared<ScanPlan>();
    made->pieces = pieces;
    made->homed_least = homed_least;
    made->link_sequence = link_sequence;
    made->slow = std::move(marked);
    made->horizon = asked;
    made->slow_places.find(version.placement, layers, made->slow, &slow_places);
    build_tasks(version, layers, gone, *made);
    made->take_everyone(*this);
  }
  within_horizon_ = asked;
  within_ = std::move(made);
  return within_;
}

const ProfileMask& ScanPlan::everyone(const Version& version) const {
  const std::lock_guard lock(everyone_mutex_);
  if (everyone_ == nullptr) {
    auto made = std::make_shared<Everyone>();
    made->origin_count = version.origin_count;
    made->link_sequence = version.links->last_change();
    const Everyone* before = everyone_before_.get();
    // An earlier plan may be of a newer version, when this reader pinned an old one.
    const bool holds =
        before != nullptr && before->origin_count <= made->origin_count && before->link_sequence <= made->link_sequence;
    made->mask = holds ? ProfileMask::all(version, before->mask, before->origin_count, before->link_sequence)
                       : ProfileMask::all(version);
    everyone_ = std::move(made);
  }
  return everyone_->mask;
}

void ScanPlan::take_everyone(const ScanPlan& before) {
  const std::lock_guard lock(before.everyone_mutex_);
  everyone_before_ = before.everyone_ != nullptr ? before.everyone_ : before.everyone_before_;
}

std::span<const ChunkPlaceInPlan> Task::places() const noexcept {
  return plan->places[plan->first_task[shard] + first_id / limits::kStripeIds];
}

std::vector<Origin> slow_homes(const Task& task) {
  std::vector<Origin> out;
  for (std::size_t word = 0; word < task.slow.size(); ++word) {
    for (std::uint64_t bits = task.slow[word]; bits != 0; bits &= bits - 1) {
      const Origin origin =
          task.origin(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
      if (task.version->links->home(origin) == origin) out.push_back(origin);
    }
  }
  return out;
}

namespace {

void prefetch_rows(const Chunk& chunk, std::uint32_t first) {
  __builtin_prefetch(chunk.time.data() + first);
  __builtin_prefetch(chunk.code8.empty() ? static_cast<const void*>(chunk.code16.data() + first)
                                         : chunk.code8.data() + first);
}

// A profile with relatives: those that are marked slow have their places in the plan; the others, linked before any layer
// of today was built, are looked for.
class LinkedProfiles {
 public:
  using Relatives = std::span<const Origin>;
  LinkedProfiles(const Version& version, const ScanPlan& plan, std::span<const NameId> names)
      : version_(version), plan_(plan), horizon_(plan.horizon ? &*plan.horizon : nullptr), names_(names) {}

  // In event order.
  void rows_of(const Origin& home, Relatives relatives, std::vector<Row>& out) const {
    // Where none of them was ever parted from it, every row under one of their places is the profile's.
    const bool all_belong = version_.links->members(home).size() == relatives.size();
    for (const Origin relative : relatives) {
      const std::uint32_t shard = version_.placement.shard(relative), id = version_.placement.local_id(relative);
      const std::span<const SlowPlace> places = plan_.slow_places.of(shard, id);
      for (const SlowPlace& place : places) add_place(home, all_belong, relative, place, out);
      if (places.empty() && !plan_.is_slow(shard, id)) look_for(home, relative, shard, id, out);
    }
    order_events(out);
  }

 private:
  void add_place(Origin home, bool all_belong, Origin relative, const SlowPlace& place, std::vector<Row>& out) const {
    if (place.rows.empty()) {
      return add_chunk_rows(*version_.links, horizon_, home, names_, *place.chunk, {place.first, place.last}, relative,
                            place.layer, out);
    }
    const std::int64_t start_ms = partition_start_ms(place.chunk->partition);
    for (const SlowRow& row : place.rows) {
      const NameId name{row.name};
      const Origin origin{row.origin};
      if (!names_.empty() && !std::ranges::binary_search(names_, name)) continue;
      if (!all_belong && origin != home && version_.links->home(origin) != home) continue;
      if (horizon_ != nullptr && !horizon_->has(name, start_ms + row.time)) continue;
      out.push_back(
          {start_ms + row.time, origin, name, place.layer, place.chunk, row.spine_row, nullptr, 0, row.slice_row});
    }
  }
  void look_for(Origin home, Origin relative, std::uint32_t shard, std::uint32_t id, std::vector<Row>& out) const {
    const std::size_t task = plan_.first_task[shard] + id / limits::kStripeIds;
    if (task >= plan_.first_task[shard + 1]) return;
    for (const ChunkPlaceInPlan& place : plan_.places[task]) {
      if (id < place.first_id || id >= place.last_id) continue;
      add_chunk_rows(*version_.links, horizon_, home, names_, *place.chunk, place.chunk->rows_of(id), relative,
                     place.layer, out);
    }
  }

  const Version& version_;
  const ScanPlan& plan_;
  const Horizon* horizon_;
  std::span<const NameId> names_;
};

// Rows [first, last) of one chunk's spine that lie under one profile's place.
struct Stretch {
  std::uint32_t home = 0;   // index into the homes
  std::uint32_t place = 0;  // index into the task's places
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

// Name of each code of the chunk; kNone where it is not asked for.
std::vector<std::uint32_t> names_of(const Chunk& chunk, std::span<const NameId> names) {
  std::vector<std::uint32_t> out;
  out.reserve(chunk.slices.size());
  for (const Slice& slice : chunk.slices) {
    const bool asked = names.empty() || std::ranges::binary_search(names, slice.name);
    out.push_back(asked ? raw(slice.name) : kNone);
  }
  return out;
}

// By place, then by home.
std::vector<Stretch> find_stretches(const Task& task, std::span<const ChunkPlaceInPlan> places,
                                    std::span<const Origin> homes, std::span<const std::uint8_t> alone) {
  std::vector<Stretch> out;
  for (std::uint32_t place = 0; place < places.size(); ++place) {
    const Chunk& chunk = *places[place].chunk;
    for (std::uint32_t home = 0; home < homes.size(); ++home) {
      if (alone[home] == 0) continue;
      const Chunk::Rows rows = chunk.rows_of(task.version->placement.local_id(homes[home]));
      if (rows.first == rows.last) continue;
      prefetch_rows(chunk, rows.first);
      out.push_back({home, place, rows.first, rows.last});
    }
  }
  return out;
}

void take_stretch(const LinkView& links, const Horizon* horizon, Origin home, const Stretch& stretch,
                  const ChunkPlaceInPlan& place, std::span<const std::uint32_t> names, std::vector<Row>& out) {
  const Chunk& chunk = *place.chunk;
  const std::int64_t start_ms = partition_start_ms(chunk.partition);
  for (std::uint32_t at = stretch.first; at < stretch.last; ++at) {
    const std::uint32_t name = names[chunk.code(at)];
    if (name == kNone) continue;
    if (horizon != nullptr && !horizon->has(NameId{name}, start_ms + chunk.time[at])) continue;
    const Origin origin = chunk.foreign.empty() ? home : chunk.foreign.at(at, home);
    if (origin != home && links.home(origin) != home) continue;
    out.push_back({start_ms + chunk.time[at], origin, NameId{name}, place.layer, &chunk, at, nullptr, 0});
  }
}

// Looks at the budget of a task every so many rows, and charges what is held while it is held.
class Watched {
 public:
  explicit Watched(const Task& task) : budget_(task.budget) {}
  ~Watched() {
    if (budget_ != nullptr) budget_->release(held_bytes_);
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  void hold(std::uint64_t size_bytes) {
    if (budget_ == nullptr || size_bytes <= held_bytes_) return;
    const std::uint64_t more = size_bytes - held_bytes_;
    held_bytes_ = size_bytes;
    budget_->charge(more);
  }
  void count(std::uint64_t rows) {
    if (budget_ == nullptr || (counted_ += rows + kRowsAHome) < kRowsACheck) return;
    counted_ = 0;
    budget_->check();
  }

 private:
  static constexpr std::uint64_t kRowsAHome = 16;  // what finding a profile costs beside its rows
  static constexpr std::uint64_t kRowsACheck = 8'192;
  Budget* budget_;
  std::uint64_t held_bytes_ = 0;
  std::uint64_t counted_ = 0;
};

}  // namespace

void rows_of_many(const Task& task, std::span<const Origin> homes, std::span<const NameId> names,
                  const std::function<void(Origin, std::span<const Row>)>& visit) {
  if (homes.empty()) return;
  const LinkView& links = *task.version->links;
  const std::span<const ChunkPlaceInPlan> places = task.places();
  std::vector<LinkedProfiles::Relatives> relatives;
  std::vector<std::uint8_t> alone;  // never linked: every row lies in the task
  for (const Origin& home : homes) {
    relatives.push_back(links.relatives(home));
    alone.push_back(relatives.back().size() == 1 ? 1 : 0);
  }
  std::vector<Stretch> stretches = find_stretches(task, places, homes, alone);
  std::ranges::stable_sort(stretches, {}, &Stretch::home);
  std::vector<std::vector<std::uint32_t>> names_at(places.size());
  const LinkedProfiles linked(*task.version, *task.plan, names);
  const Horizon* horizon = task.plan->horizon ? &*task.plan->horizon : nullptr;
  std::vector<Row> rows;
  Watched watched(task);
  const std::uint64_t base_bytes = stretches.capacity() * 2 * sizeof(Stretch);  // sorting takes as much again
  watched.hold(base_bytes);
  auto stretch = stretches.cbegin();
  for (std::uint32_t home = 0; home < homes.size(); ++home) {
    rows.clear();
    if (alone[home] == 0) linked.rows_of(homes[home], relatives[home], rows);
    for (; stretch != stretches.cend() && stretch->home == home; ++stretch) {
      std::vector<std::uint32_t>& names_there = names_at[stretch->place];
      if (names_there.empty()) names_there = names_of(*places[stretch->place].chunk, names);
      take_stretch(links, horizon, homes[home], *stretch, places[stretch->place], names_there, rows);
    }
    if (alone[home] != 0) order_events(rows);
    watched.hold(base_bytes + rows.capacity() * sizeof(Row));
    watched.count(rows.size());
    visit(homes[home], rows);
  }
}

}  // namespace cdp
