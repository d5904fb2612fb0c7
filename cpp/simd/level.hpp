// Instruction sets of the primitives. The processor is asked once; the engine may force a lower level by name (the
// setting CDPSTORE_SIMD is read above and handed in). Threads: set_simd_level before queries run; reading is free.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cdp::simd {

enum class Level : std::uint8_t { kScalar = 0, kAvx2 = 1, kAvx512 = 2 };  // kAvx512 = F, BW, DQ, VL, VBMI, VBMI2

[[nodiscard]] std::optional<Level> parse_level(std::string_view name) noexcept;  // "scalar" | "avx2" | "avx512"
[[nodiscard]] std::string_view level_name(Level level) noexcept;
// The best level this processor has.
[[nodiscard]] Level best_level() noexcept;
// Makes primitives() use this level, or the best one below it that the processor has. Returns the level now used.
Level set_level(Level level) noexcept;
[[nodiscard]] Level current_level() noexcept;

}  // namespace cdp::simd
