// A number against another times a factor. The product of two integers is exact, any other is the exact one rounded once to the
// 53 bits of a float: 0.8 times 100 is 80, as everywhere, though 0.8 in binary is a little more. The comparison is exact.
#pragma once

#include "base/value.hpp"

namespace cdp {

// Sign of left − right · factor. REQUIRES: all three are kInt or kFloat.
[[nodiscard]] int compare_product(const Value& left, const Value& right, const Value& factor) noexcept;
// The same of an integer of up to 127 bits.
[[nodiscard]] int compare_product(__int128 left, const Value& right, const Value& factor) noexcept;

}  // namespace cdp
