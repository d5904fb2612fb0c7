// Sums and means of properties of the returns, by period: what a retention's cells hold beside their counts.
//
// Kept as where they begin and end, as the counts are: a return that cells [first, last] hold is added at `first` and taken away
// behind `last`. Sums are exact, so what was taken away leaves nothing, and each cell is rounded once.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/value.hpp"
#include "query/exact_sum.hpp"
#include "query/kinds/measure_cells.hpp"

namespace cdp {

struct RetentionMeasure {
  bool is_mean = false;  // else a sum
  std::string property;
  [[nodiscard]] std::string column() const { return (is_mean ? "mean(" : "sum(") + property + ")"; }
};

// Numbers added and taken away.
class Amount {
 public:
  // Nothing of what is no number. `sign`: 1 or −1.
  void add(const Value& value, int sign) {
    if (value.type == ValueType::kInt) {
      sum_.add_int(static_cast<__int128>(value.as_int()) * sign);
    } else if (value.type == ValueType::kFloat) {
      sum_.add_float(value.as_float() * sign);
      floats_ += sign;
    } else {
      return;
    }
    numbers_ += sign;
  }
  void merge(const Amount& other) {
    sum_.merge(other.sum_);
    numbers_ += other.numbers_;
    floats_ += other.floats_;
  }
  // An integer of integers alone; 0 of none.
  [[nodiscard]] Number sum() const { return floats_ == 0 ? Number::of(sum_.integer()) : Number::of(sum_.rounded()); }
  [[nodiscard]] Number mean() const {
    return numbers_ == 0 ? Number() : Number::of(sum_.mean(static_cast<std::uint64_t>(numbers_)));
  }

 private:
  ExactSum sum_;
  std::int64_t numbers_ = 0;
  std::int64_t floats_ = 0;
};

// Of one cohort: by period, an amount for each measure. Empty where nothing is measured.
class AmountChanges {
 public:
  // The values of one return, one a measure, in the cells of these periods.
  void add(std::int64_t first, std::int64_t last, const std::vector<Value>& values) {
    change(first, values, 1);
    change(last + 1, values, -1);
  }
  void merge(const AmountChanges& other) {
    for (const auto& [period, amounts] : other.changes_) {
      std::vector<Amount>& into = at(period, amounts.size());
      for (std::size_t i = 0; i < amounts.size(); ++i) into[i].merge(amounts[i]);
    }
  }
  // Goes through the periods in ascending order.
  class Running {
   public:
    Running(const AmountChanges& changes, std::size_t measures)
        : next_(changes.changes_.begin()), end_(changes.changes_.end()), amounts_(measures) {}
    const std::vector<Amount>& at(std::int64_t period) {
      for (; next_ != end_ && next_->first <= period; ++next_) {
        for (std::size_t i = 0; i < amounts_.size(); ++i) amounts_[i].merge(next_->second[i]);
      }
      return amounts_;
    }

   private:
    std::map<std::int64_t, std::vector<Amount>>::const_iterator next_, end_;
    std::vector<Amount> amounts_;
  };

 private:
  std::vector<Amount>& at(std::int64_t period, std::size_t measures) {
    std::vector<Amount>& amounts = changes_[period];
    if (amounts.empty()) amounts.resize(measures);
    return amounts;
  }
  void change(std::int64_t period, const std::vector<Value>& values, int sign) {
    std::vector<Amount>& amounts = at(period, values.size());
    for (std::size_t i = 0; i < values.size(); ++i) amounts[i].add(values[i], sign);
  }
  std::map<std::int64_t, std::vector<Amount>> changes_;
};

}  // namespace cdp
