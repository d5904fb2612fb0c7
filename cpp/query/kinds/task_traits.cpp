#include "query/kinds/task_traits.hpp"

#include <algorithm>

namespace cdp {

Scratch::Lease<Value> traits_of_task(const Task& task, KeyId key, std::int64_t now_ms, Scratch& scratch) {
  auto values = scratch.zeroed<Value>(task.size());
  const Version& version = *task.version;
  if (version.profiles == nullptr) return values;
  const std::uint32_t first = raw(task.origin(0));
  if (version.placement.shard_count == 1 && version.profiles->latest_ms(key) <= now_ms) {
    const std::uint32_t known = version.origin_count > first ? version.origin_count - first : 0;
    version.profiles->traits(task.origin(0), key, values.span().first(std::min<std::size_t>(known, task.size())));
    return values;
  }
  for (std::uint32_t i = 0; i < task.size() && raw(task.origin(i)) < version.origin_count; ++i) {
    const Origin home = task.origin(i);
    if (version.links->home(home) != home) continue;
    values[i] = version.profiles->trait_at(home, key, now_ms, *version.links).value;
  }
  return values;
}

}  // namespace cdp
