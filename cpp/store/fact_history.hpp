// Every fact of one type ever told, append-only, chained by origin: entries never move, so a reader that knows an origin's
// newest entry may walk back from it while the writer appends.
//
//   entry   = lead, count, [before], order, [latest], size, body, padding to 4 bytes
//   lead    = bit 0: `latest` present, bit 1: `before` present
//   count   = varint: entries of this origin up to this one
//   before  = varint: place of the origin's entry before this one
//   order   = varint: sequence of the record
//   latest  = 6 bytes: the latest time of the chain, when this entry came late (its time is below that)
//   body    = time (6 bytes, two's complement milliseconds), state (1), subject (varint), texts*: two equal bodies of an
//             origin are one and the same fact
//   text    = field * 2 + 1, StringId (varint); or field * 2: null
//
// ~25 bytes for a consent, ~35 for a device. A place is the index of a 4-byte word + 1.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/segmented_array.hpp"
#include "codec/canonical_batch.hpp"

namespace cdp {

// A fact behind apply: ids of the store instead of the batch's.
struct StoredFact {
  Origin origin{};
  std::uint64_t subject = 0;  // FactStore's matter: subject_of
  std::uint8_t state = 0;     // place in FactSpec::states
  std::int64_t time_ms = 0;
  std::uint64_t order = 0;  // sequence of its record, for ties
  std::vector<FactText> texts;
};

struct FactEntry {
  std::uint32_t count = 0;
  std::uint32_t before = 0;  // place, 0 = none
  std::int64_t latest_ms = 0;
  std::uint64_t order = 0;
  std::string_view body;
  // of the body
  std::int64_t time_ms = 0;
  std::uint64_t subject = 0;
  std::uint8_t state = 0;
  std::string_view texts;
};

inline constexpr std::size_t kFactBodyMax = 64;
static_assert(6 + 1 + 10 + 5 * 6 <= kFactBodyMax);  // time, state, subject, texts

// The bytes that tell one fact of an origin from another; a view of `buffer`.
[[nodiscard]] std::string_view fact_body(const StoredFact& fact, std::span<char, kFactBodyMax> buffer) noexcept;

class FactHistory {
 public:
  // The place of a new entry behind `before` (0 = none), whose chain's latest time is `latest_ms`. REQUIRES: not full.
  [[nodiscard]] std::uint32_t append(std::uint32_t count, std::uint32_t before, std::int64_t latest_ms,
                                     std::int64_t time_ms, std::uint64_t order, std::string_view body);
  // REQUIRES: a place that append gave. Cost ~5 ns.
  [[nodiscard]] FactEntry read(std::uint32_t place) const noexcept;
  [[nodiscard]] bool full() const noexcept { return used_ >= kWordsMax; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return std::size_t{used_} * 4; }

 private:
  static constexpr std::uint32_t kWordsMax = 0xFFFF'0000u;

  SegmentedArray<std::uint32_t> words_;
  std::uint32_t used_ = 0;
};

// Appends the texts of an entry.
void read_texts(const FactEntry& entry, std::vector<FactText>& out);

}  // namespace cdp
