#include <ctime>
#include <random>

#include "apply_model.hpp"
#include "check.hpp"
#include "store/apply.hpp"

namespace {

using cdp::Applier;
using cdp::ApplyResult;
using cdp::KeyId;
using cdp::Origin;
using cdp::raw;
using cdp::RecordType;
using cdp::StoredOperation;
using cdp::TraitKind;
using cdp::Value;
using cdp::ValueType;
using cdp::Version;
using cdp::test::ApplyModel;
using cdp::test::BatchBuilder;
using cdp::test::Identified;
using cdp::test::ModelOperation;
using cdp::test::ModelRecord;

constexpr std::uint64_t kHashKey = 77;
constexpr std::int64_t kStartMs = 1'700'000'000'000, kDayMs = 86'400'000;

struct Story {
  std::mt19937_64 random;
  std::uint64_t people, anonymous;

  std::uint64_t below(std::uint64_t bound) { return random() % bound; }
  Identified user() { return {"user_id", "u" + std::to_string(below(people))}; }
  Identified visitor() { return {"anonymous_id", "a" + std::to_string(below(anonymous))}; }
  Identified anyone() { return below(2) == 0 ? user() : visitor(); }
  std::vector<Identified> ids() {
    std::vector<Identified> found;
    if (below(2) == 0) found.push_back(user());
    for (std::uint64_t count = below(3) + (found.empty() ? 1 : 0); count > 0; --count) {
      const Identified id = visitor();
      if (std::ranges::count(found, id) == 0) found.push_back(id);
    }
    return found;
  }
  ModelOperation operation() {
    ModelOperation made{"k" + std::to_string(below(3)),
                        static_cast<TraitKind>(1 + below(6)),
                        ValueType::kInt,
                        {},
                        static_cast<std::int64_t>(below(4))};
    if (made.kind == TraitKind::kUnset) made.type = ValueType::kNull, made.number = 0;
    if (made.kind == TraitKind::kSet && below(2) == 0) {
      made.type = ValueType::kString, made.text = "text" + std::to_string(below(5)), made.number = 0;
    }
    return made;
  }
  ModelRecord record(std::int64_t received_ms, std::uint64_t sequence) {
    ModelRecord made;
    made.time_ms = received_ms - static_cast<std::int64_t>(below(2'000)) + 500;
    const std::uint64_t dice = below(20);
    if (dice < 10) {
      made.type = RecordType::kEvent, made.ids = ids(), made.name = "event " + std::to_string(below(6));
      made.event_id = below(3) == 0 ? 1 + below(40) : 0;
      for (std::uint64_t field = below(3); field > 0; --field) {
        made.properties.emplace_back("p" + std::to_string(field), "value" + std::to_string(below(9)));
      }
    } else if (dice < 14) {
      made.type = RecordType::kTraits, made.ids = ids();
      for (std::uint64_t count = 1 + below(3); count > 0; --count) made.operations.push_back(operation());
    } else if (dice < 17) {
      made.type = RecordType::kIdentify, made.from = visitor(), made.to = user();
    } else if (dice < 19) {
      made.type = RecordType::kMerge, made.from = anyone(), made.to = anyone();
    } else {
      made.type = RecordType::kUnmerge, made.sequence = 1 + below(sequence + 1);
    }
    return made;
  }
};

std::string text_of(const Version& version, const Value& value) {
  if (value.type == ValueType::kInt) return std::to_string(value.as_int());
  if (!cdp::is_dictionary_type(value.type)) return std::to_string(static_cast<int>(value.type));
  return std::string(version.strings->at(static_cast<std::uint32_t>(value.bits)));
}

std::multiset<std::string> operations_of(const Version& version, std::span<const Origin> members) {
  std::multiset<std::string> found;
  for (const StoredOperation& each : version.profiles->history(members)) {
    found.insert(std::to_string(raw(each.origin)) + " " + std::string(version.keys->at(raw(each.key))) + " " +
                 std::to_string(static_cast<int>(each.kind)) + " " + std::to_string(each.time_ms) + " " +
                 text_of(version, each.value));
  }
  return found;
}

void compare_state(const Version& version, const ApplyModel& model) {
  CHECK_EQ(version.watermark, model.sequence);
  CHECK_EQ(version.origin_count, model.identities.size());
  for (const auto& [id, origin] : model.origin_of) {
    CHECK_EQ(raw(version.identities->find(id.first, id.second)), origin);
  }
  for (std::uint32_t origin = 0; origin < model.identities.size(); ++origin) {
    std::vector<Identified> entries;
    for (const auto& entry : version.identities->of(Origin{origin})) entries.emplace_back(entry.kind, entry.value);
    CHECK(entries == model.identities[origin]);
    CHECK_EQ(raw(version.links->home(Origin{origin})), model.home(origin));
    if (model.home(origin) != origin) continue;
    const std::vector<std::uint32_t> members = model.members(origin);
    const Origin home{origin};
    CHECK(std::ranges::equal(version.links->members(home), members, {}, [](Origin member) { return raw(member); }));
    std::int64_t created_ms = cdp::limits::kTimeMaxMs;
    for (const std::uint32_t member : members) created_ms = std::min(created_ms, model.created_ms[member]);
    CHECK_EQ(version.profiles->created_ms(home, *version.links), created_ms);
    std::multiset<std::string> operations;
    for (const auto& each : model.operations) {
      if (std::ranges::count(members, each.origin) == 0) continue;
      const Value value{each.operation.type, static_cast<std::uint64_t>(each.operation.number)};
      operations.insert(std::to_string(each.origin) + " " + each.operation.key + " " +
                        std::to_string(static_cast<int>(each.operation.kind)) + " " + std::to_string(each.time_ms) +
                        " " +
                        (each.operation.type == ValueType::kString ? each.operation.text : text_of(version, value)));
    }
    CHECK(operations_of(version, version.links->members(home)) == operations);
  }
}

std::vector<ApplyModel::Row> rows_of(const cdp::TailBatch& tail, const Version& version) {
  std::vector<ApplyModel::Row> rows;
  const cdp::EventColumns& events = tail.batch->events;
  for (std::size_t at = 0; at < tail.event.size(); ++at) {
    const std::uint32_t event = tail.event[at], shape = events.shape[event];
    ApplyModel::Row row{
        raw(tail.origin[at]), std::string(version.names->at(tail.shape_name[shape])), events.time_ms[event], {}};
    for (std::uint32_t field = 0; field < events.shapes[shape].field_count; ++field) {
      const std::uint32_t key = tail.field_key[events.shapes[shape].first_field + field];
      const auto value = static_cast<std::uint32_t>(events.values[events.first_value[event] + field]);
      row.properties.emplace_back(version.keys->at(key), version.strings->at(tail.string_id[value]));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// Every trait of every profile, as text: what two stores are compared by.
std::map<std::string, std::string> everything(const Version& version) {
  std::map<std::string, std::string> found;
  for (std::uint32_t number = 0; number < version.origin_count; ++number) {
    const Origin origin{number};
    std::string& text = found[std::to_string(number)];
    text = "home " + std::to_string(raw(version.links->home(origin)));
    for (const auto& entry : version.identities->of(origin)) {
      text += ", " + std::string(entry.kind) + ":" + std::string(entry.value);
    }
    if (version.links->home(origin) != origin) continue;
    for (const KeyId key : version.profiles->keys()) {
      const Value value = version.profiles->trait(origin, key);
      if (value.type == ValueType::kNull) continue;
      found[std::to_string(number) + "." + std::string(version.keys->at(raw(key)))] = text_of(version, value);
    }
  }
  return found;
}

}  // namespace

TEST("batches of random records do what the rules say, record by record") {
  for (int round = 0; round < 40; ++round) {
    Story story{std::mt19937_64(cdp::test::seed() + static_cast<std::uint64_t>(round)), 6, 9};
    Applier applier(kHashKey);
    ApplyModel model;
    std::int64_t received_ms = kStartMs;
    for (int step = 0; step < 12; ++step) {
      received_ms += static_cast<std::int64_t>(story.below(4'000));
      if (story.below(6) == 0) received_ms += static_cast<std::int64_t>(story.below(40)) * kDayMs;
      BatchBuilder builder(kHashKey, received_ms);
      std::vector<std::pair<std::uint32_t, std::string>> rejects;
      const ApplyModel before = model;
      model.touched.clear();
      const auto count = static_cast<std::uint32_t>(1 + story.below(30));
      for (std::uint32_t at = 0; at < count; ++at) {
        const ModelRecord record = story.record(received_ms, model.sequence);
        builder.add(record);
        const std::string code = model.apply(record, received_ms);
        if (!code.empty()) rejects.emplace_back(at, code);
      }
      std::vector<Origin> touched;
      const ApplyResult result = applier.apply(builder.build(), &touched);
      CHECK_EQ(result.last_sequence, model.sequence);
      CHECK_EQ(result.accepted, model.accepted - before.accepted);
      CHECK_EQ(result.duplicates, model.duplicates - before.duplicates);
      CHECK_EQ(result.accepted + result.duplicates + result.rejects.size(), count);
      CHECK_EQ(applier.identity_conflicts(), model.conflicts);
      std::vector<std::pair<std::uint32_t, std::string>> found;
      for (const auto& reject : result.rejects) found.emplace_back(reject.record, reject.code);
      CHECK(found == rejects);
      std::set<std::uint32_t> homes;
      for (const Origin origin : touched) homes.insert(model.home(raw(origin)));
      for (const std::uint32_t origin : model.touched) CHECK(homes.contains(model.home(origin)));
      Version version;
      applier.fill(version);
      const std::vector<ApplyModel::Row> fresh(model.rows.begin() + static_cast<std::ptrdiff_t>(before.rows.size()),
                                               model.rows.end());
      if (result.tail != nullptr) CHECK_EQ(result.tail->first_order, before.rows.size());
      CHECK((result.tail == nullptr ? std::vector<ApplyModel::Row>{} : rows_of(*result.tail, version)) == fresh);
      compare_state(version, model);
    }
  }
}

TEST("merge then unmerge leaves what never merging leaves: homes, identities, traits") {
  for (int round = 0; round < 60; ++round) {
    Story story{std::mt19937_64(cdp::test::seed() + 1'000 + static_cast<std::uint64_t>(round)), 5, 5};
    Applier joined(kHashKey), apart(kHashKey);
    const std::int64_t received_ms = kStartMs;
    std::vector<std::uint64_t> links;
    const auto apply = [&](const ModelRecord& record, bool both) {
      BatchBuilder builder(kHashKey, received_ms);
      builder.add(record);
      const auto batch = builder.build();
      const ApplyResult result = joined.apply(batch, nullptr);
      if (both) static_cast<void>(apart.apply(batch, nullptr));
      Version published;
      if (story.below(2) == 0) joined.fill(published);
      return result;
    };
    for (std::uint64_t person = 0; person < 5; ++person) {
      ModelRecord first{.type = RecordType::kTraits,
                        .time_ms = received_ms - 3'000,
                        .ids = {{"user_id", "u" + std::to_string(person)}}};
      first.operations.push_back(story.operation());
      apply(first, true);
    }
    for (int step = 0; step < 60; ++step) {
      ModelRecord record{.time_ms = received_ms - static_cast<std::int64_t>(story.below(3'000))};
      if (story.below(4) == 0) {
        record.type = RecordType::kMerge, record.from = story.user(), record.to = story.user();
        const ApplyResult result = apply(record, false);
        links.push_back(result.last_sequence);
      } else {
        record.type = RecordType::kTraits, record.ids = {story.user()};
        record.operations.push_back(story.operation());
        apply(record, true);
      }
    }
    std::ranges::shuffle(links, story.random);
    for (const std::uint64_t link : links) {
      apply({.type = RecordType::kUnmerge, .time_ms = received_ms, .sequence = link}, false);
    }
    Version one, other;
    joined.fill(one);
    apart.fill(other);
    CHECK(everything(one) == everything(other));
  }
}

TEST("events of known identities are resolved within the budget") {
  constexpr std::uint64_t kPeople = 200'000, kBatch = 5'000, kBatches = 40;
  std::mt19937_64 random(cdp::test::seed());
  Applier applier(kHashKey);
  const auto batch_of = [&](const auto& person, std::uint64_t count) {
    auto batch = std::make_shared<cdp::CanonicalBatch>();
    batch->received_ms = kStartMs;
    cdp::EventColumns& events = batch->events;
    const std::uint32_t kind = batch->strings.append("user_id"), key = batch->strings.append("page");
    const std::uint32_t page = batch->strings.append("/home");
    events.shapes.push_back({batch->strings.append("Seen"), 0, 3});
    events.fields = {{key, ValueType::kString}, {page, ValueType::kInt}, {kind, ValueType::kInt}};
    events.first_identity.push_back(0);
    std::map<std::uint64_t, std::uint32_t> seen;
    for (std::uint64_t at = 0; at < count; ++at) {
      const std::uint64_t number = person(at);
      const auto [entry, fresh] = seen.try_emplace(number, static_cast<std::uint32_t>(batch->identities.size()));
      if (fresh) {
        const std::string value = "user-" + std::to_string(1'000'000'000 + number);
        batch->identities.push_back(
            {kind, batch->strings.append(value), cdp::hash_identity("user_id", value, kHashKey)});
      }
      events.time_ms.push_back(kStartMs);
      events.shape.push_back(0);
      events.first_value.push_back(static_cast<std::uint32_t>(events.values.size()));
      events.values.insert(events.values.end(), {page, at, at});
      events.identity_refs.push_back(entry->second);
      events.first_identity.push_back(static_cast<std::uint32_t>(at) + 1);
    }
    batch->runs.push_back({RecordType::kEvent, 0, static_cast<std::uint32_t>(count)});
    return batch;
  };
  static_cast<void>(applier.apply(batch_of([](std::uint64_t at) { return at; }, kPeople), nullptr));
  std::clock_t spent = 0;
  for (std::uint64_t round = 0; round < kBatches; ++round) {
    const auto batch = batch_of([&](std::uint64_t) { return random() % kPeople; }, kBatch);
    const std::clock_t start = std::clock();
    const ApplyResult result = applier.apply(batch, nullptr);
    Version version;
    applier.fill(version);
    spent += std::clock() - start;
    CHECK_EQ(result.accepted, kBatch);
  }
  std::printf("        %.0f ns of processor an event\n",
              static_cast<double>(spent) / CLOCKS_PER_SEC * 1e9 / static_cast<double>(kBatch * kBatches));
}

TEST_MAIN()
