// What measures need of the rows found over a task: sums of integers a profile, or the values themselves grouped by profile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "query/clauses/measure.hpp"
#include "query/scan.hpp"
#include "query/scratch.hpp"

namespace cdp {

// Sums of integers per profile: 64 bits while no sum can overflow (bounded by rows · largest magnitude), then 128.
class IntegerSums {
 public:
  IntegerSums(std::uint32_t size, Scratch& scratch);
  // Adds the values of the selected rows. REQUIRES: an integer column.
  void add(const SliceView& view, const Column& column, const std::uint32_t* rows, std::uint32_t count);
  [[nodiscard]] __int128 sum(std::uint32_t index) const noexcept {
    return wide_.size() == 0 ? __int128{narrow_[index]} : wide_[index];
  }
  [[nodiscard]] std::uint32_t count(std::uint32_t index) const noexcept { return counts_[index]; }

 private:
  void add_dense(const SliceView& view, const Column& column, const std::uint32_t* rows, std::uint32_t count);
  void reserve_bits(const Column& column, std::uint32_t count);

  std::uint32_t size_;
  Scratch& scratch_;
  Scratch::Lease<std::int64_t> narrow_;
  Scratch::Lease<std::uint32_t> counts_;
  Scratch::Lease<__int128> wide_;
  unsigned __int128 bound_ = 0;
};

// Values of each profile, in the order they came in.
class GroupedValues {
 public:
  void add(std::uint32_t profile, const Value& value) { pairs_.push_back({profile, value}); }
  // To be called once, behind the last `add`.
  void group(std::uint32_t size);
  [[nodiscard]] bool empty() const noexcept { return first_.empty(); }
  [[nodiscard]] std::span<Value> of(std::uint32_t profile) noexcept {
    if (first_.empty()) return {};
    return std::span(values_).subspan(first_[profile], first_[profile + 1] - first_[profile]);
  }

 private:
  struct Pair {
    std::uint32_t profile = 0;
    Value value;
  };
  std::vector<Pair> pairs_;
  std::vector<std::uint32_t> first_;  // of each profile's values; empty when there are none
  std::vector<Value> values_;
};

// One measure over a task: integer sums as long as only integers come, everything else as values.
class MeasureScan {
 public:
  // `key` none: the property was never seen.
  MeasureScan(Measure measure, const std::optional<KeyId>& key, std::uint32_t size, Scratch& scratch);
  void add(const SliceView& view, const std::uint32_t* rows, std::uint32_t count);
  // To be called once, before the first `holds`, `values`.
  void group(std::uint32_t size) { values_.group(size); }
  // REQUIRES: a test of the same measure and key.
  [[nodiscard]] bool holds(const BoundMeasure& measure, std::uint32_t index, std::uint32_t row_count);
  // Null: not of sums.
  [[nodiscard]] const IntegerSums* sums() const noexcept { return sums_ ? &*sums_ : nullptr; }
  // Of a sum or mean floats alone; else all that is there.
  [[nodiscard]] std::span<Value> values(std::uint32_t index) noexcept { return values_.of(index); }

 private:
  void gather(const SliceView& view, const Column& column, const std::uint32_t* rows, std::uint32_t count);
  std::optional<KeyId> key_;
  std::optional<IntegerSums> sums_;
  GroupedValues values_;
};

}  // namespace cdp
