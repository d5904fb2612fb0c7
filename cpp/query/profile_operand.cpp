#include "query/profile_operand.hpp"

#include "store/links.hpp"

namespace cdp {

ProfileOperand::ProfileOperand(const OperandTest& test, const Version& version, const Moment& at)
    : test_(test, version, at), version_(&version), now_ms_(at.now_ms), missing_(test.missing) {}

Value ProfileOperand::right_of(Origin origin) const {
  const Origin home = version_->links->home(origin);
  Part& part = parts_[raw(home) % kParts];
  const std::size_t at = raw(home) / kParts % kEntries;
  {
    const std::lock_guard lock(part.mutex);
    if (part.entries.empty()) part.entries.resize(kEntries);
    if (const Entry& entry = part.entries[at]; entry.known && entry.home == home) return entry.value;
  }
  const Value value = test_.operand(*version_, home, now_ms_).value;
  const std::lock_guard lock(part.mutex);
  part.entries[at] = {home, true, value};
  return value;
}

}  // namespace cdp
