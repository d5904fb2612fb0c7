// Sets beside a base, whichever way the base is taken out of them, against sets of pairs.
#include <map>
#include <random>
#include <set>

#include "check.hpp"
#include "query/kinds/shared_buckets.hpp"

using namespace cdp;
using namespace cdp::test;

namespace {

constexpr std::uint32_t kProfiles = 4'096;
constexpr std::uint32_t kDay = 86'400'000;
constexpr std::uint32_t kDays = 28;

struct Event {
  std::uint32_t profile, time, code;
};

Chunk chunk_of(std::vector<Event> rows) {
  std::ranges::sort(rows, {}, [](const Event& row) { return std::pair(row.profile, row.time); });
  Chunk chunk;
  chunk.last_id = kProfiles;
  chunk.row_count = static_cast<std::uint32_t>(rows.size());
  chunk.slices.resize(2);
  chunk.profile_start.resize(rows.size() / 64 + 1);
  chunk.block_offset.push_back(0);
  chunk.time_min = UINT32_MAX;
  for (std::uint32_t row = 0; row < rows.size(); ++row) {
    while (chunk.block_offset.size() <= rows[row].profile / limits::kBlockIds) chunk.block_offset.push_back(row);
    chunk.time.push_back(rows[row].time);
    chunk.code8.push_back(static_cast<std::uint8_t>(rows[row].code));
    chunk.profile16.push_back(static_cast<std::uint16_t>(rows[row].profile));
    chunk.time_min = std::min(chunk.time_min, rows[row].time);
    chunk.time_max = std::max(chunk.time_max, rows[row].time);
    if (row != 0 && rows[row].profile == rows[row - 1].profile) continue;
    chunk.profile_start[row / 64] |= std::uint64_t{1} << (row % 64);
    chunk.start_profile.push_back(static_cast<std::uint16_t>(rows[row].profile));
  }
  while (chunk.block_offset.size() <= kProfiles / limits::kBlockIds) chunk.block_offset.push_back(chunk.row_count);
  return chunk;
}

PartitionBuckets days() {
  PartitionBuckets buckets;
  buckets.bucket_count = kDays;
  for (std::uint32_t day = 1; day < kDays; ++day) buckets.border.push_back(day * kDay);
  return buckets;
}

using Pairs = std::set<std::pair<std::uint32_t, std::uint32_t>>;  // bucket, profile

// A base up to day `base_days`, and a small layer of `late` rows anywhere and `fresh` ones behind the base's end.
struct Case {
  std::uint32_t base_rows, late, fresh;
  bool some_unwanted;
};

void check(const Case& given, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
  PartitionBuckets buckets = days();
  if (below(2) == 0) buckets.low = 3 * kDay + 7, buckets.high = 24 * kDay;
  const std::uint32_t base_end = 20 * kDay + kDay / 2;
  std::vector<Event> rows;
  for (std::uint32_t i = 0; i < given.base_rows; ++i)
    rows.push_back({below(kProfiles), below(base_end), given.some_unwanted ? below(2) : 0});
  const Chunk base = chunk_of(rows);
  Pairs in_base, all;
  for (const Event& row : rows) {
    const std::uint16_t day = buckets.bucket(row.time);
    if (row.code == 0 && day != PartitionBuckets::kOutside) in_base.emplace(day, row.profile);
  }
  Scratch scratch;
  const std::vector<SharedBuckets::Place> places = {{.layer = 0, .base = true, .last_bucket = 20},
                                                    {.layer = 1, .small = true, .last_bucket = kDays - 1}};
  SharedBuckets shared(kDays, places, kProfiles, scratch);
  for (std::uint32_t i = 0; i < given.late + given.fresh; ++i) {
    const std::uint32_t time = i < given.late ? below(base_end) : 20 * kDay + below(7 * kDay);
    const std::uint16_t day = buckets.bucket(time);
    if (day == PartitionBuckets::kOutside) continue;
    CHECK(shared.takes(day, false));
    const std::uint32_t profile = below(kProfiles);
    shared.add(day, profile);
    all.emplace(day, profile);
  }
  SharedBuckets::BaseChunk taken{&base, {}};
  if (given.some_unwanted) taken.wanted = {1, 0};
  shared.take_out(buckets, std::vector{taken}, 0);
  // What the scan does with the base: counts it on the spot, or puts it into the set.
  std::map<std::uint32_t, std::uint64_t> counted;
  for (const auto& [day, profile] : in_base) {
    if (shared.takes(day, true)) {
      shared.add(day, profile);
    } else {
      ++counted[day];
    }
  }
  shared.each_count([&](std::uint32_t day, std::uint64_t count) { counted[day] += count; });
  all.merge(in_base);
  std::map<std::uint32_t, std::uint64_t> expected;
  for (const auto& [day, profile] : all) ++expected[day];
  std::erase_if(counted, [](const auto& entry) { return entry.second == 0; });
  CHECK(counted == expected);
}

}  // namespace

TEST("profiles of small layers are counted once beside the base, by each way of taking it out") {
  for (std::uint64_t round = 0; round < 30; ++round) {
    for (const bool some_unwanted : {false, true}) {
      check({20'000, 100, 0, some_unwanted}, round);      // few: looked up
      check({20'000, 50, 9'000, some_unwanted}, round);   // many behind the end: by last rows
      check({20'000, 9'000, 500, some_unwanted}, round);  // many everywhere: joined
      check({40, 3'000, 3'000, some_unwanted}, round);    // a base that is small itself
    }
  }
}

TEST("a bucket of one layer has no set, one of two bases is joined") {
  Scratch scratch;
  const std::vector<SharedBuckets::Place> places = {{.layer = 0, .base = true, .first_bucket = 0, .last_bucket = 4},
                                                    {.layer = 5, .base = true, .first_bucket = 4, .last_bucket = 8},
                                                    {.layer = 6, .small = true, .first_bucket = 3, .last_bucket = 9}};
  SharedBuckets shared(10, places, 128, scratch);
  for (std::uint32_t bucket = 0; bucket < 3; ++bucket) CHECK(!shared.takes(bucket, true));
  CHECK(shared.takes(4, true));
  for (const std::uint32_t bucket : {3u, 5u, 8u}) CHECK(!shared.takes(bucket, true));
  for (std::uint32_t bucket = 3; bucket < 10; ++bucket) CHECK(shared.takes(bucket, false));
  CHECK(!shared.takes(UINT32_MAX, false));
}

TEST("sets of coarser buckets are made of those of finer ones, bytes and bits alike") {
  Scratch scratch;
  const std::vector<SharedBuckets::Place> both = {{.layer = 0, .base = true, .last_bucket = 1},
                                                  {.layer = 1, .base = true, .first_bucket = 1, .last_bucket = 2},
                                                  {.layer = 2, .small = true, .last_bucket = 3}};
  SharedBuckets fine(4, both, 200, scratch),
      coarse(
          2,
          std::vector<SharedBuckets::Place>{{.layer = 0, .base = true}, {.layer = 2, .small = true, .last_bucket = 1}},
          200, scratch);
  for (std::uint32_t bucket = 0; bucket < 4; ++bucket) fine.add(bucket, 10 * bucket), fine.add(bucket, 190);
  CHECK(fine.is_bytes(1));
  CHECK(!fine.is_bytes(0));
  coarse.add_all(fine, std::vector<std::uint32_t>{0, 0, 1, 1});
  coarse.remove(190);
  Pairs pairs;
  coarse.each([&](std::uint32_t bucket, std::uint32_t profile) { pairs.emplace(bucket, profile); });
  CHECK((pairs == Pairs{{0, 0}, {0, 10}, {1, 20}, {1, 30}}));
}

TEST_MAIN()
