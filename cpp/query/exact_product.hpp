// A number against another times a factor, exactly: no rounding anywhere.
#pragma once

#include "base/value.hpp"

namespace cdp {

// Sign of left − right · factor. REQUIRES: all three are kInt or kFloat.
[[nodiscard]] int compare_product(const Value& left, const Value& right, const Value& factor) noexcept;
// The same of an integer of up to 127 bits.
[[nodiscard]] int compare_product(__int128 left, const Value& right, const Value& factor) noexcept;

}  // namespace cdp
