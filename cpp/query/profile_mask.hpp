// A set of profiles: one bit a local id, per shard, in words that line up with tasks.
//
// Invariants: every shard has whole stripes of words; bits stand for homes only. Different tasks write different words.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "store/version.hpp"

namespace cdp {

struct Task;  // query/scan.hpp

inline constexpr std::uint32_t kStripeWords = limits::kStripeIds / 64;

class ProfileMask {
 public:
  ProfileMask() = default;
  explicit ProfileMask(const Version& version);  // empty set of the right size
  // Every profile: origins that are their own home. Cost: O(profiles / 64 + links).
  [[nodiscard]] static ProfileMask all(const Version& version);
  // The same, from that of an earlier version with so many origins and links up to this sequence. Cost: a copy, and what is
  // new since.
  [[nodiscard]] static ProfileMask all(const Version& version, const ProfileMask& before, std::uint32_t origin_count,
                                       std::uint64_t link_sequence);

  [[nodiscard]] bool has(Origin home) const noexcept {
    const std::vector<std::uint64_t>& words = shards_[placement_.shard(home)];
    const std::uint32_t id = placement_.local_id(home);
    return (id >> 6) < words.size() && ((words[id >> 6] >> (id & 63)) & 1) != 0;
  }
  // Bits of the task's ids: bit (id − task.first_id). Zero words behind the last profile.
  [[nodiscard]] std::span<const std::uint64_t> words(const Task& task) const noexcept;
  [[nodiscard]] std::span<std::uint64_t> words(const Task& task) noexcept;
  [[nodiscard]] std::uint64_t count() const noexcept;
  // Profile ids ascending from `first` on, at most `limit`.
  [[nodiscard]] std::vector<std::uint64_t> ids(std::uint64_t first, std::uint64_t limit) const;

 private:
  void set(Origin origin, bool value) noexcept;
  Placement placement_;
  std::vector<std::vector<std::uint64_t>> shards_;
};

}  // namespace cdp
