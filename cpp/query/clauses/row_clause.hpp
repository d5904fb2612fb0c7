// Clauses on the rows of one profile in event order: those whose meaning needs the order, or borders that differ from profile
// to profile. Such a clause only says what it is for one profile's rows; this base evaluates it over a task.
//
// Cost over a task, where the clause has no scan of its own: a scan of the names without which nobody's truth differs, then ~1 us a layer and ~20 ns a row for each
// candidate that has one of them: fewer candidates (an `and` with something cheap) cost less.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "query/condition.hpp"
#include "query/scan.hpp"

namespace cdp {

struct Truth;
class RowClause;

// As sent; each clause's file derives its own.
struct RowClauseSpec {
  virtual ~RowClauseSpec() = default;
  [[nodiscard]] virtual std::unique_ptr<const RowClause> bind(const Version& version, const Moment& at) const = 0;
  // Why it is no clause of a live segment; empty when it is one.
  [[nodiscard]] virtual std::string_view needs_question() const { return {}; }
};

// What a clause looks at.
struct RowsRead {
  std::vector<NameId> names;     // ascending
  std::vector<NameId> decisive;  // a profile without a row of these has the truth of one without any; ascending
  bool open = false;             // any event
  bool decisive_open = false;
  std::vector<KeyId> traits;
  bool resolved = true;

  void add(const BoundSelector& selector, bool is_decisive);
};

class RowClause {
 public:
  virtual ~RowClause() = default;
  // Of the profile whose home this is. `rows`: in event order, of at least the names in `read()`, future ones included.
  // The truth of no rows is the same for every profile, at all times.
  [[nodiscard]] virtual Truth evaluate(const Version& version, Origin home, std::span<const Row> rows,
                                       std::int64_t now_ms) const = 0;
  // The rows that made it so, for an explanation, of the same rows: what it counted, the events of its matches; where a clause
  // says nothing of its own those that it looked at. In event order.
  [[nodiscard]] virtual std::vector<const Row*> evidence(const Version& version, Origin home, std::span<const Row> rows,
                                                         std::int64_t now_ms) const;
  [[nodiscard]] const RowsRead& read() const noexcept { return read_; }
  // Candidates for which it holds; slow profiles get nonsense.
  void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const;

 protected:
  // Of the candidates, those for which it holds into `out` (zeroed), and those that it cannot tell by a scan into `left`
  // (zeroed): they are evaluated by their rows. False when it can tell none. Slow profiles may get nonsense.
  virtual bool scan(const Task&, std::int64_t, Scratch&, std::span<const std::uint64_t>, std::span<std::uint64_t>,
                    std::span<std::uint64_t>) const {
    return false;
  }
  RowsRead read_;

 private:
  void mark_decisive(const Task& task, Scratch& scratch, std::span<std::uint64_t> out) const;
};

}  // namespace cdp
