#include "disk/group.hpp"

#include <cstring>
#include <string>

namespace cdp {
namespace {

[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) noexcept {
  return (value + unit - 1) / unit * unit;
}
[[nodiscard]] constexpr std::uint64_t lengths_size_bytes(std::uint64_t payload_count) noexcept {
  return round_up(4 * payload_count, 8);
}

// Writes forward through the frame; `zero_to` fills what alignment skips.
class Cursor {
 public:
  explicit Cursor(std::byte* begin) : begin_(begin), at_(begin) {}
  void put(const void* bytes, std::size_t size_bytes) noexcept {
    if (size_bytes != 0) std::memcpy(at_, bytes, size_bytes);
    at_ += size_bytes;
  }
  void zero_to(std::uint64_t offset) noexcept {
    std::byte* const end = begin_ + offset;
    std::memset(at_, 0, static_cast<std::size_t>(end - at_));
    at_ = end;
  }
  [[nodiscard]] std::uint64_t offset() const noexcept { return static_cast<std::uint64_t>(at_ - begin_); }

 private:
  std::byte* begin_;
  std::byte* at_;
};

[[nodiscard]] bool read_payloads(std::span<const std::byte> group, std::uint32_t count,
                                 std::vector<Payload>& payloads) {
  std::uint64_t offset = sizeof(GroupHeader) + lengths_size_bytes(count);
  if (offset > group.size()) return false;
  payloads.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t length = 0;
    std::memcpy(&length, group.data() + sizeof(GroupHeader) + 4 * std::uint64_t{i}, 4);
    if (length > group.size() - offset) return false;
    payloads.push_back(group.subspan(offset, length));
    offset += round_up(length, 8);
    if (offset > group.size()) return false;
  }
  return round_up(offset, limits::kGroupAlign) == group.size();
}

}  // namespace

std::uint64_t group_size_bytes(std::span<const Payload> payloads) noexcept {
  std::uint64_t size_bytes = sizeof(GroupHeader) + lengths_size_bytes(payloads.size());
  for (const Payload payload : payloads) size_bytes += round_up(payload.size(), 8);
  return round_up(size_bytes, limits::kGroupAlign);
}

FramedGroup frame_group(GroupHeader header, std::span<const Payload> payloads, std::vector<std::byte>& buffer) {
  header.size_bytes = group_size_bytes(payloads);
  header.payload_count = static_cast<std::uint32_t>(payloads.size());
  header.digest = {};
  if (buffer.size() < header.size_bytes) buffer.resize(header.size_bytes);
  Cursor cursor(buffer.data());
  cursor.put(&header, sizeof(header));
  for (const Payload payload : payloads) {
    const auto length = static_cast<std::uint32_t>(payload.size());
    cursor.put(&length, sizeof(length));
  }
  cursor.zero_to(round_up(cursor.offset(), 8));
  for (const Payload payload : payloads) {
    cursor.put(payload.data(), payload.size());
    cursor.zero_to(round_up(cursor.offset(), 8));
  }
  cursor.zero_to(header.size_bytes);
  const std::span<const std::byte> bytes(buffer.data(), header.size_bytes);
  const Digest128 digest = digest_bytes(bytes.subspan(sizeof(Digest128)));
  std::memcpy(buffer.data(), &digest, sizeof(digest));
  return {bytes, digest};
}

std::uint64_t plausible_group_size(std::span<const std::byte> bytes, std::uint64_t offset) noexcept {
  if (bytes.size() < sizeof(GroupHeader)) return 0;
  GroupHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  const bool is_plausible = header.magic == kGroupMagic && header.offset == offset && header.size_bytes != 0 &&
                            header.size_bytes % limits::kGroupAlign == 0 && header.size_bytes <= kGroupBytesMax;
  return is_plausible ? header.size_bytes : 0;
}

std::optional<GroupView> parse_group(std::span<const std::byte> bytes, const FileId& file_id, std::uint64_t offset) {
  const std::uint64_t size_bytes = plausible_group_size(bytes, offset);
  if (size_bytes == 0 || size_bytes > bytes.size()) return std::nullopt;
  GroupView view;
  std::memcpy(&view.header, bytes.data(), sizeof(view.header));
  if (view.header.file_id != file_id) return std::nullopt;
  const auto group = bytes.first(size_bytes);
  if (digest_bytes(group.subspan(sizeof(Digest128))) != view.header.digest) return std::nullopt;
  if (view.header.version != kGroupVersion || view.header.cipher != 0)
    throw Error(Family::kConflict, code::kStoreFormat,
                "log group " + std::to_string(view.header.number) + " has version " +
                    std::to_string(view.header.version) + " and cipher " + std::to_string(view.header.cipher) +
                    ": written by a newer cdpstore");
  if (!read_payloads(group, view.header.payload_count, view.payloads)) return std::nullopt;
  return view;
}

}  // namespace cdp
