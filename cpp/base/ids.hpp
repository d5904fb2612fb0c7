// The numbers that name things. Strong types at interfaces; columns hold the raw 32 bits (`raw(id)`).
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

namespace cdp {

// Given at first sight of an identity, in log order, never reused. Rows, operations, devices belong to an origin.
enum class Origin : std::uint32_t {};
// Index into the dictionary of event names, of property and trait keys, of string values.
enum class NameId : std::uint32_t {};
enum class KeyId : std::uint32_t {};
enum class StringId : std::uint32_t {};
// Place in the order of all records: every record of an accepted batch takes the next number, rejects take none.
enum class Sequence : std::uint64_t {};

template <class Id>
[[nodiscard]] constexpr auto raw(Id id) noexcept {
  return static_cast<std::underlying_type_t<Id>>(id);
}

inline constexpr Origin kNoOrigin{std::numeric_limits<std::uint32_t>::max()};
inline constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

}  // namespace cdp
