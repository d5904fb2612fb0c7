#include "query/kinds/group.hpp"

#include "base/limits.hpp"
#include "column/dictionary.hpp"
#include "store/group_store.hpp"

namespace cdp {

std::optional<GroupAnswer> read_group(const Version& version, std::string_view kind, std::string_view id,
                                      std::int64_t now_ms) {
  const Origin group = version.groups->find(kind, id);
  // Groups run ahead of the version: one behind its count is not there yet.
  if (group == kNoOrigin || raw(group) >= version.group_count) return std::nullopt;
  GroupAnswer out;
  out.kind = version.strings->at(version.groups->kind(group));
  out.id = version.strings->at(version.groups->id(group));
  out.watermark = version.watermark;
  out.now_ms = now_ms;
  const ProfileTraits traits = version.group_traits->read(group, now_ms, version.groups->links());
  if (traits.created_ms < limits::kTimeMaxMs) out.created_ms = traits.created_ms;
  for (const auto& [key, value] : traits.values) {
    out.traits.emplace_back(version.keys->at(raw(key)), answer_value(version, value));
  }
  for (const StoredOperation& operation : traits.history) {
    out.trait_history.push_back({version.keys->at(raw(operation.key)), operation.kind,
                                 answer_value(version, operation.value), operation.time_ms});
  }
  return out;
}

}  // namespace cdp
