// decode_batch against the naive decoder, and codec 1 against itself, over random batches.
#include "codec_random.hpp"

#include "check.hpp"
#include "codec/canonical_codec.hpp"
#include "codec/event_record.hpp"
#include "codec_naive.hpp"

namespace {

using namespace cdp;
using namespace cdp::test;

void compare(const std::string& bytes, const DecodeOptions& options) {
  const std::optional<Tree> tree = TreeParser(bytes).parse_all();
  CHECK(tree.has_value());
  if (!tree) return;
  const NaiveResult expected = NaiveDecoder(options).decode(*tree);
  const DecodeResult got = decode_batch(bytes_of(bytes), options);
  check(got.batch);
  CHECK_EQ(got.rejects.size(), expected.rejects.size());
  for (std::size_t at = 0; at < std::min(got.rejects.size(), expected.rejects.size()); ++at) {
    CHECK_EQ(got.rejects[at].index, expected.rejects[at].index);
    CHECK_EQ(std::string(got.rejects[at].code), expected.rejects[at].code);
    if (expected.rejects[at].path != "?") CHECK_EQ(got.rejects[at].path, expected.rejects[at].path);
    CHECK(got.rejects[at].value.size() <= limits::kRejectValueBytes);
    CHECK(is_utf8(got.rejects[at].value) && is_utf8(got.rejects[at].path));
    CHECK(!got.rejects[at].expected.empty());
  }
  const std::vector<std::string> lines = show_batch(got.batch);
  CHECK_EQ(lines.size(), expected.records.size());
  for (std::size_t at = 0; at < std::min(lines.size(), expected.records.size()); ++at)
    CHECK_EQ(lines[at], expected.records[at]);

  std::vector<std::uint32_t> kept;
  for (std::uint32_t index = 0, reject = 0; index < tree->items.size(); ++index) {
    const bool refused = reject < expected.rejects.size() && expected.rejects[reject].index == index;
    refused ? void(++reject) : kept.push_back(index);
  }
  CHECK(got.rejects.empty() ? got.record_index.empty() : got.record_index == kept);

  std::vector<std::byte> payload;
  encode_canonical(got.batch, payload);
  const CanonicalBatch again = decode_canonical(payload, options.hash_key);
  CHECK(show_batch(again) == lines);
  CHECK_EQ(again.received_ms, got.batch.received_ms);
  CHECK_EQ(again.source_id, got.batch.source_id);
  std::vector<std::byte> twice;
  encode_canonical(again, twice);
  CHECK(twice == payload);
}

void compare_many(unsigned defects, int rounds, unsigned records) {
  std::mt19937_64 random(seed() + defects);
  const DecodeOptions options = test_options();
  for (int round = 0; round < rounds && failures() == 0; ++round) {
    const Tree batch = RandomBatch(random, defects).batch(records);
    compare(encode(batch, round % 2 == 0 ? &random : nullptr), options);
  }
}

}  // namespace

TEST("valid random batches decode as the naive decoder says") { compare_many(0, 300, 60); }
TEST("random batches with a few defects decode as the naive decoder says") { compare_many(5, 600, 40); }
TEST("random batches with many defects decode as the naive decoder says") { compare_many(60, 600, 40); }

TEST("custom kinds rank and identify as the options say") {
  const std::vector<KindRule> kinds{{"email", 5, true, true},
                                    {"user_id", 0, true, true},
                                    {"phone", 7, true, false},
                                    {"anonymous_id", 7, true, false}};
  DecodeOptions options = test_options();
  options.kinds = kinds;
  const Tree ids = map({{"anonymous_id", "x"}, {"phone", " +1 (555) 1234"}, {"email", " A@B.c "}, {"user_id", 17}});
  compare(encode(list({map({{"type", "event"}, {"name", "a"}, {"ids", ids}})})), options);
  const DecodeResult result =
      decode_batch(bytes_of(encode(list({map({{"type", "event"}, {"name", "a"}, {"ids", ids}})}))), options);
  std::string order;
  for (const std::uint32_t ref : result.batch.events.identity_refs) {
    order += std::string(result.batch.strings.at(result.batch.identities[ref].value)) + " ";
  }
  CHECK_EQ(order, "17 a@b.c +15551234 x ");
}

TEST("more shapes than the trie keeps still decode right") {
  std::mt19937_64 random(seed());
  std::vector<Tree> records;
  for (int index = 0; index < 2'000; ++index) {
    std::vector<std::pair<Tree, Tree>> properties;
    for (int at = 0; at < 60; ++at)
      properties.emplace_back("k" + std::to_string(random() % 1'000'000) + "_" + std::to_string(at), at);
    records.push_back(map({{"type", "event"},
                           {"name", "n" + std::to_string(index % 7)},
                           {"ids", map({{"user_id", index % 5 + 1}})},
                           {"properties", map(std::move(properties))}}));
  }
  compare(encode(list(std::move(records))), test_options());
}

TEST_MAIN()
