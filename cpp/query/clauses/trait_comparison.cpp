#include <algorithm>
#include <array>

#include "column/dictionary.hpp"
#include "query/clauses/local_clause.hpp"
#include "query/exact_product.hpp"
#include "query/named_keys.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"
#include "query/trait_operand.hpp"

namespace cdp {
namespace {

class TraitComparison final : public FactClause {
 public:
  TraitComparison(const std::string& key, const OperandTest& test, const Version& version, const Moment& at)
      : key_(find_trait(key, version, at)), test_(test, version, at), missing_(test.missing) {}
  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    const ProfileView::Seen seen = value_of(version, home, now_ms);
    if (seen.value.type == ValueType::kNull) return {missing_, seen.next_ms};
    const ProfileView::Seen other = test_.operand(version, home, now_ms);
    return {test_.passes(seen.value, other.value), std::min(seen.next_ms, other.next_ms)};
  }
  void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const override {
    if (test_.own() == nullptr) return FactClause::evaluate_task(task, now_ms, scratch, candidates, out);
    const auto others = scratch.lease<Value>(task.size());
    test_.operands(task, now_ms, scratch, candidates, others.span());
    for (std::uint32_t word = 0; word < kStripeWords; ++word) {
      out[word] = 0;
      for (std::uint64_t left = candidates[word]; left != 0; left &= left - 1) {
        const std::uint32_t profile = word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(left));
        const Value value = value_of(*task.version, task.origin(profile), now_ms).value;
        const bool holds = value.type == ValueType::kNull ? missing_ : test_.passes(value, others[profile]);
        if (holds) out[word] |= left & (~left + 1);
      }
    }
  }
  [[nodiscard]] bool resolved() const noexcept override { return key_ && test_.resolved(); }

 private:
  [[nodiscard]] ProfileView::Seen value_of(const Version& version, Origin home, std::int64_t now_ms) const {
    return key_ ? version.profiles->trait_at(home, *key_, now_ms, *version.links) : ProfileView::Seen{};
  }
  std::optional<KeyId> key_;  // empty: no profile has the trait
  BoundOperandTest test_;
  bool missing_;
};

struct TraitComparisonSpec final : LocalClauseSpec {
  std::string key;
  OperandTest test;
  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version& version, const Moment& at) const override {
    return std::make_unique<TraitComparison>(key, test, version, at);
  }
};

}  // namespace

LocalClausePtr parse_trait_comparison(Fields& fields, const std::string& key, const CalendarSpec& calendar) {
  std::optional<OperandTest> test = parse_operand_test(fields, calendar);
  if (!test) return nullptr;
  if (const Node* missing = fields.take("missing")) test->missing = read_bool(*missing, fields.path("missing"));
  auto out = std::make_shared<TraitComparisonSpec>();
  out->key = key;
  out->test = std::move(*test);
  return out;
}

}  // namespace cdp
