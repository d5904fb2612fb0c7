#include <algorithm>
#include <bit>
#include <cstdlib>
#include <ctime>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "check.hpp"
#include "codec/msgpack_writer.hpp"
#include "store/profile_store.hpp"

namespace {

using cdp::Dictionary;
using cdp::KeyId;
using cdp::Link;
using cdp::Links;
using cdp::LinkView;
using cdp::Origin;
using cdp::ProfileStore;
using cdp::ProfileView;
using cdp::StoredOperation;
using cdp::TraitKind;
using cdp::Value;
using cdp::ValueType;

constexpr std::int64_t kForever = INT64_MAX;

Value integer(std::int64_t number) { return {ValueType::kInt, static_cast<std::uint64_t>(number)}; }
Value number(double value) { return {ValueType::kFloat, std::bit_cast<std::uint64_t>(value)}; }

// A trait as a plain person would keep it.
struct NaiveTrait {
  Value scalar;
  bool list = false;
  std::vector<std::int64_t> elements;

  void apply(const StoredOperation& operation, const Dictionary& strings);
  void take_loser(const NaiveTrait& loser) {
    if (!list && scalar.type == ValueType::kNull) {
      *this = loser;
    } else if (list && loser.list) {
      std::vector<std::int64_t> both = std::exchange(elements, {});
      both.insert(both.end(), loser.elements.begin(), loser.elements.end());
      for (const std::int64_t element : both) {
        if (std::ranges::count(elements, element) == 0) elements.push_back(element);
      }
    }
  }
  friend bool operator==(const NaiveTrait&, const NaiveTrait&) = default;
};

std::string list_bytes(const std::vector<std::int64_t>& elements) {
  std::string bytes;
  cdp::MsgpackWriter writer(bytes);
  writer.array(static_cast<std::uint32_t>(elements.size()));
  for (const std::int64_t element : elements) writer.integer(element);
  return bytes;
}

std::vector<std::int64_t> list_elements(std::string_view bytes) {  // of fixarrays of positive fixints
  std::vector<std::int64_t> elements;
  for (const char byte : bytes.substr(1)) elements.push_back(byte);
  return elements;
}

void NaiveTrait::apply(const StoredOperation& operation, const Dictionary& strings) {
  const bool missing = !list && scalar.type == ValueType::kNull;
  const auto set = [&] {
    list = operation.value.type == ValueType::kList;
    scalar = list ? Value{} : operation.value;
    elements.clear();
    if (list) elements = list_elements(strings.at(static_cast<std::uint32_t>(operation.value.bits)));
  };
  const auto is_number = [](const Value& value) {
    return value.type == ValueType::kInt || value.type == ValueType::kFloat;
  };
  switch (operation.kind) {
    case TraitKind::kSet: return set();
    case TraitKind::kSetOnce:
      if (missing) set();
      return;
    case TraitKind::kUnset: *this = {}; return;
    case TraitKind::kIncrement:
      if (missing) return set();
      if (list || !is_number(scalar)) return;
      if (scalar.type == ValueType::kInt && operation.value.type == ValueType::kInt) {
        scalar = integer(scalar.as_int() + operation.value.as_int());
      } else {
        const auto real = [](const Value& value) {
          return value.type == ValueType::kInt ? static_cast<double>(value.as_int()) : value.as_float();
        };
        scalar = number(real(scalar) + real(operation.value));
      }
      return;
    case TraitKind::kAppend:
      if (missing) list = true;
      if (list && std::ranges::count(elements, operation.value.as_int()) == 0) {
        elements.push_back(operation.value.as_int());
      }
      return;
    case TraitKind::kRemove:
      if (list) std::erase(elements, operation.value.as_int());
      return;
  }
}

struct Naive {
  const Dictionary& strings;
  std::vector<StoredOperation> operations;  // in order of arrival, repeats dropped

  void take(const StoredOperation& operation) {
    for (const StoredOperation& known : operations) {
      if (known.origin == operation.origin && known.key == operation.key && known.time_ms == operation.time_ms &&
          known.kind == operation.kind && known.value == operation.value) {
        return;
      }
    }
    operations.push_back(operation);
  }

  // The definition, word for word: part the component at its last link, fold each side until then, join, go on.
  [[nodiscard]] NaiveTrait fold(const std::set<Origin>& members, std::vector<Link> links, KeyId key,
                                std::int64_t after_ms, std::int64_t until_ms) const {
    NaiveTrait trait;
    std::int64_t from_ms = after_ms;
    if (!links.empty()) {
      const Link last = links.back();
      links.pop_back();
      const auto side = [&](Origin start) {
        std::set<Origin> found{start};
        for (std::size_t before = 0; before != found.size();) {
          before = found.size();
          for (const Link& link : links) {
            if (found.contains(link.winner) || found.contains(link.loser)) found.insert({link.winner, link.loser});
          }
        }
        return found;
      };
      const auto links_in = [&](const std::set<Origin>& found) {
        std::vector<Link> own;
        for (const Link& link : links) {
          if (found.contains(link.winner)) own.push_back(link);
        }
        return own;
      };
      const std::set<Origin> winners = side(last.winner);
      if (winners.contains(last.loser)) return fold(members, links, key, after_ms, until_ms);
      const std::set<Origin> losers = side(last.loser);
      trait = fold(winners, links_in(winners), key, after_ms, last.time_ms);
      trait.take_loser(fold(losers, links_in(losers), key, after_ms, last.time_ms));
      from_ms = last.time_ms;
    }
    std::vector<StoredOperation> own;
    for (const StoredOperation& operation : operations) {
      if (operation.key == key && members.contains(operation.origin) && operation.time_ms > from_ms &&
          operation.time_ms <= until_ms) {
        own.push_back(operation);
      }
    }
    std::ranges::stable_sort(own, [](const StoredOperation& a, const StoredOperation& b) {
      return std::tie(a.time_ms, a.order) < std::tie(b.time_ms, b.order);
    });
    for (const StoredOperation& operation : own) trait.apply(operation, strings);
    return trait;
  }

  [[nodiscard]] NaiveTrait now(const LinkView& links, Origin home, KeyId key) const {
    const auto members = links.members(home);
    std::vector<Link> live = links.links_of(home);
    std::ranges::stable_sort(live, {}, &Link::time_ms);
    return fold({members.begin(), members.end()}, live, key, -1, kForever);
  }
  [[nodiscard]] NaiveTrait as_of(const LinkView& links, Origin home, KeyId key, std::int64_t time_ms) const {
    std::vector<Link> alive;
    for (const Link& link : links.all()) {
      if (link.time_ms <= time_ms && (link.dead_sequence == 0 || link.dead_from_ms > time_ms)) alive.push_back(link);
    }
    std::ranges::stable_sort(alive, {}, &Link::time_ms);
    std::set<Origin> members{home};
    for (std::size_t before = 0; before != members.size();) {
      before = members.size();
      for (const Link& link : alive) {
        if (members.contains(link.winner) || members.contains(link.loser)) members.insert({link.winner, link.loser});
      }
    }
    std::erase_if(alive, [&](const Link& link) { return !members.contains(link.winner); });
    return fold(members, alive, key, -1, time_ms);
  }
};

NaiveTrait as_naive(const Value& value, const Dictionary& strings) {
  if (value.type != ValueType::kList) return {value, false, {}};
  return {{}, true, list_elements(strings.at(static_cast<std::uint32_t>(value.bits)))};
}

StoredOperation random_operation(std::mt19937_64& random, std::uint32_t origins, std::uint32_t keys, std::int64_t times,
                                 Dictionary& strings) {
  StoredOperation operation;
  operation.origin = Origin{static_cast<std::uint32_t>(random() % origins)};
  operation.key = KeyId{static_cast<std::uint32_t>(random() % keys)};
  operation.kind = static_cast<TraitKind>(1 + random() % 6);
  operation.time_ms = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(times));
  const auto small = static_cast<std::int64_t>(random() % 5);
  switch (operation.kind) {
    case TraitKind::kUnset: break;
    case TraitKind::kIncrement: operation.value = random() % 3 == 0 ? number(0.5) : integer(small); break;
    case TraitKind::kAppend:
    case TraitKind::kRemove: operation.value = integer(small); break;
    case TraitKind::kSet:
    case TraitKind::kSetOnce:
      if (random() % 3 == 0) {
        operation.value = {ValueType::kList, strings.intern(list_bytes({small, 7, small}))};
      } else if (random() % 3 == 0) {
        operation.value = {ValueType::kString, strings.intern("s" + std::to_string(small))};
      } else {
        operation.value = integer(random() % 4 == 0 ? small << 40 : small - 2);
      }
      break;
  }
  return operation;
}

}  // namespace

TEST("traits under joins, unjoins and late operations agree with the definition, now and as of any time") {
  std::mt19937_64 random(cdp::test::seed());
  for (int story = 0; story < 150; ++story) {
    Dictionary strings(1);
    ProfileStore store(strings);
    Links links;
    Naive naive{strings, {}};
    const auto origins = static_cast<std::uint32_t>(1 + random() % 6);
    const std::uint32_t keys = 2 + static_cast<std::uint32_t>(random() % 12);
    const auto times = static_cast<std::int64_t>(2 + random() % 40);
    struct Pinned {
      std::shared_ptr<const ProfileView> view;
      std::map<std::pair<Origin, KeyId>, NaiveTrait> expected;
    };
    std::vector<Pinned> pinned;
    std::uint64_t sequence = 0;
    for (int step = 0; step < 60; ++step) {
      ++sequence;
      const std::uint64_t dice = random() % 10;
      const Origin some{static_cast<std::uint32_t>(random() % origins)};
      const auto time_ms = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(times));
      if (dice == 0) {
        const Origin other{static_cast<std::uint32_t>(random() % origins)};
        if (links.join(some, other, sequence, time_ms) == Links::Result::kJoined) store.refold(some);
      } else if (dice == 1) {
        const std::uint64_t target = random() % sequence;
        const auto link = links.made_by(target);
        if (links.unjoin(target, sequence, time_ms)) store.refold(link->winner), store.refold(link->loser);
      } else {
        std::vector<StoredOperation> record;
        for (std::uint64_t count = 1 + random() % 3; count > 0; --count) {
          record.push_back(random_operation(random, origins, keys, times, strings));
          record.back().origin = some;
          record.back().time_ms = time_ms;
          record.back().order = sequence;
          naive.take(record.back());
        }
        const Origin home = links.home(some);
        CHECK(store.apply(record, links.members(home).size() > 1));
      }
      if (random() % 4 != 0 && step < 59) continue;
      const auto now = links.view();
      Pinned& at = pinned.emplace_back();
      at.view = store.view(*now);
      std::set<KeyId> with_value;
      for (std::uint32_t origin = 0; origin < origins; ++origin) {
        const Origin home{origin};
        if (now->home(home) != home) continue;
        for (std::uint32_t key = 0; key < keys; ++key) {
          const NaiveTrait expected = naive.now(*now, home, KeyId{key});
          at.expected[{home, KeyId{key}}] = expected;
          if (expected != NaiveTrait{}) with_value.insert(KeyId{key});
          const auto then = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(times));
          CHECK(as_naive(at.view->trait_as_of(home, KeyId{key}, then, *now), strings) ==
                naive.as_of(*now, home, KeyId{key}, then));
        }
        std::vector<StoredOperation> expected = naive.operations;
        const auto members = now->members(home);
        std::erase_if(expected, [&](const StoredOperation& operation) {
          return std::ranges::count(members, operation.origin) == 0;
        });
        const std::vector<StoredOperation> history = at.view->history(members);
        CHECK_EQ(history.size(), expected.size());
        CHECK(std::ranges::is_sorted(history, [](const StoredOperation& a, const StoredOperation& b) {
          return std::tie(a.time_ms, a.order) < std::tie(b.time_ms, b.order);
        }));
        for (const StoredOperation& operation : history) {
          CHECK(std::ranges::any_of(expected, [&](const StoredOperation& known) {
            return known.origin == operation.origin && known.key == operation.key && known.kind == operation.kind &&
                   known.time_ms == operation.time_ms && known.order == operation.order &&
                   known.value == operation.value;
          }));
        }
      }
      const std::vector<KeyId> listed = at.view->keys();
      CHECK(std::ranges::includes(listed, with_value));  // those of operations without a value now, too
    }
    for (const Pinned& at : pinned) {
      for (const auto& [trait, expected] : at.expected) {
        CHECK(as_naive(at.view->trait(trait.first, trait.second), strings) == expected);
        std::vector<Value> range(origins);
        at.view->traits(Origin{0}, trait.second, range);
        CHECK(as_naive(range[cdp::raw(trait.first)], strings) == expected);
      }
    }
  }
}

TEST("pages turn dense and wide without losing a value, and a range may cross pages") {
  std::mt19937_64 random(cdp::test::seed() + 2);
  Dictionary strings(1);
  ProfileStore store(strings);
  const Links links;
  std::map<std::uint32_t, Value> expected;
  for (int round = 0; round < 6'000; ++round) {
    const auto origin = static_cast<std::uint32_t>(random() % 5'000);
    const Value value = random() % 50 == 0 ? number(0.25 * static_cast<double>(round)) : integer(round - 3'000);
    CHECK(
        store.apply(std::vector<StoredOperation>{{Origin{origin}, KeyId{3}, TraitKind::kSet, round, 1, value}}, false));
    expected[origin] = value;
    if (round % 500 != 0) continue;
    const auto view = store.view(*links.view());
    std::vector<Value> range(3'000);
    const auto first = static_cast<std::uint32_t>(random() % 2'500);
    view->traits(Origin{first}, KeyId{3}, range);
    for (std::uint32_t at = 0; at < range.size(); ++at) {
      const auto known = expected.find(first + at);
      CHECK(range[at] == (known == expected.end() ? Value{} : known->second));
    }
    CHECK(view->trait(Origin{9'999'999}, KeyId{3}) == Value{});
    CHECK(view->trait(Origin{1}, KeyId{77}) == Value{});
  }
}

TEST("ten thousand operations of an origin and trait are kept; one more is refused whole, a repeat is not") {
  Dictionary strings(1);
  ProfileStore store(strings);
  const Links links;
  const auto limit = static_cast<std::int64_t>(cdp::limits::kOperationsPerTrait);
  const auto set = [](std::int64_t time_ms, std::uint32_t key = 0) {
    return StoredOperation{Origin{5}, KeyId{key}, TraitKind::kSet, time_ms, 1, integer(time_ms)};
  };
  for (std::int64_t time_ms = limit; time_ms > 1; --time_ms) {  // late, each of them
    CHECK(store.apply(std::vector<StoredOperation>{set(time_ms)}, false));
  }
  CHECK(!store.apply(std::vector<StoredOperation>{set(1, 1), set(0), set(1)}, false));
  CHECK(store.apply(std::vector<StoredOperation>{set(1), set(7), set(1, 2)}, false));
  CHECK(!store.apply(std::vector<StoredOperation>{set(0), set(1, 3)}, false));
  CHECK(store.apply(std::vector<StoredOperation>{set(1), set(limit)}, false));
  const auto view = store.view(*links.view());
  const std::vector<Origin> member{Origin{5}};
  CHECK_EQ(view->history(member).size(), static_cast<std::size_t>(limit) + 1);
  CHECK(view->trait(Origin{5}, KeyId{0}) == integer(limit));
  CHECK(view->trait(Origin{5}, KeyId{1}) == Value{});
}

TEST("increment beyond int64 or on a text has no effect; a list never outgrows its bound") {
  Dictionary strings(1);
  ProfileStore store(strings);
  const Links links;
  std::uint64_t order = 0;
  const auto apply = [&](TraitKind kind, const Value& value) {
    CHECK(store.apply(
        std::vector<StoredOperation>{{Origin{0}, KeyId{0}, kind, static_cast<std::int64_t>(++order), order, value}},
        false));
    return store.view(*links.view())->trait(Origin{0}, KeyId{0});
  };
  CHECK(apply(TraitKind::kSet, integer(INT64_MAX)) == integer(INT64_MAX));
  CHECK(apply(TraitKind::kIncrement, integer(1)) == integer(INT64_MAX));
  CHECK(apply(TraitKind::kIncrement, integer(-1)) == integer(INT64_MAX - 1));
  CHECK(apply(TraitKind::kSet, number(1e308)) == number(1e308));
  CHECK(apply(TraitKind::kIncrement, number(1e308)) == number(1e308));
  const Value text{ValueType::kString, strings.intern("text")};
  CHECK(apply(TraitKind::kSet, text) == text);
  CHECK(apply(TraitKind::kIncrement, integer(1)) == text);
  CHECK(apply(TraitKind::kAppend, integer(1)) == text);
  CHECK(apply(TraitKind::kUnset, {}) == Value{});
  CHECK(apply(TraitKind::kRemove, integer(1)) == Value{});
  CHECK(apply(TraitKind::kSetOnce, integer(4)) == integer(4));
  CHECK(apply(TraitKind::kUnset, {}) == Value{});
  for (int element = 0; element < 40; ++element) {
    const std::string large(4'000, static_cast<char>('a' + element % 26));
    const Value list = apply(TraitKind::kAppend, {ValueType::kString, strings.intern(large + std::to_string(element))});
    CHECK(strings.at(static_cast<std::uint32_t>(list.bits)).size() < (64u << 10) + 8);
  }
}

TEST("created is the earliest time of any member") {
  Dictionary strings(1);
  ProfileStore store(strings);
  Links links;
  store.touch(Origin{1}, 50);
  store.touch(Origin{1}, 40);
  store.touch(Origin{1}, 60);
  store.touch(Origin{2}, 30);
  CHECK_EQ(store.view(*links.view())->created_ms(Origin{1}, *links.view()), 40);
  links.join(Origin{1}, Origin{2}, 1, 70);
  CHECK_EQ(store.view(*links.view())->created_ms(Origin{1}, *links.view()), 30);
  CHECK_EQ(store.view(*links.view())->created_ms(Origin{9}, *links.view()), cdp::limits::kTimeMaxMs);
}

TEST("records of seven operations for many profiles are applied quickly and kept small") {
  const char* wanted = std::getenv("CDPSTORE_TRAITS_RECORDS");
  const std::uint64_t records = wanted == nullptr ? 200'000 : std::strtoull(wanted, nullptr, 10);
  const auto profiles = static_cast<std::uint32_t>(records);
  std::mt19937_64 random(cdp::test::seed());
  Dictionary strings(1);
  for (int text = 0; text < 1'000; ++text) strings.intern("value " + std::to_string(text));
  ProfileStore store(strings);
  const Links links;
  const std::int64_t base_ms = 1'700'000'000'000;
  constexpr std::size_t kBatch = 5'000;
  std::vector<std::vector<StoredOperation>> batch(kBatch, std::vector<StoredOperation>(7));
  std::clock_t ticks = 0;
  for (std::uint64_t done = 0; done < records; done += kBatch) {
    for (std::size_t at = 0; at < kBatch; ++at) {
      const Origin origin{static_cast<std::uint32_t>(random() % profiles)};
      for (std::uint32_t key = 0; key < 7; ++key) {
        const Value value = key < 3   ? Value{ValueType::kString, random() % 1'000}
                            : key < 5 ? integer(static_cast<std::int64_t>(random() % 90))
                            : key < 6 ? number(static_cast<double>(random() % 1'000) / 8)
                                      : Value{ValueType::kBool, random() % 2};
        const std::uint64_t order = done + at;
        batch[at][key] = {origin, KeyId{key}, TraitKind::kSet, base_ms + static_cast<std::int64_t>(order),
                          order,  value};
      }
    }
    const std::clock_t start = std::clock();
    for (std::size_t at = 0; at < kBatch; ++at) {
      for (int step = 0; step < 3; ++step) {
        const std::size_t ahead = at + 12 - 4 * static_cast<std::size_t>(step);
        if (ahead >= kBatch) continue;
        for (const StoredOperation& next : batch[ahead]) store.prefetch(next.origin, next.key, step);
      }
      CHECK(store.apply(batch[at], false));
    }
    static_cast<void>(store.view(*links.view()));
    ticks += std::clock() - start;
  }
  const double spent = static_cast<double>(ticks) / CLOCKS_PER_SEC;
  std::printf(
      "        %llu records: %.2f s of processor, %.0f ns an operation, %.1f bytes an operation (values included)\n",
      static_cast<unsigned long long>(records), spent, spent * 1e9 / static_cast<double>(records * 7),
      static_cast<double>(store.size_bytes()) / static_cast<double>(records * 7));
}

TEST_MAIN()
