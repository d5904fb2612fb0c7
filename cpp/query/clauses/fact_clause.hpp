// Clauses on facts: devices, consents, groups, lists, suppression (docs/architecture.md, "Facts"). One file a clause;
// fact_clause.cpp is the list.
//
// A fact is read as it stands at the query's now, from the operations of all origins of the profile. `valid_until` is when
// the next operation timed later becomes visible: nothing else can change the answer by time alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "query/condition.hpp"
#include "query/scan.hpp"
#include "query/spec.hpp"

namespace cdp {

struct Truth;

struct FactClauseSpec {
  enum class Type : std::uint8_t { kDevice, kConsent, kGroup, kList, kSuppressed };
  Type type{};
  std::string name;                  // consent: the channel; group: its kind, empty for any; list: its name
  std::optional<std::string> topic;  // consent
  Test test;                         // consent: of the state
  std::vector<Condition> where;      // device, group: one meets all
  bool wanted = true;                // suppressed
};

class FactClause {
 public:
  virtual ~FactClause() = default;
  // Of the profile whose home this is.
  [[nodiscard]] virtual Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const = 0;
  // False when it names a string that the store had not seen.
  [[nodiscard]] virtual bool resolved() const noexcept = 0;
  // Candidates for which it holds, slow ones too. Cost: `evaluate` a candidate, unless the clause knows better.
  virtual void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch,
                             std::span<const std::uint64_t> candidates, std::span<std::uint64_t> out) const;

 protected:
  // Candidates apart from the slow ones into `fast` (words), and the truth of those into `out`, one by one.
  void evaluate_slow(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> fast, std::span<std::uint64_t> out) const;
};

[[nodiscard]] std::shared_ptr<const FactClauseSpec> parse_fact_clause(Fields& fields, std::string_view form);
[[nodiscard]] std::unique_ptr<const FactClause> bind_fact_clause(const FactClauseSpec& spec, const Version& version,
                                                                 const Moment& at);

// ---- of each clause's file

//   {"device": [condition, ..]}    some device of the profile meets all conditions; of none when the list is empty: it has
//   one. Properties: id, platform, token, app_version, zone, reason; dead (bool); first_seen, last_seen (datetimes)
[[nodiscard]] FactClauseSpec parse_device_clause(Fields& fields);
[[nodiscard]] std::unique_ptr<const FactClause> bind_device_clause(const FactClauseSpec& spec, const Version& version,
                                                                   const Moment& at);

//   {"consent": channel, "topic"?: topic, "op": op, "value"?: state}    the state, as a string; missing when nothing is
//   known of the channel (the topic of the channel)
[[nodiscard]] FactClauseSpec parse_consent_clause(Fields& fields);
[[nodiscard]] std::unique_ptr<const FactClause> bind_consent_clause(const FactClauseSpec& spec, const Version& version,
                                                                    const Moment& at);

//   {"group": kind or null, "where"?: [condition, ..]}    a member of some group of that kind that meets all conditions.
//   Properties: traits of the group; $id, its id; $role, that of the member
[[nodiscard]] FactClauseSpec parse_group_clause(Fields& fields);
[[nodiscard]] std::unique_ptr<const FactClause> bind_group_clause(const FactClauseSpec& spec, const Version& version,
                                                                  const Moment& at);

//   {"list": name}    on the list    {"suppressed": bool}    whether suppressed
[[nodiscard]] FactClauseSpec parse_list_clause(Fields& fields);
[[nodiscard]] std::unique_ptr<const FactClause> bind_list_clause(const FactClauseSpec& spec, const Version& version,
                                                                 const Moment& at);
[[nodiscard]] FactClauseSpec parse_suppressed_clause(Fields& fields);
[[nodiscard]] std::unique_ptr<const FactClause> bind_suppressed_clause(const FactClauseSpec& spec,
                                                                       const Version& version, const Moment& at);

}  // namespace cdp
