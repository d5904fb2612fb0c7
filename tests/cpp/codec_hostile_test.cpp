// Bytes that want to hurt: cut short, flipped, deep, lying about their length. Either a batch comes out that passes
// `check` and survives codec 1, or Error; nothing else.
#include <limits>

#include "check.hpp"
#include "codec/canonical_codec.hpp"
#include "codec/event_record.hpp"
#include "codec_naive.hpp"
#include "codec_random.hpp"

namespace {

using namespace cdp;
using namespace cdp::test;

enum class Outcome { kRead, kRefused };

Outcome try_decode(const std::string& bytes, const DecodeOptions& options) {
  try {
    const DecodeResult result = decode_batch(bytes_of(bytes), options);
    check(result.batch);
    return Outcome::kRead;
  } catch (const Error& error) {
    CHECK(error.family() == Family::kBadFrame);
    CHECK(error.code().substr(0, 6) == "batch.");
    return Outcome::kRefused;
  }
}

std::string_view code_of(const std::string& bytes) {
  try {
    static_cast<void>(decode_batch(bytes_of(bytes), test_options()));
    return "";
  } catch (const Error& error) {
    return error.code();
  }
}

std::string random_bytes_of_batch(std::mt19937_64& random, unsigned records) {
  return encode(RandomBatch(random, 20).batch(records), &random);
}

void mutate(std::string& bytes, std::mt19937_64& random) {
  for (std::uint64_t left = 1 + random() % 3; left > 0 && !bytes.empty(); --left) {
    const std::size_t at = random() % bytes.size();
    switch (random() % 5) {
      case 0: bytes.erase(at, 1 + random() % 4); break;
      case 1: bytes.insert(at, 1, static_cast<char>(random())); break;
      case 2: bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8); break;
      default: bytes[at] = static_cast<char>(random()); break;
    }
  }
}

}  // namespace

TEST("a batch cut at any byte is refused whole") {
  std::mt19937_64 random(seed());
  for (int round = 0; round < 20; ++round) {
    const std::string bytes = random_bytes_of_batch(random, 6);
    for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 4000) {
      CHECK_EQ(code_of(bytes.substr(0, size)), code::kBatchUnreadable);
    }
  }
}

TEST("200,000 mutated batches are read or refused, and read as the naive decoder reads them") {
  std::mt19937_64 random(seed());
  const DecodeOptions options = test_options();
  std::string original;
  int read = 0, compared = 0;
  for (int round = 0; round < 200'000 && failures() == 0; ++round) {
    if (round % 100 == 0) {
      do {
        original = random_bytes_of_batch(random, 5);
      } while (original.size() > 3'000);
    }
    std::string bytes = original;
    mutate(bytes, random);
    if (try_decode(bytes, options) == Outcome::kRefused) continue;
    ++read;
    if (round % 8 != 0) continue;
    TreeParser parser(bytes);
    const std::optional<Tree> tree = parser.parse_all();
    CHECK(tree.has_value() || parser.too_deep);
    if (!tree) continue;
    ++compared;
    const NaiveResult expected = NaiveDecoder(options).decode(*tree);
    const DecodeResult got = decode_batch(bytes_of(bytes), options);
    CHECK(show_batch(got.batch) == expected.records);
    CHECK_EQ(got.rejects.size(), expected.rejects.size());
    for (std::size_t at = 0; at < got.rejects.size(); ++at)
      CHECK_EQ(std::string(got.rejects[at].code), expected.rejects[at].code);
  }
  std::printf("%d of 200000 read, %d compared\n", read, compared);
  CHECK(read > 10'000);
}

TEST("nesting of any depth costs no stack") {
  for (const char lead : {'\x91', '\x81', '\xDD', '\xDF'}) {
    const bool is_map = lead == '\x81' || lead == '\xDF';
    const bool is_long = lead == '\xDD' || lead == '\xDF';
    std::string bytes = "\x91";
    while (bytes.size() < 1'000'000) {
      bytes += lead;
      if (is_long) bytes += big_endian(1, 4);
      if (is_map) bytes += "\xA1k";
    }
    CHECK_EQ(code_of(bytes), code::kBatchUnreadable);
    bytes += '\xC0';
    CHECK_EQ(try_decode(bytes, test_options()) == Outcome::kRead, true);
  }
  std::string deep(60'000, '\x91');  // below the record's limit, within a property
  const std::string event = encode(
      map({{"type", "event"}, {"name", "a"}, {"ids", map({{"user_id", "u"}})}, {"properties", map({{"p", 1}})}}));
  const std::string bytes = "\x91" + event.substr(0, event.size() - 1) + deep + "\x01";
  const DecodeResult result = decode_batch(bytes_of(bytes), test_options());
  CHECK_EQ(result.rejects.size(), 1u);
  CHECK_EQ(result.rejects[0].code, code::kValueListMixed);
}

TEST("lengths that are not there are refused before anything is reserved") {
  for (const int lead : {0xC6, 0xC9, 0xDB, 0xDD, 0xDF}) {
    for (const std::uint64_t length : {0xFFFF'FFFFull, 0x8000'0000ull, 0x7FFF'FFFFull, 100'000'000ull}) {
      const std::string header = std::string(1, static_cast<char>(lead)) + big_endian(length, 4);
      const std::string_view code = code_of(header);
      CHECK(code == code::kBatchUnreadable || code == code::kBatchNotAnArray || code == code::kBatchTooMany);
      CHECK_EQ(code_of("\x91" + header), code::kBatchUnreadable);
      CHECK_EQ(code_of("\x91\x81\xA4type" + header), code::kBatchUnreadable);
    }
  }
}

TEST("what is no array of records is refused whole, by its own code") {
  CHECK_EQ(code_of(""), code::kBatchUnreadable);
  CHECK_EQ(code_of("\x80"), code::kBatchNotAnArray);
  CHECK_EQ(code_of("\xA1x"), code::kBatchNotAnArray);
  CHECK_EQ(code_of("\xC1"), code::kBatchUnreadable);
  CHECK_EQ(code_of("\x91\xC1"), code::kBatchUnreadable);
  CHECK_EQ(code_of("\x90\xC0"), code::kBatchUnreadable);
  CHECK_EQ(code_of(std::string("\xDC") + big_endian(10'001, 2) + std::string(10'001, '\x01')), code::kBatchTooMany);
  CHECK_EQ(code_of(std::string("\xDC") + big_endian(10'000, 2) + std::string(10'000, '\x01')), "");
  CHECK_EQ(code_of(std::string(limits::kBatchBytes + 1, '\x90')), code::kBatchTooLarge);
  CHECK_EQ(code_of("\x90"), "");
}

TEST("a batch of 8 MiB is read, whatever hostile keys it holds") {
  std::string bytes =
      "\x91\x81\xA4type\xA5"
      "event";
  std::string record = std::string(
      "\x84\xA4type\xA5"
      "event\xA4name\xA1n\xA3ids\x81\xA7user_id\xA1u\xAAproperties\xDF");
  const std::size_t keys = (limits::kBatchBytes - record.size() - 100) / 7;
  record += big_endian(keys, 4);
  for (std::size_t key = 0; key < keys; ++key) record += "\xA5" + hex(key).substr(11) + "\x80";
  bytes = "\x91" + record;
  CHECK(bytes.size() <= limits::kBatchBytes);
  const DecodeResult result = decode_batch(bytes_of(bytes), test_options());
  CHECK_EQ(result.rejects.size(), 1u);
  CHECK_EQ(result.rejects[0].code, code::kRecordTooLarge);
}

TEST("damaged payloads of codec 1 are read within the invariants or refused as corrupt") {
  std::mt19937_64 random(seed());
  std::vector<std::byte> payload;
  int read = 0;
  for (int round = 0; round < 100'000 && failures() == 0; ++round) {
    if (round % 200 == 0) {
      payload.clear();
      encode_canonical(decode_batch(bytes_of(random_bytes_of_batch(random, 6)), test_options()).batch, payload);
    }
    std::string bytes(reinterpret_cast<const char*>(payload.data()), payload.size());
    mutate(bytes, random);
    try {
      check(decode_canonical(bytes_of(bytes), kHashKey));
      ++read;
    } catch (const Error& error) {
      CHECK(error.family() == Family::kCorruption);
      CHECK_EQ(error.code(), code::kLogCorrupt);
    }
  }
  std::printf("%d of 100000 read\n", read);
}

TEST("a payload of codec 1 cut at any byte or with a byte more is corrupt") {
  std::mt19937_64 random(seed());
  for (int round = 0; round < 20; ++round) {
    std::vector<std::byte> payload;
    encode_canonical(decode_batch(bytes_of(random_bytes_of_batch(random, 10)), test_options()).batch, payload);
    for (std::size_t size = 0; size < payload.size(); size += 1 + payload.size() / 3000) {
      CHECK_THROWS(decode_canonical(std::span(payload).first(size), kHashKey), Error);
    }
    payload.push_back(std::byte{0});
    CHECK_THROWS(decode_canonical(payload, kHashKey), Error);
  }
}

TEST_MAIN()
