// Random batches for the codec's tests and its fuzzer: mostly valid, salted with every kind of defect.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "codec/event_record.hpp"
#include "codec_tree.hpp"

namespace cdp::test {

inline constexpr std::int64_t kReceivedMs = 1'750'000'000'000;
inline constexpr std::uint64_t kHashKey = 0x1234'5678'9ABC'DEF1;

inline DecodeOptions test_options() {
  DecodeOptions options;
  options.received_ms = kReceivedMs;
  options.hash_key = kHashKey;
  options.source_id = "source-1";
  options.kinds = default_kind_rules();
  return options;
}

class RandomBatch {
 public:
  RandomBatch(std::mt19937_64& random, unsigned defects_of_1000) : random_(random), defects_(defects_of_1000) {}

  Tree batch(unsigned most) {
    std::vector<Tree> records;
    for (unsigned left = below(most + 1); left > 0; --left) records.push_back(record());
    return list(std::move(records));
  }

 private:
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
  bool defect() { return below(1000) < defects_; }
  template <class List>
  auto pick(const List& list) {
    return list[below(static_cast<unsigned>(std::size(list)))];
  }

  Tree record() {
    if (defect()) return odd_value();
    switch (below(14)) {
      case 0: return traits();
      case 1: return pair(below(2) == 0);
      case 10:
      case 11:
      case 12: return fact();
      case 13: return group();
      case 2: return link({{"type", "unmerge"}, {"sequence", defect() ? odd_value() : Tree(int(below(1000)))}});
      default: return event();
    }
  }
  Tree link(std::vector<std::pair<Tree, Tree>> fields) {
    if (below(2) == 0) fields.emplace_back("time_ms", time());
    return finish(std::move(fields));
  }
  // Damages, doubles, drops or reorders fields.
  Tree finish(std::vector<std::pair<Tree, Tree>> fields) {
    if (defect()) fields.emplace_back("surprise", 1);
    if (defect()) fields.push_back(pick(fields));
    if (defect()) fields.erase(fields.begin() + below(unsigned(fields.size())));
    if (!fields.empty() && defect()) fields[below(unsigned(fields.size()))].second = odd_value();
    if (!fields.empty() && defect()) fields[below(unsigned(fields.size()))].first = odd_value();
    if (below(8) == 0) std::shuffle(fields.begin(), fields.end(), random_);
    return map(std::move(fields));
  }
  Tree event() {
    static const std::vector<std::string> kNames{"Charged", "Viewed", "Logged In", "名前", "a"};
    std::vector<std::pair<Tree, Tree>> fields{{"type", "event"},
                                              {"name", defect() ? Tree(pick(kBadNames)) : Tree(pick(kNames))}};
    if (below(4) != 0) fields.emplace_back("time_ms", time());
    fields.emplace_back("ids", ids());
    if (below(6) != 0) fields.emplace_back("properties", properties(below(8), 1));
    if (below(4) == 0) fields.emplace_back("event_id", event_id());
    return finish(std::move(fields));
  }
  Tree event_id() {
    static const std::vector<std::string> kIds{"0198C7D2-4a6b-7def-8123-456789abcdef",
                                               "00000000-0000-0000-0000-000000000000", "x", "evt-17",
                                               "0198c7d2-4a6b-7def-8123-456789abcdeg"};
    return defect() ? Tree(std::string(257, 'i')) : Tree(pick(kIds));
  }
  Tree traits() {
    std::vector<std::pair<Tree, Tree>> fields{{"type", "traits"}, {"ids", ids()}};
    static const std::vector<std::string> kMaps{"set", "set_once"};
    if (below(3) != 0) fields.emplace_back(pick(kMaps), properties(below(5), 1));
    if (below(3) == 0)
      fields.emplace_back("increment", map({{"n", defect() ? odd_value() : Tree(int(below(9)))}, {"f", 0.5}}));
    if (below(3) == 0) fields.emplace_back("append", map({{"tags", scalar()}}));
    if (below(3) == 0) fields.emplace_back("remove", map({{"tags", defect() ? value(1) : scalar()}}));
    if (below(3) == 0) fields.emplace_back("unset", list({"old", "a.b", defect() ? odd_value() : Tree("c")}));
    if (below(2) == 0) fields.emplace_back("time_ms", time());
    return finish(std::move(fields));
  }
  Tree label(std::size_t most) {
    if (defect()) return odd_value();
    if (defect()) return std::string(most + below(2), 'l');
    static const std::vector<std::string> kLabels{"email", "push", "sale", "名前", "x", "ios"};
    return Tree(pick(kLabels));
  }
  Tree state(const std::vector<std::string>& states) { return defect() ? label(8) : Tree(pick(states)); }
  Tree fact() {
    static const std::vector<std::string> kDevice{"seen", "dead"},
        kConsent{"unsubscribed", "pending", "subscribed", "opted_in"}, kSuppress{"suppressed", "lifted"},
        kMembership{"joined", "left"}, kList{"added", "removed"};
    std::vector<std::pair<Tree, Tree>> fields{{"ids", ids()}};
    const auto put = [&](const char* name, std::size_t most, unsigned of_4) {
      if (below(4) < of_4) fields.emplace_back(name, most == 0 || below(5) == 0 ? Tree() : label(most));
    };
    switch (below(5)) {
      case 0:
        fields.emplace_back("type", "device");
        fields.emplace_back("id", label(512));
        if (below(2) == 0) fields.emplace_back("state", state(kDevice));
        for (const char* name : {"platform", "app_version", "zone", "reason"}) put(name, 256, 2);
        put("token", 4096, 2);
        break;
      case 1:
        fields.emplace_back("type", "consent");
        fields.emplace_back("channel", label(256));
        fields.emplace_back("state", state(kConsent));
        if (below(2) == 0) fields.emplace_back("topic", label(256));
        put("source", 256, 2);
        break;
      case 2:
        fields.emplace_back("type", "suppress");
        if (below(2) == 0) fields.emplace_back("state", state(kSuppress));
        put("reason", 256, 2);
        break;
      case 3:
        fields.emplace_back("type", "membership");
        fields.emplace_back("kind", label(256));
        fields.emplace_back("id", label(512));
        if (below(2) == 0) fields.emplace_back("state", state(kMembership));
        put("role", 256, 2);
        break;
      default:
        fields.emplace_back("type", "list");
        fields.emplace_back("name", label(256));
        if (below(2) == 0) fields.emplace_back("state", state(kList));
    }
    return link(std::move(fields));
  }
  Tree group() {
    std::vector<std::pair<Tree, Tree>> fields{{"type", "group"}, {"kind", label(256)}, {"id", label(512)}};
    if (below(3) != 0) fields.emplace_back("set", properties(below(5), 1));
    if (below(3) == 0) fields.emplace_back("unset", list({"old", "a.b"}));
    return link(std::move(fields));
  }
  Tree pair(bool identify) {
    const char* const from = identify ? "anonymous" : "loser";
    const char* const to = identify ? "known" : "winner";
    const Tree anonymous = map({{"anonymous_id", "anon-" + std::to_string(below(30))}});
    const Tree known = map({{"user_id", "user-" + std::to_string(below(30))}});
    return link({{"type", identify ? "identify" : "merge"},
                 {from, defect() ? ids() : anonymous},
                 {to, defect() ? ids() : known}});
  }
  Tree time() {
    if (defect()) return pick(std::vector<std::int64_t>{limits::kTimeMinMs - 1, limits::kTimeMaxMs + 1, 0, -1});
    const std::int64_t near = kReceivedMs + int(below(300'000)) - 150'000;
    return pick(std::vector<std::int64_t>{near, near, kReceivedMs - int(below(2'000'000'000)), limits::kTimeMinMs,
                                          limits::kTimeMaxMs, kReceivedMs + limits::kFutureSnapMs,
                                          kReceivedMs + limits::kFutureSnapMs + 1});
  }
  Tree ids() {
    std::vector<std::pair<Tree, Tree>> pairs;
    if (below(3) != 0) pairs.emplace_back("user_id", identity("user-"));
    if (pairs.empty() || below(3) == 0) pairs.emplace_back("anonymous_id", identity("anon-"));
    if (defect()) pairs.emplace_back("email", "a@b.c");
    if (defect()) pairs.emplace_back("cookie", "c");
    if (defect()) pairs.push_back(pick(pairs));
    if (below(4) == 0) std::shuffle(pairs.begin(), pairs.end(), random_);
    return map(std::move(pairs));
  }
  Tree identity(const std::string& prefix) {
    if (defect()) return odd_value();
    if (below(20) == 0) return pick(std::vector<std::string>{"NULL", " ", "guest", "0", "[object Object]", ""});
    if (below(10) == 0) return Tree(int(below(40)) - 5);
    const std::string value = prefix + std::to_string(below(30));
    return below(10) == 0 ? " \t" + value + "\n" : value;
  }
  Tree key() {
    static const std::vector<std::string> kKeys{
        "price",    "category", "session_id", "p",   "日付",
        "currency", "context",  "ab",         "abc", "very_long_key_name_of_more_than_thirty_two_bytes"};
    if (defect())
      return pick(std::vector<Tree>{"a.b", "$x", "", std::string(257, 'k'), 7, std::string("\xFF\xFE"), "$time"});
    return below(12) == 0 ? Tree("key" + std::to_string(below(1000))) : Tree(pick(kKeys));
  }
  Tree properties(unsigned count, int depth) {
    if (defect()) count = 250 + below(20);
    std::vector<std::pair<Tree, Tree>> pairs;
    for (unsigned index = 0; index < count; ++index) {
      Tree name = count > 100 ? Tree("many" + std::to_string(index)) : key();
      const bool repeated = std::ranges::any_of(pairs, [&](const auto& pair) { return pair.first.text == name.text; });
      if (!repeated || defect()) pairs.emplace_back(std::move(name), value(depth));
    }
    return map(std::move(pairs));
  }
  Tree value(int depth) {
    if (defect()) return odd_value();
    const int most = defect() ? 12 : 4;
    switch (below(12)) {
      case 0: return depth < most ? properties(below(4), depth + 1) : Tree(1);
      case 1: return scalars();
      case 2: return depth < most ? items(depth) : Tree(2);
      default: return scalar();
    }
  }
  Tree scalars() {
    std::vector<Tree> out;
    for (unsigned left = below(5); left > 0; --left) out.push_back(scalar());
    return list(std::move(out));
  }
  Tree items(int depth) {
    std::vector<Tree> out;
    for (unsigned left = below(4); left > 0; --left)
      out.push_back(defect() ? scalar() : properties(1 + below(3), depth + 2));
    return list(std::move(out));
  }
  Tree scalar() {
    static const std::vector<std::string> kTexts{
        "USD", "EUR", "", "a", "é", "electronics", "long text over thirty-two bytes, so str8"};
    switch (below(9)) {
      case 0: return {};
      case 1: return below(2) == 0;
      case 2: return static_cast<std::int64_t>(random_());
      case 3: return static_cast<std::int64_t>(random_() >> below(64));
      case 4: return number();
      case 5: return datetime();
      case 6: return Tree("text " + std::to_string(below(200)));
      default: return Tree(pick(kTexts));
    }
  }
  Tree number() {
    Tree tree(pick(std::vector<double>{0.0, -0.0, 1.5, -2.25, 1e300, 5e-324, 3.0}));
    const auto as_float = static_cast<double>(static_cast<float>(std::bit_cast<double>(tree.bits)));
    tree.narrow_float = below(2) == 0 && as_float == std::bit_cast<double>(tree.bits);
    return tree;
  }
  Tree datetime() {
    const std::int64_t ms = kReceivedMs - static_cast<std::int64_t>(random_() % 1'000'000'000'000);
    const auto seconds = static_cast<std::uint64_t>(ms / 1000);
    const std::uint64_t nanoseconds = random_() % 1'000'000'000;
    switch (below(4)) {
      case 0: return map({{"$time", ms}});
      case 1: return ext(-1, big_endian(seconds, 4));
      case 2: return ext(-1, big_endian(nanoseconds << 34 | seconds, 8));
      default: return ext(-1, big_endian(nanoseconds, 4) + big_endian(seconds, 8));
    }
  }
  Tree odd_value() {
    const double infinity = std::numeric_limits<double>::infinity();
    const std::string late = big_endian(1'000'000'000, 4) + big_endian(1, 8);
    return pick(std::vector<Tree>{Tree(),
                                  true,
                                  7,
                                  -1,
                                  1.5,
                                  infinity,
                                  -infinity,
                                  std::nan(""),
                                  "text",
                                  std::string("\xC3"),
                                  Tree(~std::uint64_t{0}),
                                  binary("bytes"),
                                  ext(5, "x"),
                                  ext(-1, "abc"),
                                  ext(-1, late),
                                  ext(-1, big_endian(5, 4)),
                                  map({{"$time", "x"}}),
                                  map({{"$time", 5}}),
                                  map({}),
                                  list({}),
                                  map({{"$time", 5}, {"b", 1}}),
                                  list({1, list({2})}),
                                  list({1, map({{"a", 1}})}),
                                  list({map({{"a", 1}}), 1}),
                                  std::string(4097, 'x'),
                                  std::string(513, 'y'),
                                  Tree(std::int64_t{1} << 62),
                                  std::string(70'000, 'z')});
  }

  static inline const std::vector<std::string> kBadNames{"", std::string(257, 'n'), "Message Sent", "Segment Entered",
                                                         "\xFF"};
  std::mt19937_64& random_;
  unsigned defects_;
};

}  // namespace cdp::test
