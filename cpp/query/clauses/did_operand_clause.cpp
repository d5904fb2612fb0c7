#include "query/clauses/did_operand_clause.hpp"

#include <algorithm>
#include <array>

#include "query/clauses/did_clause.hpp"
#include "query/clauses/found_rows.hpp"
#include "query/clauses/kept_rows.hpp"
#include "query/clauses/operand_measures.hpp"
#include "query/clauses/operand_tests.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"

namespace cdp {
namespace {

class DidOperandClause final : public FactClause {
 public:
  DidOperandClause(const PredicateSpec& did, const Version& version, const Moment& at)
      : did_(did),
        at_{at.now_ms, at.zone},
        selector_(bind_selector({did.selector.names, {}}, version, at)),
        operands_(did.selector.where, did.measures, version, at),
        measures_(did.measures, version, at_) {
    if (at.now_ms != Moment::kUnset) {
      PredicateSpec scanned = did;
      take_out_operands(scanned.measures);
      scanned_.emplace(scanned, version, at_);
    }
    if (at.mentions == nullptr) return;
    PredicateSpec rest = did;
    take_out_operands(rest.selector.where, rest.measures);
    static_cast<void>(DidClause(rest, version, at));  // notes what else it names
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    PredicateSpec did = did_;
    std::int64_t until_ms = INT64_MAX;
    operands_.put(version, home, now_ms, did.selector.where, did.measures, until_ms);
    const DidClause clause(did, version, at_);
    const std::vector<Row> rows = kept_rows(version, home, selector_, now_ms, until_ms);
    const Truth truth = clause.evaluate(rows, now_ms);
    return {truth.value, std::min(truth.valid_until_ms, until_ms)};
  }
  // Where the question has an instant: `did` with conditions that find each row's own, then thresholds.
  void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const override {
    if (!scanned_ || now_ms != at_.now_ms) return FactClause::evaluate_task(task, now_ms, scratch, candidates, out);
    std::array<std::uint64_t, kStripeWords> fast, found;
    evaluate_slow(task, now_ms, scratch, candidates, fast, out);
    scanned_->evaluate_task(task, now_ms, scratch, fast, found);
    if (!measures_.empty()) {
      OperandMeasures::OfTask measures(measures_, task, scratch);
      for_each_found(scanned_->selector, nullptr, resolve_range(scanned_->window, now_ms), task, scratch,
                     [&](const FoundIn&, const SliceView& view, const std::uint32_t* rows, std::uint32_t count) {
                       measures.add(view, rows, count);
                     });
      measures.decide(task, now_ms, scratch, found);
    }
    for (std::uint32_t word = 0; word < kStripeWords; ++word) out[word] |= found[word];
  }
  // What is bound for each profile anew resolves itself; names do not.
  [[nodiscard]] bool resolved() const noexcept override { return selector_.resolved && operands_.resolved(); }

 private:
  PredicateSpec did_;
  Moment at_;               // without mentions: threads of a question bind by it
  BoundSelector selector_;  // by names alone: whose rows are read
  OperandTests operands_;
  OperandMeasures measures_;
  std::optional<DidClause> scanned_;  // all but those; none without an instant
};

struct DidOperandSpec final : LocalClauseSpec {
  PredicateSpec did;
  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version& version, const Moment& at) const override {
    return std::make_unique<DidOperandClause>(did, version, at);
  }
};

}  // namespace

bool has_operands(const PredicateSpec& did) {
  return has_operand(did.selector.where) ||
         std::ranges::any_of(did.measures, [](const MeasureSpec& each) { return each.test.operand != nullptr; });
}

LocalClausePtr did_with_operands(PredicateSpec did) {
  auto out = std::make_shared<DidOperandSpec>();
  out->did = std::move(did);
  return out;
}

}  // namespace cdp
