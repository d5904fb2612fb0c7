// What a ruled trend has counted, by series, interval, group and bucket: cells that hold rows, in a table by number.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "query/kernel.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/measure_cells.hpp"

namespace cdp {

struct TrendCell {
  std::uint32_t series, axis, group;
  friend auto operator<=>(const TrendCell&, const TrendCell&) = default;
  // With its bucket in 64 bits: 5, 5, 32 and 17 of them.
  [[nodiscard]] std::uint64_t key(std::uint32_t bucket) const noexcept {
    return (((std::uint64_t{series} << 5 | axis) << 32 | group) << 17) | bucket;
  }
  static TrendCell of(std::uint64_t key) noexcept {
    return {static_cast<std::uint32_t>(key >> 54), static_cast<std::uint32_t>(key >> 49) & 31,
            static_cast<std::uint32_t>(key >> 17)};
  }
  static std::uint32_t bucket_of(std::uint64_t key) noexcept { return static_cast<std::uint32_t>(key) & 0x1FFFF; }
};

struct RuledTrendPartial final : Partial {
  RuledTrendPartial(std::size_t operands, std::vector<NumberCells> of_numbers, std::size_t kept_keys)
      : groups(operands), numbers(std::move(of_numbers)), values(kept_keys) {}

  std::uint32_t at(std::uint64_t key) {
    if (key == last_key_ && !total.empty()) return last_cell_;
    const auto [found, is_new] = cell_of.try_emplace(key, static_cast<std::uint32_t>(total.size()));
    if (is_new) {
      total.push_back(0);
      entered.push_back(0);
      counts.emplace_back();
      if (total.size() > room_) {
        room_ = std::max<std::size_t>(2 * room_, 64);
        for (NumberCells& each : numbers) each.resize(room_);
      }
      for (auto& of_key : values) of_key.emplace_back();
    }
    last_key_ = key;
    return last_cell_ = found->second;
  }
  [[nodiscard]] std::uint64_t size_bytes() const noexcept {
    std::uint64_t bytes = groups.size_bytes() + total.size() * (64 + 24 * (values.size() + 1)) + kept * sizeof(Value);
    for (const NumberCells& each : numbers) bytes += each.size_bytes();
    return bytes;
  }

  Groups groups;
  std::unordered_map<std::uint64_t, std::uint32_t> cell_of;
  std::vector<std::uint64_t> total;   // rows of a cell
  std::vector<std::int64_t> entered;  // profiles in the window that ends here, less those in the one before
  std::vector<std::vector<std::uint32_t>> counts;       // of each of these profiles its rows in it
  std::vector<NumberCells> numbers;                     // one a key
  std::vector<std::vector<std::vector<Value>>> values;  // one a key that is kept, a cell
  std::uint64_t kept = 0;
  std::uint64_t charged_bytes = 0;
  GrownGroups grown;

 private:
  std::size_t room_ = 0;
  std::uint64_t last_key_ = 0;  // of rows one behind the other mostly the same
  std::uint32_t last_cell_ = 0;
};

}  // namespace cdp
