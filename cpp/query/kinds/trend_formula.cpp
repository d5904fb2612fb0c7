#include "query/kinds/trend_formula.hpp"

#include <charconv>
#include <cmath>
#include <optional>

namespace cdp {

class FormulaParser {
 public:
  FormulaParser(std::string_view text, std::size_t series_count, std::span<const std::string> titles, const Path& path,
                std::vector<TrendFormula::Step>& out)
      : text_(text), series_count_(series_count), titles_(titles), path_(path), out_(out) {}

  void parse() {
    parse_sum(0);
    if (next() != '\0') fail("an operator");
  }

 private:
  using Type = TrendFormula::Step::Type;

  [[noreturn]] void fail(std::string_view expected) const {
    fail_invalid(path_, "expected " + std::string(expected) + " at character " + std::to_string(at_ + 1));
  }
  char next() {  // looks only
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void add(Type type) { out_.push_back({type, {}, 0, 0}); }

  void parse_sum(std::size_t depth) {
    parse_product(depth);
    for (char sign = next(); sign == '+' || sign == '-'; sign = next()) {
      ++at_;
      parse_product(depth);
      add(sign == '+' ? Type::kAdd : Type::kSubtract);
    }
  }
  void parse_product(std::size_t depth) {
    parse_factor(depth);
    for (char sign = next(); sign == '*' || sign == '/'; sign = next()) {
      ++at_;
      parse_factor(depth);
      add(sign == '*' ? Type::kMultiply : Type::kDivide);
    }
  }
  void parse_factor(std::size_t depth) {
    if (depth >= limits::kFormulaDepth) fail_invalid(path_, "nested deeper than 32");
    const char first = next();
    if (first == '-') {
      ++at_;
      parse_factor(depth + 1);
      return add(Type::kNegate);
    }
    if (first == '(') {
      ++at_;
      parse_sum(depth + 1);
      if (next() != ')') fail("a closing parenthesis");
      ++at_;
      return;
    }
    if (first >= '0' && first <= '9') return parse_number();
    if (first >= 'A' && first <= 'Z') return parse_series();
    fail("a number, the letter of a series or a parenthesis");
  }
  void parse_number() {
    const char* begin = text_.data() + at_;
    const char* end = text_.data() + text_.size();
    std::int64_t integer = 0;
    const auto [behind, error] = std::from_chars(begin, end, integer);
    const bool whole = error == std::errc() && (behind == end || (*behind != '.' && *behind != 'e' && *behind != 'E'));
    if (whole) {
      at_ += static_cast<std::size_t>(behind - begin);
      out_.push_back({Type::kConstant, Number::of(__int128{integer}), 0, 0});
      return;
    }
    double real = 0;
    const auto [after, failure] = std::from_chars(begin, end, real);
    if (failure != std::errc() || !std::isfinite(real)) fail("a number");
    at_ += static_cast<std::size_t>(after - begin);
    out_.push_back({Type::kConstant, Number::of(real), 0, 0});
  }
  void parse_series() {
    const auto series = static_cast<std::size_t>(text_[at_] - 'A');
    if (series >= series_count_) fail("the letter of a series, the last is " + std::string(1, last_letter()));
    ++at_;
    std::size_t measure = 0;
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      measure = parse_measure();
    }
    out_.push_back({Type::kValue, {}, series, measure});
  }
  std::size_t parse_measure() {
    std::optional<std::size_t> longest;
    for (std::size_t i = 0; i < titles_.size(); ++i) {
      if (!text_.substr(at_).starts_with(titles_[i])) continue;
      if (!longest || titles_[i].size() > titles_[*longest].size()) longest = i;
    }
    if (!longest) fail("one of the question's measures (" + joined_titles() + ")");
    at_ += titles_[*longest].size();
    return *longest;
  }
  [[nodiscard]] std::string joined_titles() const {
    std::string out;
    for (const auto& title : titles_) out.append(out.empty() ? "" : ", ").append(title);
    return out;
  }
  [[nodiscard]] char last_letter() const noexcept { return static_cast<char>('A' + series_count_ - 1); }

  std::string_view text_;
  std::size_t series_count_;
  std::span<const std::string> titles_;
  const Path& path_;
  std::vector<TrendFormula::Step>& out_;
  std::size_t at_ = 0;
};

namespace {

bool is_none(const Number& number) noexcept { return number.type == Number::Type::kNone; }
bool is_int(const Number& number) noexcept { return number.type == Number::Type::kInt; }
double real_of(const Number& number) noexcept {
  return is_int(number) ? static_cast<double>(number.integer) : number.real;
}
Number finite(double value) noexcept { return std::isfinite(value) ? Number::of(value) : Number{}; }

Number divided(const Number& left, const Number& right) {
  if (real_of(right) == 0) return {};
  if (is_int(left) && is_int(right)) {
    const bool negative = right.integer < 0;
    const auto divisor = static_cast<unsigned __int128>(negative ? -right.integer : right.integer);
    if (divisor <= UINT64_MAX) {
      ExactSum sum;
      sum.add_int(negative ? -left.integer : left.integer);
      return Number::of(sum.mean(static_cast<std::uint64_t>(divisor)));
    }
  }
  return finite(real_of(left) / real_of(right));
}

template <class Whole, class Real>
Number combined(const Number& left, const Number& right, const Whole& whole, const Real& real) {
  constexpr __int128 kMost = __int128{1} << 126;  // beyond: as floats
  if (is_int(left) && is_int(right)) {
    __int128 out = 0;
    if (!whole(left.integer, right.integer, &out) && out <= kMost && out >= -kMost) return Number::of(out);
  }
  return finite(real(real_of(left), real_of(right)));
}

}  // namespace

TrendFormula::TrendFormula(std::string_view text, std::size_t series_count, std::span<const std::string> titles,
                           const Path& path)
    : text_(text) {
  if (text.empty() || text.size() > limits::kFormulaBytes) fail_invalid(path, "expected a formula of 1 to 500 bytes");
  FormulaParser(text_, series_count, titles, path, steps_).parse();
}

Number TrendFormula::evaluate(const std::function<Number(std::size_t, std::size_t)>& value) const {
  using Type = Step::Type;
  std::vector<Number> stack;
  for (const Step& step : steps_) {
    if (step.type == Type::kConstant || step.type == Type::kValue) {
      stack.push_back(step.type == Type::kConstant ? step.constant : value(step.series, step.measure));
      continue;
    }
    if (step.type == Type::kNegate) {
      Number& top = stack.back();
      if (is_int(top)) {
        top.integer = -top.integer;
      } else {
        top.real = -top.real;
      }
      continue;
    }
    const Number right = stack.back();
    stack.pop_back();
    Number& left = stack.back();
    if (is_none(left) || is_none(right)) {
      left = {};
      continue;
    }
    switch (step.type) {
      case Type::kAdd:
        left = combined(
            left, right, [](auto a, auto b, auto* out) { return __builtin_add_overflow(a, b, out); },
            [](double a, double b) { return a + b; });
        break;
      case Type::kSubtract:
        left = combined(
            left, right, [](auto a, auto b, auto* out) { return __builtin_sub_overflow(a, b, out); },
            [](double a, double b) { return a - b; });
        break;
      case Type::kMultiply:
        left = combined(
            left, right, [](auto a, auto b, auto* out) { return __builtin_mul_overflow(a, b, out); },
            [](double a, double b) { return a * b; });
        break;
      default: left = divided(left, right);
    }
  }
  return stack.back();
}

}  // namespace cdp
