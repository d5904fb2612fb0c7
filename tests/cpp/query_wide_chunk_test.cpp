// A block of ids with more rows than 16 bits count is one wide chunk (postings of 32 bits), and a chunk of over 255 names
// has codes of 16: every kind over both, by kernels at every level of instructions, against row by row.
#include <random>

#include "check.hpp"
#include "column/chunk.hpp"
#include "engine_harness.hpp"
#include "query/kinds/profile.hpp"
#include "simd/level.hpp"

using namespace cdp;
using namespace cdp::test;

namespace {

constexpr int kBatches = 24;
constexpr int kEvents = 3'300;
constexpr int kUsers = 300;
constexpr std::int64_t kMinute = 60'000;

// Most rows are of few names; with `many_names` some are of three hundred more.
std::string batch_of(int batch, bool many_names, std::mt19937_64& random) {
  const std::int64_t start_ms = partition_start_ms(partition_of(kNow - limits::kPartitionMs));
  std::string json = "[";
  for (int at = 0; at < kEvents; ++at) {
    const std::uint64_t chance = random();
    const char* name = chance % 5 < 3 ? "Viewed" : chance % 5 == 3 ? "Charged" : "Added";
    const std::string rare = "Rare " + std::to_string(chance / 16 % 300);
    const auto time_ms = start_ms + static_cast<std::int64_t>(random() % (27 * 24 * 60)) * kMinute;
    json += event_json("u" + std::to_string(random() % kUsers), many_names && chance % 16 == 0 ? rare : name, time_ms,
                       static_cast<int>(random() % 200)) +
            ",";
  }
  for (int user = batch; user < kUsers; user += kBatches) {
    json += R"({"type":"traits","ids":{"user_id":"u)" + std::to_string(user) + R"("},"set":{"plan":")" +
            (user % 3 == 0 ? "free" : "pro") + R"("}},)";
  }
  json.back() = ']';
  return json;
}

const std::vector<std::string_view>& more_questions() {
  static const std::vector<std::string_view> all = {
      R"({"kind":"trend","event":{"event":["Viewed","Charged"],"where":[{"property":"price","op":"gt","value":50}]},"measures":["total","unique",{"sum":"price"},{"mean":"price"},{"min":"price"},{"max":"price"}],"interval":["day","week"],"breakdown":[{"property":"color"}]})",
      R"({"kind":"trend","event":{"event":null},"measures":["total","unique"],"interval":"hour","where":{"trait":"plan","op":"eq","value":"pro"}})",
      R"({"kind":"trend","event":{"event":null},"measures":["unique"],"interval":"day","breakdown":[{"trait":"plan"}],"limit":1})",
      R"({"kind":"funnel","steps":["Viewed","Added","Charged"],"window":"2h"})",
      R"({"kind":"funnel","steps":["Viewed","Viewed","Charged"],"window":"1h","same_time":"later","breakdown":[{"property":"color"}]})",
      R"({"kind":"funnel","steps":[{"event":"Viewed","where":[{"property":"color","op":"eq","value":"red"}]},{"event":null},"Charged"],"window":"15m"})",
      R"({"kind":"retention","start":"Viewed","return":{"event":null},"interval":"day"})",
      R"({"kind":"retention","start":{"event":"Charged","where":[{"property":"price","op":"lt","value":20}]},"interval":"week","population":"first_ever"})",
      R"({"kind":"profiles","where":{"or":[{"did":"Charged","sum":{"property":"price","op":"gt","value":5000},"window":{"last":"40d"}},{"did_not":"Added","where":[{"property":"price","op":"eq","value":7}]}]}})",
      R"({"kind":"profiles","where":{"and":[{"did":null,"count":{"op":"between","value":[200,260]}},{"did":"Viewed","distinct":{"property":"price","op":"ge","value":100}},{"did":"Viewed","mean":{"property":"price","op":"lt","value":100}}]}})",
  };
  return all;
}

std::string rows_or_kernels(const Engine& engine, std::string_view question, bool force_rows) {
  const std::vector<std::uint8_t> spec = pack_json(question);
  QueryOptions options;
  options.now_ms = kNow;
  options.force_rows = force_rows;
  return show(engine.query(spec, options));
}

struct Forms {
  bool wide_postings = false, wide_codes = false;
};
Forms forms_of(const Engine& engine) {
  Forms forms;
  for (const auto& layer : engine.pin()->shards[0].layers) {
    for (const auto& chunk : layer->chunks) {
      forms.wide_codes |= !chunk->code16.empty();
      for (const Slice& slice : chunk->slices) forms.wide_postings |= !slice.posting32.empty();
    }
  }
  return forms;
}

void compare_all(const Engine& engine) {
  std::size_t rows = 0;
  for (const auto* asked : {&questions(), &more_questions()}) {
    for (const std::string_view question : *asked) {
      const std::string expected = rows_or_kernels(engine, question, true);
      rows += static_cast<std::size_t>(std::ranges::count(expected, ' '));
      for (int level = 0; level <= static_cast<int>(simd::best_level()); ++level) {
        simd::set_level(static_cast<simd::Level>(level));
        CHECK_EQ(rows_or_kernels(engine, question, false), expected);
      }
    }
  }
  CHECK(rows > 2'000);  // the questions found something
}

void check_timeline(const Engine& engine, std::uint64_t events) {
  std::uint64_t found = 0;
  for (int user = 0; user < kUsers; ++user) {
    if (user == 2) continue;  // part of u1 by then
    const auto spec =
        pack_json(R"({"kind":"profile","ids":{"user_id":"u)" + std::to_string(user) + R"("},"events":{}})");
    const VersionPtr version = engine.pin();
    const auto answer = read_profile(*version, parse_profile_spec(spec), kNow);
    CHECK(answer.has_value());
    if (answer) found += answer->events.size();
  }
  CHECK_EQ(found, events);
}

}  // namespace

TEST("every kind over a wide chunk answers as row by row at every level of instructions") {
  for (const bool many_names : {false, true}) {
    std::mt19937_64 random(test::seed() + many_names);
    const auto engine = Engine::open(options_of("", false));
    for (int batch = 0; batch < kBatches; ++batch) {
      CHECK(!append(*engine, batch_of(batch, many_names, random)).error);
      if (batch == kBatches / 2) {  // two layers, then one, then a tail on top: all must say the same
        engine->seal_now();
        append(*engine, R"([{"type":"merge","winner":{"user_id":"u1"},"loser":{"user_id":"u2"}}])");
      }
    }
    compare_all(*engine);
    engine->compact();
    const Forms forms = forms_of(*engine);
    CHECK(forms.wide_postings);
    CHECK_EQ(forms.wide_codes, many_names);
    engine->verify();
    compare_all(*engine);
    check_timeline(*engine, std::uint64_t{kBatches} * kEvents);
    CHECK(!append(*engine, "[" + event_json("u7", "Viewed", kNow - 30 * kMinute, 3) + "]").error);
    append(*engine, R"([{"type":"merge","winner":{"user_id":"u3"},"loser":{"user_id":"u4"}}])");
    compare_all(*engine);
  }
}

TEST_MAIN()
