#include "store/group_store.hpp"

#include "base/error.hpp"
#include "base/hash.hpp"

namespace cdp {

// Of the StringIds, which a client cannot choose.
std::uint64_t GroupStore::hash(std::uint32_t kind, std::uint32_t id) noexcept {
  const std::uint32_t both[2] = {kind, id};
  return hash_bytes({reinterpret_cast<const char*>(both), sizeof both}, 0);
}

Origin GroupStore::find(std::uint32_t kind, std::uint32_t id) const {
  const Epoch::Guard guard = index_.guard();
  const std::uint32_t found = index_.find(
      hash(kind, id), [&](std::uint32_t group) { return names_[group].kind == kind && names_[group].id == id; });
  return found == HashIndex::kMissing ? kNoOrigin : Origin{found};
}

Origin GroupStore::find(std::string_view kind, std::string_view id) const {
  const std::optional<std::uint32_t> kind_string = strings_.find(kind), id_string = strings_.find(id);
  return kind_string && id_string ? find(*kind_string, *id_string) : kNoOrigin;
}

Origin GroupStore::find_or_add(std::uint32_t kind, std::uint32_t id) {
  if (const Origin known = find(kind, id); known != kNoOrigin) return known;
  if (Origin{count_} == kNoOrigin) {
    throw Error(Family::kLimitExceeded, code::kLimitOrigins, "a store holds at most 2^32 - 1 groups");
  }
  names_.make(count_) = {kind, id};
  index_.insert(hash(kind, id), count_);
  members_.emplace_back();
  return Origin{count_++};
}

void GroupStore::add_member(Origin group, Origin member) {
  members_[raw(group)].push_back(member);
  ++member_count_;
}

std::size_t GroupStore::size_bytes() const noexcept {
  return index_.size_bytes() + count_ * (sizeof(Name) + sizeof(std::vector<Origin>)) + member_count_ * sizeof(Origin) +
         traits_.size_bytes();
}

}  // namespace cdp
