#include "query/zone_names.hpp"

#include <mutex>
#include <utility>

namespace cdp {
namespace {

struct State {
  std::mutex mutex;
  std::shared_ptr<const ZoneNameSet> names;
};

State& state() {
  static State state;
  return state;
}

}  // namespace

void set_zone_names(std::vector<std::string> names) {
  auto set = std::make_shared<const ZoneNameSet>(names.begin(), names.end());
  const std::lock_guard lock(state().mutex);
  state().names = std::move(set);
}

std::shared_ptr<const ZoneNameSet> zone_names() {
  const std::lock_guard lock(state().mutex);
  return state().names;
}

}  // namespace cdp
