// The naive twin of the layout, shared by the tests of seal, merge and rows: plain vectors of rows, links as a table of
// homes, random batches. Nothing here is fast.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "codec/canonical_batch.hpp"
#include "store/event_store.hpp"
#include "store/links.hpp"

namespace cdp::test {

class FakeLinks : public LinkView {
 public:
  [[nodiscard]] Origin home(Origin origin) const noexcept override {
    const auto at = home_.find(origin);
    return at == home_.end() ? origin : at->second;
  }
  [[nodiscard]] std::span<const Origin> members(const Origin& home) const noexcept override {
    return group(members_, home);
  }
  [[nodiscard]] std::span<const Origin> relatives(const Origin& origin) const noexcept override {
    return group(relatives_, origin);
  }
  [[nodiscard]] std::vector<Link> links_of(Origin) const override { return {}; }
  [[nodiscard]] std::vector<Origin> changed_since(std::uint64_t sequence) const override {
    std::set<Origin> out;
    for (const auto& [at, origin] : changes_) {
      if (at <= sequence) continue;
      for (const Origin relative : relatives(origin)) out.insert(relative);
    }
    return {out.begin(), out.end()};
  }
  [[nodiscard]] std::uint64_t last_change() const noexcept override { return last_; }
  [[nodiscard]] std::vector<Link> all() const override { return {}; }

  // The winner's profile takes the loser's over.
  void join(Origin winner, Origin loser) {
    const Origin to = home(winner), from = home(loser);
    if (to == from) return;
    unite_relatives(to, from);
    const std::vector<Origin> moved(members(from).begin(), members(from).end());
    for (const Origin origin : moved) home_[origin] = to;
    changed(to, from);
  }
  // Takes one origin, not a home, out of its profile.
  void leave(Origin origin) {
    const Origin from = home(origin);
    if (from == origin) return;
    home_[origin] = origin;
    changed(from, origin);
  }

 private:
  using Groups = std::map<Origin, std::vector<Origin>>;
  static std::span<const Origin> group(const Groups& groups, const Origin& origin) {
    const auto at = groups.find(origin);
    return at == groups.end() ? std::span<const Origin>{&origin, 1} : std::span<const Origin>{at->second};
  }
  void unite_relatives(Origin left, Origin right) {
    std::set<Origin> all;
    for (const Origin side : {left, right}) {
      const auto of = relatives(side);
      all.insert(of.begin(), of.end());
    }
    for (const Origin origin : all) relatives_[origin] = {all.begin(), all.end()};
  }
  void changed(Origin left, Origin right) {
    ++last_;
    changes_.emplace_back(last_, left);
    changes_.emplace_back(last_, right);
    members_.clear();
    for (const auto& [origin, all] : relatives_) members_[home(origin)].push_back(origin);
  }

  std::map<Origin, Origin> home_;
  Groups members_, relatives_;
  std::vector<std::pair<std::uint64_t, Origin>> changes_;
  std::uint64_t last_ = 0;
};

struct ModelRow {
  std::int64_t time_ms = 0;
  Origin origin{};
  NameId name{};
  std::uint64_t order = 0;
  std::vector<std::pair<KeyId, Value>> properties;  // by key
};

// What random events look like.
struct Shapes {
  std::uint32_t names = 5;
  std::uint32_t keys = 6;
  std::uint32_t strings = 40;
  std::uint32_t origins = 300;
  std::uint32_t fields_max = 5;
  std::int64_t start_ms = 1'700'000'000'000;
  std::int64_t span_ms = 3 * limits::kPartitionMs;
  std::int64_t step_ms = 3'600'000;  // times are multiples of it: ties
  double late = 0.1;                 // share of rows anywhere in the span; others move on
  double skew = 0;                   // share of rows of origin 7
};

// Batches as apply would make them, and the rows they hold.
class Model {
 public:
  Model(std::uint64_t seed, Shapes shapes) : random_(seed), shapes_(shapes) {}

  std::shared_ptr<const TailBatch> add_batch(std::uint32_t events) {
    auto batch = std::make_shared<CanonicalBatch>();
    auto tail = std::make_shared<TailBatch>();
    tail->first_order = rows_.size();
    std::map<std::string, std::uint32_t> local;
    std::map<std::vector<std::uint64_t>, std::uint32_t> known;
    for (std::uint32_t event = 0; event < events; ++event) {
      ModelRow row = draw_row();
      const bool accepted = below(10) != 0;
      append(row, *batch, *tail, local, known);
      if (!accepted) continue;
      tail->event.push_back(event);
      tail->origin.push_back(row.origin);
      row.order = rows_.size();
      rows_.push_back(std::move(row));
    }
    tail->batch = std::move(batch);
    return tail;
  }

  [[nodiscard]] const std::vector<ModelRow>& rows() const noexcept { return rows_; }
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }

  // Rows of a profile in event order.
  [[nodiscard]] std::vector<const ModelRow*> rows_of(const LinkView& links, Origin home) const {
    std::vector<const ModelRow*> out;
    for (const ModelRow& row : rows_) {
      if (links.home(row.origin) == home) out.push_back(&row);
    }
    std::stable_sort(out.begin(), out.end(), [](const ModelRow* left, const ModelRow* right) {
      return std::tie(left->time_ms, left->origin, left->order) < std::tie(right->time_ms, right->origin, right->order);
    });
    return out;
  }

 private:
  [[nodiscard]] bool chance(double share) { return static_cast<double>(below(1'000'000)) < share * 1e6; }

  Value draw_value() {
    constexpr ValueType kTypes[] = {ValueType::kNull,   ValueType::kBool,     ValueType::kInt,  ValueType::kFloat,
                                    ValueType::kString, ValueType::kDatetime, ValueType::kList, ValueType::kItems,
                                    ValueType::kString, ValueType::kInt};
    const ValueType type = kTypes[below(10)];
    switch (type) {
      case ValueType::kNull: return {type, 0};
      case ValueType::kBool: return {type, below(2)};
      case ValueType::kInt: return {type, below(20) == 0 ? random_() : std::uint64_t{below(90'000)} - 1'000};
      case ValueType::kFloat: return {type, std::bit_cast<std::uint64_t>(below(1'000) / 8.0)};
      case ValueType::kDatetime: return {type, 1'700'000'000'000u + random_() % 10'000'000'000};
      default: return {type, 1 + std::uint64_t{below(shapes_.strings)} * (1 + below(2) * 70'001)};
    }
  }

  ModelRow draw_row() {
    ModelRow row;
    if (chance(shapes_.late)) {
      row.time_ms = static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(shapes_.span_ms));
    } else {
      row.time_ms = std::min(now_ms_ += below(3) * shapes_.step_ms / 8, shapes_.span_ms);
    }
    row.time_ms = shapes_.start_ms + row.time_ms / shapes_.step_ms * shapes_.step_ms;
    row.origin = Origin{chance(shapes_.skew) ? 7 : below(shapes_.origins)};
    row.name = NameId{1 + 3 * std::min(below(shapes_.names), below(shapes_.names))};
    const std::uint32_t fields = below(shapes_.fields_max + 1);
    std::set<std::uint32_t> keys;
    while (keys.size() < std::min(fields, shapes_.keys)) keys.insert(below(shapes_.keys));
    for (const std::uint32_t key : keys) row.properties.emplace_back(KeyId{key * 2 + 1}, draw_value());
    return row;
  }

  static std::uint32_t intern(const std::string& text, CanonicalBatch& batch, TailBatch& tail,
                              std::map<std::string, std::uint32_t>& local, std::uint32_t string_id) {
    const auto [at, fresh] = local.try_emplace(text, batch.strings.size());
    if (fresh) {
      batch.strings.append(text);
      tail.string_id.push_back(string_id);
    }
    return at->second;
  }

  static void append(const ModelRow& row, CanonicalBatch& batch, TailBatch& tail,
                     std::map<std::string, std::uint32_t>& local,
                     std::map<std::vector<std::uint64_t>, std::uint32_t>& known) {
    EventColumns& events = batch.events;
    std::vector<std::uint64_t> signature{raw(row.name)};
    auto fields = row.properties;
    if (row.order % 2 == 0) std::reverse(fields.begin(), fields.end());
    for (const auto& [key, value] : fields) {
      signature.push_back(raw(key));
      signature.push_back(static_cast<std::uint64_t>(value.type));
    }
    const auto [shape, fresh] = known.try_emplace(signature, static_cast<std::uint32_t>(events.shapes.size()));
    if (fresh) {
      events.shapes.push_back({intern("name " + std::to_string(raw(row.name)), batch, tail, local, kNone),
                               static_cast<std::uint32_t>(events.fields.size()),
                               static_cast<std::uint32_t>(fields.size())});
      tail.shape_name.push_back(raw(row.name));
      for (const auto& [key, value] : fields) {
        events.fields.push_back({intern("key " + std::to_string(raw(key)), batch, tail, local, kNone), value.type});
        tail.field_key.push_back(raw(key));
      }
    }
    events.time_ms.push_back(row.time_ms);
    events.shape.push_back(shape->second);
    events.first_value.push_back(static_cast<std::uint32_t>(events.values.size()));
    for (const auto& [key, value] : fields) {
      const bool string = is_dictionary_type(value.type);
      const auto id = static_cast<std::uint32_t>(value.bits);
      events.values.push_back(string ? intern("string " + std::to_string(id), batch, tail, local, id) : value.bits);
    }
  }

  std::mt19937_64 random_;
  Shapes shapes_;
  std::vector<ModelRow> rows_;
  std::int64_t now_ms_ = 0;
};

}  // namespace cdp::test
