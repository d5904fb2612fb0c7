// One value of a property or trait: a type and 64 bits. Types are kept apart, nothing is coerced.
#pragma once

#include <bit>
#include <cstdint>

namespace cdp {

// Stored in logs: numbers never change.
enum class ValueType : std::uint8_t {
  kNull = 0,      // bits 0
  kBool = 1,      // bits 0 or 1
  kInt = 2,       // two's complement int64
  kFloat = 3,     // IEEE double, never NaN or infinite; -0.0 is stored as 0.0
  kString = 4,    // index into a dictionary: of the batch in a batch, of the store (StringId) behind apply
  kDatetime = 5,  // int64 milliseconds UTC
  kList = 6,      // list of scalars: dictionary index of its canonical msgpack bytes
  kItems = 7,     // list of objects: the same
};
inline constexpr int kValueTypeCount = 8;

[[nodiscard]] constexpr bool is_dictionary_type(ValueType type) noexcept {
  return type == ValueType::kString || type == ValueType::kList || type == ValueType::kItems;
}

struct Value {
  ValueType type = ValueType::kNull;
  std::uint64_t bits = 0;

  [[nodiscard]] std::int64_t as_int() const noexcept { return static_cast<std::int64_t>(bits); }
  [[nodiscard]] double as_float() const noexcept { return std::bit_cast<double>(bits); }
  friend bool operator==(const Value&, const Value&) = default;
};

}  // namespace cdp
