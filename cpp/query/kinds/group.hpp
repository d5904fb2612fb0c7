// A group whole: its traits with their history. Who is in it is a question of profiles: {"group": kind, "where": [$id]}.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "query/kinds/profile.hpp"
#include "store/version.hpp"

namespace cdp {

struct GroupAnswer {
  std::string_view kind, id;
  std::vector<std::pair<std::string_view, AnswerValue>> traits;  // by key's number
  std::vector<AnswerOperation> trait_history;                    // by time
  std::optional<std::int64_t> created_ms;                        // of the first record about it, memberships aside
  std::uint64_t watermark = 0;
  std::int64_t now_ms = 0;
};

// Null when no record named it. ~3 us.
[[nodiscard]] std::optional<GroupAnswer> read_group(const Version& version, std::string_view kind, std::string_view id,
                                                    std::int64_t now_ms);

}  // namespace cdp
