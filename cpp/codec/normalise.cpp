#include "codec/normalise.hpp"

#include <algorithm>
#include <array>

namespace cdp {

namespace {

constexpr std::array<KindRule, 4> kDefaultRules{{
    {"user_id", 0, true, true},
    {"anonymous_id", 1000, true, false},
    {"email", 2000, false, false},
    {"phone", 3000, false, false},
}};

// Lower case. What SDKs and hand-written senders put where they know no one.
constexpr std::array<std::string_view, 15> kGeneric{
    "null",           "none",  "nil",   "undefined", "nan",     "0",   "-1",
    "true",           "false", "guest", "anonymous", "unknown", "n/a", "00000000-0000-0000-0000-000000000000",
    "[object object]"};

// A bit for each length that a generic value has.
constexpr std::uint64_t generic_sizes() noexcept {
  std::uint64_t sizes = 0;
  for (const std::string_view text : kGeneric) sizes |= std::uint64_t{1} << text.size();
  return sizes;
}

constexpr bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view value) noexcept {
  while (!value.empty() && is_space(value.front())) value.remove_prefix(1);
  while (!value.empty() && is_space(value.back())) value.remove_suffix(1);
  return value;
}

std::string_view lower_case(std::string_view value, std::string& scratch) {
  scratch.assign(value);
  std::transform(scratch.begin(), scratch.end(), scratch.begin(), lower);
  return scratch;
}

std::string_view phone_digits(std::string_view value, std::string& scratch) {
  scratch.assign(1, '+');
  for (const char c : value) {
    if (c >= '0' && c <= '9') scratch.push_back(c);
  }
  return scratch.size() == 1 ? std::string_view{} : std::string_view{scratch};
}

bool equals_without_case(std::string_view value, std::string_view lower_text) noexcept {
  return value.size() == lower_text.size() &&
         std::equal(value.begin(), value.end(), lower_text.begin(), [](char a, char b) { return lower(a) == b; });
}

}  // namespace

std::span<const KindRule> default_kind_rules() noexcept { return kDefaultRules; }

std::string_view normalise_identity(std::string_view kind, std::string_view value, std::string& scratch) {
  const std::string_view trimmed = trim(value);
  if (kind == "email") return lower_case(trimmed, scratch);
  if (kind == "phone") return phone_digits(trimmed, scratch);
  return trimmed;
}

bool is_generic_identity(std::string_view normalised) noexcept {
  if (normalised.empty()) return true;
  if (normalised.size() > 63 || (generic_sizes() >> normalised.size() & 1) == 0) return false;
  return std::any_of(kGeneric.begin(), kGeneric.end(),
                     [&](std::string_view text) { return equals_without_case(normalised, text); });
}

}  // namespace cdp
