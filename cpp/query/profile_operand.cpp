#include "query/profile_operand.hpp"

#include <algorithm>

#include "query/clauses/own_aggregate.hpp"
#include "query/scan.hpp"
#include "store/links.hpp"

namespace cdp {

ProfileOperand::ProfileOperand(const OperandTest& test, bool missing, const Version& version, const Moment& at)
    : test_(test, version, at), version_(&version), now_ms_(at.now_ms), missing_(missing) {}

std::shared_ptr<const std::vector<Value>> ProfileOperand::of_task(const Task& task, Scratch& scratch) const {
  if (test_.own() == nullptr) return nullptr;
  const auto is_it = [&](const TaskValues& each) {
    return each.plan == task.plan && each.shard == task.shard && each.first_id == task.first_id;
  };
  {
    const std::lock_guard lock(tasks_mutex_);
    if (const auto found = std::ranges::find_if(tasks_, is_it); found != tasks_.end()) return found->values;
  }
  auto values = std::make_shared<std::vector<Value>>(task.size());
  if (!test_.own()->scan(task, now_ms_, scratch, *values)) values = nullptr;
  const std::lock_guard lock(tasks_mutex_);
  if (tasks_.size() < kTasks) {
    tasks_.push_back({task.plan, task.shard, task.first_id, values});
  } else {
    tasks_[oldest_++ % kTasks] = {task.plan, task.shard, task.first_id, values};
  }
  return values;
}

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
