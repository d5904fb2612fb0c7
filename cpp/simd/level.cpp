#include "simd/level.hpp"

#include <atomic>

#include "simd/primitives.hpp"
#include "simd/variants.hpp"

namespace cdp::simd {

namespace {

Level detect() noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
      __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi2")) {
    return Level::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) return Level::kAvx2;
#endif
  return Level::kScalar;
}

std::atomic<const Primitives*>& current() noexcept {
  static std::atomic<const Primitives*> table{&primitives_of(best_level())};
  return table;
}

constexpr std::string_view kNames[] = {"scalar", "avx2", "avx512"};

}  // namespace

std::optional<Level> parse_level(std::string_view name) noexcept {
  for (std::uint8_t i = 0; i < 3; ++i) {
    if (name == kNames[i]) return static_cast<Level>(i);
  }
  return std::nullopt;
}

std::string_view level_name(Level level) noexcept { return kNames[static_cast<std::uint8_t>(level)]; }

Level best_level() noexcept {
  static const Level level = detect();
  return level;
}

Level set_level(Level level) noexcept {
  const Level used = level < best_level() ? level : best_level();
  current().store(&primitives_of(used), std::memory_order_release);
  return used;
}

Level current_level() noexcept { return primitives().level; }

const Primitives& primitives() noexcept { return *current().load(std::memory_order_acquire); }

const Primitives& primitives_of(Level level) noexcept {
#if defined(__x86_64__)
  if (level == Level::kAvx512) return avx512_primitives();
  if (level == Level::kAvx2) return avx2_primitives();
#else
  static_cast<void>(level);
#endif
  return scalar_primitives();
}

}  // namespace cdp::simd
