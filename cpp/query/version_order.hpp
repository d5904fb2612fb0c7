// Versions and their order: that of semantic versions, of any number of numbers.
//
//   version = ["v"] number *("." number) ["-" part *("." part)] ["+" part *("." part)]
//   number  = digits    part = letters, digits, hyphens
//
// Numbers compare as such, missing ones are 0. A version with a pre-release comes before the one without; its parts compare
// one by one: digits as numbers, others by bytes, numbers first, fewer first. The build behind + has no part in it.
// Source: Semantic Versioning 2.0.0, 11.
#pragma once

#include <string_view>

namespace cdp {

[[nodiscard]] bool is_version(std::string_view text) noexcept;
// REQUIRES: both are versions.
[[nodiscard]] int compare_versions(std::string_view left, std::string_view right) noexcept;

}  // namespace cdp
