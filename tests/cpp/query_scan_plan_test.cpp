// What plans of a lineage take over from one another: sealed pieces, slow profiles, everyone. Readers that pinned old
// versions ask late, after newer plans were made: every version answers by tasks as it does by rows, which know no plan.
#include <atomic>
#include <deque>
#include <random>
#include <string>
#include <thread>

#include "base/pool.hpp"
#include "check.hpp"
#include "engine/engine.hpp"
#include "json_msgpack.hpp"
#include "kind_harness.hpp"
#include "query/query.hpp"
#include "query/scan_plan.hpp"

namespace {

using namespace cdp;
using namespace cdp::test;

constexpr std::int64_t kStartMs = 1'700'000'000'000;
constexpr std::int64_t kNowMs = kStartMs + 60LL * 86'400'000;

const std::vector<std::string> kQuestions = {
    R"({"kind": "trend", "event": {"event": null}, "measures": ["total", "unique"], "interval": ["day", "week"]})",
    R"({"kind": "trend", "event": {"event": null}, "measures": ["unique"], "interval": ["day", "week", "month"]})",
    R"({"kind": "trend", "event": {"event": ["A", "B", "C"]}, "measures": ["unique"], "interval": ["hour", "month"]})",
    R"({"kind": "trend", "event": "A", "measures": ["unique", {"sum": "price"}], "breakdown": [{"property": "price"}]})",
    R"({"kind": "funnel", "steps": ["A", "B", "C"], "window": "10d"})",
    R"({"kind": "retention", "start": "A", "return": {"event": null}, "interval": "week", "population": "first_ever"})",
    R"({"kind": "profiles", "where": {"and": [{"did": "A", "count": {"op": "ge", "value": 2}}, {"did_not": "C"}]}})",
    R"({"kind": "profiles", "where": {"did": "B", "count": {"op": "lt", "value": 3}}})",
};

// A store that grows by batches of events, late ones too, with profiles joined and parted on the way.
class Life {
 public:
  explicit Life(std::uint64_t seed, std::uint32_t people = 300) : random_(seed), people_(people) {
    OpenOptions options;
    options.background = false;
    options.worker_count = 1;
    engine_ = Engine::open(options);
  }
  [[nodiscard]] Engine& engine() { return *engine_; }
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }

  void append(int events) {
    std::string json = "[";
    for (int i = 0; i < events; ++i) {
      clock_ms_ += below(400'000);
      const std::int64_t late = below(10) == 0 ? below(400'000'000) : 0;
      const bool anonymous = below(3) == 0;
      json += R"({"type": "event", "name": ")" + std::string(1, static_cast<char>('A' + below(4))) +
              R"(", "time_ms": )" + std::to_string(std::max(kStartMs, clock_ms_ - late)) + R"(, "ids": {")" +
              (anonymous ? "anonymous_id" : "user_id") + R"(": "x)" + std::to_string(below(people_)) +
              R"("}, "properties": {"price": )" + std::to_string(below(5)) + "}} ";
    }
    send(json + "]");
  }
  void link() {
    const std::string from = "x" + std::to_string(below(people_)), to = "x" + std::to_string(below(people_));
    send(R"([{"type": "identify", "anonymous": {"anonymous_id": ")" + from + R"("}, "known": {"user_id": ")" + to +
         R"("}, "time_ms": )" + std::to_string(clock_ms_) + "}]");
    links_.push_back(engine_->pin()->watermark);
  }
  void unlink() {
    if (links_.empty()) return;
    send(R"([{"type": "unmerge", "sequence": )" +
         std::to_string(links_[below(static_cast<std::uint32_t>(links_.size()))]) + "}]");
  }
  void step() {
    append(20 + static_cast<int>(below(200)));
    for (std::uint32_t i = below(4); i > 0; --i) link();
    if (below(4) == 0) unlink();
    if (below(4) == 0) engine_->seal_now();
    if (below(12) == 0) engine_->compact();
  }

 private:
  void send(const std::string& json) {
    const std::vector<std::uint8_t> bytes = JsonPacker::pack(json);
    engine_->wait(engine_->submit({std::as_bytes(std::span(bytes)), kNowMs, std::nullopt, "", false, true}));
  }
  std::mt19937_64 random_;
  std::uint32_t people_;
  std::unique_ptr<Engine> engine_;
  std::int64_t clock_ms_ = kStartMs;
  std::vector<std::uint64_t> links_;
};

std::string ask(const VersionPtr& version, const std::string& json, bool by_rows) {
  const std::vector<std::uint8_t> bytes = JsonPacker::pack(json);
  QueryOptions options;
  options.now_ms = kNowMs;
  options.force_rows = by_rows;
  return show_table(run_query(version, std::span<const std::uint8_t>(bytes), options));
}

// Origins that are homes, by asking each.
std::uint64_t count_homes(const Version& version) {
  std::uint64_t count = 0;
  for (std::uint32_t origin = 0; origin < version.origin_count; ++origin) {
    count += version.links->home(Origin{origin}) == Origin{origin} ? 1 : 0;
  }
  return count;
}

TEST("every version of a growing store answers by its plan as by rows, whenever its reader comes") {
  for (std::uint64_t round = 0; round < 4; ++round) {
    Life life(seed() + round);
    std::deque<VersionPtr> pinned;
    for (int step = 0; step < 60; ++step) {
      life.step();
      pinned.push_back(life.engine().pin());
      // The newest is asked now, or later, when newer ones have plans; the oldest pinned one last of all.
      const std::size_t at =
          life.below(2) == 0 ? pinned.size() - 1 : life.below(static_cast<std::uint32_t>(pinned.size()));
      const VersionPtr version = pinned[at];
      const std::string& question = kQuestions[life.below(static_cast<std::uint32_t>(kQuestions.size()))];
      CHECK_EQ(ask(version, question, false), ask(version, question, true));
      CHECK_EQ(scan_plan(*version)->everyone(*version).count(), count_homes(*version));
      if (pinned.size() > 20) pinned.erase(pinned.begin() + life.below(static_cast<std::uint32_t>(pinned.size())));
    }
    for (const VersionPtr& version : pinned) {
      for (const std::string& question : kQuestions)
        CHECK_EQ(ask(version, question, false), ask(version, question, true));
    }
  }
}

TEST("joined profiles of several stripes are found through the plan") {
  Life life(seed() + 40, 60'000);
  for (int batch = 0; batch < 6; ++batch) life.append(9'000);
  life.engine().seal_now();
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 60; ++i) life.link();
    life.append(500);
    const VersionPtr version = life.engine().pin();
    CHECK(version->origin_count > 2 * limits::kStripeIds);
    for (const std::string& question : kQuestions)
      CHECK_EQ(ask(version, question, false), ask(version, question, true));
  }
}

TEST("joined profiles of more rows in a place than a plan keeps are read where they lie") {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    Life life(seed, 3);
    life.append(9'000);
    life.engine().compact();
    for (int round = 0; round < 6; ++round) {
      life.link();
      if (round % 3 == 2) life.unlink();
      life.append(50);
      const VersionPtr version = life.engine().pin();
      for (const std::string& question : kQuestions) {
        CHECK_EQ(ask(version, question, false), ask(version, question, true));
      }
    }
  }
}

TEST("a store asked all along answers as one that was only asked at the end") {
  Life asked(seed() + 50), quiet(seed() + 50);
  for (int step = 0; step < 60; ++step) {
    asked.step();
    quiet.step();
    for (const std::string& question : kQuestions) ask(asked.engine().pin(), question, false);
  }
  for (const std::string& question : kQuestions) {
    CHECK_EQ(ask(asked.engine().pin(), question, false), ask(quiet.engine().pin(), question, false));
  }
}

TEST("readers on several threads share plans while the store grows") {
  Life life(seed() + 60);
  life.step();
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::vector<std::jthread> readers;
  for (unsigned reader = 0; reader < 3; ++reader) {
    readers.emplace_back([&, reader] {
      for (std::size_t i = reader; !done; ++i) {
        const VersionPtr version = life.engine().pin();
        const std::string& question = kQuestions[i % kQuestions.size()];
        if (ask(version, question, false) != ask(version, question, true)) ++wrong;
      }
    });
  }
  for (int step = 0; step < 60; ++step) life.step();
  done = true;
  readers.clear();
  CHECK_EQ(wrong.load(), 0);
}

}  // namespace

TEST_MAIN()
