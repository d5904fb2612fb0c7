// Mutates batches and payloads of codec 1 for as many rounds as asked: `decode_fuzz [rounds] [seed]`. Meant to run under
// sanitizers (`make fuzz`); needs no fuzzing library. A finding aborts with the bytes in hex, to be made a test case.
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "codec/canonical_codec.hpp"
#include "codec/event_record.hpp"
#include "codec_naive.hpp"
#include "codec_random.hpp"

namespace {

using namespace cdp;
using namespace cdp::test;

[[noreturn]] void report(const char* what, const std::string& bytes) {
  std::printf("%s\n", what);
  for (const char byte : bytes) std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  std::printf("\n");
  std::fflush(stdout);
  std::abort();
}

// Bytes that matter to the formats: leads of every length, borders of counts.
constexpr unsigned char kTelling[] = {0x00, 0x01, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC4, 0xC7,
                                      0xCA, 0xCB, 0xCF, 0xD3, 0xD4, 0xD6, 0xD7, 0xD9, 0xDB, 0xDC, 0xDD, 0xDF, 0xFF};

void mutate(std::string& bytes, std::mt19937_64& random) {
  for (std::uint64_t left = 1 + random() % 6; left > 0 && !bytes.empty(); --left) {
    const std::size_t at = random() % bytes.size();
    const std::size_t other = random() % bytes.size();
    switch (random() % 7) {
      case 0: bytes.erase(at, 1 + random() % 16); break;
      case 1: bytes.insert(at, 1, static_cast<char>(random())); break;
      case 2: bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8); break;
      case 3: bytes.insert(at, std::string(bytes, other, 1 + random() % 32)); break;  // repeats a stretch
      case 4: bytes.resize(at); break;
      case 5: bytes[at] = static_cast<char>(bytes[at] + (random() % 2 == 0 ? 1 : -1)); break;
      default: bytes[at] = static_cast<char>(kTelling[random() % sizeof kTelling]); break;
    }
  }
}

// Decodes; what comes out must pass check, survive codec 1 and equal the naive decoder's result.
void fuzz_batch(const std::string& bytes, const DecodeOptions& options, bool compare) {
  DecodeResult result;
  try {
    result = decode_batch(bytes_of(bytes), options);
  } catch (const Error& error) {
    if (error.family() != Family::kBadFrame) report(error.what(), bytes);
    return;
  }
  std::vector<std::byte> payload;
  encode_canonical(result.batch, payload);
  try {
    if (show_batch(decode_canonical(payload, options.hash_key)) != show_batch(result.batch))
      report("codec 1 changed it", bytes);
  } catch (const Error& error) {
    report(error.what(), bytes);
  }
  if (!compare) return;
  const std::optional<Tree> tree = TreeParser(bytes).parse_all();
  if (!tree) return;
  const NaiveResult expected = NaiveDecoder(options).decode(*tree);
  if (show_batch(result.batch) != expected.records) report("the naive decoder disagrees", bytes);
  if (result.rejects.size() != expected.rejects.size()) report("the naive decoder refuses others", bytes);
}

void fuzz_payload(const std::string& bytes) {
  try {
    static_cast<void>(decode_canonical(bytes_of(bytes), kHashKey));
  } catch (const Error& error) {
    if (error.family() != Family::kCorruption) report(error.what(), bytes);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::atol(argv[1]) : 100'000;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::printf("decode_fuzz: %ld rounds, seed %llu\n", rounds, static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const DecodeOptions options = test_options();
  std::string batch, payload;
  for (long round = 0; round < rounds; ++round) {
    if (round % 50 == 0) {
      batch = encode(RandomBatch(random, 30).batch(6), &random);
      std::vector<std::byte> bytes;
      encode_canonical(decode_batch(bytes_of(batch), options).batch, bytes);
      payload.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    // Exactly as large as the bytes: a sanitizer sees the first byte read too far.
    std::string mutated = round % 3 == 0 ? payload : batch;
    mutate(mutated, random);
    mutated.shrink_to_fit();
    if (round % 3 == 0) {
      fuzz_payload(mutated);
    } else {
      fuzz_batch(mutated, options, round % 4 == 0);
    }
  }
  std::printf("ok\n");
  return 0;
}
