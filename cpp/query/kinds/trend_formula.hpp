// Arithmetic over the series of a trend: "A / B * 100", "A.sum(price) / B.unique".
//
//   formula  sum of products of: number | letter of a series (its first measure) | letter.measure | (formula) | -formula
//
// Integers stay integers under + - *, exactly; / gives the exact quotient rounded once; with a float every step rounds once, as
// floats do. Nothing (no mean of no values), a division by zero and what is beyond the floats give nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "query/document.hpp"
#include "query/kinds/measure_cells.hpp"

namespace cdp {

namespace limits {
inline constexpr std::size_t kFormulaBytes = 500;
inline constexpr std::size_t kFormulaDepth = 32;
}  // namespace limits

class TrendFormula {
 public:
  // `titles`: of the measures. Throws BadQuery at the path.
  TrendFormula(std::string_view text, std::size_t series_count, std::span<const std::string> titles, const Path& path);
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] Number evaluate(const std::function<Number(std::size_t series, std::size_t measure)>& value) const;

 private:
  friend class FormulaParser;
  struct Step {  // in postfix order
    enum class Type : std::uint8_t { kConstant, kValue, kAdd, kSubtract, kMultiply, kDivide, kNegate };
    Type type = Type::kConstant;
    Number constant{};
    std::size_t series = 0;
    std::size_t measure = 0;
  };
  std::string text_;
  std::vector<Step> steps_;
};

}  // namespace cdp
