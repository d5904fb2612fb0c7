#include <random>
#include <string>
#include <unordered_set>

#include "base/hash.hpp"
#include "check.hpp"

TEST("a hash depends on every byte, on the length and on the key") {
  std::mt19937_64 random(cdp::test::seed());
  for (int round = 0; round < 2'000; ++round) {
    std::string text(random() % 70, '\0');
    for (char& letter : text) letter = static_cast<char>(random());
    const std::uint64_t key = random();
    const std::uint64_t hash = cdp::hash_bytes(text, key);
    CHECK_EQ(hash, cdp::hash_bytes(std::string(text), key));
    CHECK(hash != cdp::hash_bytes(text, key + 1));
    CHECK(hash != cdp::hash_bytes(text + '\0', key));
    if (text.empty()) continue;
    std::string other = text;
    other[random() % other.size()] ^= static_cast<char>(1 << (random() % 7));
    CHECK(hash != cdp::hash_bytes(other, key));
  }
}

TEST("counting strings do not collide") {
  std::unordered_set<std::uint64_t> seen;
  for (int number = 0; number < 100'000; ++number) seen.insert(cdp::hash_bytes(std::to_string(number), 7));
  CHECK_EQ(seen.size(), 100'000u);
}

TEST("kind and value of an identity cannot be exchanged") {
  CHECK(cdp::hash_identity("user_id", "email", 1) != cdp::hash_identity("email", "user_id", 1));
}

TEST_MAIN()
