#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.hpp"
#include "check.hpp"
#include "store/identity_map.hpp"

namespace {

using cdp::IdentityKey;
using cdp::Origin;

IdentityKey key_of(std::string_view kind, std::string_view value, std::uint64_t key) {
  return {kind, value, cdp::hash_identity(kind, value, key)};
}

}  // namespace

TEST("every identity leads to its origin and every origin to its identities, as in two maps") {
  std::mt19937_64 random(cdp::test::seed());
  const std::uint64_t hash_key = random();
  cdp::IdentityMap map(hash_key);
  std::map<std::pair<std::string, std::string>, Origin> naive;
  std::map<Origin, std::vector<std::pair<std::string, std::string>>> back;
  const std::vector<std::string> kinds{"user_id", "anonymous_id", "email"};
  for (int round = 0; round < 40'000; ++round) {
    const std::pair<std::string, std::string> identity{kinds[random() % kinds.size()],
                                                       std::to_string(random() % 15'000)};
    const auto known = naive.find(identity);
    CHECK_EQ(map.find(identity.first, identity.second), known == naive.end() ? cdp::kNoOrigin : known->second);
    if (known != naive.end()) continue;
    const Origin origin{static_cast<std::uint32_t>(random() % 9'000)};
    map.insert(key_of(identity.first, identity.second, hash_key), origin);
    naive.emplace(identity, origin);
    back[origin].push_back(identity);
  }
  CHECK_EQ(map.size(), naive.size());
  std::vector<IdentityKey> keys;
  std::vector<Origin> expected;
  for (const auto& [identity, origin] : naive) {
    keys.push_back(key_of(identity.first, identity.second, hash_key));
    expected.push_back(origin);
    keys.push_back(key_of("phone", identity.second, hash_key));
    expected.push_back(cdp::kNoOrigin);
  }
  std::vector<Origin> found(keys.size());
  map.find(keys, found);
  CHECK(found == expected);
  for (std::uint32_t origin = 0; origin < 9'100; ++origin) {
    std::vector<std::pair<std::string, std::string>> entries;
    for (const cdp::IdentityEntry& entry : map.of(Origin{origin})) entries.emplace_back(entry.kind, entry.value);
    CHECK(entries == back[Origin{origin}]);
  }
}

TEST("equal hashes of different identities are kept apart") {
  cdp::IdentityMap map(1);
  map.insert({"user_id", "one", 42}, Origin{1});
  map.insert({"user_id", "two", 42}, Origin{2});
  map.insert({"email", "one", 42}, Origin{3});
  std::vector<IdentityKey> keys{
      {"email", "one", 42}, {"user_id", "two", 42}, {"user_id", "one", 42}, {"user_id", "", 42}};
  std::vector<Origin> found(keys.size());
  map.find(keys, found);
  CHECK(found == (std::vector<Origin>{Origin{3}, Origin{2}, Origin{1}, cdp::kNoOrigin}));
}

TEST("a million identities of 14 bytes take at most 60 bytes each; batches of 5,000 are found quickly") {
  constexpr std::uint32_t kCount = 1'000'000, kBatch = 5'000;
  cdp::IdentityMap map(9);
  std::vector<std::string> values(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    values[i] = "user-" + std::to_string(100'000'000 + i);
    map.insert(key_of("user_id", values[i], 9), Origin{i});
  }
  const double bytes = static_cast<double>(map.size_bytes()) / kCount;
  std::mt19937_64 random(cdp::test::seed());
  std::vector<IdentityKey> keys(kBatch);
  std::vector<Origin> found(kBatch), expected(kBatch);
  std::vector<std::string> asked(kBatch);  // a batch holds its own bytes, close together
  std::int64_t spent = 0;
  for (int round = 0; round < 100; ++round) {
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      expected[i] = Origin{static_cast<std::uint32_t>(random() % kCount)};
      asked[i] = values[cdp::raw(expected[i])];
      keys[i] = key_of("user_id", asked[i], 9);
    }
    const auto start = std::chrono::steady_clock::now();
    map.find(keys, found);
    spent += (std::chrono::steady_clock::now() - start).count();
    CHECK(found == expected);
  }
  std::printf("        %.1f bytes an identity, %.0f ns a lookup\n", bytes,
              static_cast<double>(spent) / (100.0 * kBatch));
  CHECK(bytes <= 60.0);
}

TEST("readers never see a torn identity while the map grows") {
  cdp::IdentityMap map(2);
  std::atomic<std::uint32_t> inserted{0};
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&, reader] {
      std::mt19937_64 random(static_cast<std::uint64_t>(reader));
      while (!done.load()) {
        const std::uint32_t count = inserted.load();
        if (count == 0) continue;
        const auto number = static_cast<std::uint32_t>(random() % (count + 10));
        const Origin origin = map.find("user_id", std::to_string(number));
        if (number < count ? origin != Origin{number} : origin != cdp::kNoOrigin && origin != Origin{number}) ++wrong;
        for (const cdp::IdentityEntry& entry : map.of(Origin{number})) {
          if (entry.value != std::to_string(number)) ++wrong;
        }
      }
    });
  }
  for (std::uint32_t number = 0; number < 200'000; ++number) {
    map.insert(key_of("user_id", std::to_string(number), 2), Origin{number});
    inserted = number + 1;
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  CHECK_EQ(wrong.load(), 0u);
}

TEST_MAIN()
