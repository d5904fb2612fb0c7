// Identities made equal when they mean the same: trimmed, lower-cased, digits only, by kind; generic ones left out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace cdp {

// Names that only the server itself may give to events: "any event" does not mean them.
[[nodiscard]] inline bool is_system_name(std::string_view name) noexcept {
  return name.starts_with("Message ") || name.starts_with("Segment ");
}

// A kind of identity: its rank (lower = higher ranked), whether it identifies, and whether it is unique (a profile that
// has one counts as identified).
struct KindRule {
  std::string_view kind;
  std::uint32_t rank = 0;
  bool identifies = false;
  bool unique = false;
};

// user_id (rank 0, unique), anonymous_id (rank 1000), email and phone (known, not identifying).
[[nodiscard]] std::span<const KindRule> default_kind_rules() noexcept;

// `value` in its kind's one form; a view into `value` or into `scratch`. Empty when nothing is left.
// REQUIRES: value is valid UTF-8 for the result to be. Kinds without a rule of their own are trimmed.
[[nodiscard]] std::string_view normalise_identity(std::string_view kind, std::string_view value, std::string& scratch);

// Whether a normalised value identifies nobody: blank, "null", "guest", an all-zeros UUID, ... compared without case.
[[nodiscard]] bool is_generic_identity(std::string_view normalised) noexcept;

}  // namespace cdp
