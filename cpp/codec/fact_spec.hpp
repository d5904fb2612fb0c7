// What a fact of each type consists of: the one list that decoder, checker, store and answers share.
//
// A fact says what holds of a profile from a time on, about a subject: a device, a channel and its topic, a group, a list
// (docs/architecture.md, "Facts"). Places in `states` and of texts are stored in logs: they never change.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/limits.hpp"
#include "codec/canonical_batch.hpp"

namespace cdp {

struct FactTextSpec {
  std::string_view name;
  std::size_t bytes_max = limits::kNameBytes;
  bool stays = false;  // until another operation gives it; else it belongs to the operation that has it
};

struct FactSpec {
  FactType type{};
  std::string_view name;
  std::span<const FactTextSpec> subjects;  // at most two; the first one is required
  bool second_is_required = false;
  std::span<const std::string_view> states;
  bool state_is_required = false;  // else the first one is meant when it is left out
  std::span<const FactTextSpec> texts;
};

inline constexpr std::size_t kFactStates = 4;  // at most
inline constexpr std::size_t kFactTexts = 5;   // at most

namespace fact {

enum DeviceState : std::uint8_t { kSeen, kDead };
enum DeviceText : std::uint8_t { kPlatform, kToken, kAppVersion, kZone, kReason };
inline constexpr std::array<FactTextSpec, 1> kDeviceSubjects{{{"id", limits::kIdentityBytes}}};
inline constexpr std::array<std::string_view, 2> kDeviceStates{"seen", "dead"};
inline constexpr std::array<FactTextSpec, 5> kDeviceTexts{{{"platform", limits::kNameBytes, true},
                                                           {"token", limits::kStringBytes, true},
                                                           {"app_version", limits::kNameBytes, true},
                                                           {"zone", limits::kNameBytes, true},
                                                           {"reason"}}};

enum SuppressState : std::uint8_t { kSuppressed, kLifted };
enum MembershipState : std::uint8_t { kJoined, kLeft };
enum ListState : std::uint8_t { kAdded, kRemoved };
inline constexpr std::array<FactTextSpec, 2> kConsentSubjects{{{"channel"}, {"topic"}}};
inline constexpr std::array<std::string_view, 4> kConsentStates{"unsubscribed", "pending", "subscribed", "opted_in"};
inline constexpr std::array<FactTextSpec, 1> kConsentTexts{{{"source"}}};

inline constexpr std::array<std::string_view, 2> kSuppressStates{"suppressed", "lifted"};
inline constexpr std::array<FactTextSpec, 1> kSuppressTexts{{{"reason"}}};

inline constexpr std::array<FactTextSpec, 2> kMembershipSubjects{{{"kind"}, {"id", limits::kIdentityBytes}}};
inline constexpr std::array<std::string_view, 2> kMembershipStates{"joined", "left"};
inline constexpr std::array<FactTextSpec, 1> kMembershipTexts{{{"role"}}};

inline constexpr std::array<FactTextSpec, 1> kListSubjects{{{"name"}}};
inline constexpr std::array<std::string_view, 2> kListStates{"added", "removed"};

}  // namespace fact

inline constexpr std::array<FactSpec, kFactTypes> kFactSpecs{{
    {FactType::kDevice, "device", fact::kDeviceSubjects, false, fact::kDeviceStates, false, fact::kDeviceTexts},
    {FactType::kConsent, "consent", fact::kConsentSubjects, false, fact::kConsentStates, true, fact::kConsentTexts},
    {FactType::kSuppress, "suppress", {}, false, fact::kSuppressStates, false, fact::kSuppressTexts},
    {FactType::kMembership, "membership", fact::kMembershipSubjects, true, fact::kMembershipStates, false,
     fact::kMembershipTexts},
    {FactType::kList, "list", fact::kListSubjects, false, fact::kListStates, false, {}},
}};

[[nodiscard]] constexpr const FactSpec& spec_of(FactType type) noexcept {
  return kFactSpecs[static_cast<std::size_t>(type)];
}
[[nodiscard]] constexpr std::optional<FactType> fact_type(RecordType record) noexcept {
  for (std::size_t index = 0; index < kFactTypes; ++index) {
    if (kFactRecords[index] == record) return static_cast<FactType>(index);
  }
  return std::nullopt;
}

}  // namespace cdp
