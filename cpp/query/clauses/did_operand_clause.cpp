#include "query/clauses/did_operand_clause.hpp"

#include <algorithm>

#include "query/clauses/did_clause.hpp"
#include "query/clauses/kept_rows.hpp"
#include "query/clauses/operand_tests.hpp"
#include "query/predicate.hpp"

namespace cdp {
namespace {

class DidOperandClause final : public FactClause {
 public:
  DidOperandClause(const PredicateSpec& did, const Version& version, const Moment& at)
      : did_(did),
        at_{at.now_ms, at.zone},
        selector_(bind_selector({did.selector.names, {}}, version, at)),
        operands_(did.selector.where, did.measures, version, at) {
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
  // What is bound for each profile anew resolves itself; names do not.
  [[nodiscard]] bool resolved() const noexcept override { return selector_.resolved && operands_.resolved(); }

 private:
  PredicateSpec did_;
  Moment at_;               // without mentions: threads of a question bind by it
  BoundSelector selector_;  // by names alone: whose rows are read
  OperandTests operands_;
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
