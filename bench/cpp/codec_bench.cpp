// Decode and codec 1 over batches of 1,000 events of 8 fields: the share of the ingest budget that cpp/codec takes.
// Prints ns an event, best of `rounds` (argument, default 20). Not part of the tests.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "codec/canonical_codec.hpp"
#include "codec/event_record.hpp"
#include "codec/msgpack_writer.hpp"

namespace {

constexpr std::uint64_t kKey = 0x5EED;
constexpr std::int64_t kStartMs = 1'704'067'200'000;
constexpr std::uint32_t kEvents = 1'000;
constexpr int kBatches = 100;

constexpr const char* kNames[] = {"App Launched",  "Page Viewed",      "Product Viewed", "Search",
                                  "Added To Cart", "Checkout Started", "Charged",        "Logout"};
constexpr const char* kCategories[] = {"electronics", "fashion", "grocery", "home",
                                       "beauty",      "toys",    "sports",  "books"};
constexpr const char* kCurrencies[] = {"INR", "USD", "EUR", "GBP", "BRL"};
constexpr const char* kPlatforms[] = {"android", "ios", "web", "tv"};

std::string make_batch(std::mt19937_64& random) {
  std::string out;
  cdp::MsgpackWriter writer(out);
  const auto pick = [&](const auto& list) { return list[random() % std::size(list)]; };
  writer.array(kEvents);
  for (std::uint32_t index = 0; index < kEvents; ++index) {
    char user[32];
    std::snprintf(user, sizeof user, "user-%09u", static_cast<unsigned>(random() % 1'000'000));
    writer.map(5);
    writer.string("type"), writer.string("event");
    writer.string("name"), writer.string(pick(kNames));
    writer.string("time_ms"), writer.integer(kStartMs + static_cast<std::int64_t>(random() % (90ull * 86'400'000)));
    writer.string("ids"), writer.map(1), writer.string("user_id"), writer.string(user);
    writer.string("properties"), writer.map(6);
    writer.string("category"), writer.string(pick(kCategories));
    writer.string("price"), writer.integer(static_cast<std::int64_t>(random() % 100'000));
    writer.string("product_id"), writer.integer(static_cast<std::int64_t>(random() % 200'000));
    writer.string("currency"), writer.string(pick(kCurrencies));
    writer.string("platform"), writer.string(pick(kPlatforms));
    writer.string("session_id"), writer.integer(static_cast<std::int64_t>(random() % 100'000'000));
  }
  return out;
}

// Calls work(batch) for every batch, `rounds` times; the mean over the batches of each one's best round, ns an event.
// A neighbour on the machine slows some rounds of a batch, seldom all.
template <class Work>
double best_ns(int rounds, const Work& work) {
  std::vector<double> best(kBatches, 1e18);
  for (int round = 0; round < rounds; ++round) {
    for (int batch = 0; batch < kBatches; ++batch) {
      const auto start = std::chrono::steady_clock::now();
      work(static_cast<std::size_t>(batch));
      const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
      best[static_cast<std::size_t>(batch)] = std::min(best[static_cast<std::size_t>(batch)], taken.count());
    }
  }
  return std::accumulate(best.begin(), best.end(), 0.0) / (kBatches * kEvents);
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  std::mt19937_64 random(1);
  std::vector<std::string> batches;
  std::size_t sent_bytes = 0;
  for (int batch = 0; batch < kBatches; ++batch) sent_bytes += batches.emplace_back(make_batch(random)).size();

  cdp::DecodeOptions options;
  options.received_ms = kStartMs + 100ll * 86'400'000;
  options.hash_key = kKey;
  std::uint64_t events = 0;
  const double decode_ns = best_ns(rounds, [&](std::size_t batch) {
    events += cdp::decode_batch(bytes_of(batches[batch]), options).batch.events.size();
  });
  const std::uint64_t expected = std::uint64_t(rounds) * kBatches * kEvents;
  if (events != expected) return std::puts("decode lost events"), 1;

  std::vector<cdp::CanonicalBatch> canonical;
  for (const std::string& batch : batches) canonical.push_back(cdp::decode_batch(bytes_of(batch), options).batch);
  std::vector<std::vector<std::byte>> payloads(kBatches);
  std::vector<std::byte> out;
  const double encode_ns = best_ns(rounds, [&](std::size_t batch) {
    out.clear();
    cdp::encode_canonical(canonical[batch], out);
  });
  std::size_t log_bytes = 0;
  for (std::size_t batch = 0; batch < kBatches; ++batch) {
    cdp::encode_canonical(canonical[batch], payloads[batch]);
    log_bytes += payloads[batch].size();
  }
  events = 0;
  const double parse_ns =
      best_ns(rounds, [&](std::size_t batch) { events += cdp::decode_canonical(payloads[batch], kKey).events.size(); });
  if (events != expected) return std::puts("codec 1 lost events"), 1;

  constexpr double kTotal = double{kBatches} * kEvents;
  std::printf("decode %.0f ns/event of %.1f bytes\n", decode_ns, static_cast<double>(sent_bytes) / kTotal);
  std::printf("codec 1: encode %.1f ns, parse %.1f ns, %.1f bytes/event\n", encode_ns, parse_ns,
              static_cast<double>(log_bytes) / kTotal);
  return 0;
}
