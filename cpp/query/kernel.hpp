// The contract of a kind (one file in kinds/): scan → Partial, merge, finish → Table. kinds.cpp is the list.
//
// The executor (query.cpp) parses the spec, pins a version, resolves names, builds the `where` profile set, then runs the
// tasks on the pool: per worker one Partial; for each task `scan`, then `add_rows` for each slow or late profile; at the
// end partials are merged by value and finished once. The budget is looked at between tasks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "query/scan.hpp"
#include "query/spec.hpp"
#include "query/table.hpp"

namespace cdp {

class Budget;       // query/budget.hpp: memory, deadline, cancel
class ProfileMask;  // query/predicate.hpp: profiles of `where`: has(Origin home), and words for a task

// What a kind gets besides the task. Immutable while tasks run.
struct QueryContext {
  const Version* version = nullptr;
  TimeRange range;  // resolved: relative ranges and now_ms applied
  std::int64_t now_ms = 0;
  const ProfileMask* where = nullptr;  // null: every profile
  Budget* budget = nullptr;
};

class Partial {
 public:
  virtual ~Partial() = default;
};

class Kind {
 public:
  virtual ~Kind() = default;
  [[nodiscard]] virtual std::unique_ptr<Partial> make_partial() const = 0;
  // False: the answer comes from `where` alone, no task is run.
  [[nodiscard]] virtual bool scans() const { return true; }
  // Adds the task's profiles except those slow, late (marked by itself) or outside `where`.
  virtual void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const = 0;
  // Adds one profile, given all its rows in event order (restricted to `names()` unless that is empty = all names). The
  // plain meaning of the question: the oracle inside. Called also for every profile when a query is forced to `rows`.
  virtual void add_rows(const QueryContext& context, Origin home, std::span<const Row> rows,
                        Partial& partial) const = 0;
  [[nodiscard]] virtual std::vector<NameId> names() const = 0;
  // Since when rows matter to it: also in front of the range.
  [[nodiscard]] virtual std::int64_t looks_from_ms(const QueryContext& context) const { return context.range.start_ms; }
  virtual void merge(Partial& into, Partial&& from) const = 0;
  // A kind to look at everything once more in place of this one, whose total says what to look for; null when the total is
  // enough.
  [[nodiscard]] virtual std::unique_ptr<Kind> again([[maybe_unused]] const QueryContext& context,
                                                    [[maybe_unused]] const Partial& total) const {
    return nullptr;
  }
  [[nodiscard]] virtual Table finish(const QueryContext& context, std::unique_ptr<Partial> partial) const = 0;
};

}  // namespace cdp
