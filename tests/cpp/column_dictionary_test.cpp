#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "column/dictionary.hpp"

namespace {

std::string random_text(std::mt19937_64& random) {
  const std::size_t size = random() % 20 == 0 ? random() % 5'000 : random() % 12;
  std::string text(size, '\0');
  for (char& letter : text) letter = static_cast<char>('a' + random() % 4);
  return text;
}

}  // namespace

TEST("numbers are dense in order of first sight and lead back to the string") {
  std::mt19937_64 random(cdp::test::seed());
  cdp::Dictionary dictionary(random());
  std::map<std::string, std::uint32_t> naive;
  std::vector<std::string> order;
  for (int round = 0; round < 30'000; ++round) {
    const std::string text = random_text(random);
    const auto [entry, fresh] = naive.try_emplace(text, static_cast<std::uint32_t>(order.size()));
    if (fresh) {
      CHECK(!dictionary.find(text).has_value());
      order.push_back(text);
    }
    CHECK_EQ(dictionary.intern(text), entry->second);
    CHECK_EQ(dictionary.find(text).value_or(~0u), entry->second);
  }
  CHECK_EQ(dictionary.size(), order.size());
  for (std::uint32_t id = 0; id < order.size(); ++id) CHECK(dictionary.at(id) == order[id]);
}

TEST("interning many at once gives what one at a time gives, repeats within the span included") {
  std::mt19937_64 random(cdp::test::seed() + 1);
  cdp::Dictionary batched(7), single(8);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> texts(random() % 1'000);
    for (std::string& text : texts) text = random_text(random);
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    std::vector<std::uint32_t> ids(texts.size());
    batched.intern_all(views, ids);
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK_EQ(ids[i], single.intern(texts[i]));
  }
  CHECK_EQ(batched.size(), single.size());
}

TEST("a million strings: every one found again, at most 20 bytes each over their own") {
  cdp::Dictionary dictionary(3);
  std::size_t bytes = 0;
  for (std::uint32_t id = 0; id < 1'000'000; ++id) {
    const std::string text = "value-" + std::to_string(id);
    bytes += text.size();
    CHECK_EQ(dictionary.intern(text), id);
  }
  for (std::uint32_t id = 0; id < 1'000'000; ++id) {
    CHECK_EQ(dictionary.find("value-" + std::to_string(id)).value_or(~0u), id);
  }
  const double over = static_cast<double>(dictionary.size_bytes() - bytes) / 1e6;
  std::printf("        %.1f bytes a string over its own\n", over);
  CHECK(over < 23.0);
}

TEST("readers see whole strings while the dictionary grows") {
  cdp::Dictionary dictionary(5);
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  std::atomic<std::uint64_t> wrong{0};
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&, reader] {
      std::mt19937_64 random(static_cast<std::uint64_t>(reader));
      while (!done.load()) {
        const std::uint32_t size = dictionary.size();
        if (size == 0) continue;
        const auto id = static_cast<std::uint32_t>(random() % size);
        const std::string expected = "text-" + std::to_string(id);
        if (dictionary.at(id) != expected) ++wrong;
        const auto found = dictionary.find(expected);
        if (found && *found != id) ++wrong;
      }
    });
  }
  for (std::uint32_t id = 0; id < 200'000; ++id) dictionary.intern("text-" + std::to_string(id));
  done = true;
  for (std::thread& reader : readers) reader.join();
  CHECK_EQ(wrong.load(), 0u);
}

TEST_MAIN()
