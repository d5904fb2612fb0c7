#include "query/version_order.hpp"

#include <algorithm>
#include <optional>

namespace cdp {
namespace {

bool is_digit(char letter) noexcept { return letter >= '0' && letter <= '9'; }
bool is_number(std::string_view text) noexcept { return !text.empty() && std::ranges::all_of(text, is_digit); }
bool is_part(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char letter) {
    return is_digit(letter) || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || letter == '-';
  });
}

// The texts between dots, one after the other; of an absent text none.
class Parts {
 public:
  explicit Parts(std::optional<std::string_view> text) : rest_(text) {}
  std::optional<std::string_view> next() noexcept {
    if (!rest_) return std::nullopt;
    const std::size_t dot = rest_->find('.');
    const std::string_view part = rest_->substr(0, dot);
    rest_ = dot == std::string_view::npos ? std::optional<std::string_view>() : rest_->substr(dot + 1);
    return part;
  }

 private:
  std::optional<std::string_view> rest_;
};

struct Version {
  std::string_view numbers;
  std::optional<std::string_view> before;  // the pre-release
  std::optional<std::string_view> build;
};

Version split(std::string_view text) noexcept {
  Version out;
  if (!text.empty() && (text.front() == 'v' || text.front() == 'V')) text.remove_prefix(1);
  if (const std::size_t plus = text.find('+'); plus != std::string_view::npos) {
    out.build = text.substr(plus + 1);
    text = text.substr(0, plus);
  }
  if (const std::size_t hyphen = text.find('-'); hyphen != std::string_view::npos) {
    out.before = text.substr(hyphen + 1);
    text = text.substr(0, hyphen);
  }
  out.numbers = text;
  return out;
}

template <class Check>
bool all_parts(std::optional<std::string_view> text, Check check) noexcept {
  Parts parts(text);
  while (const auto part = parts.next()) {
    if (!check(*part)) return false;
  }
  return true;
}

int sign(int order) noexcept { return (order > 0 ? 1 : 0) - (order < 0 ? 1 : 0); }

// Digits of any length.
int compare_numbers(std::string_view left, std::string_view right) noexcept {
  left.remove_prefix(std::min(left.find_first_not_of('0'), left.size()));
  right.remove_prefix(std::min(right.find_first_not_of('0'), right.size()));
  if (left.size() != right.size()) return left.size() < right.size() ? -1 : 1;
  return sign(left.compare(right));
}

int compare_parts(std::string_view left, std::string_view right) noexcept {
  const bool left_number = is_number(left), right_number = is_number(right);
  if (left_number && right_number) return compare_numbers(left, right);
  if (left_number != right_number) return left_number ? -1 : 1;
  return sign(left.compare(right));
}

}  // namespace

bool is_version(std::string_view text) noexcept {
  const Version version = split(text);
  return all_parts(version.numbers, is_number) && all_parts(version.before, is_part) &&
         all_parts(version.build, is_part);
}

int compare_versions(std::string_view left_text, std::string_view right_text) noexcept {
  const Version left = split(left_text), right = split(right_text);
  Parts left_numbers(left.numbers), right_numbers(right.numbers);
  while (true) {
    const auto one = left_numbers.next(), other = right_numbers.next();
    if (!one && !other) break;
    if (const int order = compare_numbers(one.value_or("0"), other.value_or("0")); order != 0) return order;
  }
  if (left.before.has_value() != right.before.has_value()) return left.before ? -1 : 1;
  Parts left_before(left.before), right_before(right.before);
  while (true) {
    const auto one = left_before.next(), other = right_before.next();
    if (!one || !other) return (one ? 1 : 0) - (other ? 1 : 0);
    if (const int order = compare_parts(*one, *other); order != 0) return order;
  }
}

}  // namespace cdp
