// Bytes that never move and are freed together. Blocks double from 1 KiB to 1 MiB; what is larger gets its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace cdp {

class ByteArena {
 public:
  [[nodiscard]] char* take(std::size_t size) {
    if (size > left_) open(size);
    char* at = next_;
    next_ += size, left_ -= size;
    return at;
  }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

 private:
  static constexpr std::size_t kFirstBytes = 1u << 10, kBlockBytes = 1u << 20;

  void open(std::size_t size) {
    const std::size_t wanted = blocks_.size() >= 10 ? kBlockBytes : kFirstBytes << blocks_.size();
    const std::size_t bytes = size > wanted ? size : wanted;
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    next_ = blocks_.back().get(), left_ = bytes;
    size_bytes_ += bytes;
  }

  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t size_bytes_ = 0;
};

// Lengths before bytes: 7 bits a byte, low first.
[[nodiscard]] inline std::size_t varint_size(std::uint64_t value) noexcept {
  std::size_t size = 1;
  for (; value >= 128; value >>= 7) ++size;
  return size;
}
inline char* put_varint(char* at, std::uint64_t value) noexcept {
  for (; value >= 128; value >>= 7) *at++ = static_cast<char>(value | 128);
  *at++ = static_cast<char>(value);
  return at;
}
inline const char* get_varint(const char* at, std::uint64_t& value) noexcept {
  value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::uint64_t>(byte & 127) << shift;
    if (byte < 128) return at;
  }
}

}  // namespace cdp
