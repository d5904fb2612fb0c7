// Facts: kept once, told by the latest time, pictures that never change, against a plain list of operations.
#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include "base/limits.hpp"
#include "check.hpp"
#include "store/fact_store.hpp"

namespace {

using namespace cdp;
using namespace cdp::test;

StoredFact told_of(std::uint32_t origin, std::uint64_t subject, std::uint8_t state, std::int64_t time_ms,
                   std::uint64_t order, std::vector<FactText> texts = {}) {
  return {Origin{origin}, subject, state, time_ms, order, std::move(texts)};
}
FactText text(std::uint8_t field, std::uint32_t string) { return {field, {ValueType::kString, string}}; }

using Key = std::tuple<std::int64_t, std::uint64_t, std::uint32_t, std::uint64_t, int>;
Key key(const StoredFact& each) { return {each.time_ms, each.order, raw(each.origin), each.subject, each.state}; }

}  // namespace

TEST("a subject packs two numbers, or one") {
  CHECK_EQ(first_of(subject_of(7, 9)), 7u);
  CHECK_EQ(second_of(subject_of(7, 9)), 9u);
  CHECK_EQ(second_of(subject_of(7)), kNone);
  CHECK_EQ(subject_of(7), 7u);
}

TEST("entries of every size are read back as they were, across the segments of the history") {
  std::mt19937_64 random(seed());
  FactStore store(FactType::kDevice);
  std::vector<StoredFact> told;
  for (std::uint64_t order = 1; order <= 3'000; ++order) {
    std::vector<FactText> texts;
    for (std::uint8_t field = 0; field < 5; ++field) {
      if (random() % 3 == 0)
        texts.push_back(text(field, static_cast<std::uint32_t>(random() >> random() % 64) % kNone));
      else if (field < 4 && random() % 3 == 0)
        texts.push_back({field, {}});
    }
    told.push_back(told_of(static_cast<std::uint32_t>(random() % 600), random() >> random() % 64, random() % 2,
                           limits::kTimeMinMs + static_cast<std::int64_t>(random() % 1'000'000), order,
                           std::move(texts)));
    CHECK(store.accepts(told.back()));
    store.apply(told.back());
  }
  const auto view = store.view();
  std::size_t read = 0;
  for (std::uint32_t origin = 0; origin < 600; ++origin) {
    const Origin member{origin};
    for (const StoredFact& each : view->history({&member, 1}, INT64_MAX)) {
      const StoredFact& wanted = told[each.order - 1];
      CHECK(key(each) == key(wanted));
      CHECK(each.texts == wanted.texts);
      ++read;
    }
  }
  CHECK_EQ(read, told.size());
}

TEST("the state of a subject is that of the latest time, then of the latest record, whatever the order of arrival") {
  std::mt19937_64 random(seed());
  for (int round = 0; round < 300; ++round) {
    FactStore store(FactType::kConsent);
    std::vector<StoredFact> told;
    for (std::uint64_t order = 1; order <= 1 + random() % 30; ++order) {
      told.push_back(told_of(static_cast<std::uint32_t>(random() % 3), random() % 3, random() % 4,
                             1'000 + static_cast<std::int64_t>(random() % 12), order));
      store.apply(told.back());
    }
    const std::vector<Origin> members{Origin{0}, Origin{2}};
    const std::int64_t until_ms = 1'000 + static_cast<std::int64_t>(random() % 14);
    for (std::uint64_t subject = 0; subject < 3; ++subject) {
      std::map<std::pair<std::int64_t, std::uint64_t>, std::uint8_t> visible;
      std::int64_t next_ms = INT64_MAX;
      for (const StoredFact& each : told) {
        if (each.subject != subject || each.origin == Origin{1}) continue;
        // A repeat keeps the place of the first.
        const bool is_repeat = std::ranges::any_of(told, [&](const StoredFact& other) {
          return other.order < each.order && other.origin == each.origin && other.subject == each.subject &&
                 other.state == each.state && other.time_ms == each.time_ms;
        });
        if (is_repeat) continue;
        if (each.time_ms > until_ms)
          next_ms = std::min(next_ms, each.time_ms);
        else
          visible[{each.time_ms, each.order}] = each.state;
      }
      const FactView::Seen seen = store.view()->state_at(members, subject, until_ms);
      CHECK_EQ(int(seen.state), int(visible.empty() ? FactView::kNoState : visible.rbegin()->second));
      CHECK_EQ(seen.next_ms, next_ms);
    }
  }
}

TEST("an operation that is there already is kept once, however long the chain and however late it comes") {
  FactStore store(FactType::kConsent);
  std::uint64_t order = 0;
  for (int twice = 0; twice < 2; ++twice) {
    for (std::int64_t at = 0; at < 500; ++at) store.apply(told_of(1, 5, 0, 10'000 - at, ++order));
  }
  CHECK_EQ(store.size(), 500u);
  CHECK(store.view() == store.view());
  store.apply(told_of(1, 5, 0, 9'900, ++order));
  CHECK_EQ(store.size(), 500u);
}

TEST("an origin keeps so many and no more, repeats aside") {
  FactStore store(FactType::kList);
  for (std::uint64_t order = 1; order <= limits::kFactsPerOrigin; ++order) {
    CHECK(store.accepts(told_of(3, order, 0, 1'000, order)));
    store.apply(told_of(3, order, 0, 1'000, order));
  }
  CHECK(!store.accepts(told_of(3, 1, 1, 1'000, 99'999)));
  CHECK(store.accepts(told_of(3, 7, 0, 1'000, 99'999)));
  CHECK(store.accepts(told_of(4, 1, 1, 1'000, 99'999)));
}

TEST("a picture knows the subjects that anybody was told of, as long as they are few") {
  FactStore lists(FactType::kList), devices(FactType::kDevice);
  const auto is = [](std::uint64_t subject) { return [subject](std::uint64_t each) { return each == subject; }; };
  lists.apply(told_of(1, 5, 0, 1'000, 1));
  const auto before = lists.view();
  lists.apply(told_of(2, 6, 1, 1'000, 2));
  CHECK(before->knows(is(5)) && !before->knows(is(6)));
  CHECK(lists.view()->knows(is(6)) && !lists.view()->knows(is(7)));
  CHECK(devices.view()->knows(is(7)));  // as many as profiles: not kept
  for (std::uint64_t at = 0; at < limits::kFactSubjectsKept; ++at)
    lists.apply(told_of(static_cast<std::uint32_t>(at / 1'000), 100 + at, 0, 1'000, 3 + at));
  CHECK(lists.view()->knows(is(7)));
}

TEST("a picture does not see what comes after it") {
  FactStore store(FactType::kDevice);
  store.apply(told_of(1, 5, 0, 1'000, 1, {text(0, 3)}));
  const auto before = store.view();
  store.apply(told_of(1, 5, 1, 2'000, 2, {text(4, 8)}));
  store.apply(told_of(2, 6, 0, 2'000, 3));
  const auto after = store.view();
  const Origin one{1}, two{2};
  CHECK_EQ(before->facts({&one, 1}, INT64_MAX).front().state, 0);
  CHECK(!before->has(two));
  const Fact now = after->facts({&one, 1}, INT64_MAX).front();
  CHECK_EQ(int(now.state), 1);
  CHECK(now.texts[0] == text(0, 3).value && now.texts[4] == text(4, 8).value);
  CHECK_EQ(now.since_ms, 2'000);
  CHECK(after->has(two));
}

TEST("many subjects fold as few do") {
  std::vector<StoredFact> told;
  for (std::uint64_t at = 0; at < 400; ++at) {
    told.push_back(told_of(1, at % 100, at % 2 == 0 ? 0 : 1, static_cast<std::int64_t>(1'000 + at), at));
  }
  const std::vector<Fact> facts = fold_facts(FactType::kList, told);
  CHECK_EQ(facts.size(), 100u);
  for (std::uint64_t subject = 0; subject < 100; ++subject) {
    CHECK_EQ(facts[subject].subject, subject);
    CHECK_EQ(facts[subject].time_ms(), static_cast<std::int64_t>(1'300 + subject));
    CHECK_EQ(facts[subject].first_ms, static_cast<std::int64_t>(1'000 + subject));
    CHECK_EQ(facts[subject].since_ms, static_cast<std::int64_t>(1'000 + subject));
  }
}

TEST_MAIN()
