// The bounds of a whole store, reached: what is one too many is refused with its code, the rest goes on.
#include "check.hpp"
#include "column/dictionary.hpp"
#include "engine/watch.hpp"
#include "engine_harness.hpp"

using namespace cdp;
using namespace cdp::test;

namespace {

constexpr std::uint32_t kKeysAtOnce = 255;

std::string key_event(std::string_view user, std::uint32_t first_key, std::uint32_t count) {
  std::string json =
      R"({"type":"event","name":"Viewed","ids":{"user_id":")" + std::string(user) + R"("},"properties":{)";
  for (std::uint32_t key = first_key; key < first_key + count; ++key) {
    if (key != first_key) json += ',';
    json += "\"k" + std::to_string(key) + "\":" + std::to_string(key);
  }
  return json + "}}";
}

std::uint64_t total(const Engine& engine) {
  const Table table = ask(engine, R"({"kind":"trend","event":"Viewed","measures":["total"],"interval":null})");
  return table.row_count() == 0 ? 0 : std::stoull(show(table).substr(7));
}

}  // namespace

TEST("key 65,536 of properties and traits is refused with its name, and known keys go on") {
  const Folder folder;
  std::string digest;
  {
    const auto engine = Engine::open(options_of(folder.store(), false));
    std::uint64_t events = 0;
    for (std::uint32_t key = 0; key < limits::kKeysMax;) {
      std::string json = "[";
      for (int at = 0; at < 40 && key < limits::kKeysMax; ++at, ++events) {
        const std::uint32_t count = std::min(kKeysAtOnce, limits::kKeysMax - key);
        json += key_event("u" + std::to_string(key), key, count) + ",";
        key += count;
      }
      json.back() = ']';
      const Outcome outcome = append(*engine, json);
      CHECK(!outcome.error);
      CHECK(outcome.ack.rejects.empty());
    }
    CHECK_EQ(engine->pin()->keys->size(), limits::kKeysMax);
    CHECK_EQ(total(*engine), events);

    const Outcome outcome = append(
        *engine, "[" + key_event("u1", 0, 3) + "," + key_event("u1", limits::kKeysMax - 1, 2) +
                     R"(,{"type":"traits","ids":{"user_id":"u1"},"set":{"one too many":1}},)" +
                     R"({"type":"traits","ids":{"user_id":"u1"},"set":{"k7":1}},)" + key_event("u2", 9, 1) + "]");
    CHECK(!outcome.error);
    CHECK_EQ(outcome.ack.accepted, 3u);
    CHECK_EQ(outcome.ack.rejects.size(), 2u);
    if (outcome.ack.rejects.size() == 2) {
      const OwnedReject& event = outcome.ack.rejects[0];
      CHECK_EQ(event.index, 1u);
      CHECK_EQ(event.code, code::kLimitKeys);
      CHECK_EQ(event.path, "properties");
      CHECK_EQ(event.value, "k65535");
      const OwnedReject& traits = outcome.ack.rejects[1];
      CHECK_EQ(traits.index, 2u);
      CHECK_EQ(traits.code, code::kLimitKeys);
      CHECK_EQ(traits.value, "one too many");
    }
    CHECK_EQ(total(*engine), events + 2);
    engine->compact();
    engine->verify();
    CHECK_EQ(total(*engine), events + 2);
    const Table last =
        ask(*engine,
            R"({"kind":"profiles","where":{"did":"Viewed","where":[{"property":"k65534","op":"eq","value":65534}]}})");
    CHECK_EQ(last.row_count(), 1u);
    CHECK_EQ(engine->pin()->keys->size(), limits::kKeysMax);
    digest = engine->digest();
  }
  CHECK_EQ(Engine::open(options_of(folder.store(), false))->digest(), digest);
}

TEST("a logged definition that the language refuses by now leaves a store that opens, and nobody in the segment") {
  WatchSet watches;
  DefineRecord record;
  record.kind = "watch";
  record.name = "s";
  record.body =
      "\x83\xa7"
      "consent"
      "\xa5"
      "email"
      "\xa2op\xa2"
      "eq"
      "\xa5"
      "value"
      "\xa7"
      "perhaps";
  CHECK(!watches.define(record, nullptr, 0, nullptr));
  CHECK(watches.empty());
  CHECK_EQ(watches.definitions().size(), std::size_t{1});
}

TEST_MAIN()
