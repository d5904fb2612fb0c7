// Codec 1: a canonical batch as the payload of a log group. Columnar, little-endian, every integer column as narrow as
// its range; the digest and the codec's number belong to the log's envelope.
//
//   batch      := received_ms:i64 source strings identities runs events traits identifies merges unmerges facts groups
//   source     := size:u32 byte*
//   strings    := count:u32 column(u32: bytes of each) size:u32 byte*
//   identities := count:u32 column(u32: kind) column(u32: value)                         hashes are made again
//   runs       := count:u32 (type:u8 count:u32)*                                         `first` follows from the order
//   events     := count:u32 shapes column(u64: time_ms) column(u32: shape) column(u32: identities of each)
//                 column(u32: identity_refs) event_ids values
//   shapes     := count:u32 fields:u32 column(u32: name) column(u32: field count) column(u32: key) type:u8*
//   event_ids  := 0:u8 | 1:u8 (low:u64 high:u64)*                                        one an event
//   values     := (base:u64 bytes:u8)* code*     first one pair a field of `shapes`; then, event by event, the values of
//                 its shape's fields, each as bits - base in so many bytes, 0 to 8
//   traits     := count:u32 column(u64: time_ms) column(u32: identities) column(u32: operations) refs operations
//   refs       := count:u32 column(u32)
//   operations := count:u32 column(u32: key) kind:u8* type:u8* column(u64: bits)
//   identifies := pairs      merges := pairs
//   pairs      := count:u32 column(u64: time_ms) column(u32: from) column(u32: to)
//   unmerges   := count:u32 column(u64: time_ms) column(u64: link_sequence)
//   facts      := types:u8 (type:u8 count:u32 column(u64: time_ms) column(u32: identities) column(u32: subject)
//                 column(u32: subject) column(u8: state) column(u32: texts) refs texts)*     types that are there, ascending
//   texts      := count:u32 column(u8: field) column(u32: string)       a subject or string: its index + 1, 0 for none
//   groups     := count:u32 column(u64: time_ms) column(u32: kind) column(u32: id) column(u32: operations) operations
//   column     := base:u64 bytes:u8 code*        value - base in so many bytes, 0 to 8; of known count, absent for count 0
//
// A number is never given another meaning; a change of this grammar is codec 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/limits.hpp"
#include "codec/canonical_batch.hpp"

namespace cdp {

inline constexpr std::uint32_t kCanonicalCodec = 1;
// Records of one batch. Above limits::kBatchRecords, so that a batch made by the server itself may be larger; a damaged
// count can make the parser reserve no more than this asks for.
inline constexpr std::size_t kCanonicalRecordsMax = 65'536;
static_assert(limits::kBatchRecords <= kCanonicalRecordsMax);
// Of one list's canonical bytes: these may be longer than what was sent (32-bit floats, dotted keys).
inline constexpr std::size_t kListBytesMax = 2 * limits::kRecordBytes;

// Appends the batch. REQUIRES: check(batch) would pass. Throws kLimitExceeded (batch.too_many_records). ~30 ns an event of
// 8 fields.
void encode_canonical(const CanonicalBatch& batch, std::vector<std::byte>& out);

// The batch encoded in exactly these bytes. `hash_key`: the store's. Throws Error(kCorruption, log.corrupt) for bytes
// that encode_canonical did not write, as far as they break an invariant.
[[nodiscard]] CanonicalBatch decode_canonical(std::span<const std::byte> bytes, std::uint64_t hash_key);

// Throws Error(kCorruption, log.corrupt) naming the invariant of canonical_batch.hpp that does not hold.
void check(const CanonicalBatch& batch);

}  // namespace cdp
