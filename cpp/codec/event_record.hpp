// Hostile msgpack in, a canonical batch out: the one place where foreign bytes are judged.
//
//   batch  := array of record
//   record := map with "type"; the fields of each type are in docs/architecture.md "Records"
//
// A bad record is a Reject and the rest is kept; its index is that of the array as sent, its path that of the first
// defect in the order sent (fields that are missing come last; a record over limits::kRecordBytes is refused for that
// alone). A batch whose structure is broken has no records to speak of: Error(kBadFrame, batch.*).
//
// Cost: ~200 ns for an event of 8 fields whose keys were seen before in the batch (docs in cpp/codec/README.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "codec/canonical_batch.hpp"
#include "codec/normalise.hpp"

namespace cdp {

struct DecodeOptions {
  std::int64_t received_ms = 0;     // of the batch; within limits::kTimeMinMs .. kTimeMaxMs
  std::uint64_t hash_key = 0;       // the store's
  bool allow_system = false;        // names beginning "Message " and "Segment " are the server's own
  std::string_view source_id;       // key or loader that brought the batch
  std::span<const KindRule> kinds;  // at most kKindsMax; empty = default_kind_rules()
};
inline constexpr std::size_t kKindsMax = 64;

struct DecodeResult {
  CanonicalBatch batch;
  std::vector<Reject> rejects;              // ascending by index
  std::vector<std::uint32_t> record_index;  // place as sent of each record kept; empty when none was refused
};

// Decodes `bytes`, which must stay unchanged during the call. Throws Error: kBadFrame (batch.*) for a batch that cannot
// be read, kInvalidRequest for options out of range.
[[nodiscard]] DecodeResult decode_batch(std::span<const std::byte> bytes, const DecodeOptions& options);

}  // namespace cdp
