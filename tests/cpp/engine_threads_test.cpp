// The engine driven by many threads at once: what thread sanitizer is for. Every thread writes its own profiles, so the
// answers at the end do not depend on who came first.
#include <atomic>
#include <random>
#include <thread>

#include "check.hpp"
#include "column/dictionary.hpp"
#include "engine_harness.hpp"
#include "store/event_store.hpp"
#include "store/identity_map.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"

using namespace cdp;
using namespace cdp::test;

namespace {

constexpr int kAppenders = 3;
constexpr int kBatches = 25;
constexpr int kEvents = 60;
constexpr std::int64_t kHour = 3'600'000;

std::string user(int thread, int number) { return "t" + std::to_string(thread) + "u" + std::to_string(number); }

std::string ids(const char* kind, const std::string& value) {
  return "{\"" + std::string(kind) + "\":\"" + value + "\"}";
}

// Events of known and anonymous profiles, traits, joins of both sorts.
std::string batch_of(int thread, int batch, std::mt19937_64& random) {
  std::string json = "[";
  for (int at = 0; at < kEvents; ++at) {
    const auto time_ms = kNow - static_cast<std::int64_t>(random() % (60 * 24)) * kHour;
    const auto price = static_cast<int>(random() % 50);
    json += event_json(user(thread, static_cast<int>(random() % 40)), random() % 3 == 0 ? "Charged" : "Viewed", time_ms,
                       price) +
            ",";
  }
  const std::string anonymous = "t" + std::to_string(thread) + "a" + std::to_string(batch);
  json += R"({"type":"event","name":"Viewed","ids":)" + ids("anonymous_id", anonymous) + R"(,"properties":{"n)" +
          std::to_string(batch) + R"(":1}},)";
  json += R"({"type":"traits","ids":)" + ids("user_id", user(thread, batch % 40)) + R"(,"set":{"plan":")" +
          (batch % 2 == 0 ? "free" : "pro") + R"(","seen)" + std::to_string(batch % 7) + R"(":)" +
          std::to_string(batch) + "}},";
  json += R"({"type":"identify","anonymous":)" + ids("anonymous_id", anonymous) + R"(,"known":)" +
          ids("user_id", user(thread, batch % 40)) + "}";
  if (batch % 5 == 4) {
    json += R"(,{"type":"merge","winner":)" + ids("user_id", user(thread, batch % 40)) + R"(,"loser":)" +
            ids("user_id", user(thread, (batch + 1) % 40)) + "}";
  }
  return json + "]";
}

void append_all(Engine& engine, int thread, std::uint64_t seed) {
  std::mt19937_64 random(seed + static_cast<std::uint64_t>(thread));
  for (int batch = 0; batch < kBatches; ++batch) {
    const std::vector<std::uint8_t> bytes = pack_json(batch_of(thread, batch, random));
    Submission submission;
    submission.bytes = std::as_bytes(std::span(bytes));
    submission.received_ms = kNow;
    submission.producer = Producer{{}, 1, static_cast<std::uint64_t>(batch)};
    submission.producer->id[0] = static_cast<std::uint8_t>(thread);
    const Outcome first = engine.wait(engine.submit(submission));
    CHECK(!first.error);
    if (batch % 8 == 3) {  // sent again: the same ack, nothing applied
      const Outcome again = engine.wait(engine.submit(submission));
      CHECK_EQ(again.ack.sequence, first.ack.sequence);
    }
    if (batch % 5 == 4) {
      const std::uint64_t merge = first.ack.sequence;
      const Outcome undone = append(engine, R"([{"type":"unmerge","sequence":)" + std::to_string(merge) + R"(}])");
      CHECK(!undone.error);
    }
  }
}

void read_profiles(const Engine& engine) {
  const VersionPtr version = engine.pin();
  std::vector<Row> rows;
  for (int thread = 0; thread < kAppenders; ++thread) {
    for (int number = 0; number < 40; number += 7) {
      const Origin origin = version->identities->find("user_id", user(thread, number));
      if (origin == kNoOrigin || raw(origin) >= version->origin_count) continue;
      const Origin home = version->links->home(origin);
      rows_of(*version, home, {}, rows);
      for (const Row& row : rows) {
        std::vector<std::pair<KeyId, Value>> fields;
        properties(row, fields);
        for (const auto& [key, value] : fields) CHECK(!version->keys->at(raw(key)).empty());
      }
      for (const KeyId key : version->profiles->keys()) static_cast<void>(version->profiles->trait(home, key));
      CHECK(!version->identities->of(origin).empty());
      CHECK(!version->profiles->history(version->links->members(home)).empty() || rows.size() < 100'000);
    }
  }
}

void read_watches(const Engine& engine) {
  std::uint64_t cursor = 0;
  for (const Transition& transition : engine.transitions(cursor, 1'000)) {
    CHECK(transition.cursor > cursor);
    cursor = transition.cursor;
  }
  for (const Definition& definition : engine.definitions()) {
    if (definition.kind == "watch") static_cast<void>(engine.members(definition.name));
  }
}

void define(Engine& engine, int round) {
  const std::string name = "w" + std::to_string(round % 3);
  const std::vector<std::uint8_t> body =
      round % 7 == 6
          ? std::vector<std::uint8_t>{}
          : pack_json(round % 2 == 0 ? R"({"did":"Charged","count":{"op":"ge","value":3},"window":{"last":"30d"}})"
                                     : R"({"trait":"plan","op":"eq","value":"pro"})");
  const std::string_view text(reinterpret_cast<const char*>(body.data()), body.size());
  CHECK(!engine.wait(engine.submit_define(kNow, "watch", name, text)).error);
  CHECK(!engine.wait(engine.submit_tick(kNow + round)).error);
}

// Runs the step again and again until `done`.
template <class Step>
std::jthread repeat(const std::atomic<bool>& done, Step step) {
  return std::jthread([&done, step] {
    for (int round = 0; !done.load(); ++round) {
      step(round);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
}

void drive(Engine& engine) {
  std::atomic<bool> done{false};
  std::vector<std::jthread> others;
  for (int reader = 0; reader < 2; ++reader) {
    others.push_back(repeat(done, [&engine, reader](int round) {
      static_cast<void>(ask(engine, questions()[static_cast<std::size_t>(round * 3 + reader) % questions().size()]));
    }));
  }
  others.push_back(repeat(done, [&engine](int) { read_profiles(engine); }));
  others.push_back(repeat(done, [&engine](int) { read_watches(engine); }));
  others.push_back(repeat(done, [&engine](int round) { define(engine, round); }));
  others.push_back(repeat(done, [&engine](int round) {
    if (round % 3 == 0) engine.seal_now();
    if (round % 3 == 1) engine.compact();
    if (round % 8 == 2) CHECK(!engine.digest().empty());
    if (round % 8 == 5) engine.verify();
    CHECK(!engine.memory().empty());
    engine.flush();
  }));
  {
    std::vector<std::jthread> appenders;
    for (int thread = 0; thread < kAppenders; ++thread) {
      appenders.emplace_back([&engine, thread] { append_all(engine, thread, test::seed()); });
    }
  }
  done.store(true);
}

}  // namespace

TEST("appends, queries, profile reads, watches, merges and care at once give what one thread gives") {
  const Folder folder;
  std::string digest, answers;
  {
    const auto engine = Engine::open(options_of(folder.store()));
    drive(*engine);
    digest = engine->digest();
    answers = show_all(*engine);
    engine->close();
  }
  const auto again = Engine::open(options_of(folder.store()));
  CHECK_EQ(again->digest(), digest);
  CHECK_EQ(show_all(*again), answers);
  const auto alone = Engine::open(options_of("", false));
  for (int thread = 0; thread < kAppenders; ++thread) append_all(*alone, thread, test::seed());
  for (std::size_t at = 0; at < questions().size(); ++at) {
    if (questions()[at].find("profiles") != std::string_view::npos) continue;  // ids are given by who came first
    CHECK_EQ(show(ask(*again, questions()[at])), show(ask(*alone, questions()[at])));
  }
}

TEST("a store in memory driven by many threads answers as one that compacted last") {
  const auto engine = Engine::open(options_of(""));
  drive(*engine);
  const std::string digest = engine->digest();
  const std::string answers = show_all(*engine);
  engine->compact();
  CHECK_EQ(engine->digest(), digest);
  CHECK_EQ(show_all(*engine), answers);
}

TEST("closing while others append and ask ends with store.closed for them and nothing worse") {
  for (int round = 0; round < 4; ++round) {
    const Folder folder;
    const auto engine = Engine::open(options_of(round % 2 == 0 ? folder.store() : ""));
    std::atomic<int> refused{0};
    std::vector<std::jthread> others;
    for (int thread = 0; thread < 2; ++thread) {
      others.emplace_back([&, thread] {
        try {
          for (int number = 0;; ++number) {
            append(*engine, "[" + event_json(user(thread, number), "Viewed", kNow, number) + "]");
            static_cast<void>(ask(*engine, questions()[0]));
            static_cast<void>(engine->memory());
          }
        } catch (const Error& error) {
          CHECK_EQ(error.code(), code::kStoreClosed);
          refused.fetch_add(1);
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    engine->close();
    others.clear();
    CHECK_EQ(refused.load(), 2);
  }
}

TEST_MAIN()
