#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "simd/primitives.hpp"

using namespace cdp;
using namespace cdp::simd;

namespace {

constexpr std::uint32_t kCounts[] = {0,  1,   2,   15,  16,  17,  31,  32,   33,    63,   64,
                                     65, 127, 128, 129, 255, 256, 257, 1000, 16384, 40001};

std::mt19937_64& random_source() {
  static std::mt19937_64 source(test::seed());
  return source;
}

std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_source()() % bound); }

std::vector<const Primitives*> levels() {
  std::vector<const Primitives*> tables;
  for (int i = 0; i <= static_cast<int>(best_level()); ++i) tables.push_back(&primitives_of(static_cast<Level>(i)));
  return tables;
}

// Exactly `count` elements on the heap, so that the address sanitizer sees a read past the end.
template <class T, class Make>
std::vector<T> make(std::uint32_t count, Make&& value) {
  std::vector<T> out(count);
  for (T& each : out) each = static_cast<T>(value());
  out.shrink_to_fit();
  return out;
}

template <class T>
std::vector<T> cut(std::vector<T> values, std::uint32_t count) {
  values.resize(count);
  return values;
}

}  // namespace

TEST("positions and mask positions are the same at every level") {
  for (const std::uint32_t count : kCounts) {
    for (const std::uint32_t spread : {3u, 30u, 256u}) {
      const auto codes = make<std::uint8_t>(count, [&] { return below(spread); });
      const auto wanted = make<std::uint8_t>(256, [&] { return below(4) == 0; });
      const auto bits = make<std::uint64_t>((count + 63) / 64, [&] { return random_source()() & random_source()(); });
      std::vector<std::uint32_t> expected, expected_bits;
      for (std::uint32_t i = 0; i < count; ++i) {
        if (wanted[codes[i]]) expected.push_back(i);
        if ((bits[i / 64] >> (i % 64)) & 1) expected_bits.push_back(i);
      }
      for (const Primitives* table : levels()) {
        std::vector<std::uint32_t> out(count + kSlack);
        CHECK(cut(out, table->positions(codes.data(), count, wanted.data(), out.data())).size() <= count);
        const std::uint32_t found = table->positions(codes.data(), count, wanted.data(), out.data());
        CHECK(cut(out, found) == expected);
        const std::uint32_t found_bits = table->mask_positions(bits.data(), count, out.data());
        CHECK(cut(out, found_bits) == expected_bits);
      }
    }
  }
}

TEST("a division into equal buckets is exact at every border and end") {
  for (const std::uint32_t length :
       {2u, 1000u, 60'000u, 3'600'000u, 86'400'000u, 604'800'000u, 1u << 20, 1u << 31, 99'999'998u}) {
    const BucketRule plain = BucketRule::equal(length, 0);
    for (std::uint32_t i = 0; i < kBucketsMax; ++i) {
      const std::uint64_t border = std::uint64_t{i} * length;
      if (border > UINT32_MAX) break;
      const auto time = static_cast<std::uint32_t>(border);
      CHECK_EQ(static_cast<std::uint32_t>(plain.bucket(time)), i);
      if (i > 0) CHECK_EQ(static_cast<std::uint32_t>(plain.bucket(time - 1)), i - 1);
    }
    for (int i = 0; i < 2000; ++i) {
      const std::uint32_t add = below(length < (1u << 30) ? length : 1u << 30);
      const BucketRule rule = BucketRule::equal(length, add);
      const auto reach = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(std::uint64_t{kBucketsMax} * length, std::uint64_t{UINT32_MAX} + 1) - add);
      const std::uint32_t time = below(reach);
      CHECK_EQ(static_cast<std::uint32_t>(rule.bucket(time)), (time + add) / length);
    }
  }
}

TEST("times and slots fall into the same buckets at every level") {
  for (const std::uint32_t count : kCounts) {
    for (int round = 0; round < 6; ++round) {
      BucketRule rule;
      if (round % 2 == 0) {
        rule = BucketRule::equal(86'400'000, below(86'400'000));
      } else {
        rule.border_count = below(5);
        for (std::uint32_t b = 0; b < rule.border_count; ++b) rule.border[b] = below(2'419'200'000u);
      }
      if (round > 2) rule.low = below(1'000'000'000), rule.high = 1'000'000'000 + below(1'419'200'000);
      const auto time =
          make<std::uint32_t>(count, [&] { return below(8) == 0 ? rule.low - below(2) : below(2'419'200'000u); });
      const auto slot = make<std::uint16_t>(count, [&] { return below(2688); });
      const auto slots = make<std::uint8_t>(2688, [&] { return below(128); });
      std::vector<std::uint8_t> expected, expected_slots;
      for (const std::uint32_t t : time) expected.push_back(rule.bucket(t));
      for (const std::uint16_t s : slot) expected_slots.push_back(slots[s]);
      for (const Primitives* table : levels()) {
        std::vector<std::uint8_t> out(count + kSlack);
        table->time_to_bucket(time.data(), count, rule, out.data());
        CHECK(cut(out, count) == expected);
        table->slot_to_bucket(slot.data(), count, slots.data(), out.data());
        CHECK(cut(out, count) == expected_slots);
      }
    }
  }
}

TEST("slots fall into equal buckets as division says, at every level") {
  for (const std::uint32_t length : {2u, 3u, 4u, 23u, 48u, 64u, 92u, 96u, 100u, 672u, 2'688u, 8'192u}) {
    for (int round = 0; round < 8; ++round) {
      const std::uint32_t add = below(length);
      SlotRule rule = SlotRule::equal(length, add);
      if (round > 2)
        rule.low = static_cast<std::uint16_t>(below(1'400)), rule.high = static_cast<std::uint16_t>(below(2'688));
      std::vector<std::uint16_t> slot;
      for (std::uint32_t s = 0; s < 2'688 && (s + add) / length < kBucketsMax; ++s)
        slot.push_back(static_cast<std::uint16_t>(s));
      const auto count = static_cast<std::uint32_t>(slot.size() - below(40));
      std::vector<std::uint8_t> expected;
      for (std::uint32_t i = 0; i < count; ++i) {
        const bool inside = slot[i] >= rule.low && slot[i] <= rule.high;
        expected.push_back(inside ? static_cast<std::uint8_t>((slot[i] + add) / length) : kOutsideBucket);
      }
      for (const Primitives* table : levels()) {
        std::vector<std::uint8_t> out(count + kSlack);
        table->slot_to_equal_bucket(slot.data(), count, rule, out.data());
        CHECK(cut(out, count) == expected);
      }
    }
  }
}

TEST("the first row of each profile and bucket, and of each coarser bucket, is the same at every level") {
  for (const std::uint32_t count : kCounts) {
    for (const std::uint32_t stay : {1u, 2u, 10u, 100u}) {
      std::vector<std::uint16_t> profile(count);
      std::vector<std::uint8_t> bucket(count);
      std::uint32_t id = below(3), value = below(128);
      for (std::uint32_t i = 0; i < count; ++i) {
        if (below(stay) == 0) id += 1 + below(2);
        if (below(3) == 0) value = below(128);
        profile[i] = static_cast<std::uint16_t>(id), bucket[i] = static_cast<std::uint8_t>(value);
      }
      const auto coarse = make<std::uint8_t>(128, [&] { return below(6); });
      std::vector<std::uint8_t> expected, expected_coarse;
      std::vector<std::uint16_t> expected_at;
      for (std::uint32_t i = 0; i < count; ++i) {
        const bool start = i == 0 || profile[i] != profile[i - 1];
        if (!start && bucket[i] == bucket[i - 1]) continue;
        expected.push_back(static_cast<std::uint8_t>(bucket[i] | (start ? kStart : 0)));
        expected_at.push_back(profile[i]);
      }
      std::vector<std::uint16_t> coarse_at;
      for (std::uint32_t i = 0; i < expected.size(); ++i) {
        const std::uint8_t mapped = coarse[expected[i] & 127];
        if (expected[i] < kStart && mapped == coarse[expected[i - 1] & 127]) continue;
        expected_coarse.push_back(static_cast<std::uint8_t>(mapped | (expected[i] & kStart)));
        coarse_at.push_back(expected_at[i]);
      }
      for (const Primitives* table : levels()) {
        std::vector<std::uint8_t> out(count + kSlack), again(count + kSlack);
        std::vector<std::uint16_t> at(count + kSlack), again_at(count + kSlack);
        const std::uint32_t plain = table->first_of_group(bucket.data(), profile.data(), count, again.data(), nullptr);
        const std::uint32_t found = table->first_of_group(bucket.data(), profile.data(), count, out.data(), at.data());
        CHECK(cut(again, plain) == expected);
        CHECK(cut(out, found) == expected);
        CHECK(cut(at, found) == expected_at);
        const std::uint32_t kept =
            table->regroup(out.data(), at.data(), found, coarse.data(), again.data(), again_at.data());
        CHECK(cut(again, kept) == expected_coarse);
        CHECK(cut(again_at, kept) == coarse_at);
        const std::uint32_t in_place =
            table->regroup(out.data(), at.data(), found, coarse.data(), out.data(), at.data());
        CHECK(cut(out, in_place) == expected_coarse);
        CHECK(cut(at, in_place) == coarse_at);
        CHECK_EQ(table->regroup(again.data(), nullptr, kept, coarse.data(), again.data(), nullptr) <= kept, true);
      }
    }
  }
}

TEST("the first row of each profile and bucket of time is what the two steps give, at every level") {
  for (const std::uint32_t count : kCounts) {
    for (int round = 0; round < 12; ++round) {
      BucketRule rule = BucketRule::equal(86'400'000, below(86'400'000));
      if (round % 3 == 0) {
        rule = BucketRule();
        rule.border_count = below(5);
        for (std::uint32_t b = 0; b < rule.border_count; ++b) rule.border[b] = below(2'419'200'000u);
      }
      if (round % 4 == 1) rule.low = below(1'000'000'000), rule.high = 1'000'000'000 + below(1'419'200'000);
      const auto time = make<std::uint32_t>(count, [&] { return below(2'419'200'000u); });
      std::vector<std::uint16_t> profile(count);
      auto starts = make<std::uint64_t>((count + 63) / 64, [] { return 0; });
      std::uint32_t id = 0;
      for (std::uint32_t i = 0; i < count; ++i) {
        const bool first = below(1 + static_cast<std::uint32_t>(round)) == 0;
        id += first;
        profile[i] = static_cast<std::uint16_t>(id);
        if (first) starts[i / 64] |= std::uint64_t{1} << (i % 64);
      }
      std::vector<std::uint8_t> expected;
      for (std::uint32_t i = 0; i < count; ++i) {
        const bool start = i == 0 || profile[i] != profile[i - 1];
        const std::uint8_t value = rule.bucket(time[i]);
        if (start || value != rule.bucket(time[i - 1])) {
          expected.push_back(static_cast<std::uint8_t>(value | (start ? kStart : 0)));
        }
      }
      for (const Primitives* table : levels()) {
        std::vector<std::uint8_t> out(count + kSlack);
        const std::uint32_t found = table->first_of_times(time.data(), starts.data(), count, rule, out.data());
        CHECK(cut(out, found) == expected);
      }
    }
  }
}

TEST("bytes and mask bits are counted the same at every level") {
  for (const std::uint32_t count : kCounts) {
    for (const std::uint32_t limit : {0u, 3u, 7u, 27u, 60u, 126u}) {
      const auto values =
          make<std::uint8_t>(count, [&] { return (below(10) == 0 ? 127 : below(limit + 1)) | (below(2) << 7); });
      const auto masks = make<std::uint64_t>(count, [&] { return random_source()() & random_source()(); });
      std::vector<std::uint64_t> expected(128, 5), expected_bits(64, 7);
      for (const std::uint8_t value : values) ++expected[value & 127];
      for (const std::uint64_t mask : masks) {
        for (int b = 0; b < 64; ++b) expected_bits[b] += (mask >> b) & 1;
      }
      for (const Primitives* table : levels()) {
        std::vector<std::uint64_t> counts(128, 5), bits(64, 7);
        table->count_bytes(values.data(), count, limit, counts.data());
        CHECK(cut(counts, limit + 1) == cut(expected, limit + 1));
        table->mask_expand(masks.data(), count, bits.data());
        CHECK(bits == expected_bits);
      }
    }
  }
}

TEST("a level is forced by name and never above the processor") {
  CHECK(parse_level("avx2") == Level::kAvx2);
  CHECK(!parse_level("sse9").has_value());
  CHECK_EQ(set_level(Level::kScalar), Level::kScalar);
  CHECK_EQ(current_level(), Level::kScalar);
  CHECK(set_level(Level::kAvx512) <= best_level());
}

TEST_MAIN()
