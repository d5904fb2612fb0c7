// An array that grows without ever moving an element: segments of 64, 64, 128, 256, .. elements. One writer makes room
// and fills, readers index without a lock whatever they were told exists (a size or index published with release).
//
// Invariants: an element is all zero bytes until written; its address never changes. Memory of a segment comes zeroed
// from the system and is not resident until touched, so doubling does not cost twice the memory.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>

namespace cdp {

template <class T>
class SegmentedArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  static constexpr std::uint32_t kFirst = 64;

  SegmentedArray() = default;
  SegmentedArray(const SegmentedArray&) = delete;
  SegmentedArray& operator=(const SegmentedArray&) = delete;
  ~SegmentedArray() {
    for (auto& segment : segments_) std::free(segment.load(std::memory_order_relaxed));
  }

  // Writer only: the element, its segment made first if needed.
  T& make(std::uint32_t index) {
    const Place place = locate(index);
    T* segment = segments_[place.segment].load(std::memory_order_relaxed);
    if (segment == nullptr) {
      segment = static_cast<T*>(std::calloc(segment_size(place.segment), sizeof(T)));
      if (segment == nullptr) throw std::bad_alloc();
      segments_[place.segment].store(segment, std::memory_order_release);
    }
    return segment[place.offset];
  }
  // REQUIRES: made.
  [[nodiscard]] const T& operator[](std::uint32_t index) const noexcept { return *at(index); }
  [[nodiscard]] T& operator[](std::uint32_t index) noexcept { return *at(index); }
  // Null when its segment was never made.
  [[nodiscard]] T* find(std::uint32_t index) const noexcept {
    const Place place = locate(index);
    T* segment = segments_[place.segment].load(std::memory_order_acquire);
    return segment == nullptr ? nullptr : segment + place.offset;
  }
  // Elements from `index` to the end of its segment: what can be had in one piece.
  [[nodiscard]] static std::uint32_t room(std::uint32_t index) noexcept {
    const Place place = locate(index);
    return segment_size(place.segment) - place.offset;
  }

 private:
  struct Place {
    std::uint32_t segment;
    std::uint32_t offset;
  };
  [[nodiscard]] static Place locate(std::uint32_t index) noexcept {
    if (index < kFirst) return {0, index};
    const auto high = static_cast<std::uint32_t>(std::bit_width(index)) - 1;
    return {high - 5, index - (1u << high)};
  }
  [[nodiscard]] static std::uint32_t segment_size(std::uint32_t segment) noexcept {
    return segment == 0 ? kFirst : 1u << (segment + 5);
  }
  [[nodiscard]] T* at(std::uint32_t index) const noexcept {
    const Place place = locate(index);
    return segments_[place.segment].load(std::memory_order_acquire) + place.offset;
  }

  std::array<std::atomic<T*>, 27> segments_{};
};

}  // namespace cdp
