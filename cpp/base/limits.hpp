// Every bound, once, with its reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cdp::limits {

// --- what a client may send (DESIGN: interfaces). Over a limit the record is rejected, never cut.
inline constexpr std::size_t kBatchBytes = 8u << 20;  // one frame; keeps decode under 20 ms
inline constexpr std::size_t kBatchRecords = 10'000;  // one apply step; keeps a group's latency bounded
inline constexpr std::size_t kRecordBytes = 64u << 10;
inline constexpr std::size_t kStringBytes = 4u << 10;
inline constexpr std::size_t kNameBytes = 256;  // event names, property keys, identity kinds
inline constexpr std::size_t kIdentityBytes = 512;
inline constexpr std::size_t kProperties = 256;  // after flattening
inline constexpr std::size_t kDepth = 8;
inline constexpr std::size_t kIdentitiesPerRecord = 16;
inline constexpr std::size_t kRejectValueBytes = 64;           // of the offending value shown back
inline constexpr std::int64_t kTimeMinMs = 94'694'400'000;     // 1973-01-01
inline constexpr std::int64_t kTimeMaxMs = 4'102'444'800'000;  // 2100-01-01
inline constexpr std::int64_t kFutureSnapMs = 2 * 60'000;      // ahead by less: the received time, client's kept apart

// --- identity and traits
inline constexpr std::size_t kOriginsPerProfile = 1'000;
inline constexpr std::size_t kOperationsPerTrait = 10'000;  // per origin and trait
inline constexpr std::size_t kFactsPerOrigin = 10'000;  // per type: a device seen daily for 27 years; a read walks them

// --- layout
inline constexpr std::int64_t kPartitionMs = 28LL * 86'400'000;  // u32 milliseconds reach 49 days
inline constexpr std::int64_t kPartitionEpochMs =
    4LL * 86'400'000;  // Monday 1970-01-05: partitions hold whole ISO weeks
inline constexpr std::int64_t kSlotMs = 15 * 60'000;
inline constexpr std::uint32_t kSlotsPerPartition = 2'688;
inline constexpr std::uint32_t kBlockIds = 1'024;            // dense ids of a block; chunk borders lie on blocks
inline constexpr std::uint32_t kStripeIds = 16 * kBlockIds;  // ids of a task: its carry stays in L2
inline constexpr std::uint32_t kChunkRows = 65'535;          // u16 postings; a larger block gets u32 ones
inline constexpr std::uint32_t kTailRows = 16'384;           // unsorted rows; a seal takes about a millisecond
inline constexpr std::uint32_t kTailBatches = 256;           // a version copies one pointer a batch
inline constexpr std::uint32_t kMergeFanIn = 8;
inline constexpr std::uint32_t kNamesMax = 65'535;  // event names of a store
inline constexpr std::uint32_t kKeysMax = 65'535;   // keys of properties and traits: a column each

// --- log
inline constexpr std::size_t kGroupBytes = 4u << 20;  // what one sync takes
inline constexpr std::size_t kGroupAlign = 4'096;
inline constexpr std::size_t kLogFileFirstBytes = 1u << 20;  // an idle tenant costs little; doubles up to
inline constexpr std::size_t kLogFileBytes = 128u << 20;
inline constexpr std::size_t kQueuedBytes = 64u << 20;  // accepted, not yet durable: then submit waits
inline constexpr std::size_t kQueuedGroups = 64;  // durable (or without a log), not yet applied: then submit waits
inline constexpr std::int64_t kDedupeDays = 30;   // of receipt
inline constexpr std::int64_t kTickMs = 1'000;

}  // namespace cdp::limits
