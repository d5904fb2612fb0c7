// The tables of the instruction sets, one file each. Private to simd/.
#pragma once

#include "simd/primitives.hpp"

namespace cdp::simd {

[[nodiscard]] const Primitives& scalar_primitives() noexcept;
#if defined(__x86_64__)
[[nodiscard]] const Primitives& avx2_primitives() noexcept;
[[nodiscard]] const Primitives& avx512_primitives() noexcept;
#endif

}  // namespace cdp::simd
