// Seal, merge, rows and properties against the naive model.

#include <bit>
#include <sstream>

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

void check_all(const Store& store, const Model& model, std::uint32_t origins) {
  store.check_chunks();
  const std::vector<NameId> names{NameId{1}, NameId{4}};
  for (std::uint32_t origin = 0; origin < origins; ++origin) {
    if (store.version.links->home(Origin{origin}) != Origin{origin}) continue;
    check_profile(store, model, Origin{origin}, {});
    check_profile(store, model, Origin{origin}, names);
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
  large.version.tail.push_back(large_block.add_batch(250'000));
  large.seal_tail(1);
  large.check_chunks();
  const auto& layers = large.version.shards[0].layers;
  CHECK(std::any_of(layers.begin(), layers.end(),
                    [](const auto& layer) { return layer->chunks[0]->row_count > limits::kChunkRows; }));
  for (std::uint32_t origin = 0; origin < 12; ++origin) check_profile(large, large_block, Origin{origin}, {});
}

}  // namespace

TEST_MAIN()
