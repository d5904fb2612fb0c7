#include "query/profile_mask.hpp"

#include <algorithm>

#include "query/scan.hpp"
#include "store/links.hpp"

namespace cdp {
namespace {

std::uint32_t id_count(const Version& version, std::uint32_t shard) noexcept {
  const std::uint32_t shards = version.placement.shard_count;
  return version.origin_count <= shard ? 0 : (version.origin_count - shard + shards - 1) / shards;
}

}  // namespace

ProfileMask::ProfileMask(const Version& version)
    : placement_(version.placement), shards_(version.placement.shard_count) {
  for (std::uint32_t shard = 0; shard < shards_.size(); ++shard) {
    const std::uint32_t stripes = (id_count(version, shard) + limits::kStripeIds - 1) / limits::kStripeIds;
    shards_[shard].resize(std::size_t{stripes} * kStripeWords);
  }
}

ProfileMask ProfileMask::all(const Version& version) {
  ProfileMask mask(version);
  for (std::uint32_t shard = 0; shard < mask.shards_.size(); ++shard) {
    const std::uint32_t count = id_count(version, shard);
    std::vector<std::uint64_t>& words = mask.shards_[shard];
    std::fill_n(words.begin(), count / 64, ~std::uint64_t{0});
    if (count % 64 != 0) words[count / 64] = (std::uint64_t{1} << (count % 64)) - 1;
  }
  for (const Origin origin : version.links->changed_since(0)) {
    if (version.links->home(origin) != origin) mask.set(origin, false);
  }
  return mask;
}

ProfileMask ProfileMask::all(const Version& version, const ProfileMask& before, std::uint32_t origin_count,
                             std::uint64_t link_sequence) {
  ProfileMask mask(version);
  for (std::uint32_t shard = 0; shard < mask.shards_.size(); ++shard) {
    std::copy(before.shards_[shard].begin(), before.shards_[shard].end(), mask.shards_[shard].begin());
  }
  for (std::uint32_t origin = origin_count; origin < version.origin_count; ++origin) mask.set(Origin{origin}, true);
  if (version.links->last_change() == link_sequence) return mask;
  for (const Origin origin : version.links->changed_since(link_sequence)) {
    mask.set(origin, version.links->home(origin) == origin);
  }
  return mask;
}

void ProfileMask::set(Origin origin, bool value) noexcept {
  const std::uint32_t id = placement_.local_id(origin);
  std::uint64_t& word = shards_[placement_.shard(origin)][id / 64];
  const std::uint64_t bit = std::uint64_t{1} << (id % 64);
  word = value ? word | bit : word & ~bit;
}

std::span<const std::uint64_t> ProfileMask::words(const Task& task) const noexcept {
  return std::span(shards_[task.shard]).subspan(task.first_id / 64, kStripeWords);
}

std::span<std::uint64_t> ProfileMask::words(const Task& task) noexcept {
  return std::span(shards_[task.shard]).subspan(task.first_id / 64, kStripeWords);
}

std::uint64_t ProfileMask::count() const noexcept {
  std::uint64_t count = 0;
  for (const std::vector<std::uint64_t>& words : shards_) {
    for (const std::uint64_t word : words) count += static_cast<std::uint64_t>(__builtin_popcountll(word));
  }
  return count;
}

std::vector<std::uint64_t> ProfileMask::ids(std::uint64_t first, std::uint64_t limit) const {
  std::vector<std::uint64_t> out;
  std::size_t longest = 0;
  for (const std::vector<std::uint64_t>& words : shards_) longest = std::max(longest, words.size());
  const std::uint32_t shards = placement_.shard_count;
  if (first / shards / 64 >= longest || limit == 0) return out;
  out.reserve(std::min(limit, count()));
  // Local id before shard: the order of origins. One shard takes the straight way.
  for (std::size_t word = first / shards / 64; word < longest; ++word) {
    std::uint64_t any = 0;
    for (const std::vector<std::uint64_t>& words : shards_) any |= word < words.size() ? words[word] : 0;
    for (; any != 0; any &= any - 1) {
      const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(any));
      for (std::uint32_t shard = 0; shard < shards; ++shard) {
        if (word >= shards_[shard].size() || ((shards_[shard][word] >> bit) & 1) == 0) continue;
        const std::uint64_t id = (word * 64 + bit) * shards + shard;
        if (id < first) continue;
        out.push_back(id);
        if (out.size() == limit) return out;
      }
    }
  }
  return out;
}

}  // namespace cdp
