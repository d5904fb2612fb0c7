// Reusable buffers of one worker, so that kernels allocate nothing per chunk. A lease returns its buffer when it ends.
// Not shared between threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace cdp {

class Scratch {
 public:
  // `size()` elements, contents undefined, 64 readable and writable bytes of padding behind. Aligned to 64 bytes.
  template <class T>
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept
        : scratch_(std::exchange(other.scratch_, nullptr)), block_(std::move(other.block_)), size_(other.size_) {}
    Lease& operator=(Lease&& other) noexcept {
      if (this != &other) {
        give_back();
        scratch_ = std::exchange(other.scratch_, nullptr);
        block_ = std::move(other.block_);
        size_ = other.size_;
      }
      return *this;
    }
    ~Lease() { give_back(); }
    [[nodiscard]] T* data() const noexcept { return reinterpret_cast<T*>(block_.start()); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] T& operator[](std::size_t index) const noexcept { return data()[index]; }
    [[nodiscard]] std::span<T> span() const noexcept { return {data(), size_}; }

   private:
    friend class Scratch;
    void give_back() noexcept {
      if (scratch_ != nullptr) scratch_->put(std::move(block_));
      scratch_ = nullptr;
    }
    Scratch* scratch_ = nullptr;
    struct Block {
      std::unique_ptr<std::byte[]> bytes;
      std::size_t capacity = 0;
      [[nodiscard]] std::byte* start() const noexcept {
        const auto at = reinterpret_cast<std::uintptr_t>(bytes.get());
        return bytes.get() + ((64 - (at & 63)) & 63);
      }
    };
    Block block_;
    std::size_t size_ = 0;
  };

  template <class T>
  [[nodiscard]] Lease<T> lease(std::size_t count) {
    Lease<T> out;
    auto [bytes, capacity] = get(count * sizeof(T) + 64);
    out.block_.bytes = std::move(bytes);
    out.block_.capacity = capacity;
    out.scratch_ = this;
    out.size_ = count;
    return out;
  }
  // The same, all zero.
  template <class T>
  [[nodiscard]] Lease<T> zeroed(std::size_t count) {
    Lease<T> out = lease<T>(count);
    std::fill_n(out.data(), count, T{});
    return out;
  }

 private:
  using Pair = std::pair<std::unique_ptr<std::byte[]>, std::size_t>;
  // The smallest free block that holds `size_bytes`, else a new one of the next power of two.
  Pair get(std::size_t size_bytes);
  template <class Block>
  void put(Block&& block) noexcept {
    if (free_.size() < free_.capacity()) free_.emplace_back(std::move(block.bytes), block.capacity);
    block.bytes.reset();
  }
  std::vector<Pair> free_ = reserved();
  static std::vector<Pair> reserved() {
    std::vector<Pair> out;
    out.reserve(64);
    return out;
  }
};

}  // namespace cdp
