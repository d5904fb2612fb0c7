// profile: one profile whole. Not a table, so it has its own answer and no Kind.
//
//   "ids": {kind: value} | "profile": id, "events"?: {"limit"?: int, "names"?: [..], "newest_first"?: bool}
//
// Without "events" none come along. Of several ids the first known one (by rank) counts; a joined id gives the survivor.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "query/document.hpp"
#include "query/spec.hpp"
#include "store/fact_store.hpp"
#include "store/identity_map.hpp"
#include "store/version.hpp"

namespace cdp {

// Views point into dictionaries of the store: they live as long as the engine.
struct AnswerValue {
  ValueType type = ValueType::kNull;
  std::uint64_t bits = 0;
  std::string_view text;  // string: itself; list, items: canonical msgpack
};

[[nodiscard]] AnswerValue answer_value(const Version& version, const Value& value);

struct AnswerOperation {
  std::string_view key;
  TraitKind kind{};
  AnswerValue value;
  std::int64_t time_ms = 0;
};

struct AnswerEvent {
  std::string_view name;
  std::int64_t time_ms = 0;
  std::uint32_t first_property = 0;  // into ProfileAnswer::properties
  std::uint32_t property_count = 0;
};

// What the operations on one subject come to (store/fact_store.hpp).
struct AnswerFact {
  std::array<std::string_view, 2> subject;  // empty: none
  Fact fact;
  std::array<std::optional<std::string_view>, kFactTexts> texts;
  std::vector<std::pair<std::string_view, AnswerValue>> traits;  // of the group of a membership
};

// One operation on a subject.
struct AnswerChange {
  FactType type{};
  std::array<std::string_view, 2> subject;
  std::uint8_t state = 0;
  std::vector<std::pair<std::uint8_t, std::optional<std::string_view>>> texts;
  std::int64_t time_ms = 0;
};

struct ProfileAnswer {
  std::uint64_t profile_id = 0;
  std::vector<IdentityEntry> identities;                         // by origin, then order of first sight
  std::vector<std::pair<std::string_view, AnswerValue>> traits;  // by key's number
  std::vector<AnswerOperation> trait_history;                    // by time
  std::vector<AnswerEvent> events;
  std::vector<std::pair<std::string_view, AnswerValue>> properties;
  std::optional<std::int64_t> created_ms;
  std::array<std::vector<AnswerFact>, kFactTypes> facts;  // by FactType, each by its first operation
  std::vector<AnswerChange> changes;                      // by time, then log
  std::uint64_t watermark = 0;
  std::int64_t now_ms = 0;
};

struct ProfileSpec {
  std::optional<std::uint64_t> profile;                  // one of the two
  std::vector<std::pair<std::string, std::string>> ids;  // normalised, highest rank first
  bool with_events = false;
  std::uint64_t limit = UINT64_MAX;
  std::vector<std::string> names;  // empty: all
  bool newest_first = false;
  std::optional<std::int64_t> now_ms;
  std::optional<std::int64_t> as_of_ms;
};

[[nodiscard]] ProfileSpec parse_profile(Fields& fields, const CommonSpec& common);
// Normalises the identities given and puts the highest-ranked first.
void settle_ids(ProfileSpec& spec);
// kNoOrigin when nobody has that id or identity.
[[nodiscard]] Origin find_origin(const Version& version, const ProfileSpec& spec);
// Null when nobody has that id or identity. Cost with the newest 10 of 20 events among 20 M, all of it cold in the caches:
// ~3 us.
[[nodiscard]] std::optional<ProfileAnswer> read_profile(const Version& version, const ProfileSpec& spec,
                                                        std::int64_t now_ms);

}  // namespace cdp
