// Memory for large arrays that live shortly: from kHugeBytes on in pages of 2 MiB where the kernel gives them. Filled in order
// and then read here and there, arrays of many megabytes cost a fault every 4 KiB and a miss of the TLB every read otherwise.
// Elements are left unset by resize(), so nothing is written twice.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace cdp {

inline constexpr std::size_t kHugeBytes = std::size_t{1} << 20;  // fewer: half of a huge page and more would be wasted

// REQUIRES: size_bytes >= kHugeBytes. Throws std::bad_alloc. `unmap_huge` takes what map_huge(size_bytes) gave.
[[nodiscard]] void* map_huge(std::size_t size_bytes);
void unmap_huge(void* at, std::size_t size_bytes) noexcept;

template <class T>
struct HugePageAllocator {
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  using value_type = T;
  HugePageAllocator() = default;
  template <class Other>
  HugePageAllocator(const HugePageAllocator<Other>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / (2 * sizeof(T))) throw std::bad_array_new_length();
    const std::size_t size_bytes = count * sizeof(T);
    return static_cast<T*>(size_bytes < kHugeBytes ? ::operator new(size_bytes) : map_huge(size_bytes));
  }
  void deallocate(T* at, std::size_t count) noexcept {
    const std::size_t size_bytes = count * sizeof(T);
    if (size_bytes < kHugeBytes) return ::operator delete(at);
    unmap_huge(at, size_bytes);
  }
  template <class Of>
  void construct(Of* at) noexcept(std::is_nothrow_default_constructible_v<Of>) {
    ::new (static_cast<void*>(at)) Of;
  }
  template <class Of, class... From>
  void construct(Of* at, From&&... from) {
    std::construct_at(at, std::forward<From>(from)...);
  }
  friend bool operator==(const HugePageAllocator&, const HugePageAllocator&) noexcept { return true; }
};

template <class T>
using HugeVector = std::vector<T, HugePageAllocator<T>>;

}  // namespace cdp
