// The thresholds of a `did` whose right side is a profile's own value, over a task: the measures of all profiles by one scan, then
// each against its own. ~0.1 us a profile asked, a count ~10 ns.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "query/clauses/measure_scan.hpp"
#include "query/condition.hpp"
#include "query/trait_operand.hpp"

namespace cdp {

class OperandMeasures {
 public:
  // Of those measures that have an operand.
  OperandMeasures(std::span<const MeasureSpec> measures, const Version& version, const Moment& at);
  [[nodiscard]] bool empty() const noexcept { return measures_.empty(); }

  // The rows of one task.
  class OfTask {
   public:
    OfTask(const OperandMeasures& measures, const Task& task, Scratch& scratch);
    void add(const SliceView& view, const std::uint32_t* rows, std::uint32_t count);
    // Takes out of `profiles` (words) those of which some measure does not hold.
    void decide(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<std::uint64_t> profiles);

   private:
    const OperandMeasures& of_;
    Scratch::Lease<std::uint32_t> counts_;
    std::vector<MeasureScan> scans_;
  };

 private:
  struct Bound {
    BoundMeasure measure;
    Test test;
    BoundOperandTest operand;
  };
  [[nodiscard]] bool holds(const Bound& bound, MeasureScan& scan, std::uint32_t profile, std::uint32_t row_count,
                           const Value& right) const;
  std::vector<Bound> measures_;
  const Dictionary* strings_;
};

}  // namespace cdp
