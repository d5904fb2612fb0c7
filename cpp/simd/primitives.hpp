// The primitives written once per instruction set; kernels are plain branch-free C++ over them.
//
//   positions        rows of a column of codes whose code is wanted
//   slot_to_bucket   times or quarter-hour slots to bucket numbers
//   first_of_group   the first row of each (profile, bucket) run, compressed, ready to be counted (first_of_times: from times)
//   mask_expand      how often each bit is set over an array of 64-bit masks
// and count_bytes, the histogram that first_of_group's output wants.
//
// Every level gives the same bytes (tests/cpp/simd_primitives_test.cpp). Inputs are not read past `count`; outputs may be
// written up to kSlack elements past what is returned, so buffers have room for count + kSlack.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "simd/level.hpp"

namespace cdp::simd {

inline constexpr std::size_t kSlack = 64;

// Bucket numbers of a chunk. Seven bits, because first_of_group carries "a profile starts here" in the eighth.
inline constexpr std::uint8_t kStart = 0x80;
inline constexpr std::uint8_t kOutsideBucket = 0x7F;  // not in the range asked for
inline constexpr std::uint32_t kBucketsMax = 0x7F;    // buckets 0 .. 126

// How a time (u32 ms from the partition's start) becomes a bucket: the number of borders at or before it, or a division.
// Times outside [low, high] are kOutsideBucket.
struct BucketRule {
  static constexpr std::uint32_t kBorders = 4;
  std::uint32_t low = 0;
  std::uint32_t high = UINT32_MAX;  // inclusive
  bool divides = false;
  std::array<std::uint32_t, kBorders>
      border{};  // ascending; unused ones are UINT32_MAX and `border_count` says how many
  std::uint32_t border_count = 0;
  // ((time + add) >> shift) / divisor, by multiplication: (x * multiplier) >> 32 >> post_shift. shift is 0 where that is exact.
  std::uint32_t add = 0;
  std::uint32_t shift = 0;
  std::uint32_t multiplier = 0;
  std::uint32_t post_shift = 0;

  [[nodiscard]] std::uint8_t bucket(std::uint32_t time) const noexcept {
    if (time < low || time > high) return kOutsideBucket;
    if (divides) {
      const std::uint64_t shifted = (time + add) >> shift;
      return static_cast<std::uint8_t>((shifted * multiplier) >> 32 >> post_shift);
    }
    std::uint32_t bucket = 0;
    for (std::uint32_t i = 0; i < border_count; ++i) bucket += time >= border[i];
    return static_cast<std::uint8_t>(bucket);
  }
  // Rule of equal buckets: bucket = (time + add) / length. Exact. REQUIRES: length even, time + add < 2^32 for every time,
  // at most kBucketsMax buckets.
  [[nodiscard]] static BucketRule equal(std::uint32_t length, std::uint32_t add) noexcept;
};

// The same for quarter-hour slots, where buckets are equally long: (slot + add) / length by multiplication. Slots outside
// [low, high] are kOutsideBucket.
struct SlotRule {
  std::uint16_t low = 0;
  std::uint16_t high = UINT16_MAX;  // inclusive
  std::uint16_t add = 0;
  std::uint16_t multiplier = 0;  // ((slot + add) * multiplier) >> 16 >> shift
  std::uint16_t shift = 0;

  [[nodiscard]] std::uint8_t bucket(std::uint16_t slot) const noexcept {
    if (slot < low || slot > high) return kOutsideBucket;
    return static_cast<std::uint8_t>(((std::uint32_t{slot} + add) * multiplier) >> 16 >> shift);
  }
  // Exact. REQUIRES: 2 <= length < 32,768, slot + add < 32,768 for every slot, at most kBucketsMax buckets.
  [[nodiscard]] static SlotRule equal(std::uint32_t length, std::uint32_t add) noexcept;
};

struct Primitives {
  Level level{};

  // Indexes i, ascending, with wanted[codes[i]] != 0; returns how many. `wanted` has 256 entries of 0 or 1.
  std::uint32_t (*positions)(const std::uint8_t* codes, std::uint32_t count, const std::uint8_t* wanted,
                             std::uint32_t* out);
  // The same for a bit a row.
  std::uint32_t (*mask_positions)(const std::uint64_t* bits, std::uint32_t count, std::uint32_t* out);

  void (*time_to_bucket)(const std::uint32_t* time, std::uint32_t count, const BucketRule& rule, std::uint8_t* out);
  // By table of kSlotsPerPartition bucket numbers.
  void (*slot_to_bucket)(const std::uint16_t* slot, std::uint32_t count, const std::uint8_t* table, std::uint8_t* out);

  void (*slot_to_equal_bucket)(const std::uint16_t* slot, std::uint32_t count, const SlotRule& rule, std::uint8_t* out);

  // Rows grouped by profile (equal neighbours): for the first row of each run of equal buckets within a profile writes
  // bucket | kStart when it is also the profile's first row (the bucket of a first row is written whatever it is, so that
  // starts are never lost). Buckets are < 128. `out_profile` (may be null) gets the profile of each. Returns how many.
  std::uint32_t (*first_of_group)(const std::uint8_t* bucket, const std::uint16_t* profile, std::uint32_t count,
                                  std::uint8_t* out, std::uint16_t* out_profile);
  // Both steps in one for a whole chunk whose profile starts are known, a bit a row: neither buckets nor profiles pass
  // through memory. The profile of an output is the number of kStart up to it. Row 0 is a start whatever its bit.
  std::uint32_t (*first_of_times)(const std::uint32_t* time, const std::uint64_t* starts, std::uint32_t count,
                                  const BucketRule& rule, std::uint8_t* out);
  // The same over such an output, its buckets mapped by `table` (128 entries) to coarser ones. `in` may be `out`, and
  // `in_profile` `out_profile`; both profiles may be null.
  std::uint32_t (*regroup)(const std::uint8_t* in, const std::uint16_t* in_profile, std::uint32_t count,
                           const std::uint8_t* table, std::uint8_t* out, std::uint16_t* out_profile);
  // counts[v & 127] += 1; `limit` = highest bucket that matters (others may or may not be counted).
  void (*count_bytes)(const std::uint8_t* values, std::uint32_t count, std::uint32_t limit, std::uint64_t* counts);

  // counts[b] += number of masks with bit b.
  void (*mask_expand)(const std::uint64_t* masks, std::uint32_t count, std::uint64_t* counts);
};

[[nodiscard]] const Primitives& primitives() noexcept;                // of current_level()
[[nodiscard]] const Primitives& primitives_of(Level level) noexcept;  // REQUIRES: level <= best_level()

}  // namespace cdp::simd
