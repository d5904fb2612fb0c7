// AVX-512 (F, BW, DQ, VL, VBMI, VBMI2). Tails by masked loads; results by compress in a register and a plain store, which
// is faster than the compressing store on every processor measured.
#include <type_traits>

#include "simd/variants.hpp"

#if defined(__x86_64__)

// g++ 12 sees its own _mm512_undefined_* as uninitialised (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include <immintrin.h>

#define CDP_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt,lzcnt")]]

namespace cdp::simd {

namespace {

CDP_AVX512 inline __mmask64 first_bits(std::uint32_t count) noexcept {
  return count >= 64 ? ~__mmask64{0} : (__mmask64{1} << count) - 1;
}

CDP_AVX512 inline __m512i iota() noexcept {
  return _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

// Writes base + index of every set bit; returns how many. Four compressions whatever the bits: no branch.
CDP_AVX512 inline std::uint32_t put_positions(std::uint64_t bits, std::uint32_t base, std::uint32_t* out) noexcept {
  std::uint32_t found = 0;
  for (std::uint32_t part = 0; part < 4; ++part) {
    const auto mask = static_cast<__mmask16>(bits >> (16 * part));
    const __m512i at = _mm512_add_epi32(iota(), _mm512_set1_epi32(static_cast<int>(base + 16 * part)));
    _mm512_storeu_si512(out + found, _mm512_maskz_compress_epi32(mask, at));
    found += static_cast<std::uint32_t>(__builtin_popcount(mask));
  }
  return found;
}

CDP_AVX512 std::uint32_t positions(const std::uint8_t* codes, std::uint32_t count, const std::uint8_t* wanted,
                                   std::uint32_t* out) {
  const __m512i t0 = _mm512_loadu_si512(wanted), t1 = _mm512_loadu_si512(wanted + 64);
  const __m512i t2 = _mm512_loadu_si512(wanted + 128), t3 = _mm512_loadu_si512(wanted + 192);
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < count; i += 64) {
    const __mmask64 valid = first_bits(count - i);
    const __m512i code = _mm512_maskz_loadu_epi8(valid, codes + i);
    const __m512i low = _mm512_permutex2var_epi8(t0, code, t1);
    const __m512i high = _mm512_permutex2var_epi8(t2, code, t3);
    const __m512i hit = _mm512_mask_blend_epi8(_mm512_movepi8_mask(code), low, high);
    found += put_positions(_mm512_mask_test_epi8_mask(valid, hit, hit), i, out + found);
  }
  return found;
}

CDP_AVX512 std::uint32_t mask_positions(const std::uint64_t* bits, std::uint32_t count, std::uint32_t* out) {
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < count; i += 64) {
    found += put_positions(bits[i >> 6] & first_bits(count - i), i, out + found);
  }
  return found;
}

CDP_AVX512 inline __m512i all(std::uint32_t value) noexcept { return _mm512_set1_epi32(static_cast<int>(value)); }

template <bool kShift>
CDP_AVX512 inline __m512i divide(__m512i time, __m512i add, __m512i shift, __m512i multiplier, __m512i post) noexcept {
  __m512i shifted = _mm512_add_epi32(time, add);
  if constexpr (kShift) shifted = _mm512_srlv_epi32(shifted, shift);
  const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(shifted, multiplier), 32);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(shifted, 32), multiplier);
  return _mm512_srlv_epi32(_mm512_mask_blend_epi32(0xAAAA, even, odd), post);
}

CDP_AVX512 inline __m512i count_borders(__m512i time, const __m512i* border, std::uint32_t count) noexcept {
  __m512i bucket = _mm512_setzero_si512();
  const __m512i one = _mm512_set1_epi32(1);
  for (std::uint32_t b = 0; b < count; ++b) {
    bucket = _mm512_mask_add_epi32(bucket, _mm512_cmpge_epu32_mask(time, border[b]), bucket, one);
  }
  return bucket;
}

enum class Divide { kNot, kPlain, kShifted };

// A rule in registers. kCut: the range cuts, so times must be compared with its ends.
template <Divide kDivide, bool kCut>
struct Bucketer {
  CDP_AVX512 explicit Bucketer(const BucketRule& rule) noexcept
      : low(all(rule.low)),
        high(all(rule.high)),
        add(all(rule.add)),
        shift(all(rule.shift)),
        multiplier(all(rule.multiplier)),
        post(all(rule.post_shift)),
        border_count(rule.border_count) {
    for (std::uint32_t b = 0; b < BucketRule::kBorders; ++b) border[b] = all(rule.border[b]);
  }
  // Bytes of the sixteen times at `time` that are valid.
  CDP_AVX512 [[gnu::always_inline]] inline __m128i sixteen(const std::uint32_t* time, __mmask16 valid) const noexcept {
    const __m512i t = _mm512_maskz_loadu_epi32(valid, time);
    __m512i bucket;
    if constexpr (kDivide == Divide::kNot) {
      bucket = count_borders(t, border, border_count);
    } else {
      bucket = divide<kDivide == Divide::kShifted>(t, add, shift, multiplier, post);
    }
    if constexpr (kCut) {
      const __mmask16 inside = _mm512_cmpge_epu32_mask(t, low) & _mm512_cmple_epu32_mask(t, high);
      bucket = _mm512_mask_blend_epi32(inside, all(kOutsideBucket), bucket);
    }
    return _mm512_cvtepi32_epi8(bucket);
  }
  // Of 64 times.
  CDP_AVX512 [[gnu::always_inline]] inline __m512i four(const std::uint32_t* time, __mmask64 valid) const noexcept {
    const __m256i first = _mm256_set_m128i(sixteen(time + 16, static_cast<__mmask16>(valid >> 16)),
                                           sixteen(time, static_cast<__mmask16>(valid)));
    const __m256i second = _mm256_set_m128i(sixteen(time + 48, static_cast<__mmask16>(valid >> 48)),
                                            sixteen(time + 32, static_cast<__mmask16>(valid >> 32)));
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
  }
  __m512i low, high, add, shift, multiplier, post;
  __m512i border[BucketRule::kBorders];
  std::uint32_t border_count;
};

template <Divide kDivide, bool kCut>
CDP_AVX512 void time_to_bucket_as(const std::uint32_t* time, std::uint32_t count, const BucketRule& rule,
                                  std::uint8_t* out) {
  const Bucketer<kDivide, kCut> buckets(rule);
  for (std::uint32_t i = 0; i < count; i += 64) {
    _mm512_storeu_si512(out + i, buckets.four(time + i, first_bits(count - i)));
  }
}

// The previous block's buckets carry over by one byte, so that each row sees the one before it.
CDP_AVX512 inline __m512i one_up(__m512i value, __m512i carried) noexcept {
  const __m512i rotate = _mm512_set_epi64(6, 5, 4, 3, 2, 1, 0, 7);  // words of eight bytes, one place up
  const __m512i words = _mm512_mask_permutexvar_epi64(_mm512_permutexvar_epi64(rotate, value), 0x01, rotate, carried);
  return _mm512_shldi_epi64(value, words, 8);
}

template <Divide kDivide, bool kCut>
CDP_AVX512 std::uint32_t first_of_times_as(const std::uint32_t* time, const std::uint64_t* starts, std::uint32_t count,
                                           const BucketRule& rule, std::uint8_t* out) {
  constexpr std::uint32_t kAhead = 1024;  // rows: the processor's own prefetching ends at each page
  const Bucketer<kDivide, kCut> buckets(rule);
  const __m512i flag = _mm512_set1_epi8(static_cast<char>(kStart));
  __m512i carried = _mm512_setzero_si512();
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < count; i += 64) {
    for (std::uint32_t line = 0; line < 4; ++line) _mm_prefetch(time + i + kAhead + 16 * line, _MM_HINT_T0);
    const __mmask64 valid = first_bits(count - i);
    const __m512i value = buckets.four(time + i, valid);
    const std::uint64_t start = (starts[i >> 6] | (i == 0 ? 1u : 0u)) & valid;
    const std::uint64_t firsts = (_mm512_cmpneq_epi8_mask(value, one_up(value, carried)) & valid) | start;
    const __m512i flagged = _mm512_or_si512(value, _mm512_maskz_mov_epi8(start, flag));
    _mm512_storeu_si512(out + found, _mm512_maskz_compress_epi8(firsts, flagged));
    found += static_cast<std::uint32_t>(__builtin_popcountll(firsts));
    carried = value;
  }
  return found;
}

// use(divide, cut) with the rule's case as constants.
template <class Use>
auto with_rule(const BucketRule& rule, Use use) {
  const auto by = [&](auto divides) {
    const bool cut = rule.low != 0 || rule.high != UINT32_MAX;
    return cut ? use(divides, std::true_type{}) : use(divides, std::false_type{});
  };
  if (!rule.divides) return by(std::integral_constant<Divide, Divide::kNot>{});
  if (rule.shift == 0) return by(std::integral_constant<Divide, Divide::kPlain>{});
  return by(std::integral_constant<Divide, Divide::kShifted>{});
}

void time_to_bucket(const std::uint32_t* time, std::uint32_t count, const BucketRule& given, std::uint8_t* out) {
  const BucketRule rule = given;
  with_rule(rule, [&](auto divides, auto cut) { time_to_bucket_as<divides, cut>(time, count, rule, out); });
}

std::uint32_t first_of_times(const std::uint32_t* time, const std::uint64_t* starts, std::uint32_t count,
                             const BucketRule& given, std::uint8_t* out) {
  const BucketRule rule = given;
  return with_rule(
      rule, [&](auto divides, auto cut) { return first_of_times_as<divides, cut>(time, starts, count, rule, out); });
}

// A table of bytes by gathers costs more than scalar loads; slots repeat within a profile, so the lines are warm.
CDP_AVX512 void slot_to_bucket(const std::uint16_t* slot, std::uint32_t count, const std::uint8_t* table,
                               std::uint8_t* out) {
  std::uint32_t i = 0;
  for (; i + 4 <= count; i += 4) {
    out[i] = table[slot[i]];
    out[i + 1] = table[slot[i + 1]];
    out[i + 2] = table[slot[i + 2]];
    out[i + 3] = table[slot[i + 3]];
  }
  for (; i < count; ++i) out[i] = table[slot[i]];
}

CDP_AVX512 inline __m512i all_words(std::uint16_t value) noexcept {
  return _mm512_set1_epi16(static_cast<std::int16_t>(value));
}

CDP_AVX512 void slot_to_equal_bucket(const std::uint16_t* slot, std::uint32_t count, const SlotRule& given,
                                     std::uint8_t* out) {
  const SlotRule rule = given;
  const __m512i low = all_words(rule.low), high = all_words(rule.high), add = all_words(rule.add);
  const __m512i multiplier = all_words(rule.multiplier), outside = all_words(kOutsideBucket);
  const __m128i shift = _mm_cvtsi32_si128(rule.shift);
  for (std::uint32_t i = 0; i < count; i += 32) {
    const auto valid = static_cast<__mmask32>(first_bits(count - i));
    const __m512i value = _mm512_maskz_loadu_epi16(valid, slot + i);
    const __m512i quotient = _mm512_srl_epi16(_mm512_mulhi_epu16(_mm512_add_epi16(value, add), multiplier), shift);
    const __mmask32 inside = _mm512_cmpge_epu16_mask(value, low) & _mm512_cmple_epu16_mask(value, high);
    const __m512i bucket = _mm512_mask_mov_epi16(outside, inside, quotient);
    _mm256_mask_storeu_epi8(out + i, valid, _mm512_cvtepi16_epi8(bucket));
  }
}

// The u16 whose bit is set, packed.
CDP_AVX512 inline void put_profiles(std::uint64_t bits, const std::uint16_t* profile, std::uint64_t valid,
                                    std::uint16_t* out) noexcept {
  const auto low = static_cast<__mmask32>(bits), high = static_cast<__mmask32>(bits >> 32);
  const __m512i first = _mm512_maskz_loadu_epi16(static_cast<__mmask32>(valid), profile);
  const __m512i second = _mm512_maskz_loadu_epi16(static_cast<__mmask32>(valid >> 32), profile + 32);
  _mm512_storeu_si512(out, _mm512_maskz_compress_epi16(low, first));
  _mm512_storeu_si512(out + __builtin_popcount(low), _mm512_maskz_compress_epi16(high, second));
}

CDP_AVX512 inline std::uint64_t profile_starts(const std::uint16_t* profile, std::uint32_t i,
                                               __mmask64 valid) noexcept {
  const __mmask64 before = i == 0 ? valid & ~__mmask64{1} : valid;  // row -1 is not read
  const auto low = static_cast<__mmask32>(valid), high = static_cast<__mmask32>(valid >> 32);
  const __mmask32 first =
      _mm512_cmpneq_epi16_mask(_mm512_maskz_loadu_epi16(low, profile + i),
                               _mm512_maskz_loadu_epi16(static_cast<__mmask32>(before), profile + i - 1));
  const __mmask32 second = _mm512_cmpneq_epi16_mask(_mm512_maskz_loadu_epi16(high, profile + i + 32),
                                                    _mm512_maskz_loadu_epi16(high, profile + i + 31));
  const std::uint64_t starts = std::uint64_t{first} | std::uint64_t{second} << 32;
  return (starts | (i == 0 ? 1u : 0u)) & valid;
}

template <bool kProfile>
CDP_AVX512 std::uint32_t first_of_group_as(const std::uint8_t* bucket, const std::uint16_t* profile,
                                           std::uint32_t count, std::uint8_t* out, std::uint16_t* out_profile) {
  std::uint32_t found = 0;
  const __m512i flag = _mm512_set1_epi8(static_cast<char>(kStart));
  for (std::uint32_t i = 0; i < count; i += 64) {
    const __mmask64 valid = first_bits(count - i);
    const __mmask64 before = i == 0 ? valid & ~__mmask64{1} : valid;
    const __m512i value = _mm512_maskz_loadu_epi8(valid, bucket + i);
    const __m512i previous = _mm512_maskz_loadu_epi8(before, bucket + i - 1);
    const std::uint64_t starts = profile_starts(profile, i, valid);
    const std::uint64_t firsts = (_mm512_cmpneq_epi8_mask(value, previous) | starts) & valid;
    const __m512i flagged = _mm512_or_si512(value, _mm512_maskz_mov_epi8(starts, flag));
    _mm512_storeu_si512(out + found, _mm512_maskz_compress_epi8(firsts, flagged));
    if constexpr (kProfile) put_profiles(firsts, profile + i, valid, out_profile + found);
    found += static_cast<std::uint32_t>(__builtin_popcountll(firsts));
  }
  return found;
}

CDP_AVX512 std::uint32_t first_of_group(const std::uint8_t* bucket, const std::uint16_t* profile, std::uint32_t count,
                                        std::uint8_t* out, std::uint16_t* out_profile) {
  return out_profile == nullptr ? first_of_group_as<false>(bucket, profile, count, out, out_profile)
                                : first_of_group_as<true>(bucket, profile, count, out, out_profile);
}

template <bool kProfile>
CDP_AVX512 std::uint32_t regroup_as(const std::uint8_t* in, const std::uint16_t* in_profile, std::uint32_t count,
                                    const std::uint8_t* table, std::uint8_t* out, std::uint16_t* out_profile) {
  std::uint32_t found = 0;
  const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64);
  const __m512i flag = _mm512_set1_epi8(static_cast<char>(kStart));
  __m512i carried = _mm512_setzero_si512();  // the mapped values of the block before
  for (std::uint32_t i = 0; i < count; i += 64) {
    const __mmask64 valid = first_bits(count - i);
    const __m512i byte = _mm512_maskz_loadu_epi8(valid, in + i);
    const __mmask64 starts = _mm512_movepi8_mask(byte);
    const __m512i value = _mm512_permutex2var_epi8(t0, byte, t1);  // bit 7 of an index is not looked at
    const std::uint64_t firsts =
        (_mm512_cmpneq_epi8_mask(value, one_up(value, carried)) | starts | (i == 0 ? 1u : 0u)) & valid;
    const __m512i flagged = _mm512_or_si512(value, _mm512_maskz_mov_epi8(starts, flag));
    _mm512_storeu_si512(out + found, _mm512_maskz_compress_epi8(firsts, flagged));
    if constexpr (kProfile) put_profiles(firsts, in_profile + i, valid, out_profile + found);
    found += static_cast<std::uint32_t>(__builtin_popcountll(firsts));
    carried = value;
  }
  return found;
}

CDP_AVX512 std::uint32_t regroup(const std::uint8_t* in, const std::uint16_t* in_profile, std::uint32_t count,
                                 const std::uint8_t* table, std::uint8_t* out, std::uint16_t* out_profile) {
  return out_profile == nullptr ? regroup_as<false>(in, in_profile, count, table, out, out_profile)
                                : regroup_as<true>(in, in_profile, count, table, out, out_profile);
}

// Eight buckets a pass, each a register of byte counters emptied before they can overflow: 2 operations for 64 values and a
// bucket, where a table of counters takes 64 dependent increments.
CDP_AVX512 void count_eight(const std::uint8_t* values, std::uint32_t count, std::uint32_t first,
                            std::uint64_t* counts) {
  constexpr std::uint32_t kRound = 255 * 64;
  const __m512i low_bits = _mm512_set1_epi8(0x7F), one = _mm512_set1_epi8(1), zero = _mm512_setzero_si512();
  __m512i wanted[8];
  for (std::uint32_t b = 0; b < 8; ++b) wanted[b] = _mm512_set1_epi8(static_cast<char>(first + b));
  for (std::uint32_t begin = 0; begin < count; begin += kRound) {
    const std::uint32_t end = count - begin < kRound ? count : begin + kRound;
    __m512i sum[8] = {zero, zero, zero, zero, zero, zero, zero, zero};
    for (std::uint32_t i = begin; i < end; i += 64) {
      const __mmask64 valid = first_bits(end - i);
      const __m512i value = _mm512_and_si512(_mm512_maskz_loadu_epi8(valid, values + i), low_bits);
#pragma GCC unroll 8
      for (std::uint32_t b = 0; b < 8; ++b) {
        const __mmask64 equal = _mm512_mask_cmpeq_epi8_mask(valid, value, wanted[b]);
        sum[b] = _mm512_mask_add_epi8(sum[b], equal, sum[b], one);
      }
    }
    for (std::uint32_t b = 0; b < 8; ++b) {
      counts[first + b] += static_cast<std::uint64_t>(_mm512_reduce_add_epi64(_mm512_sad_epu8(sum[b], zero)));
    }
  }
}

CDP_AVX512 void count_bytes(const std::uint8_t* values, std::uint32_t count, std::uint32_t limit,
                            std::uint64_t* counts) {
  if (limit >= 48 || count < 256) return scalar_primitives().count_bytes(values, count, limit, counts);
  for (std::uint32_t first = 0; first <= limit; first += 8) count_eight(values, count, first, counts);
}

CDP_AVX512 void mask_expand(const std::uint64_t* masks, std::uint32_t count, std::uint64_t* counts) {
  alignas(64) std::uint8_t bytes[64];
  for (std::uint32_t begin = 0; begin < count; begin += 255) {
    const std::uint32_t end = count - begin < 255 ? count : begin + 255;
    __m512i sum = _mm512_setzero_si512();
    for (std::uint32_t i = begin; i < end; ++i) sum = _mm512_sub_epi8(sum, _mm512_movm_epi8(masks[i]));
    _mm512_store_si512(bytes, sum);
    for (std::uint32_t b = 0; b < 64; ++b) counts[b] += bytes[b];
  }
}

constexpr Primitives kTable{Level::kAvx512,       positions,      mask_positions, time_to_bucket, slot_to_bucket,
                            slot_to_equal_bucket, first_of_group, first_of_times, regroup,        count_bytes,
                            mask_expand};

}  // namespace

const Primitives& avx512_primitives() noexcept { return kTable; }

}  // namespace cdp::simd

#undef CDP_AVX512
#pragma GCC diagnostic pop

#endif
