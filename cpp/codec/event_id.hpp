// The dedupe key of an event from its event_id.
#pragma once

#include <cstdint>
#include <string_view>

#include "codec/canonical_batch.hpp"

namespace cdp {

// A UUID (8-4-4-4-12 hex digits, any case) keeps all that its bytes say; other text becomes a keyed 128-bit hash. The
// lowest bit of `high` is 1 for a UUID: its own bit there moves into the variant, of which every UUID of RFC 9562 has the
// same two bits. Text in UUID form of another variant is hashed, in lower case. Never (0, 0). REQUIRES: text not empty.
[[nodiscard]] EventKey event_key(std::string_view text, std::uint64_t hash_key) noexcept;

}  // namespace cdp
