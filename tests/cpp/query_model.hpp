// A small random store for tests of queries: real dictionaries, chunks and tail batches, links and traits of tests, and all
// rows once more as plain values. Grows in steps: batches, seals, joins, so that every layer, slow and late case occurs.
#pragma once

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "column/dictionary.hpp"
#include "json_msgpack.hpp"
#include "layout_model.hpp"
#include "query/query.hpp"
#include "store/event_store.hpp"
#include "store/profile_store.hpp"

namespace cdp::test {

// A value by itself: strings as text, so that nothing of the store's coding is trusted.
struct PlainValue {
  ValueType type = ValueType::kNull;
  std::uint64_t bits = 0;
  std::string text;
  std::vector<PlainValue> items;  // of a list
};

struct PlainRow {
  std::int64_t time_ms = 0;
  Origin origin{};
  std::string name;
  std::uint64_t order = 0;
  std::map<std::string, PlainValue> properties;
};

class FakeProfiles : public ProfileView {
 public:
  std::map<std::pair<Origin, KeyId>, Value> values;
  [[nodiscard]] Value trait(Origin home, KeyId key) const noexcept override {
    const auto at = values.find({home, key});
    return at == values.end() ? Value() : at->second;
  }
  void traits(Origin first, KeyId key, std::span<Value> out) const noexcept override {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = trait(Origin{raw(first) + static_cast<std::uint32_t>(i)}, key);
  }
  [[nodiscard]] std::vector<KeyId> keys() const override { return {}; }
  [[nodiscard]] std::vector<StoredOperation> history(std::span<const Origin>) const override { return {}; }
  [[nodiscard]] Value trait_as_of(Origin home, KeyId key, std::int64_t, const LinkView&) const override {
    return trait(home, key);
  }
  [[nodiscard]] std::int64_t created_ms(Origin, const LinkView&) const override { return limits::kTimeMaxMs; }
};

struct QueryShape {
  std::uint32_t shards = 1;
  std::uint32_t origins = 400;
  std::uint32_t names = 5;  // "event 0" ..
  std::uint32_t keys = 4;   // "key 0" ..
  std::int64_t start_ms = 1'704'067'200'000;
  std::int64_t span_ms = 70LL * 86'400'000;
  std::int64_t step_ms = 1;  // times are multiples of it after start: ties
  double late = 0.05;
};

class QueryModel {
 public:
  Dictionary names{1}, keys{2}, strings{3};
  FakeLinks links;
  FakeProfiles profiles;
  Version version;
  std::vector<PlainRow> rows;  // in log order
  QueryShape shape;

  QueryModel(std::uint64_t seed, QueryShape given) : shape(given), random_(seed) {
    version.placement.shard_count = shape.shards;
    version.shards.resize(shape.shards);
    version.origin_count = shape.origins;
    version.names = &names, version.keys = &keys, version.strings = &strings;
    for (std::uint32_t i = 0; i < shape.names; ++i) names.intern("event " + std::to_string(i));
    for (std::uint32_t i = 0; i < shape.keys; ++i) keys.intern("key " + std::to_string(i));
    keys.intern("trait");
    set_traits();
    publish();
  }

  [[nodiscard]] std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  [[nodiscard]] bool chance(double share) { return below(1'000'000) < share * 1e6; }

  // A version as the engine would publish: a copy, so that plans carry over.
  [[nodiscard]] VersionPtr pin() const { return std::make_shared<const Version>(version); }

  void add_batch(std::uint32_t events) {
    auto batch = std::make_shared<CanonicalBatch>();
    auto tail = std::make_shared<TailBatch>();
    tail->first_order = rows.size();
    for (std::uint32_t event = 0; event < events; ++event) {
      PlainRow row = draw_row();
      append(row, *batch, *tail);
      tail->event.push_back(event);
      tail->origin.push_back(row.origin);
      row.order = rows.size();
      rows.push_back(std::move(row));
    }
    tail->batch = std::move(batch);
    version.tail.push_back(std::move(tail));
    version.event_count = rows.size();
    ++version.watermark;
  }

  void seal_tail() {
    const auto sealed = seal(version.tail, version.placement, *version.links);
    version.tail.clear();
    for (const SealedLayer& each : sealed) {
      auto& layers = version.shards[each.shard].layers;
      const auto at =
          std::upper_bound(layers.begin(), layers.end(), each.layer, [](const auto& left, const auto& right) {
            return std::tie(left->partition, left->first_order) < std::tie(right->partition, right->first_order);
          });
      layers.insert(at, each.layer);
    }
  }

  void join(Origin winner, Origin loser) {
    links.join(winner, loser);
    publish();
  }

  // A few rounds of everything.
  void grow(std::uint32_t rounds, std::uint32_t events) {
    for (std::uint32_t round = 0; round < rounds; ++round) {
      const std::uint32_t batches = 1 + below(3);
      for (std::uint32_t i = 0; i < batches; ++i) {
        add_batch(1 + below(events));
        if (below(3) == 0) join(Origin{below(shape.origins)}, Origin{below(shape.origins)});
      }
      if (below(4) != 0) seal_tail();
    }
  }

  [[nodiscard]] std::vector<Origin> homes() const {
    std::vector<Origin> out;
    for (std::uint32_t id = 0; id < shape.origins; ++id) {
      if (links.home(Origin{id}) == Origin{id}) out.push_back(Origin{id});
    }
    return out;
  }
  // Rows of every profile in event order, future ones too.
  [[nodiscard]] std::map<Origin, std::vector<const PlainRow*>> rows_by_home() const {
    std::map<Origin, std::vector<const PlainRow*>> out;
    for (const PlainRow& row : rows) out[links.home(row.origin)].push_back(&row);
    for (auto& [home, mine] : out) {
      std::stable_sort(mine.begin(), mine.end(), [](const PlainRow* left, const PlainRow* right) {
        return std::tie(left->time_ms, left->origin, left->order) <
               std::tie(right->time_ms, right->origin, right->order);
      });
    }
    return out;
  }
  [[nodiscard]] PlainValue plain(const Value& value) const {
    if (value.type == ValueType::kString)
      return {value.type, 0, std::string(strings.at(static_cast<std::uint32_t>(value.bits))), {}};
    return {value.type, value.bits, {}, {}};
  }
  [[nodiscard]] std::int64_t end_ms() const { return shape.start_ms + shape.span_ms; }

  [[nodiscard]] Table query(std::string_view json, std::int64_t now_ms, bool force_rows = false,
                            Pool* pool = nullptr) const {
    QueryOptions options;
    options.now_ms = now_ms;
    options.force_rows = force_rows;
    options.pool = pool;
    return run_query(pin(), std::span<const std::uint8_t>(pack_json(json)), options);
  }

 private:
  void publish() {
    version.links = std::make_shared<FakeLinks>(links);
    version.profiles = std::make_shared<FakeProfiles>(profiles);
  }

  void set_traits() {
    const KeyId key{*keys.find("trait")};
    for (std::uint32_t id = 0; id < shape.origins; ++id) {
      if (below(4) == 0) continue;
      if (below(3) == 0) {
        profiles.values[{Origin{id}, key}] = {ValueType::kInt, below(10)};
      } else {
        profiles.values[{Origin{id}, key}] = {ValueType::kString, strings.intern("v" + std::to_string(below(6)))};
      }
    }
  }

  PlainValue draw_value(std::uint32_t key) {
    // Key 0: small integers always; key 1: few strings; others: anything.
    if (key == 0) return {ValueType::kInt, below(50), {}, {}};
    if (key == 1) return {ValueType::kString, 0, "v" + std::to_string(below(6)), {}};
    switch (below(8)) {
      case 0: return {ValueType::kBool, below(2), {}, {}};
      case 1:
        return {ValueType::kInt,
                below(4) == 0 ? (std::uint64_t{1} << 62) + below(9) : std::uint64_t{below(12)} - 4,
                {},
                {}};
      case 2:
        return {ValueType::kFloat, std::bit_cast<std::uint64_t>((static_cast<double>(below(90)) - 40) / 4), {}, {}};
      case 3: return {ValueType::kFloat, std::bit_cast<std::uint64_t>(0.1 * below(10)), {}, {}};
      case 4: return {ValueType::kDatetime, static_cast<std::uint64_t>(shape.start_ms) + below(1'000'000), {}, {}};
      case 5: return draw_list();
      case 6: return {ValueType::kNull, 0, {}, {}};
      default: return {ValueType::kString, 0, (below(2) == 0 ? "V" : "v") + std::to_string(below(300)), {}};
    }
  }

  // Canonical msgpack of up to three small integers and short strings in `text`.
  PlainValue draw_list() {
    PlainValue list{ValueType::kList, 0, {}, {}};
    const std::uint32_t count = 1 + below(3);
    list.text.push_back(static_cast<char>(0x90 | count));
    for (std::uint32_t i = 0; i < count; ++i) {
      if (below(2) == 0) {
        list.items.push_back({ValueType::kInt, below(10), {}, {}});
        list.text.push_back(static_cast<char>(list.items.back().bits));
      } else {
        list.items.push_back({ValueType::kString, 0, "v" + std::to_string(below(6)), {}});
        list.text.push_back(static_cast<char>(0xA2));
        list.text += list.items.back().text;
      }
    }
    return list;
  }

  PlainRow draw_row() {
    PlainRow row;
    const std::int64_t span = shape.span_ms;
    if (chance(shape.late)) {
      row.time_ms = static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(span));
    } else {
      clock_ms_ = std::min(clock_ms_ + below(static_cast<std::uint32_t>(span / 1'500)), span);
      row.time_ms = clock_ms_;
    }
    row.time_ms = shape.start_ms + row.time_ms / shape.step_ms * shape.step_ms;
    row.origin = Origin{std::min(below(shape.origins), below(shape.origins))};
    row.name = "event " + std::to_string(std::min(below(shape.names), below(shape.names)));
    for (std::uint32_t key = 0; key < shape.keys; ++key) {
      if (key != 0 && below(3) == 0) continue;
      row.properties.emplace("key " + std::to_string(key), draw_value(key));
    }
    return row;
  }

  void append(const PlainRow& row, CanonicalBatch& batch, TailBatch& tail) {
    EventColumns& events = batch.events;
    const auto local = [&](std::string_view text, std::uint32_t id) {
      batch.strings.append(text);
      tail.string_id.push_back(id);
      return batch.strings.size() - 1;
    };
    events.shape.push_back(static_cast<std::uint32_t>(events.shapes.size()));
    events.shapes.push_back({local(row.name, kNone), static_cast<std::uint32_t>(events.fields.size()),
                             static_cast<std::uint32_t>(row.properties.size())});
    tail.shape_name.push_back(*names.find(row.name));
    events.time_ms.push_back(row.time_ms);
    events.first_value.push_back(static_cast<std::uint32_t>(events.values.size()));
    for (const auto& [key, value] : row.properties) {
      events.fields.push_back({local(key, kNone), value.type});
      tail.field_key.push_back(*keys.find(key));
      events.values.push_back(is_dictionary_type(value.type) ? local(value.text, strings.intern(value.text))
                                                             : value.bits);
    }
  }

  std::mt19937_64 random_;
  std::int64_t clock_ms_ = 0;
};

}  // namespace cdp::test
