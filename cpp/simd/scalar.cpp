// The meaning of the primitives, branch-free. Also the tails of the vector variants.
#include <bit>

#include "simd/variants.hpp"

namespace cdp::simd {

// x / m for x < 2^(32 - shift): with s = floor(log2 m), M = ceil(2^(32 + s) / m) < 2^32 + 1 errs by less than m per 2^(32+s), and
// m * x <= 2^(s+1) * 2^31 = 2^(32+s) because shift >= 1: the quotient is exact (Granlund and Montgomery 1994).
BucketRule BucketRule::equal(std::uint32_t length, std::uint32_t add) noexcept {
  BucketRule rule;
  rule.divides = true;
  rule.add = add;
  // Without the shift when the error stays below one up to 2^32: saves a step a row.
  const std::uint32_t log_length = 31 - static_cast<std::uint32_t>(std::countl_zero(length));
  const unsigned __int128 power_of_two = static_cast<unsigned __int128>(1) << (32 + log_length);
  const auto whole = static_cast<std::uint64_t>((power_of_two + length - 1) / length);
  const std::uint64_t error = static_cast<std::uint64_t>(static_cast<unsigned __int128>(whole) * length - power_of_two);
  if (whole <= UINT32_MAX && (static_cast<unsigned __int128>(error) << 32) < power_of_two) {
    rule.multiplier = static_cast<std::uint32_t>(whole);
    rule.post_shift = log_length;
    return rule;
  }
  rule.shift = static_cast<std::uint32_t>(std::countr_zero(length));
  std::uint32_t divisor = length >> rule.shift;
  if (divisor == 1) {  // a power of two: leave one factor of two to the multiplication
    rule.shift -= 1;
    divisor = 2;
  }
  const std::uint32_t log = 31 - static_cast<std::uint32_t>(std::countl_zero(divisor));
  const bool power = std::has_single_bit(divisor);
  rule.post_shift = power ? log - 1 : log;
  rule.multiplier = static_cast<std::uint32_t>(((std::uint64_t{1} << (32 + rule.post_shift)) + divisor - 1) / divisor);
  return rule;
}

// The multiplier is over 2^(16 + shift) / length by less than 1, so what it adds stays below one part of length up to 2^15.
SlotRule SlotRule::equal(std::uint32_t length, std::uint32_t add) noexcept {
  SlotRule rule;
  rule.add = static_cast<std::uint16_t>(add);
  std::uint32_t shift = 31 - static_cast<std::uint32_t>(std::countl_zero(length));
  if (std::has_single_bit(length)) --shift;  // its multiplier would take 17 bits
  rule.shift = static_cast<std::uint16_t>(shift);
  rule.multiplier = static_cast<std::uint16_t>(((std::uint32_t{1} << (16 + shift)) + length - 1) / length);
  return rule;
}

namespace {

std::uint32_t positions(const std::uint8_t* codes, std::uint32_t count, const std::uint8_t* wanted,
                        std::uint32_t* out) {
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    out[found] = i;
    found += wanted[codes[i]];
  }
  return found;
}

std::uint32_t mask_positions(const std::uint64_t* bits, std::uint32_t count, std::uint32_t* out) {
  std::uint32_t found = 0;
  for (std::uint32_t first = 0; first < count; first += 64) {
    std::uint64_t word = bits[first >> 6];
    if (count - first < 64) word &= (std::uint64_t{1} << (count - first)) - 1;
    for (; word != 0; word &= word - 1) out[found++] = first + static_cast<std::uint32_t>(std::countr_zero(word));
  }
  return found;
}

void time_to_bucket(const std::uint32_t* time, std::uint32_t count, const BucketRule& rule, std::uint8_t* out) {
  const BucketRule local = rule;
  for (std::uint32_t i = 0; i < count; ++i) out[i] = local.bucket(time[i]);
}

void slot_to_equal_bucket(const std::uint16_t* slot, std::uint32_t count, const SlotRule& given, std::uint8_t* out) {
  const SlotRule rule = given;
  for (std::uint32_t i = 0; i < count; ++i) out[i] = rule.bucket(slot[i]);
}

void slot_to_bucket(const std::uint16_t* slot, std::uint32_t count, const std::uint8_t* table, std::uint8_t* out) {
  for (std::uint32_t i = 0; i < count; ++i) out[i] = table[slot[i]];
}

template <bool kProfile>
std::uint32_t first_of_group_as(const std::uint8_t* bucket, const std::uint16_t* profile, std::uint32_t count,
                                std::uint8_t* out, std::uint16_t* out_profile) {
  std::uint32_t found = 0, last_profile = UINT32_MAX, last_bucket = UINT32_MAX;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t value = bucket[i];
    const bool start = profile[i] != last_profile;
    out[found] = static_cast<std::uint8_t>(value | (start ? kStart : 0u));
    if constexpr (kProfile) out_profile[found] = profile[i];
    found += start | (value != last_bucket);
    last_profile = profile[i];
    last_bucket = value;
  }
  return found;
}

std::uint32_t first_of_group(const std::uint8_t* bucket, const std::uint16_t* profile, std::uint32_t count,
                             std::uint8_t* out, std::uint16_t* out_profile) {
  return out_profile == nullptr ? first_of_group_as<false>(bucket, profile, count, out, out_profile)
                                : first_of_group_as<true>(bucket, profile, count, out, out_profile);
}

std::uint32_t first_of_times(const std::uint32_t* time, const std::uint64_t* starts, std::uint32_t count,
                             const BucketRule& rule, std::uint8_t* out) {
  const BucketRule local = rule;
  std::uint32_t found = 0, last = UINT32_MAX;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t value = local.bucket(time[i]);
    const bool start = i == 0 || ((starts[i >> 6] >> (i & 63)) & 1) != 0;
    out[found] = static_cast<std::uint8_t>(value | (start ? kStart : 0u));
    found += start | (value != last);
    last = value;
  }
  return found;
}

template <bool kProfile>
std::uint32_t regroup_as(const std::uint8_t* in, const std::uint16_t* in_profile, std::uint32_t count,
                         const std::uint8_t* table, std::uint8_t* out, std::uint16_t* out_profile) {
  std::uint32_t found = 0, last = UINT32_MAX;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint8_t start = in[i] & kStart;
    const std::uint32_t value = table[in[i] & (kStart - 1)];
    out[found] = static_cast<std::uint8_t>(value | start);
    if constexpr (kProfile) out_profile[found] = in_profile[i];
    found += (start != 0) | (value != last);
    last = value;
  }
  return found;
}

std::uint32_t regroup(const std::uint8_t* in, const std::uint16_t* in_profile, std::uint32_t count,
                      const std::uint8_t* table, std::uint8_t* out, std::uint16_t* out_profile) {
  return out_profile == nullptr ? regroup_as<false>(in, in_profile, count, table, out, out_profile)
                                : regroup_as<true>(in, in_profile, count, table, out, out_profile);
}

// Four tables: neighbours are often equal, and an increment waits for the store before it.
void count_bytes(const std::uint8_t* values, std::uint32_t count, std::uint32_t, std::uint64_t* counts) {
  std::uint32_t table[4][128] = {};
  std::uint32_t i = 0;
  for (; i + 4 <= count; i += 4) {
    ++table[0][values[i] & 127];
    ++table[1][values[i + 1] & 127];
    ++table[2][values[i + 2] & 127];
    ++table[3][values[i + 3] & 127];
  }
  for (; i < count; ++i) ++table[0][values[i] & 127];
  for (std::uint32_t v = 0; v < 128; ++v) counts[v] += table[0][v] + table[1][v] + table[2][v] + table[3][v];
}

void mask_expand(const std::uint64_t* masks, std::uint32_t count, std::uint64_t* counts) {
  for (std::uint32_t i = 0; i < count; ++i) {
    for (std::uint64_t word = masks[i]; word != 0; word &= word - 1) ++counts[std::countr_zero(word)];
  }
}

constexpr Primitives kTable{Level::kScalar,       positions,      mask_positions, time_to_bucket, slot_to_bucket,
                            slot_to_equal_bucket, first_of_group, first_of_times, regroup,        count_bytes,
                            mask_expand};

}  // namespace

const Primitives& scalar_primitives() noexcept { return kTable; }

}  // namespace cdp::simd
