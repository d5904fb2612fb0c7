// A condition of a question's selector whose right side is the profile's own (trait_operand.hpp): found by the row's profile.
//
// Rows come in runs of one profile, a profile's in every chunk anew: what was found is kept in a table that forgets; an aggregate
// over own events is scanned once a task, for all of it.
// Threads: any number at once. Cost: ~40 ns a run of rows, and once a profile what its trait costs; of an aggregate ~3 ns a row,
// and once a task its scan.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "query/moment.hpp"
#include "query/trait_operand.hpp"
#include "store/version.hpp"

namespace cdp {

struct ScanPlan;  // query/scan_plan.hpp
struct Task;      // query/scan.hpp
class Scratch;    // query/scratch.hpp

class ProfileOperand {
 public:
  // REQUIRES: `at` has an instant; the version outlives this.
  // `missing`: a missing left side passes.
  ProfileOperand(const OperandTest& test, bool missing, const Version& version, const Moment& at);
  [[nodiscard]] bool resolved() const noexcept { return test_.resolved(); }
  // The right side for the profile that a row of this origin belongs to.
  [[nodiscard]] Value right_of(Origin origin) const;
  // The right sides of a task's profiles, by index, where they are told all at once; of slow ones nonsense. Null: not so.
  [[nodiscard]] std::shared_ptr<const std::vector<Value>> of_task(const Task& task, Scratch& scratch) const;
  // A missing left side passes where the condition says so.
  [[nodiscard]] bool passes(const Value& left, const Value& right) const {
    return left.type == ValueType::kNull ? missing_ : test_.passes(left, right);
  }

 private:
  struct Entry {
    Origin home{};
    bool known = false;
    Value value;
  };
  static constexpr std::size_t kParts = 16;
  static constexpr std::size_t kEntries = 2'048;  // of a part: together more than a stripe has profiles
  struct Part {
    std::mutex mutex;
    std::vector<Entry> entries;  // by the home's number; empty until the first is asked for
  };

  BoundOperandTest test_;
  const Version* version_;
  std::int64_t now_ms_;
  bool missing_;
  mutable std::array<Part, kParts> parts_;

  // Of tasks that are worked on: as many as there may be threads.
  struct TaskValues {
    const ScanPlan* plan = nullptr;
    std::uint32_t shard = 0;
    std::uint32_t first_id = 0;
    std::shared_ptr<const std::vector<Value>> values;
  };
  static constexpr std::size_t kTasks = 64;
  mutable std::mutex tasks_mutex_;
  mutable std::vector<TaskValues> tasks_;
  mutable std::size_t oldest_ = 0;
};

}  // namespace cdp
