// Groups (companies, households, plans): a kind and an id, traits with whole history as profiles have, and who was ever
// told to be in which. Numbered in order of first sight, for ever. The writer is apply; readers look up while it grows.
//
// A group's traits lie in a ProfileStore of their own, where its number stands in for an origin: nothing ever joins groups.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash_index.hpp"
#include "base/ids.hpp"
#include "base/segmented_array.hpp"
#include "column/dictionary.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"

namespace cdp {

class GroupStore {
 public:
  // `strings` has the kinds and ids too, so that a condition compares them as it compares values.
  explicit GroupStore(Dictionary& strings) : strings_(strings), traits_(strings) {}

  // ---- readers and writer
  // The group of these StringIds, kNoOrigin when there is none.
  [[nodiscard]] Origin find(std::uint32_t kind, std::uint32_t id) const;
  [[nodiscard]] Origin find(std::string_view kind, std::string_view id) const;
  [[nodiscard]] std::uint32_t kind(Origin group) const noexcept { return names_[raw(group)].kind; }
  [[nodiscard]] std::uint32_t id(Origin group) const noexcept { return names_[raw(group)].id; }

  // The links of groups, for what takes a profile's: none.
  [[nodiscard]] const LinkView& links() const noexcept { return *no_links_; }

  // ---- writer
  [[nodiscard]] Origin find_or_add(std::uint32_t kind, std::uint32_t id);
  [[nodiscard]] ProfileStore& traits() noexcept { return traits_; }
  // Notes that the origin was told of this group. REQUIRES: not noted yet.
  void add_member(Origin group, Origin member);
  // Origins ever told of it, with those that left.
  [[nodiscard]] std::span<const Origin> members(Origin group) const noexcept { return members_[raw(group)]; }
  [[nodiscard]] std::uint32_t size() const noexcept { return count_; }
  [[nodiscard]] std::shared_ptr<const ProfileView> traits_view() { return traits_.view(*no_links_); }
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  struct Name {
    std::uint32_t kind;
    std::uint32_t id;
  };

  [[nodiscard]] static std::uint64_t hash(std::uint32_t kind, std::uint32_t id) noexcept;

  Dictionary& strings_;
  HashIndex index_;
  SegmentedArray<Name> names_;
  std::uint32_t count_ = 0;
  std::vector<std::vector<Origin>> members_;
  std::uint64_t member_count_ = 0;
  ProfileStore traits_;
  Links links_;  // none, ever
  std::shared_ptr<const LinkView> no_links_ = links_.view();
};

}  // namespace cdp
