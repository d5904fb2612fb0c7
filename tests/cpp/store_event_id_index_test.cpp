#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <vector>

#include "check.hpp"
#include "store/event_id_index.hpp"

namespace {

using cdp::EventIdIndex;
using cdp::EventKey;

struct Naive {
  std::int32_t window_days;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::int32_t> days;  // (high, low) -> day of receipt

  std::uint8_t insert(const EventKey& key, std::int32_t day) {
    if (key == EventKey{}) return 1;
    const auto [entry, fresh] = days.try_emplace({key.high, key.low}, day);
    if (fresh) return 1;
    if (entry->second > day - window_days) return 0;
    entry->second = day;
    return 1;
  }
};

}  // namespace

TEST("an id is a duplicate exactly while its day of receipt is inside the window, swept or not") {
  std::mt19937_64 random(cdp::test::seed());
  for (int story = 0; story < 20; ++story) {
    const auto window = static_cast<std::int32_t>(1 + random() % 30);
    EventIdIndex index(window, random());
    Naive naive{window, {}};
    std::int32_t day = 20'000;
    const std::uint64_t span = 1 + random() % 20'000;
    for (int step = 0; step < 60; ++step) {
      std::vector<EventKey> keys(random() % 600);
      for (EventKey& key : keys) {
        const std::uint64_t number = random() % span;
        key = {number * 0x9E3779B97F4A7C15ull, number % 3 == 0 ? 0 : number};
      }
      std::vector<std::uint8_t> fresh(keys.size());
      index.insert(keys, day, fresh);
      for (std::size_t i = 0; i < keys.size(); ++i) CHECK_EQ(fresh[i], naive.insert(keys[i], day));
      if (random() % 4 == 0) {
        const std::size_t limit = random() % 500;
        const std::uint64_t before = index.size();
        const std::size_t dropped = index.sweep(day, limit);
        CHECK(dropped <= limit);
        CHECK_EQ(index.size(), before - dropped);
      }
      if (random() % 3 == 0) day += static_cast<std::int32_t>(random() % 12);
    }
    std::vector<std::pair<EventKey, std::int32_t>> expected;
    for (const auto& [key, seen] : naive.days) {
      if (seen > day - window) expected.push_back({{key.second, key.first}, seen});
    }
    CHECK(index.live(day) == expected);
    while (index.sweep(day, 1'000) > 0) {
    }
    CHECK_EQ(index.size(), expected.size());
    CHECK(index.live(day) == expected);
  }
}

TEST("the border of the window: the last day counts, the day after does not") {
  EventIdIndex index(30);
  const std::vector<EventKey> key{{1, 2}};
  std::vector<std::uint8_t> fresh(1);
  index.insert(key, 100, fresh);
  CHECK_EQ(fresh[0], 1);
  index.insert(key, 129, fresh);
  CHECK_EQ(fresh[0], 0);
  index.insert(key, 130, fresh);
  CHECK_EQ(fresh[0], 1);
  index.insert(key, 159, fresh);
  CHECK_EQ(fresh[0], 0);
}

TEST("a key twice in one span is fresh once; no key is always fresh") {
  EventIdIndex index(30);
  const std::vector<EventKey> keys{{1, 2}, {0, 0}, {1, 2}, {2, 1}, {0, 0}, {0, 1}, {1, 0}};
  std::vector<std::uint8_t> fresh(keys.size());
  index.insert(keys, 1, fresh);
  CHECK(fresh == (std::vector<std::uint8_t>{1, 1, 0, 1, 1, 1, 1}));
  CHECK_EQ(index.size(), 4u);
}

TEST("two million ids take at most 24 bytes each, and no batch waits long for growth") {
  const char* wanted = std::getenv("CDPSTORE_EVENT_IDS");
  const std::uint64_t count = wanted == nullptr ? 2'000'000 : std::strtoull(wanted, nullptr, 10);
  constexpr std::size_t kBatch = 5'000;
  std::mt19937_64 random(cdp::test::seed());
  EventIdIndex index(30, random());
  std::vector<EventKey> keys(kBatch);
  std::vector<std::uint8_t> fresh(kBatch);
  std::int64_t spent = 0, longest = 0;
  double most = 0;
  for (std::uint64_t done = 0; done < count; done += kBatch) {
    for (EventKey& key : keys) key = {random(), random()};
    const auto start = std::chrono::steady_clock::now();
    index.insert(keys, 1, fresh);
    const std::int64_t took = (std::chrono::steady_clock::now() - start).count();
    spent += took;
    longest = std::max(longest, took);
    CHECK(std::ranges::count(fresh, 1) == static_cast<std::ptrdiff_t>(kBatch));
    if (done >= 1'000'000)
      most = std::max(most, static_cast<double>(index.size_bytes()) / static_cast<double>(index.size()));
  }
  std::printf("        %.1f bytes an id at most, %.0f ns an id, longest batch of %zu %.2f ms\n", most,
              static_cast<double>(spent) / static_cast<double>(count), kBatch, static_cast<double>(longest) / 1e6);
  CHECK(most <= 24.0);
}

TEST_MAIN()
