// The group: unit of writing, of syncing and of recovery. One write, one fdatasync, all or nothing.
//
//   log file  := file header (4 KiB), group*, zeros up to the file's end
//   group     := header (128 B), lengths, payloads, zeros up to a 4 KiB border of the file
//   lengths   := u32 × payload_count, zeros up to 8 bytes
//   payloads  := (bytes, zeros up to 8 bytes) × payload_count
//   header    := digest[16]           XXH3-128 of everything behind it, up to the group's end, padding included
//                magic u64            "CDPGROUP"
//                version u32          1; place and length of digest, magic, version and size hold for all versions
//                flags u32            bit 0: a mark (no payloads)
//                file_id[16]          of the file it lies in
//                number u64           1, 2, 3, .. through all files
//                durable_through u64  highest group known to be synced when this one was written
//                previous[16]         digest of the group before it
//                offset u64           where in the file it lies
//                size_bytes u64       of the group with its padding
//                payload_count u32
//                cipher u32           0: none. Other numbers are reserved for sealing, as is
//                key_id[16]           zeros
// Little-endian.
//
// 1. A valid group proves: these bytes were written here, into this file, as that number, behind that group.
// 2. Any flipped bit of a group makes it invalid.
//
// Cost: a copy into the frame and the digest (4-10 GB/s); no allocation once the buffer has grown.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/limits.hpp"
#include "disk/data_directory.hpp"
#include "disk/digest.hpp"

namespace cdp {

inline constexpr std::uint64_t kGroupMagic = 0x50554F5247504443ull;  // "CDPGROUP"
inline constexpr std::uint32_t kGroupVersion = 1;
inline constexpr std::uint32_t kGroupMark = 1;
// A group is cut at limits::kGroupBytes by who collects it, but one payload may be longer. Half of a log file.
inline constexpr std::size_t kGroupBytesMax = 64u << 20;

struct GroupHeader {
  Digest128 digest;
  std::uint64_t magic = kGroupMagic;
  std::uint32_t version = kGroupVersion;
  std::uint32_t flags = 0;
  FileId file_id;
  std::uint64_t number = 0;
  std::uint64_t durable_through = 0;
  Digest128 previous;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  std::uint32_t payload_count = 0;
  std::uint32_t cipher = 0;
  std::array<std::uint8_t, 16> key_id{};
  std::uint64_t reserved = 0;

  [[nodiscard]] bool is_mark() const noexcept { return (flags & kGroupMark) != 0; }
};
static_assert(sizeof(GroupHeader) == 128);
static_assert(std::endian::native == std::endian::little);

using Payload = std::span<const std::byte>;

// Bytes that a group of these payloads takes in the file.
[[nodiscard]] std::uint64_t group_size_bytes(std::span<const Payload> payloads) noexcept;

// Writes the group into `buffer` (grown as needed, its rest left alone) and returns it with its digest. Sets
// size_bytes, payload_count and digest of the header; the rest is the caller's.
// REQUIRES: group_size_bytes(payloads) <= kGroupBytesMax.
struct FramedGroup {
  std::span<const std::byte> bytes;
  Digest128 digest;
};
[[nodiscard]] FramedGroup frame_group(GroupHeader header, std::span<const Payload> payloads,
                                      std::vector<std::byte>& buffer);

// The group's size if these bytes could be the beginning of one that lies at `offset` of the file, else 0. Reads no
// more than the header.
[[nodiscard]] std::uint64_t plausible_group_size(std::span<const std::byte> bytes, std::uint64_t offset) noexcept;

struct GroupView {
  GroupHeader header;
  std::vector<Payload> payloads;  // into the bytes given
};
// nullopt unless `bytes` begin with a valid group of that file at that place. Throws store.format when it is valid and
// of a newer version or sealed by a cipher unknown here: dropping it as torn would lose data.
[[nodiscard]] std::optional<GroupView> parse_group(std::span<const std::byte> bytes, const FileId& file_id,
                                                   std::uint64_t offset);

}  // namespace cdp
