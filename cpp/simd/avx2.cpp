// AVX2 and BMI2. Whole blocks of 32 by vectors, the rest by the scalar meaning.
#include <array>

#include "simd/variants.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#define CDP_AVX2 [[gnu::target("avx2,bmi,bmi2,popcnt,lzcnt")]]

namespace cdp::simd {

namespace {

// Indexes of the set bits of a byte, for 8 positions at a time.
constexpr auto kBitIndexes = [] {
  std::array<std::array<std::uint8_t, 8>, 256> table{};
  for (unsigned bits = 0; bits < 256; ++bits) {
    unsigned found = 0;
    for (unsigned b = 0; b < 8; ++b) {
      if ((bits >> b) & 1) table[bits][found++] = static_cast<std::uint8_t>(b);
    }
  }
  return table;
}();

// The shuffle that packs the u16 whose bit is set.
constexpr auto kPackWords = [] {
  std::array<std::array<std::uint8_t, 16>, 256> table{};
  for (unsigned bits = 0; bits < 256; ++bits) {
    for (unsigned place = 0; place < 8; ++place) {
      const unsigned from = kBitIndexes[bits][place];
      table[bits][2 * place] = static_cast<std::uint8_t>(2 * from);
      table[bits][2 * place + 1] = static_cast<std::uint8_t>(2 * from + 1);
    }
  }
  return table;
}();

CDP_AVX2 inline __m256i load(const void* at) noexcept { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }

CDP_AVX2 inline std::uint32_t put_positions(std::uint32_t bits, std::uint32_t base, std::uint32_t* out) noexcept {
  std::uint32_t found = 0;
  for (std::uint32_t part = 0; part < 4; ++part) {
    const std::uint32_t byte = (bits >> (8 * part)) & 0xFF;
    const __m128i at = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kBitIndexes[byte].data()));
    const __m256i wide =
        _mm256_add_epi32(_mm256_cvtepu8_epi32(at), _mm256_set1_epi32(static_cast<int>(base + 8 * part)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + found), wide);
    found += static_cast<std::uint32_t>(__builtin_popcount(byte));
  }
  return found;
}

// The bytes whose bit is set, packed; 8 bytes a step by pext.
CDP_AVX2 inline std::uint32_t put_bytes(std::uint32_t bits, __m256i bytes, std::uint8_t* out) noexcept {
  alignas(32) std::uint64_t words[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(words), bytes);
  std::uint32_t found = 0;
  for (std::uint32_t part = 0; part < 4; ++part) {
    const std::uint32_t byte = (bits >> (8 * part)) & 0xFF;
    const std::uint64_t packed = _pext_u64(words[part], _pdep_u64(byte, 0x0101010101010101u) * 0xFF);
    __builtin_memcpy(out + found, &packed, 8);
    found += static_cast<std::uint32_t>(__builtin_popcount(byte));
  }
  return found;
}

CDP_AVX2 inline void put_profiles(std::uint32_t bits, const std::uint16_t* profile, std::uint16_t* out) noexcept {
  for (std::uint32_t part = 0; part < 4; ++part) {
    const std::uint32_t byte = (bits >> (8 * part)) & 0xFF;
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(profile + 8 * part));
    const __m128i order = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kPackWords[byte].data()));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(words, order));
    out += __builtin_popcount(byte);
  }
}

// Membership in a set of bytes by two shuffles: row = low nibble, bit = high nibble.
CDP_AVX2 std::uint32_t positions(const std::uint8_t* codes, std::uint32_t count, const std::uint8_t* wanted,
                                 std::uint32_t* out) {
  alignas(16) std::uint8_t low_half[16] = {}, high_half[16] = {};
  for (unsigned code = 0; code < 256; ++code) {
    auto& half = code < 128 ? low_half : high_half;
    half[code & 15] = static_cast<std::uint8_t>(half[code & 15] | wanted[code] << ((code >> 4) & 7));
  }
  const __m256i low = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(low_half)));
  const __m256i high = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(high_half)));
  const __m256i bit = _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32,
                                       64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const __m256i nibble = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
  std::uint32_t found = 0, i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i code = load(codes + i);
    const __m256i row = _mm256_and_si256(code, nibble);
    const __m256i rows = _mm256_blendv_epi8(_mm256_shuffle_epi8(low, row), _mm256_shuffle_epi8(high, row), code);
    const __m256i column = _mm256_shuffle_epi8(bit, _mm256_and_si256(_mm256_srli_epi16(code, 4), nibble));
    const __m256i miss = _mm256_cmpeq_epi8(_mm256_and_si256(rows, column), zero);
    found += put_positions(~static_cast<std::uint32_t>(_mm256_movemask_epi8(miss)), i, out + found);
  }
  for (; i < count; ++i) {
    out[found] = i;
    found += wanted[codes[i]];
  }
  return found;
}

CDP_AVX2 std::uint32_t mask_positions(const std::uint64_t* bits, std::uint32_t count, std::uint32_t* out) {
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < count; i += 64) {
    std::uint64_t word = bits[i >> 6];
    if (count - i < 64) word &= (std::uint64_t{1} << (count - i)) - 1;
    found += put_positions(static_cast<std::uint32_t>(word), i, out + found);
    found += put_positions(static_cast<std::uint32_t>(word >> 32), i + 32, out + found);
  }
  return found;
}

CDP_AVX2 inline __m256i at_least(__m256i left, __m256i right) noexcept {  // unsigned
  return _mm256_cmpeq_epi32(_mm256_max_epu32(left, right), left);
}

CDP_AVX2 inline __m256i eight_buckets(__m256i time, const BucketRule& rule) noexcept {
  __m256i bucket = _mm256_setzero_si256();
  if (rule.divides) {
    const __m256i shifted = _mm256_srl_epi32(_mm256_add_epi32(time, _mm256_set1_epi32(static_cast<int>(rule.add))),
                                             _mm_cvtsi32_si128(static_cast<int>(rule.shift)));
    const __m256i multiplier = _mm256_set1_epi32(static_cast<int>(rule.multiplier));
    const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(shifted, multiplier), 32);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(shifted, 32), multiplier);
    bucket =
        _mm256_srl_epi32(_mm256_blend_epi32(even, odd, 0xAA), _mm_cvtsi32_si128(static_cast<int>(rule.post_shift)));
  } else {
    for (std::uint32_t b = 0; b < rule.border_count; ++b) {
      bucket = _mm256_sub_epi32(bucket, at_least(time, _mm256_set1_epi32(static_cast<int>(rule.border[b]))));
    }
  }
  const __m256i inside = _mm256_and_si256(at_least(time, _mm256_set1_epi32(static_cast<int>(rule.low))),
                                          at_least(_mm256_set1_epi32(static_cast<int>(rule.high)), time));
  return _mm256_blendv_epi8(_mm256_set1_epi32(kOutsideBucket), bucket, inside);
}

CDP_AVX2 void time_to_bucket(const std::uint32_t* time, std::uint32_t count, const BucketRule& given,
                             std::uint8_t* out) {
  const BucketRule rule = given;
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // what the packing of halves mixed up
  std::uint32_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i first =
        _mm256_packus_epi32(eight_buckets(load(time + i), rule), eight_buckets(load(time + i + 8), rule));
    const __m256i second =
        _mm256_packus_epi32(eight_buckets(load(time + i + 16), rule), eight_buckets(load(time + i + 24), rule));
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second), order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), bytes);
  }
  for (; i < count; ++i) out[i] = rule.bucket(time[i]);
}

CDP_AVX2 inline std::uint32_t profile_starts(const std::uint16_t* profile) noexcept {  // of 32 rows; row -1 is read
  const __m256i first = _mm256_cmpeq_epi16(load(profile), load(profile - 1));
  const __m256i second = _mm256_cmpeq_epi16(load(profile + 16), load(profile + 15));
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi16(first, second), 0xD8);
  return ~static_cast<std::uint32_t>(_mm256_movemask_epi8(packed));
}

CDP_AVX2 inline __m256i flag_bytes(std::uint32_t bits) noexcept {  // kStart in each byte whose bit is set
  const __m256i spread = _mm256_shuffle_epi8(
      _mm256_set1_epi32(static_cast<int>(bits)),
      _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3));
  const __m256i select = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, select), select);
  return _mm256_and_si256(set, _mm256_set1_epi8(static_cast<char>(kStart)));
}

template <bool kProfile>
CDP_AVX2 std::uint32_t first_of_group_as(const std::uint8_t* bucket, const std::uint16_t* profile, std::uint32_t count,
                                         std::uint8_t* out, std::uint16_t* out_profile) {
  if (count == 0) return 0;
  out[0] = bucket[0] | kStart;
  if constexpr (kProfile) out_profile[0] = profile[0];
  std::uint32_t found = 1, i = 1;
  for (; i + 32 <= count; i += 32) {
    const __m256i value = load(bucket + i);
    const std::uint32_t starts = profile_starts(profile + i);
    const std::uint32_t same =
        static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(value, load(bucket + i - 1))));
    const std::uint32_t firsts = ~same | starts;
    if constexpr (kProfile) put_profiles(firsts, profile + i, out_profile + found);
    found += put_bytes(firsts, _mm256_or_si256(value, flag_bytes(starts)), out + found);
  }
  for (; i < count; ++i) {
    const bool start = profile[i] != profile[i - 1];
    out[found] = static_cast<std::uint8_t>(bucket[i] | (start ? kStart : 0u));
    if constexpr (kProfile) out_profile[found] = profile[i];
    found += start | (bucket[i] != bucket[i - 1]);
  }
  return found;
}

CDP_AVX2 std::uint32_t first_of_group(const std::uint8_t* bucket, const std::uint16_t* profile, std::uint32_t count,
                                      std::uint8_t* out, std::uint16_t* out_profile) {
  return out_profile == nullptr ? first_of_group_as<false>(bucket, profile, count, out, out_profile)
                                : first_of_group_as<true>(bucket, profile, count, out, out_profile);
}

// By blocks whose buckets stay in L1, the last bucket of the block before in front.
CDP_AVX2 std::uint32_t first_of_times(const std::uint32_t* time, const std::uint64_t* starts, std::uint32_t count,
                                      const BucketRule& rule, std::uint8_t* out) {
  constexpr std::uint32_t kBlock = 512;
  alignas(32) std::uint8_t bucket[32 + kBlock];
  std::uint32_t found = 0;
  bucket[31] = 0;
  for (std::uint32_t begin = 0; begin < count; begin += kBlock) {
    const std::uint32_t rows = count - begin < kBlock ? count - begin : kBlock;
    std::uint8_t* const block = bucket + 32;
    time_to_bucket(time + begin, rows, rule, block);
    std::uint32_t i = 0;
    for (; i + 32 <= rows; i += 32) {
      const std::uint32_t row = begin + i;
      const __m256i value = load(block + i);
      const std::uint32_t start = static_cast<std::uint32_t>(starts[row >> 6] >> (row & 32)) | (row == 0 ? 1u : 0u);
      const auto same = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(value, load(block + i - 1))));
      found += put_bytes(~same | start, _mm256_or_si256(value, flag_bytes(start)), out + found);
    }
    for (; i < rows; ++i) {
      const std::uint32_t row = begin + i;
      const bool start = row == 0 || ((starts[row >> 6] >> (row & 63)) & 1) != 0;
      out[found] = static_cast<std::uint8_t>(block[i] | (start ? kStart : 0u));
      found += start | (block[i] != block[static_cast<std::ptrdiff_t>(i) - 1]);
    }
    bucket[31] = block[rows - 1];
  }
  return found;
}

// A table of 128 bytes is eight shuffles and more in AVX2; the scalar loads win.
std::uint32_t regroup(const std::uint8_t* in, const std::uint16_t* in_profile, std::uint32_t count,
                      const std::uint8_t* table, std::uint8_t* out, std::uint16_t* out_profile) {
  return scalar_primitives().regroup(in, in_profile, count, table, out, out_profile);
}

void slot_to_bucket(const std::uint16_t* slot, std::uint32_t count, const std::uint8_t* table, std::uint8_t* out) {
  scalar_primitives().slot_to_bucket(slot, count, table, out);
}

CDP_AVX2 inline __m256i all_words(std::uint16_t value) noexcept {
  return _mm256_set1_epi16(static_cast<std::int16_t>(value));
}

CDP_AVX2 inline __m256i sixteen_buckets(__m256i slot, const SlotRule& rule) noexcept {
  const __m256i product = _mm256_mulhi_epu16(_mm256_add_epi16(slot, all_words(rule.add)), all_words(rule.multiplier));
  const __m256i quotient = _mm256_srl_epi16(product, _mm_cvtsi32_si128(rule.shift));
  const __m256i inside = _mm256_and_si256(_mm256_cmpeq_epi16(_mm256_max_epu16(slot, all_words(rule.low)), slot),
                                          _mm256_cmpeq_epi16(_mm256_min_epu16(slot, all_words(rule.high)), slot));
  return _mm256_blendv_epi8(all_words(kOutsideBucket), quotient, inside);
}

CDP_AVX2 void slot_to_equal_bucket(const std::uint16_t* slot, std::uint32_t count, const SlotRule& given,
                                   std::uint8_t* out) {
  const SlotRule rule = given;
  std::uint32_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i first = sixteen_buckets(load(slot + i), rule), second = sixteen_buckets(load(slot + i + 16), rule);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(first, second), 0b11'01'10'00);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), packed);
  }
  for (; i < count; ++i) out[i] = rule.bucket(slot[i]);
}

CDP_AVX2 std::uint64_t sum_bytes(__m256i bytes) noexcept {
  alignas(32) std::uint64_t words[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(words), _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
  return words[0] + words[1] + words[2] + words[3];
}

// As in avx512.cpp, four buckets a pass over whole blocks of 32.
CDP_AVX2 void count_four(const std::uint8_t* values, std::uint32_t blocks, std::uint32_t first, std::uint64_t* counts) {
  const __m256i low_bits = _mm256_set1_epi8(0x7F), zero = _mm256_setzero_si256();
  __m256i wanted[4];
  for (std::uint32_t b = 0; b < 4; ++b) wanted[b] = _mm256_set1_epi8(static_cast<char>(first + b));
  for (std::uint32_t begin = 0; begin < blocks; begin += 255) {
    const std::uint32_t end = blocks - begin < 255 ? blocks : begin + 255;
    __m256i sum[4] = {zero, zero, zero, zero};
    for (std::uint32_t i = begin; i < end; ++i) {
      const __m256i value = _mm256_and_si256(load(values + std::size_t{i} * 32), low_bits);
#pragma GCC unroll 4
      for (std::uint32_t b = 0; b < 4; ++b) sum[b] = _mm256_sub_epi8(sum[b], _mm256_cmpeq_epi8(value, wanted[b]));
    }
    for (std::uint32_t b = 0; b < 4; ++b) counts[first + b] += sum_bytes(sum[b]);
  }
}

CDP_AVX2 void count_bytes(const std::uint8_t* values, std::uint32_t count, std::uint32_t limit, std::uint64_t* counts) {
  if (limit >= 16 || count < 256) return scalar_primitives().count_bytes(values, count, limit, counts);
  const std::uint32_t blocks = count / 32;
  for (std::uint32_t first = 0; first <= limit; first += 4) count_four(values, blocks, first, counts);
  for (std::uint32_t i = blocks * 32; i < count; ++i) {
    const std::uint32_t value = values[i] & 127u;
    if (value <= limit) ++counts[value];
  }
}

CDP_AVX2 void mask_expand(const std::uint64_t* masks, std::uint32_t count, std::uint64_t* counts) {
  alignas(32) std::uint8_t bytes[64];
  for (std::uint32_t begin = 0; begin < count; begin += 255) {
    const std::uint32_t end = count - begin < 255 ? count : begin + 255;
    __m256i low = _mm256_setzero_si256(), high = low;
    for (std::uint32_t i = begin; i < end; ++i) {  // counters rise by 1, of kStart bytes shifted down
      low =
          _mm256_add_epi8(low, _mm256_and_si256(_mm256_srli_epi16(flag_bytes(static_cast<std::uint32_t>(masks[i])), 7),
                                                _mm256_set1_epi8(1)));
      high = _mm256_add_epi8(
          high, _mm256_and_si256(_mm256_srli_epi16(flag_bytes(static_cast<std::uint32_t>(masks[i] >> 32)), 7),
                                 _mm256_set1_epi8(1)));
    }
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes), low);
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes + 32), high);
    for (std::uint32_t b = 0; b < 64; ++b) counts[b] += bytes[b];
  }
}

constexpr Primitives kTable{Level::kAvx2,         positions,      mask_positions, time_to_bucket, slot_to_bucket,
                            slot_to_equal_bucket, first_of_group, first_of_times, regroup,        count_bytes,
                            mask_expand};

}  // namespace

const Primitives& avx2_primitives() noexcept { return kTable; }

}  // namespace cdp::simd

#undef CDP_AVX2

#endif
