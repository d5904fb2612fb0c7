// Packing and unpacking of columns. build_column picks, of all forms the header allows, the one with the fewest bytes:
// base + code, or for dictionary types a sorted dictionary + code, whichever is smaller with its dictionary counted in.
//
// Cost of build_column: ~1 ns a value for base + code, ~2-3 ns with a dictionary (direct table while the range of ids is
// below half the number of values, else a hash table that starts in L1 and is given up as soon as it cannot pay).

#include "column/column.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace cdp {
namespace {

constexpr std::size_t kCodePadding = 8;

Width width_for(std::uint64_t code_max) {
  const int bits = std::bit_width(code_max);
  if (bits == 0) return Width::k0;
  if (bits == 1) return Width::k1;
  if (bits == 2) return Width::k2;
  if (bits <= 4) return Width::k4;
  if (bits <= 8) return Width::k8;
  if (bits <= 16) return Width::k16;
  if (bits <= 24) return Width::k24;
  if (bits <= 32) return Width::k32;
  return Width::k64;
}

std::size_t code_bytes(Width width, std::size_t count) { return (count * width_bits(width) + 7) / 8; }

// --- packing: code(i) for i in [0, count) into bytes. One loop a width, so that the compiler sees constant shifts.

template <unsigned kBits, class CodeAt>
void pack_sub_byte(std::uint8_t* out, std::size_t count, CodeAt code_at) {
  constexpr std::size_t kPerByte = 8 / kBits;
  std::size_t index = 0;
  for (; index + kPerByte <= count; index += kPerByte) {
    unsigned byte = 0;
    for (std::size_t lane = 0; lane < kPerByte; ++lane) {
      byte |= static_cast<unsigned>(code_at(index + lane)) << (lane * kBits);
    }
    *out++ = static_cast<std::uint8_t>(byte);
  }
  unsigned byte = 0;
  for (std::size_t lane = 0; index < count; ++lane, ++index) {
    byte |= static_cast<unsigned>(code_at(index)) << (lane * kBits);
  }
  if (count % kPerByte != 0) *out = static_cast<std::uint8_t>(byte);
}

template <class Word, std::size_t kStride, class CodeAt>
void pack_words(std::uint8_t* out, std::size_t count, CodeAt code_at) {
  for (std::size_t index = 0; index < count; ++index) {  // k24 writes a byte over: the next code or the padding
    const Word word = static_cast<Word>(code_at(index));
    std::memcpy(out + index * kStride, &word, sizeof word);
  }
}

template <class CodeAt>
void pack(Column& column, std::size_t count, CodeAt code_at) {
  column.codes.assign(code_bytes(column.width, count) + kCodePadding, 0);
  std::uint8_t* out = column.codes.data();
  switch (column.width) {
    case Width::k0: break;
    case Width::k1: pack_sub_byte<1>(out, count, code_at); break;
    case Width::k2: pack_sub_byte<2>(out, count, code_at); break;
    case Width::k4: pack_sub_byte<4>(out, count, code_at); break;
    case Width::k8: pack_words<std::uint8_t, 1>(out, count, code_at); break;
    case Width::k16: pack_words<std::uint16_t, 2>(out, count, code_at); break;
    case Width::k24: pack_words<std::uint32_t, 3>(out, count, code_at); break;
    case Width::k32: pack_words<std::uint32_t, 4>(out, count, code_at); break;
    case Width::k64: pack_words<std::uint64_t, 8>(out, count, code_at); break;
  }
}

// --- unpacking: emit(code) for codes [first, first + count).

template <unsigned kBits, class Out, class Emit>
void unpack_sub_byte(const std::uint8_t* at, std::size_t first, std::size_t count, Out* out, Emit emit) {
  constexpr std::size_t kPerByte = 8 / kBits;
  constexpr unsigned kMask = (1u << kBits) - 1;
  std::size_t index = first;
  const std::size_t last = first + count;
  for (; index < last && index % kPerByte != 0; ++index) {
    *out++ = emit((at[index / kPerByte] >> ((index % kPerByte) * kBits)) & kMask);
  }
  for (; index + kPerByte <= last; index += kPerByte) {
    const unsigned byte = at[index / kPerByte];
    for (std::size_t lane = 0; lane < kPerByte; ++lane) *out++ = emit((byte >> (lane * kBits)) & kMask);
  }
  for (; index < last; ++index) *out++ = emit((at[index / kPerByte] >> ((index % kPerByte) * kBits)) & kMask);
}

template <class Word, std::size_t kStride, class Out, class Emit>
void unpack_words(const std::uint8_t* at, std::size_t first, std::size_t count, Out* out, Emit emit) {
  at += first * kStride;
  for (std::size_t index = 0; index < count; ++index) {
    Word word;
    std::memcpy(&word, at + index * kStride, sizeof word);
    if constexpr (kStride == 3) word &= 0xFFFFFFu;
    out[index] = emit(word);
  }
}

template <class Out, class Emit>
void unpack(const Column& column, std::size_t first, std::size_t count, Out* out, Emit emit) {
  const std::uint8_t* at = column.codes.data();
  switch (column.width) {
    case Width::k0: std::fill_n(out, count, emit(0u)); break;
    case Width::k1: unpack_sub_byte<1>(at, first, count, out, emit); break;
    case Width::k2: unpack_sub_byte<2>(at, first, count, out, emit); break;
    case Width::k4: unpack_sub_byte<4>(at, first, count, out, emit); break;
    case Width::k8: unpack_words<std::uint8_t, 1>(at, first, count, out, emit); break;
    case Width::k16: unpack_words<std::uint16_t, 2>(at, first, count, out, emit); break;
    case Width::k24: unpack_words<std::uint32_t, 3>(at, first, count, out, emit); break;
    case Width::k32: unpack_words<std::uint32_t, 4>(at, first, count, out, emit); break;
    case Width::k64: unpack_words<std::uint64_t, 8>(at, first, count, out, emit); break;
  }
}

// --- dictionaries

// What a dictionary form may hold: the most distinct ids with which some code width still takes fewer bytes than base +
// code of `plain` width. 0: none can.
std::size_t distinct_max(Width plain, std::size_t count) {
  std::size_t most = 0;
  for (const Width width : {Width::k1, Width::k2, Width::k4, Width::k8, Width::k16, Width::k24}) {
    if (width >= plain) break;
    const std::size_t saved = code_bytes(plain, count) - code_bytes(width, count);
    const std::size_t fits = std::size_t{1} << width_bits(width);
    most = std::max(most, std::min(fits, saved == 0 ? 0 : (saved - 1) / sizeof(std::uint32_t)));
  }
  return most;
}

// Codes by a table over the whole range of ids. REQUIRES: id_max − id_min small. False when over `limit` distinct ids.
bool code_by_table(std::span<const std::uint64_t> ids, std::uint32_t id_min, std::size_t range, std::size_t limit,
                   std::vector<std::uint32_t>& dictionary, std::vector<std::uint32_t>& codes) {
  std::vector<std::uint32_t> table(range, kNone);
  std::size_t distinct = 0;
  for (const std::uint64_t id : ids) {
    std::uint32_t& seen = table[static_cast<std::uint32_t>(id) - id_min];
    distinct += seen == kNone;
    seen = 0;
  }
  if (distinct > limit) return false;
  dictionary.reserve(distinct);
  for (std::size_t offset = 0; offset < range; ++offset) {
    if (table[offset] == kNone) continue;
    table[offset] = static_cast<std::uint32_t>(dictionary.size());
    dictionary.push_back(id_min + static_cast<std::uint32_t>(offset));
  }
  codes.resize(ids.size());
  for (std::size_t index = 0; index < ids.size(); ++index) {
    codes[index] = table[static_cast<std::uint32_t>(ids[index]) - id_min];
  }
  return true;
}

// Distinct ids -> numbers in order of first sight, open addressing, at most half full.
class IdTable {
 public:
  IdTable() : slots_(kFirstSlots, Slot{0, kNone}), shift_(32 - std::countr_zero(kFirstSlots)) {}
  std::uint32_t number_of(std::uint32_t id) {
    std::size_t at = start(id);
    while (slots_[at].number != kNone && slots_[at].id != id) at = (at + 1) & (slots_.size() - 1);
    if (slots_[at].number != kNone) return slots_[at].number;
    const auto number = static_cast<std::uint32_t>(ids_.size());
    slots_[at] = {id, number};
    ids_.push_back(id);
    if (ids_.size() * 2 > slots_.size()) grow();
    return number;
  }
  [[nodiscard]] const std::vector<std::uint32_t>& ids() const noexcept { return ids_; }

 private:
  struct Slot {
    std::uint32_t id, number;
  };
  static constexpr std::size_t kFirstSlots = 256;

  [[nodiscard]] std::size_t start(std::uint32_t id) const noexcept { return (id * 0x9E3779B1u) >> shift_; }
  void grow() {
    slots_.assign(slots_.size() * 4, Slot{0, kNone});
    shift_ -= 2;
    for (std::uint32_t number = 0; number < ids_.size(); ++number) {
      std::size_t at = start(ids_[number]);
      while (slots_[at].number != kNone) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = {ids_[number], number};
    }
  }

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> ids_;
  int shift_;
};

bool code_by_hash(std::span<const std::uint64_t> ids, std::size_t limit, std::vector<std::uint32_t>& dictionary,
                  std::vector<std::uint32_t>& codes) {
  IdTable table;
  codes.resize(ids.size());
  for (std::size_t index = 0; index < ids.size(); ++index) {
    codes[index] = table.number_of(static_cast<std::uint32_t>(ids[index]));
    if (table.ids().size() > limit) return false;
  }
  std::vector<std::uint64_t> sorted(table.ids().size());  // id, number of first sight
  for (std::size_t number = 0; number < sorted.size(); ++number) {
    sorted[number] = std::uint64_t{table.ids()[number]} << 32 | number;
  }
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::uint32_t> rank(sorted.size());
  dictionary.reserve(sorted.size());
  for (const std::uint64_t entry : sorted) {
    rank[static_cast<std::uint32_t>(entry)] = static_cast<std::uint32_t>(dictionary.size());
    dictionary.push_back(static_cast<std::uint32_t>(entry >> 32));
  }
  for (std::uint32_t& code : codes) code = rank[code];
  return true;
}

// The dictionary form, when it is smaller than base + code.
bool build_dictionary(Column& column, std::span<const std::uint64_t> ids, std::uint64_t id_min, std::uint64_t id_max) {
  const std::size_t limit = distinct_max(width_for(id_max - id_min), ids.size());
  if (limit < 2) return false;
  const std::size_t range = id_max - id_min + 1;
  std::vector<std::uint32_t> codes;
  const bool fits = range <= std::max<std::size_t>(256, ids.size() / 2)
                        ? code_by_table(ids, static_cast<std::uint32_t>(id_min), range, limit, column.dictionary, codes)
                        : code_by_hash(ids, limit, column.dictionary, codes);
  if (!fits) return false;
  const Width width = width_for(column.dictionary.size() - 1);
  const std::size_t plain = code_bytes(width_for(id_max - id_min), ids.size());
  if (code_bytes(width, ids.size()) + column.dictionary.size() * sizeof(std::uint32_t) >= plain) {
    column.dictionary = {};
    return false;
  }
  column.width = width;
  column.dictionary_coded = true;
  pack(column, ids.size(), [&](std::size_t index) { return codes[index]; });
  return true;
}

void set_presence(Column& column, std::span<const std::uint64_t> present) {
  column.presence.assign(present.begin(), present.end());
  column.presence_rank.resize(present.size());
  std::uint32_t rank = 0;
  for (std::size_t word = 0; word < present.size(); ++word) {
    column.presence_rank[word] = rank;
    rank += static_cast<std::uint32_t>(std::popcount(present[word]));
  }
}

struct Bounds {
  std::uint64_t min = 0, max = 0;  // bits of the least and greatest value; max − min modulo 2^64 is the greatest code
};

Bounds signed_bounds(std::span<const std::uint64_t> bits) {
  std::int64_t low = std::numeric_limits<std::int64_t>::max(), high = std::numeric_limits<std::int64_t>::min();
  for (const std::uint64_t value : bits) {
    low = std::min(low, static_cast<std::int64_t>(value));
    high = std::max(high, static_cast<std::int64_t>(value));
  }
  return {static_cast<std::uint64_t>(low), static_cast<std::uint64_t>(high)};
}

bool all_equal(std::span<const std::uint64_t> bits) {
  return std::all_of(bits.begin(), bits.end(), [&](std::uint64_t value) { return value == bits.front(); });
}

}  // namespace

void decode_values(const Column& column, std::uint32_t first, std::span<std::uint64_t> out) {
  if (column.dictionary_coded) {
    const std::uint32_t* dictionary = column.dictionary.data();
    unpack(column, first, out.size(), out.data(),
           [=](auto code) { return static_cast<std::uint64_t>(dictionary[code]); });
  } else {
    const std::uint64_t base = column.base;
    unpack(column, first, out.size(), out.data(), [=](auto code) { return base + code; });
  }
}

void decode_codes(const Column& column, std::uint32_t first, std::span<std::uint32_t> out) {
  unpack(column, first, out.size(), out.data(), [](auto code) { return static_cast<std::uint32_t>(code); });
}

Column build_column(KeyId key, ValueType type, std::uint32_t row_count, std::span<const std::uint64_t> bits,
                    std::span<const std::uint64_t> present) {
  Column column;
  column.key = key;
  column.type = type;
  column.row_count = row_count;
  column.value_count = static_cast<std::uint32_t>(bits.size());
  if (bits.size() < row_count) set_presence(column, present);
  if (bits.empty()) {
    pack(column, 0, [](std::size_t) { return 0; });
    return column;
  }
  if (type == ValueType::kFloat) {  // all 64 bits, unless there is one value only
    const bool constant = all_equal(bits);
    column.width = constant ? Width::k0 : Width::k64;
    column.base = constant ? bits.front() : 0;
    pack(column, bits.size(), [&](std::size_t index) { return bits[index]; });
    return column;
  }
  const Bounds bounds = signed_bounds(bits);
  if (is_dictionary_type(type) && build_dictionary(column, bits, bounds.min, bounds.max)) return column;
  column.base = bounds.min;
  column.width = width_for(bounds.max - bounds.min);
  pack(column, bits.size(), [&](std::size_t index) { return bits[index] - bounds.min; });
  return column;
}

}  // namespace cdp
