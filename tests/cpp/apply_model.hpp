// What a batch does to a store, in maps and lists: the slow twin of Applier. And a builder of canonical batches.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/limits.hpp"
#include "codec/canonical_batch.hpp"
#include "store/links.hpp"

namespace cdp::test {

using Identified = std::pair<std::string, std::string>;

struct ModelOperation {
  std::string key;
  TraitKind kind{};
  ValueType type = ValueType::kNull;
  std::string text;         // of strings
  std::int64_t number = 0;  // of ints
  auto operator<=>(const ModelOperation&) const = default;
};

// One record as a client means it; which fields count depends on the type.
struct ModelRecord {
  RecordType type{};
  std::int64_t time_ms = 0;
  std::vector<Identified> ids{};  // highest rank first
  std::string name{};
  std::uint64_t event_id = 0;
  std::vector<std::pair<std::string, std::string>> properties{};
  std::vector<ModelOperation> operations{};
  Identified from{}, to{};
  std::uint64_t sequence = 0;
};

class BatchBuilder {
 public:
  BatchBuilder(std::uint64_t hash_key, std::int64_t received_ms) : hash_key_(hash_key) {
    batch_->received_ms = received_ms;
    batch_->events.first_identity.push_back(0);
  }
  void add(const ModelRecord& record) {
    CanonicalBatch& batch = *batch_;
    if (batch.runs.empty() || batch.runs.back().type != record.type) {
      batch.runs.push_back({record.type, count(record.type), 0});
    }
    ++batch.runs.back().count;
    switch (record.type) {
      case RecordType::kEvent: add_event(record); break;
      case RecordType::kTraits: add_traits(record); break;
      case RecordType::kIdentify:
        batch.identifies.push_back({record.time_ms, identity(record.from), identity(record.to)});
        break;
      case RecordType::kMerge:
        batch.merges.push_back({record.time_ms, identity(record.from), identity(record.to)});
        break;
      case RecordType::kUnmerge: batch.unmerges.push_back({record.time_ms, record.sequence}); break;
      default: break;
    }
  }
  [[nodiscard]] std::shared_ptr<const CanonicalBatch> build() { return std::move(batch_); }

 private:
  [[nodiscard]] std::uint32_t count(RecordType type) const {
    switch (type) {
      case RecordType::kEvent: return batch_->events.size();
      case RecordType::kTraits: return static_cast<std::uint32_t>(batch_->traits.size());
      case RecordType::kIdentify: return static_cast<std::uint32_t>(batch_->identifies.size());
      case RecordType::kMerge: return static_cast<std::uint32_t>(batch_->merges.size());
      default: return static_cast<std::uint32_t>(batch_->unmerges.size());
    }
  }
  std::uint32_t string(const std::string& text) {
    const auto [entry, fresh] = strings_.try_emplace(text, batch_->strings.size());
    if (fresh) batch_->strings.append(text);
    return entry->second;
  }
  std::uint32_t identity(const Identified& id) {
    const auto [entry, fresh] = identities_.try_emplace(id, static_cast<std::uint32_t>(batch_->identities.size()));
    if (fresh) {
      batch_->identities.push_back(
          {string(id.first), string(id.second), hash_identity(id.first, id.second, hash_key_)});
    }
    return entry->second;
  }
  void add_event(const ModelRecord& record) {
    EventColumns& events = batch_->events;
    events.time_ms.push_back(record.time_ms);
    events.shape.push_back(static_cast<std::uint32_t>(events.shapes.size()));
    events.shapes.push_back({string(record.name), static_cast<std::uint32_t>(events.fields.size()),
                             static_cast<std::uint32_t>(record.properties.size())});
    events.first_value.push_back(static_cast<std::uint32_t>(events.values.size()));
    for (const auto& [key, value] : record.properties) {
      events.fields.push_back({string(key), ValueType::kString});
      events.values.push_back(string(value));
    }
    for (const Identified& id : record.ids) events.identity_refs.push_back(identity(id));
    events.first_identity.push_back(static_cast<std::uint32_t>(events.identity_refs.size()));
    events.event_id.push_back({record.event_id, 0});
  }
  void add_traits(const ModelRecord& record) {
    CanonicalBatch& batch = *batch_;
    batch.traits.push_back({record.time_ms, static_cast<std::uint32_t>(batch.trait_identity_refs.size()),
                            static_cast<std::uint32_t>(record.ids.size()),
                            static_cast<std::uint32_t>(batch.trait_operations.size()),
                            static_cast<std::uint32_t>(record.operations.size())});
    for (const Identified& id : record.ids) batch.trait_identity_refs.push_back(identity(id));
    for (const ModelOperation& operation : record.operations) {
      Value value{operation.type, static_cast<std::uint64_t>(operation.number)};
      if (operation.type == ValueType::kString) value.bits = string(operation.text);
      batch.trait_operations.push_back({string(operation.key), operation.kind, value});
    }
  }

  std::uint64_t hash_key_;
  std::shared_ptr<CanonicalBatch> batch_ = std::make_shared<CanonicalBatch>();
  std::map<std::string, std::uint32_t> strings_;
  std::map<Identified, std::uint32_t> identities_;
};

// What the rules of docs/architecture.md ("Which origin") say, one record at a time.
struct ApplyModel {
  struct Row {
    std::uint32_t origin;
    std::string name;
    std::int64_t time_ms;
    std::vector<std::pair<std::string, std::string>> properties;
    friend bool operator==(const Row&, const Row&) = default;
  };
  struct Operation {
    std::uint32_t origin;
    std::int64_t time_ms;
    ModelOperation operation;
    friend bool operator==(const Operation&, const Operation&) = default;
  };

  std::uint64_t sequence = 0, accepted = 0, duplicates = 0, conflicts = 0;
  std::map<Identified, std::uint32_t> origin_of;
  std::vector<std::vector<Identified>> identities;
  std::vector<std::int64_t> created_ms;
  std::vector<Link> links;
  std::vector<Row> rows;
  std::vector<Operation> operations;
  std::map<std::uint64_t, std::int64_t> event_days;
  std::set<std::uint32_t> touched;

  // The code of the reject, or nothing.
  std::string apply(const ModelRecord& record, std::int64_t received_ms) {
    ++sequence;
    switch (record.type) {
      case RecordType::kEvent: return event(record, received_ms / 86'400'000);
      case RecordType::kTraits: return traits(record);
      case RecordType::kIdentify: return identify(record, received_ms);
      case RecordType::kMerge: return merge(record, received_ms);
      default: return unmerge(record, received_ms);
    }
  }
  [[nodiscard]] std::uint32_t home(std::uint32_t origin) const {
    for (bool moved = true; moved;) {
      moved = false;
      for (const Link& link : links) {
        if (link.dead_sequence == 0 && raw(link.loser) == origin) origin = raw(link.winner), moved = true;
      }
    }
    return origin;
  }
  [[nodiscard]] std::vector<std::uint32_t> members(std::uint32_t origin) const {
    std::vector<std::uint32_t> found;
    for (std::uint32_t other = 0; other < identities.size(); ++other) {
      if (home(other) == home(origin)) found.push_back(other);
    }
    return found;
  }

 private:
  std::uint32_t make(const Identified& id) {
    const auto [entry, fresh] = origin_of.try_emplace(id, static_cast<std::uint32_t>(identities.size()));
    if (fresh) identities.push_back({id}), created_ms.push_back(limits::kTimeMaxMs);
    return entry->second;
  }
  void attach(const Identified& id, std::uint32_t origin) {
    if (origin_of.try_emplace(id, origin).second) identities[origin].push_back(id);
  }
  std::uint32_t resolve(const std::vector<Identified>& ids, std::int64_t time_ms) {
    const std::uint32_t origin = make(ids.front());
    for (const Identified& id : ids) {
      attach(id, origin);
      if (home(origin_of[id]) != home(origin)) ++conflicts;
    }
    created_ms[origin] = std::min(created_ms[origin], time_ms);
    touched.insert(origin);
    return origin;
  }
  std::string accept() {
    ++accepted;
    return {};
  }
  std::string event(const ModelRecord& record, std::int64_t day) {
    if (record.event_id != 0) {
      const auto [entry, fresh] = event_days.try_emplace(record.event_id, day);
      if (!fresh && entry->second > day - limits::kDedupeDays) {
        ++duplicates;
        return {};
      }
      entry->second = day;
    }
    rows.push_back({resolve(record.ids, record.time_ms), record.name, record.time_ms, record.properties});
    return accept();
  }
  std::string traits(const ModelRecord& record) {
    const std::uint32_t origin = resolve(record.ids, record.time_ms);
    for (const ModelOperation& operation : record.operations) {
      const Operation stored{origin, record.time_ms, operation};
      if (std::ranges::count(operations, stored) == 0) operations.push_back(stored);
    }
    return accept();
  }
  std::string identify(const ModelRecord& record, std::int64_t received_ms) {
    if (!origin_of.contains(record.from)) {
      attach(record.from, resolve({record.to}, record.time_ms));
      return accept();
    }
    const std::uint32_t anonymous = origin_of[record.from];
    if (origin_of.contains(record.to) && home(origin_of[record.to]) == home(anonymous)) return accept();
    for (const std::uint32_t member : members(anonymous)) {
      for (const Identified& id : identities[member]) {
        if (id.first == "user_id") return std::string(code::kIdentifyAlreadyIdentified);
      }
    }
    return join(resolve({record.to}, record.time_ms), anonymous, std::min(record.time_ms, received_ms));
  }
  std::string merge(const ModelRecord& record, std::int64_t received_ms) {
    if (!origin_of.contains(record.from) || !origin_of.contains(record.to)) return std::string(code::kMergeUnknown);
    return join(origin_of[record.to], origin_of[record.from], std::min(record.time_ms, received_ms));
  }
  std::string join(std::uint32_t winner, std::uint32_t loser, std::int64_t time_ms) {
    if (home(winner) != home(loser)) {
      for (const std::uint32_t member : members(loser)) touched.insert(home(member));
      links.push_back(
          {.winner = Origin{home(winner)}, .loser = Origin{home(loser)}, .sequence = sequence, .time_ms = time_ms});
    }
    return accept();
  }
  std::string unmerge(const ModelRecord& record, std::int64_t received_ms) {
    for (Link& link : links) {
      if (link.sequence != record.sequence || link.dead_sequence != 0) continue;
      touched.insert({raw(link.winner), raw(link.loser)});
      link.dead_sequence = sequence;
      link.dead_from_ms = std::min(record.time_ms, received_ms);
      return accept();
    }
    return std::string(code::kUnmergeUnknown);
  }
};

}  // namespace cdp::test
