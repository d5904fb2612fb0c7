#include <algorithm>
#include <array>

#include "column/dictionary.hpp"
#include "query/clauses/local_clause.hpp"
#include "query/exact_product.hpp"
#include "query/named_keys.hpp"
#include "query/predicate.hpp"
#include "query/trait_operand.hpp"

namespace cdp {
namespace {

class TraitComparison final : public FactClause {
 public:
  TraitComparison(const std::string& key, const OperandTest& test, const Version& version, const Moment& at)
      : key_(find_trait(key, version, at)), test_(test, version, at), missing_(test.missing) {}
  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    if (!key_) return {missing_, INT64_MAX};
    const ProfileView::Seen seen = version.profiles->trait_at(home, *key_, now_ms, *version.links);
    if (seen.value.type == ValueType::kNull) return {missing_, seen.next_ms};
    const ProfileView::Seen other = test_.operand(version, home, now_ms);
    return {test_.passes(seen.value, other.value), std::min(seen.next_ms, other.next_ms)};
  }
  [[nodiscard]] bool resolved() const noexcept override { return key_ && test_.resolved(); }

 private:
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
