// Reading the codes of a column with its width known at compile time: for loops that run over many rows.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "column/column.hpp"

namespace cdp {

// Code number `index` of a column of known width.
template <Width width>
[[nodiscard]] inline std::uint64_t code_of(const std::uint8_t* codes, std::uint32_t index) noexcept {
  if constexpr (width == Width::k0) return 0;
  if constexpr (width == Width::k1) return (codes[index >> 3] >> (index & 7)) & 1u;
  if constexpr (width == Width::k2) return (codes[index >> 2] >> ((index & 3) * 2)) & 3u;
  if constexpr (width == Width::k4) return (codes[index >> 1] >> ((index & 1) * 4)) & 15u;
  if constexpr (width == Width::k8) return codes[index];
  if constexpr (width == Width::k16 || width == Width::k24 || width == Width::k32 || width == Width::k64) {
    constexpr std::size_t kBytes = width_bits(width) / 8;
    std::conditional_t<(kBytes > 4), std::uint64_t, std::conditional_t<(kBytes > 2), std::uint32_t, std::uint16_t>>
        word;
    std::memcpy(&word, codes + std::size_t{index} * kBytes, sizeof word);
    return width == Width::k24 ? word & 0xFFFFFFu : word;
  }
}

// body.template operator()<width>() for the column's width: the switch stands outside of the loop.
template <class Body>
inline std::uint32_t with_width(Width width, Body&& body) {
  switch (width) {
    case Width::k0: return body.template operator()<Width::k0>();
    case Width::k1: return body.template operator()<Width::k1>();
    case Width::k2: return body.template operator()<Width::k2>();
    case Width::k4: return body.template operator()<Width::k4>();
    case Width::k8: return body.template operator()<Width::k8>();
    case Width::k16: return body.template operator()<Width::k16>();
    case Width::k24: return body.template operator()<Width::k24>();
    case Width::k32: return body.template operator()<Width::k32>();
    case Width::k64: return body.template operator()<Width::k64>();
  }
  return 0;
}

}  // namespace cdp
