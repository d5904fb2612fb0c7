#include "query/clauses/operand_measures.hpp"

#include "query/profile_mask.hpp"

namespace cdp {

OperandMeasures::OperandMeasures(std::span<const MeasureSpec> measures, const Version& version, const Moment& at)
    : strings_(version.strings) {
  for (const MeasureSpec& each : measures) {
    if (each.test.operand == nullptr) continue;
    measures_.push_back({bind_measure(each, version), each.test, BoundOperandTest(*each.test.operand, version, at)});
  }
}

OperandMeasures::OfTask::OfTask(const OperandMeasures& measures, const Task& task, Scratch& scratch)
    : of_(measures), counts_(scratch.zeroed<std::uint32_t>(task.size())) {
  for (const Bound& bound : measures.measures_)
    scans_.emplace_back(bound.measure.measure, bound.measure.key, task.size(), scratch);
}

void OperandMeasures::OfTask::add(const SliceView& view, const std::uint32_t* rows, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) ++counts_[view.profile[rows[i]] + view.id_offset];
  for (MeasureScan& scan : scans_) scan.add(view, rows, count);
}

void OperandMeasures::OfTask::decide(const Task& task, std::int64_t now_ms, Scratch& scratch,
                                     std::span<std::uint64_t> profiles) {
  const auto right = scratch.lease<Value>(task.size());
  for (std::size_t i = 0; i < scans_.size(); ++i) {
    scans_[i].group(task.size());
    const Bound& bound = of_.measures_[i];
    bound.operand.operands(task, now_ms, scratch, profiles, right.span());
    for (std::uint32_t word = 0; word < kStripeWords; ++word) {
      for (std::uint64_t left = profiles[word]; left != 0; left &= left - 1) {
        const std::uint32_t profile = word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(left));
        if (!of_.holds(bound, scans_[i], profile, counts_[profile], right[profile]))
          profiles[word] ^= left & (~left + 1);
      }
    }
  }
}

bool OperandMeasures::holds(const Bound& bound, MeasureScan& scan, std::uint32_t profile, std::uint32_t row_count,
                            const Value& right) const {
  if (right.type == ValueType::kNull) return false;
  if (bound.measure.measure == Measure::kCount) return bound.operand.passes({ValueType::kInt, row_count}, right);
  Test test = bound.test;
  test.value_test = bound.operand.test_of(right);
  const BoundMeasure measure{bound.measure.measure, bound.measure.key, BoundTest(test, *strings_, {}),
                             bound.measure.datetimes, bound.measure.missing_zero};
  return scan.holds(measure, profile, row_count);
}

}  // namespace cdp
