// Seal, merge, rows and properties against the naive model.

#include <bit>
#include <sstream>

#include "base/pool.hpp"
#include "check.hpp"
#include "column/chunk_check.hpp"
#include "layout_model.hpp"
#include "store/event_store.hpp"

namespace {

using namespace cdp;
using cdp::test::FakeLinks;
using cdp::test::Model;
using cdp::test::ModelRow;
using cdp::test::Shapes;

std::string text_of(std::int64_t time_ms, Origin origin, NameId name,
                    const std::vector<std::pair<KeyId, Value>>& properties) {
  std::ostringstream text;
  text << time_ms << ' ' << raw(origin) << ' ' << raw(name);
  for (const auto& [key, value] : properties) {
    text << ' ' << raw(key) << ':' << static_cast<int>(value.type) << '=' << value.bits;
  }
  return text.str();
}

// A version that grows step by step.
struct Store {
  Version version;
  FakeLinks links;

  explicit Store(std::uint32_t shard_count) {
    version.placement.shard_count = shard_count;
    version.shards.resize(shard_count);
    publish_links();
  }
  void publish_links() { version.links = std::make_shared<FakeLinks>(links); }
  void seal_tail(std::size_t count) {
    const auto sealed = seal(std::span{version.tail}.first(count), version.placement, *version.links);
    version.tail.erase(version.tail.begin(), version.tail.begin() + static_cast<std::ptrdiff_t>(count));
    for (const SealedLayer& layer : sealed) put(version.shards[layer.shard].layers, layer.layer);
  }
  static void put(std::vector<std::shared_ptr<const Layer>>& layers, const std::shared_ptr<const Layer>& layer) {
    const auto at = std::upper_bound(layers.begin(), layers.end(), layer, [](const auto& left, const auto& right) {
      return std::tie(left->partition, left->first_order) < std::tie(right->partition, right->first_order);
    });
    layers.insert(at, layer);
  }
  void check_chunks() const {
    for (const ShardLayers& shard : version.shards) {
      for (const auto& layer : shard.layers) check_layer(*layer);
    }
  }
  static void check_layer(const Layer& layer) {
    std::uint64_t rows = 0;
    std::uint32_t last_id = 0;
    for (const auto& chunk : layer.chunks) {
      CHECK_EQ(check(*chunk), std::string{});
      CHECK(chunk->first_id >= last_id);
      CHECK_EQ(chunk->partition, layer.partition);
      last_id = chunk->last_id;
      rows += chunk->row_count;
    }
    CHECK_EQ(rows, layer.row_count);
  }
};

void check_profile(const Store& store, const Model& model, Origin home, std::span<const NameId> names) {
  std::vector<Row> rows;
  rows_of(store.version, home, names, rows);
  std::vector<const ModelRow*> expected = model.rows_of(*store.version.links, home);
  std::erase_if(expected, [&](const ModelRow* row) {
    return !names.empty() && !std::binary_search(names.begin(), names.end(), row->name);
  });
  CHECK_EQ(rows.size(), expected.size());
  std::vector<std::pair<KeyId, Value>> found;
  for (std::size_t at = 0; at < std::min(rows.size(), expected.size()); ++at) {
    const ModelRow& row = *expected[at];
    properties(rows[at], found);
    CHECK_EQ(text_of(rows[at].time_ms, rows[at].origin, rows[at].name, found),
             text_of(row.time_ms, row.origin, row.name, row.properties));
    for (const auto& [key, value] : row.properties) CHECK(property(rows[at], key) == value);
    CHECK(property(rows[at], KeyId{2}) == Value{});
  }
}

// Every cut of a profile's rows is that part of all of them, and fields of many rows are those of each.
void check_cuts(const Store& store, Origin home, std::span<const NameId> names) {
  std::vector<Row> all, part;
  rows_of(store.version, home, names, all);
  const std::int64_t middle_ms = all.empty() ? 0 : all[all.size() / 2].time_ms;
  for (const std::int64_t now_ms : {INT64_MAX, middle_ms, middle_ms - 1}) {
    const auto last = std::find_if(all.begin(), all.end(), [&](const Row& row) { return row.time_ms > now_ms; });
    const std::span<const Row> seen(all.begin(), last);
    for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{7}, UINT64_MAX}) {
      for (const bool newest : {false, true}) {
        rows_of(store.version, home, names, {now_ms, count, newest}, part);
        const std::size_t wanted = std::min<std::uint64_t>(count, seen.size());
        const std::span<const Row> expected = newest ? seen.last(wanted) : seen.first(wanted);
        CHECK(std::equal(part.begin(), part.end(), expected.begin(), expected.end(), [](const Row& a, const Row& b) {
          return a.chunk == b.chunk && a.spine_row == b.spine_row && a.batch == b.batch && a.event == b.event;
        }));
      }
    }
  }
  std::vector<std::pair<KeyId, Value>> one, many;
  std::vector<std::uint32_t> ends;
  properties(all, many, ends);
  CHECK_EQ(ends.size(), all.size());
  std::uint32_t first = 0;
  for (std::size_t at = 0; at < all.size(); ++at) {
    properties(all[at], one);
    CHECK(std::equal(one.begin(), one.end(), many.begin() + first, many.begin() + ends[at]));
    first = ends[at];
  }
}

void check_all(const Store& store, const Model& model, std::uint32_t origins) {
  store.check_chunks();
  const std::vector<NameId> names{NameId{1}, NameId{4}};
  for (std::uint32_t origin = 0; origin < origins; ++origin) {
    if (store.version.links->home(Origin{origin}) != Origin{origin}) continue;
    check_profile(store, model, Origin{origin}, {});
    check_profile(store, model, Origin{origin}, names);
    check_cuts(store, Origin{origin}, {});
    check_cuts(store, Origin{origin}, names);
  }
}

TEST("a sealed tail gives back every row of every profile in event order") {
  for (const std::uint32_t shards : {1u, 4u}) {
    for (std::uint64_t round = 0; round < 6; ++round) {
      Model model(test::seed() + round, {});
      Store store(shards);
      for (int batch = 0; batch < 6; ++batch) {
        store.version.tail.push_back(model.add_batch(1 + model.below(200)));
        store.links.join(Origin{model.below(300)}, Origin{model.below(300)});
        store.publish_links();
        if (batch == 2) store.seal_tail(2);
      }
      check_all(store, model, 300);
      store.seal_tail(store.version.tail.size());
      check_all(store, model, 300);
    }
  }
}

TEST("profiles with many origins keep their order of time, origin and log") {
  Model model(test::seed(), {.origins = 40, .step_ms = 86'400'000});
  Store store(1);
  for (int batch = 0; batch < 10; ++batch) {
    store.version.tail.push_back(model.add_batch(300));
    if (batch % 3 == 2) store.seal_tail(store.version.tail.size());
    for (std::uint32_t join = 0; join < 4; ++join) store.links.join(Origin{model.below(40)}, Origin{model.below(40)});
    store.links.leave(Origin{model.below(40)});
    store.publish_links();
    check_all(store, model, 40);
  }
}

TEST("many rare keys are sealed right") {
  const Shapes shapes{.names = 2, .keys = 500, .origins = 20, .fields_max = 40};
  Model model(test::seed(), shapes);
  Store store(1);
  for (int run = 0; run < 3; ++run) {
    store.version.tail.push_back(model.add_batch(800));
    store.seal_tail(1);
  }
  check_all(store, model, 20);
}

TEST("over 255 names, wide ids and a block of over 65,535 rows are sealed right") {
  Model many_names(test::seed(), {.names = 2'000, .fields_max = 2});
  Store names(1);
  names.version.tail.push_back(many_names.add_batch(6'000));
  names.seal_tail(1);
  CHECK(!names.version.shards[0].layers[0]->chunks[0]->code16.empty());
  check_all(names, many_names, 300);

  Model wide_ids(test::seed(), {.origins = 40'000'000, .span_ms = limits::kPartitionMs / 4});
  Store wide(1);
  wide.version.tail.push_back(wide_ids.add_batch(3'000));
  wide.seal_tail(1);
  wide.check_chunks();
  CHECK(wide.version.shards[0].layers[0]->chunks[0]->wide_ids());
  for (std::size_t at = 0; at < wide_ids.rows().size(); at += 10) {
    check_profile(wide, wide_ids, wide_ids.rows()[at].origin, {});
  }

  Model large_block(test::seed(), {.origins = 2'000, .fields_max = 2, .late = 0.5, .skew = 0.9});
  Store large(1);
  large.version.tail.push_back(large_block.add_batch(200'000));
  large.seal_tail(1);
  large.check_chunks();
  const auto& layers = large.version.shards[0].layers;
  CHECK(std::any_of(layers.begin(), layers.end(),
                    [](const auto& layer) { return layer->chunks[0]->row_count > limits::kChunkRows; }));
  for (std::uint32_t origin = 0; origin < 12; ++origin) check_profile(large, large_block, Origin{origin}, {});
}

TEST("slices whose rows all have the same fields are sealed right") {
  Model model(test::seed(), {.names = 300, .keys = 1, .fields_max = 1});
  Store store(1);
  for (int batch = 0; batch < 10; ++batch) store.version.tail.push_back(model.add_batch(200));
  store.seal_tail(store.version.tail.size());
  check_all(store, model, 300);
}

// --- merge

// Field by field, also how columns are coded: build_column depends on the values alone.
void check_equal(const Column& left, const Column& right) {
  CHECK(left.key == right.key && left.type == right.type && left.width == right.width);
  CHECK(left.dictionary_coded == right.dictionary_coded && left.base == right.base);
  CHECK(left.row_count == right.row_count && left.value_count == right.value_count);
  CHECK(left.codes == right.codes && left.dictionary == right.dictionary);
  CHECK(left.presence == right.presence && left.presence_rank == right.presence_rank);
}

void check_equal(const Chunk& left, const Chunk& right) {
  CHECK(left.first_id == right.first_id && left.last_id == right.last_id && left.row_count == right.row_count);
  CHECK(left.time == right.time && left.code8 == right.code8 && left.code16 == right.code16);
  CHECK(left.profile16 == right.profile16 && left.profile32 == right.profile32);
  CHECK(left.block_offset == right.block_offset && left.foreign == right.foreign);
  CHECK(left.time_min == right.time_min && left.time_max == right.time_max);
  CHECK_EQ(left.slices.size(), right.slices.size());
  for (std::size_t code = 0; code < std::min(left.slices.size(), right.slices.size()); ++code) {
    const Slice &one = left.slices[code], &other = right.slices[code];
    CHECK(one.name == other.name && one.profile16 == other.profile16 && one.profile32 == other.profile32);
    CHECK(one.slot == other.slot && one.posting16 == other.posting16 && one.posting32 == other.posting32);
    CHECK_EQ(one.columns.size(), other.columns.size());
    for (std::size_t at = 0; at < std::min(one.columns.size(), other.columns.size()); ++at) {
      check_equal(one.columns[at], other.columns[at]);
    }
  }
}

void check_equal(const Layer& left, const Layer& right) {
  CHECK(left.partition == right.partition && left.row_count == right.row_count);
  CHECK(left.first_order == right.first_order && left.last_order == right.last_order);
  CHECK_EQ(left.homed_sequence, right.homed_sequence);
  CHECK_EQ(left.chunks.size(), right.chunks.size());
  for (std::size_t at = 0; at < std::min(left.chunks.size(), right.chunks.size()); ++at) {
    check_equal(*left.chunks[at], *right.chunks[at]);
  }
}

TEST("many chunks sealed by several threads are those of one thread") {
  Model model(test::seed(), {.names = 3, .origins = 60'000, .fields_max = 3});
  Store store(1);
  for (int batch = 0; batch < 3; ++batch) store.version.tail.push_back(model.add_batch(80'000));
  for (std::uint32_t join = 0; join < 50; ++join) {
    store.links.join(Origin{model.below(60'000)}, Origin{model.below(60'000)});
  }
  store.publish_links();
  Pool pool(2);
  const auto alone = seal(store.version.tail, store.version.placement, *store.version.links);
  const auto together = seal(store.version.tail, store.version.placement, *store.version.links, &pool);
  CHECK_EQ(alone.size(), together.size());
  bool any_of_several_chunks = false;
  for (std::size_t at = 0; at < std::min(alone.size(), together.size()); ++at) {
    CHECK_EQ(alone[at].shard, together[at].shard);
    check_equal(*alone[at].layer, *together[at].layer);
    Store::check_layer(*together[at].layer);
    any_of_several_chunks |= together[at].layer->chunks.size() > 1;
  }
  CHECK(any_of_several_chunks);
  store.seal_tail(store.version.tail.size());
  for (std::uint32_t origin = 0; origin < 60'000; origin += 997) {
    check_profile(store, model, store.version.links->home(Origin{origin}), {});
  }
}

// By (partition, order), as choose_merge sees them.
std::vector<Tier> tiers_of(const Version& version) {
  std::map<std::pair<std::int32_t, std::uint64_t>, Tier> tiers;
  for (std::size_t shard = 0; shard < version.shards.size(); ++shard) {
    for (const auto& layer : version.shards[shard].layers) {
      Tier& tier = tiers[{layer->partition, layer->first_order}];
      tier.shards.resize(version.shards.size());
      tier.shards[shard] = layer;
    }
  }
  std::vector<Tier> out;
  for (auto& [place, tier] : tiers) out.push_back(std::move(tier));
  return out;
}

std::int32_t partition_of_tier(const Tier& tier) {
  for (const auto& layer : tier.shards) {
    if (layer != nullptr) return layer->partition;
  }
  return INT32_MIN;
}

void replace(Version& version, std::span<const Tier> tiers, const Horizon* horizon = nullptr) {
  const Tier merged = merge_tiers(tiers, version.placement, *version.links, horizon);
  for (std::size_t shard = 0; shard < version.shards.size(); ++shard) {
    auto& layers = version.shards[shard].layers;
    std::erase_if(layers, [&](const auto& layer) {
      return std::any_of(tiers.begin(), tiers.end(), [&](const Tier& tier) { return tier.shards[shard] == layer; });
    });
    if (merged.shards[shard] == nullptr) continue;
    Store::check_layer(*merged.shards[shard]);
    Store::put(layers, merged.shards[shard]);
  }
}

// Merges a random stretch of tiers of one partition.
void merge_some(Version& version, Model& model) {
  const std::vector<Tier> tiers = tiers_of(version);
  if (tiers.empty()) return;
  const std::size_t first = model.below(static_cast<std::uint32_t>(tiers.size()));
  const std::size_t most = 1 + model.below(6);
  std::size_t last = first;
  while (last < tiers.size() && last - first < most &&
         partition_of_tier(tiers[last]) == partition_of_tier(tiers[first]))
    ++last;
  replace(version, std::span(tiers).subspan(first, last - first));
}

// Everything merged, a layer a partition, equals everything sealed at once.
void check_merged_equals_sealed(Store& store, std::span<const std::shared_ptr<const TailBatch>> all) {
  const std::vector<Tier> tiers = tiers_of(store.version);
  for (std::size_t first = 0, last; first < tiers.size(); first = last) {
    for (last = first + 1; last < tiers.size() && partition_of_tier(tiers[last]) == partition_of_tier(tiers[first]);)
      ++last;
    replace(store.version, std::span(tiers).subspan(first, last - first));
  }
  std::vector<std::size_t> next(store.version.shards.size(), 0);
  for (const SealedLayer& sealed : seal(all, store.version.placement, *store.version.links)) {
    const auto& layers = store.version.shards[sealed.shard].layers;
    const std::size_t at = next[sealed.shard]++;
    CHECK(at < layers.size());
    if (at < layers.size()) check_equal(*layers[at], *sealed.layer);
  }
  for (std::size_t shard = 0; shard < next.size(); ++shard) {
    CHECK_EQ(next[shard], store.version.shards[shard].layers.size());
  }
}

void run_merges(std::uint64_t seed, Shapes shapes, std::uint32_t shards, bool linked) {
  Model model(seed, shapes);
  Store store(shards);
  std::vector<std::shared_ptr<const TailBatch>> all;
  for (int step = 0; step < 12; ++step) {
    for (std::uint32_t batch = model.below(4); batch > 0; --batch) {
      all.push_back(model.add_batch(1 + model.below(250)));
      store.version.tail.push_back(all.back());
    }
    if (linked) {
      for (std::uint32_t join = model.below(8); join > 0; --join) {
        store.links.join(Origin{model.below(shapes.origins)}, Origin{model.below(shapes.origins)});
      }
      store.links.leave(Origin{model.below(shapes.origins)});
      store.publish_links();
    }
    store.seal_tail(model.below(static_cast<std::uint32_t>(store.version.tail.size() + 1)));
    merge_some(store.version, model);
    merge_some(store.version, model);
    if (step % 4 == 3) check_all(store, model, std::min(shapes.origins, 400u));
  }
  store.seal_tail(store.version.tail.size());
  check_merged_equals_sealed(store, all);
  check_all(store, model, std::min(shapes.origins, 400u));
}

TEST("layers merged in any grouping equal all rows sealed at once") {
  for (std::uint64_t round = 0; round < 6; ++round) {
    run_merges(test::seed() + round, {}, round % 3 == 2 ? 4 : 1, false);
  }
}

TEST("a merge moves rows whose profile changed to their new home") {
  for (std::uint64_t round = 0; round < 6; ++round) {
    run_merges(test::seed() + round, {.origins = 60}, round % 2 == 0 ? 1 : 4, true);
  }
  for (std::uint64_t round = 0; round < 2; ++round) {
    run_merges(test::seed() + round, {.origins = 400'000, .step_ms = 86'400'000, .skew = 0.2}, 1, true);
  }
}

bool has_chunks(const Store& store, std::size_t count) {
  const auto& layers = store.version.shards[0].layers;
  return std::any_of(layers.begin(), layers.end(), [=](const auto& layer) { return layer->chunks.size() >= count; });
}

TEST("rows move between chunks of a layer and keep their values") {
  const Shapes shapes{.origins = 40'000, .span_ms = limits::kPartitionMs / 4, .skew = 0.05};
  Model model(test::seed(), shapes);
  Store store(1);
  std::vector<std::shared_ptr<const TailBatch>> all;
  for (int run = 0; run < 3; ++run) {
    all.push_back(model.add_batch(70'000));
    store.version.tail.push_back(all.back());
    store.seal_tail(1);
    for (int join = 0; join < 300; ++join) {
      const Origin winner = join % 3 == 0 ? Origin{7} : Origin{model.below(40'000)};
      store.links.join(winner, Origin{model.below(40'000)});
    }
    store.publish_links();
  }
  CHECK(has_chunks(store, 2));
  check_merged_equals_sealed(store, all);
  CHECK(has_chunks(store, 3));
  for (std::uint32_t origin = 0; origin < 20; ++origin) {
    const Origin home = store.version.links->home(Origin{origin});
    check_profile(store, model, home, {});
  }
}

// Merges what is chosen until nothing is; returns rows rewritten.
std::uint64_t merge_chosen(Version& version, bool drain = false) {
  std::uint64_t rows = 0;
  for (int guard = 0; guard < 10'000; ++guard) {
    const std::vector<Tier> tiers = choose_merge(version, drain);
    if (tiers.empty()) return rows;
    for (const Tier& tier : tiers) rows += rows_of_tier(tier);
    replace(version, tiers);
  }
  CHECK(!"choose_merge never ends");
  return rows;
}

// Every row lies under its profile of today.
void check_all_at_home(const Version& version) {
  for (std::uint32_t shard = 0; shard < version.shards.size(); ++shard) {
    for (const auto& layer : version.shards[shard].layers) {
      CHECK_EQ(layer->homed_sequence, version.links->last_change());
      for (const auto& chunk : layer->chunks) {
        for (std::uint32_t row = 0; row < chunk->row_count; ++row) {
          const Origin place = version.placement.origin(shard, chunk->local_id(row));
          CHECK(version.links->home(chunk->foreign.at(row, place)) == place);
        }
      }
    }
  }
  CHECK_EQ(count_split(version), 0u);
}

TEST("rows move to the shard of their profile, there and back, and keep their order") {
  for (const std::uint32_t shards : {4u, 16u}) {
    // Ties in time, and profiles that part and join again: the order of the log must survive every move.
    Model model(test::seed() + shards, {.origins = 24, .step_ms = 14 * 86'400'000});
    Store store(shards);
    for (int run = 0; run < 24; ++run) {
      for (std::uint32_t batch = model.below(3); batch > 0; --batch) store.version.tail.push_back(model.add_batch(60));
      store.seal_tail(model.below(static_cast<std::uint32_t>(store.version.tail.size() + 1)));
      for (int join = 0; join < 3; ++join) store.links.join(Origin{model.below(24)}, Origin{model.below(24)});
      for (int leave = 0; leave < 2; ++leave) store.links.leave(Origin{model.below(24)});
      store.publish_links();
      merge_some(store.version, model);
      merge_some(store.version, model);
      check_all(store, model, 24);
    }
    store.seal_tail(store.version.tail.size());
    merge_chosen(store.version, true);
    check_all_at_home(store.version);
    check_all(store, model, 24);
  }
}

TEST("a profile of very many rows moves to another shard") {
  Model model(
      test::seed(),
      {.names = 3, .origins = 8, .fields_max = 1, .span_ms = limits::kPartitionMs / 4, .late = 0.5, .skew = 0.9});
  Store store(4);
  std::vector<std::shared_ptr<const TailBatch>> all;
  for (int run = 0; run < 4; ++run) {
    all.push_back(model.add_batch(40'000));
    store.version.tail.push_back(all.back());
    store.seal_tail(1);
  }
  store.links.join(Origin{2}, Origin{7});
  store.publish_links();
  CHECK(count_split(store.version) > 0);
  check_merged_equals_sealed(store, all);
  check_all_at_home(store.version);
  check_profile(store, model, Origin{2}, {});
}

// --- retention

// Of names 0 .. 19, at an instant in the middle of the model's rows.
Horizon horizon_for(RetentionRules rules, std::int64_t now_ms) {
  static Dictionary names(1);
  for (int id = 0; id < 20; ++id) static_cast<void>(names.intern("n" + std::to_string(id)));
  return Retention::replace(nullptr, std::move(rules), 0)->at(names, now_ms);
}

// Every profile has the model's rows that the horizon leaves; with `asked` null they are those that are there at all.
void check_kept(const Store& store, const Model& model, const Horizon& horizon, const Horizon* asked) {
  std::vector<Row> rows;
  for (std::uint32_t origin = 0; origin < 60; ++origin) {
    const Origin home{origin};
    if (store.version.links->home(home) != home) continue;
    rows_of(store.version, home, {}, {.horizon = asked}, rows);
    std::vector<const ModelRow*> expected = model.rows_of(*store.version.links, home);
    std::erase_if(expected, [&](const ModelRow* row) { return !horizon.has(row->name, row->time_ms); });
    CHECK_EQ(rows.size(), expected.size());
    for (std::size_t at = 0; at < std::min(rows.size(), expected.size()); ++at) {
      CHECK(rows[at].time_ms == expected[at]->time_ms && rows[at].name == expected[at]->name);
      for (const auto& [key, value] : expected[at]->properties) CHECK(property(rows[at], key) == value);
    }
  }
}

TEST("a merge leaves out rows past retention, moved ones too") {
  const std::int64_t day_ms = 86'400'000;
  for (const std::uint32_t shards : {1u, 4u}) {
    for (int round = 0; round < 4; ++round) {
      Model model(test::seed() + shards + static_cast<std::uint64_t>(round), {.origins = 60, .late = 0.5});
      Store store(shards);
      for (int run = 0; run < 6; ++run) {
        store.version.tail.push_back(model.add_batch(300));
        store.seal_tail(1);
        for (int join = 0; join < 4; ++join) store.links.join(Origin{model.below(60)}, Origin{model.below(60)});
        store.links.leave(Origin{model.below(60)});
        store.publish_links();
      }
      const std::int64_t now_ms = Shapes{}.start_ms + 50 * day_ms;
      RetentionRules rules{{{"n1", 1 + model.below(60) * day_ms}, {"n4", 20 * day_ms}}, std::nullopt};
      if (round % 2 == 1) rules.others = 40 * day_ms;
      const Horizon horizon = horizon_for(rules, now_ms);
      check_kept(store, model, horizon, &horizon);
      std::vector<Tier> tiers = tiers_of(store.version);
      for (auto first = tiers.begin(); first != tiers.end();) {
        const auto last = std::find_if(
            first, tiers.end(), [&](const Tier& tier) { return partition_of_tier(tier) != partition_of_tier(*first); });
        const std::size_t count = static_cast<std::size_t>(last - first);
        replace(store.version, std::span(tiers).subspan(static_cast<std::size_t>(first - tiers.begin()), count),
                &horizon);
        first = last;
      }
      store.check_chunks();
      check_kept(store, model, horizon, nullptr);
      check_all_at_home(store.version);
    }
  }
}

TEST("what retention had reached stays gone when longer rules come") {
  Dictionary names(1);
  const NameId seen{names.intern("seen")}, other{names.intern("other")};
  const auto first = Retention::replace(nullptr, {{{"seen", 10}}, 100}, 1'000);
  CHECK(!first->at(names, 1'000).has(seen, 990) && first->at(names, 1'000).has(seen, 991));
  CHECK(!first->at(names, 1'000).has(other, 900) && first->at(names, 1'000).has(other, 901));
  CHECK_EQ(first->at(names, 1'000).end_ms(seen, 991), 1'001);
  const auto longer = Retention::replace(first.get(), {{}, 500}, 2'000);
  CHECK(!longer->at(names, 2'000).has(seen, 1'990) && longer->at(names, 2'000).has(seen, 1'991));
  CHECK(!longer->at(names, 2'000).has(other, 1'900) && longer->at(names, 2'000).has(other, 1'901));
  const auto none = Retention::replace(longer.get(), {}, 3'000);
  CHECK(!none->at(names, 9'000).has(seen, 2'500) && none->at(names, 9'000).has(other, 2'501));
  CHECK_EQ(none->at(names, 9'000).end_ms(seen, 2'501), INT64_MAX);
}

// --- choice

TEST("chosen merges keep at most nine layers a partition and rewrite a row few times") {
  Model model(test::seed(), {.names = 2, .fields_max = 1, .step_ms = 60'000, .late = 0.0});
  Store store(1);
  std::uint64_t rewritten = 0;
  for (int run = 0; run < 400; ++run) {
    store.version.tail.push_back(model.add_batch(60));
    store.seal_tail(1);
    rewritten += merge_chosen(store.version);
    CHECK(store.version.shards[0].layers.size() <= 9);
  }
  CHECK(rewritten < model.rows().size() * 4);
  check_all(store, model, 300);
}

TEST("late runs of an old partition merge into it only when they are worth it") {
  Model model(test::seed(), {.names = 2, .fields_max = 1});
  Store store(1);
  const auto add_run = [&](std::int32_t partition, std::uint64_t rows, std::uint64_t order) {
    auto layer = std::make_shared<Layer>();
    layer->partition = partition, layer->row_count = rows, layer->first_order = layer->last_order = order;
    Store::put(store.version.shards[0].layers, layer);
  };
  add_run(600, 1'000'000, 1);
  add_run(600, 100'000, 2);
  add_run(601, 10, 10'000'000);
  CHECK(choose_merge(store.version).empty());
  add_run(600, 50'000, 3);
  CHECK_EQ(choose_merge(store.version).size(), 3u);
  add_run(600, 10, 9'999'999);  // still arriving
  CHECK(choose_merge(store.version).empty());
  for (std::uint64_t run = 0; run < 6; ++run) add_run(600, 10, 10'000'000 + run);
  const std::vector<Tier> choice = choose_merge(store.version);
  CHECK(choice.size() >= 3 && choice.size() < 9);
  CHECK(choice.back().shards[0] == store.version.shards[0].layers[9]);
}

TEST("while rows are loaded in bulk more layers wait to be merged, and quiet partitions do") {
  Store store(1);
  std::uint64_t order = 0;
  const auto add_runs = [&](std::int32_t partition, int count) {
    for (int run = 0; run < count; ++run) {
      auto layer = std::make_shared<Layer>();
      layer->partition = partition, layer->row_count = 1'000, layer->first_order = layer->last_order = ++order;
      Store::put(store.version.shards[0].layers, layer);
    }
  };
  const auto choice_in_bulk = [&] { return choose_merge(store.version, false, false, true); };
  add_runs(600, 3);
  order += 10'000'000;
  add_runs(601, 33);
  CHECK(choice_in_bulk().empty());
  CHECK(!choose_merge(store.version).empty());
  add_runs(601, 1);
  CHECK(choice_in_bulk().size() > 9);
}

TEST("draining leaves no misplaced row and every layer up to date") {
  for (std::uint64_t round = 0; round < 4; ++round) {
    Model model(test::seed() + round, {.origins = 500});
    Store store(round % 2 == 0 ? 1 : 16);
    for (int run = 0; run < 6; ++run) {
      store.version.tail.push_back(model.add_batch(400));
      store.seal_tail(1);
      for (int join = 0; join < 5; ++join) store.links.join(Origin{model.below(500)}, Origin{model.below(500)});
      store.publish_links();
    }
    merge_chosen(store.version, true);
    check_all_at_home(store.version);
    check_all(store, model, 500);
    store.links.join(Origin{1}, Origin{2});
    store.publish_links();
    merge_chosen(store.version, true);
    check_all(store, model, 500);
  }
}

TEST("many changed links are drained when nothing else is to merge") {
  Model model(test::seed(), {.names = 2, .origins = 200'000, .fields_max = 1, .span_ms = limits::kPartitionMs / 4});
  Store store(1);
  store.version.tail.push_back(model.add_batch(4'000));
  store.seal_tail(1);
  for (std::uint32_t pair = 0; pair < 300; ++pair) store.links.join(Origin{pair * 600}, Origin{pair * 600 + 7});
  store.publish_links();
  const auto& layers = store.version.shards[0].layers;
  const auto up_to_date = [&](const auto& layer) {
    return layer->homed_sequence == store.version.links->last_change();
  };
  merge_chosen(store.version);
  CHECK(!std::all_of(layers.begin(), layers.end(), up_to_date));  // few: not worth a rewrite
  for (std::uint32_t pair = 0; pair < 300; ++pair) store.links.join(Origin{pair * 600 + 20}, Origin{pair * 600 + 27});
  store.publish_links();
  merge_chosen(store.version);
  CHECK(std::all_of(layers.begin(), layers.end(), up_to_date));
  for (std::uint32_t pair = 0; pair < 100; ++pair) check_profile(store, model, Origin{pair * 600}, {});
}

}  // namespace

TEST_MAIN()
