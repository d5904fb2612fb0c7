#include "base/huge_pages.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace cdp {
namespace {

constexpr std::size_t kPageBytes = std::size_t{2} << 20;

std::size_t whole_pages(std::size_t size_bytes) noexcept { return (size_bytes + kPageBytes - 1) & ~(kPageBytes - 1); }

}  // namespace

void* map_huge(std::size_t size_bytes) {
  const std::size_t kept = whole_pages(size_bytes), asked = kept + kPageBytes;  // room to begin at a border of pages
  void* const mapped = ::mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  const std::size_t before =
      whole_pages(reinterpret_cast<std::uintptr_t>(mapped)) - reinterpret_cast<std::uintptr_t>(mapped);
  auto* const at = static_cast<std::byte*>(mapped) + before;
  if (before != 0) ::munmap(mapped, before);
  ::munmap(at + kept, kPageBytes - before);
  ::madvise(at, kept, MADV_HUGEPAGE);  // refused where the kernel has none: small pages do as well
  return at;
}

void unmap_huge(void* at, std::size_t size_bytes) noexcept { ::munmap(at, whole_pages(size_bytes)); }

}  // namespace cdp
