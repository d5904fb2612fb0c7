// Kinds on random histories: a version with layers, a tail, links, traits; a spec built as a tree; the answer by tasks and
// by plain rows, as tables of text.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "check.hpp"
#include "column/dictionary.hpp"
#include "layout_model.hpp"
#include "query/budget.hpp"
#include "query/calendar.hpp"
#include "query/kinds/kinds.hpp"
#include "query/predicate.hpp"
#include "query/scan_plan.hpp"
#include "simd/level.hpp"

namespace cdp::test {

// --- specs as trees
inline Node text(std::string_view value) {
  Node node;
  node.type = Node::Type::kString, node.text = value;
  return node;
}
inline Node integer(std::int64_t value) {
  Node node;
  node.type = Node::Type::kInt, node.integer = value;
  return node;
}
inline Node list(std::vector<Node> items) {
  Node node;
  node.type = Node::Type::kArray, node.items = std::move(items);
  return node;
}
inline Node map(std::vector<std::pair<std::string_view, Node>> fields) {
  Node node;
  node.type = Node::Type::kMap, node.fields = std::move(fields);
  return node;
}
inline Node condition(std::string_view property, std::string_view op, Node value) {
  return map({{"property", text(property)}, {"op", text(op)}, {"value", std::move(value)}});
}
inline Node event(Node names, std::vector<Node> where = {}) {
  std::vector<std::pair<std::string_view, Node>> fields{{"event", std::move(names)}};
  if (!where.empty()) fields.emplace_back("where", list(std::move(where)));
  return map(std::move(fields));
}

inline Operand of_property(const std::string& key) {
  Operand out;
  out.key = out.name = key;
  return out;
}
inline Operand of_trait(const std::string& key) {
  Operand out = of_property(key);
  out.is_trait = true;
  return out;
}

class FakeProfiles : public ProfileView {
 public:
  [[nodiscard]] Value trait(Origin home, KeyId key) const noexcept override {
    const std::uint64_t mixed = (raw(home) * 2654435761u + raw(key)) >> 3;
    if (raw(key) != 1 || mixed % 5 == 0) return {};
    return mixed % 5 == 1 ? Value{ValueType::kInt, mixed % 3} : Value{ValueType::kString, mixed % 4};
  }
  void traits(Origin first, KeyId key, std::span<Value> out) const noexcept override {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = trait(Origin{raw(first) + static_cast<std::uint32_t>(i)}, key);
  }
  [[nodiscard]] std::vector<KeyId> keys() const override { return {KeyId{1}}; }
  [[nodiscard]] std::vector<StoredOperation> history(std::span<const Origin>) const override { return {}; }
  [[nodiscard]] Value trait_as_of(Origin, KeyId, std::int64_t, const LinkView&) const override { return {}; }
  [[nodiscard]] std::int64_t created_ms(Origin, const LinkView&) const override { return 0; }
};

// A random history: batches, seals, merges of layers, links.
struct History {
  Dictionary names{1}, keys{2}, strings{3};
  Version version;
  FakeLinks links;
  Model model;
  std::uint32_t origins;

  History(std::uint64_t seed, Shapes shapes, std::uint32_t shards = 1) : model(seed, shapes), origins(shapes.origins) {
    for (int i = 0; i < 64; ++i) {
      names.intern("name " + std::to_string(i));
      keys.intern("key " + std::to_string(i));
    }
    // Valid both as a string and as the msgpack of a list of one integer.
    for (std::uint32_t i = 0; i <= 1 + shapes.strings * 70'002; ++i) {
      const char packed[] = {'\x91',
                             '\xce',
                             static_cast<char>(i >> 24),
                             static_cast<char>(i >> 16),
                             static_cast<char>(i >> 8),
                             static_cast<char>(i)};
      strings.intern(std::string_view(packed, 6));
    }
    version.placement.shard_count = shards;
    version.shards.resize(shards);
    version.origin_count = shapes.origins;
    version.names = &names, version.keys = &keys, version.strings = &strings;
    version.profiles = std::make_shared<FakeProfiles>();
    publish();
  }
  void publish() { version.links = std::make_shared<FakeLinks>(links); }
  void add(std::uint32_t events) { version.tail.push_back(model.add_batch(events)); }
  void seal_all() {
    for (const SealedLayer& sealed : seal(version.tail, version.placement, *version.links)) {
      auto& layers = version.shards[sealed.shard].layers;
      const auto at =
          std::upper_bound(layers.begin(), layers.end(), sealed.layer, [](const auto& left, const auto& right) {
            return std::tie(left->partition, left->first_order) < std::tie(right->partition, right->first_order);
          });
      layers.insert(at, sealed.layer);
    }
    version.tail.clear();
  }
  void join_some(int count) {
    for (int i = 0; i < count; ++i) links.join(Origin{model.below(origins)}, Origin{model.below(origins)});
    publish();
  }
  [[nodiscard]] std::vector<Origin> homes() const {
    std::vector<Origin> out;
    for (std::uint32_t origin = 0; origin < origins; ++origin) {
      if (version.links->home(Origin{origin}) == Origin{origin}) out.push_back(Origin{origin});
    }
    return out;
  }
};

// Two homes of three. REQUIRES: one stripe a shard.
inline ProfileMask some_profiles(const History& history) {
  ProfileMask mask(history.version);
  for (const Origin home : history.homes()) {
    if (raw(home) % 3 == 0) continue;
    Task task;
    task.shard = history.version.placement.shard(home), task.last_id = limits::kStripeIds;
    const std::uint32_t id = history.version.placement.local_id(home);
    mask.words(task)[id / 64] |= std::uint64_t{1} << (id % 64);
  }
  return mask;
}

inline std::string show_cell(const TableColumn& column, std::size_t row) {
  if (column.is_null(row)) return "null";
  switch (column.type_at(row)) {
    case ColumnType::kInt64:
    case ColumnType::kDatetime: return std::to_string(column.int_at(row));
    case ColumnType::kUint64: return std::to_string(column.uint_at(row));
    case ColumnType::kFloat64: return "f" + std::to_string(column.float_at(row));
    case ColumnType::kBool: return column.bool_at(row) ? "true" : "false";
    case ColumnType::kDecimal: return std::string(column.string_at(row));
    case ColumnType::kString:
    case ColumnType::kList: {
      std::string out = column.type_at(row) == ColumnType::kList ? "l" : "s";
      for (const char c : column.string_at(row)) out += std::to_string(static_cast<unsigned char>(c)) + ".";
      return out;
    }
    case ColumnType::kMixed: break;
  }
  return "?";
}

inline std::string show_table(const Table& table) {
  std::string out;
  for (const TableColumn& column : table.columns) out += column.name() + " ";
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    out += "\n";
    for (const TableColumn& column : table.columns) out += show_cell(column, row) + " ";
  }
  return out;
}

inline RangeSpec absolute_range(std::int64_t start_ms, std::int64_t end_ms) {
  RangeSpec out;
  out.type = RangeSpec::Type::kAbsolute;
  out.start_ms = start_ms, out.end_ms = end_ms;
  return out;
}

// One question put to a history.
class Question {
 public:
  Question(const History& history, std::string_view kind, Node fields, CommonSpec common = {})
      : history_(&history), common_(std::move(common)) {
    common_.now_ms = common_.now_ms.value_or(INT64_MAX / 4);
    const Path path;
    Fields taken(fields, path);
    for (const KindEntry& entry : kinds()) {
      if (entry.name == kind) spec_ = entry.parse(taken, common_);
    }
    taken.done();
    range_ = resolve_range(common_.range, *common_.now_ms);
    kind_ = spec_->bind(Binding{history.version, common_, range_, *common_.now_ms, Zone::utc()});
  }
  void where(const ProfileMask& mask) { mask_ = &mask; }

  // By tasks: each worker a partial; slow and late profiles by rows.
  [[nodiscard]] std::string by_tasks(std::size_t workers) const {
    const auto plan = scan_plan(history_->version);
    std::vector<std::unique_ptr<Partial>> partials;
    for (std::size_t i = 0; i < workers; ++i) partials.push_back(kind_->make_partial());
    Scratch scratch;
    for (std::size_t i = 0; i < plan->tasks.size(); ++i) {
      Task task = plan->tasks[i];
      task.version = &history_->version;
      Partial& partial = *partials[i % workers];
      kind_->scan(context(), task, scratch, partial);
      for (const Origin home : slow_homes(task)) add_rows(home, partial);
      for (std::uint32_t index = 0; index < task.size() && !task.late.empty(); ++index) {
        if (((task.late[index / 64] >> (index % 64)) & 1) != 0) {
          ++late;
          add_rows(task.origin(index), partial);
        }
      }
    }
    for (std::size_t i = 1; i < workers; ++i) kind_->merge(*partials[0], std::move(*partials[i]));
    return show_table(kind_->finish(context(), std::move(partials[0])));
  }
  // By rows alone.
  [[nodiscard]] std::string by_rows() const {
    auto partial = kind_->make_partial();
    for (const Origin home : history_->homes()) add_rows(home, *partial);
    return show_table(kind_->finish(context(), std::move(partial)));
  }
  [[nodiscard]] const TimeRange& range() const noexcept { return range_; }
  mutable std::size_t late = 0;

 private:
  [[nodiscard]] QueryContext context() const {
    QueryContext context;
    context.version = &history_->version;
    context.range = range_;
    context.now_ms = *common_.now_ms;
    context.where = mask_;
    context.budget = &budget_;
    return context;
  }
  void add_rows(Origin home, Partial& partial) const {
    if (mask_ != nullptr && !mask_->has(home)) return;
    std::vector<Row> rows;
    rows_of(history_->version, home, kind_->names(), rows);
    kind_->add_rows(context(), home, rows, partial);
  }

  const History* history_;
  CommonSpec common_;
  std::unique_ptr<KindSpec> spec_;
  TimeRange range_;
  std::unique_ptr<Kind> kind_;
  const ProfileMask* mask_ = nullptr;
  mutable Budget budget_;
};

// The answer by tasks equals the answer by rows at every level of instructions and for several worker counts.
inline std::string check_equal(const Question& question) {
  const std::string expected = question.by_rows();
  for (int level = 0; level <= static_cast<int>(simd::best_level()); ++level) {
    simd::set_level(static_cast<simd::Level>(level));
    for (const std::size_t workers : {1u, 3u}) CHECK_EQ(question.by_tasks(workers), expected);
  }
  return expected;
}

}  // namespace cdp::test
