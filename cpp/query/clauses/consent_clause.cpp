#include <array>

#include "column/dictionary.hpp"
#include "query/clauses/fact_clause.hpp"
#include "query/predicate.hpp"
#include "store/fact_store.hpp"

namespace cdp {

namespace {

constexpr const FactSpec& kConsent = spec_of(FactType::kConsent);

class ConsentClause final : public FactClause {
 public:
  ConsentClause(const FactClauseSpec& spec, const Version& version, const Moment& at) {
    const auto channel = version.strings->find(spec.name);
    const auto topic = spec.topic ? version.strings->find(*spec.topic) : std::optional<std::uint32_t>(kNone);
    if (channel && topic) subject_ = subject_of(*channel, *topic);
    Dictionary states(0);
    for (const std::string_view state : kConsent.states) states.intern(state);
    const BoundTest test(spec.test, states, at);
    for (std::uint32_t state = 0; state < kConsent.states.size(); ++state) {
      passes_[state] = test.matches(Value{ValueType::kString, state}, 0);  // no state is a time: any instant will do
    }
    passes_missing_ = test.passes_missing();
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    if (!subject_) return {passes_missing_, INT64_MAX};
    const FactView& consents = *version.facts[static_cast<std::size_t>(FactType::kConsent)];
    const FactView::Seen seen = consents.state_at(version.links->members(home), *subject_, now_ms);
    return {seen.state == FactView::kNoState ? passes_missing_ : passes_[seen.state], seen.next_ms};
  }
  [[nodiscard]] bool resolved() const noexcept override { return subject_.has_value(); }

 private:
  std::optional<std::uint64_t> subject_;  // empty: the store never heard of it
  std::array<bool, kFactStates> passes_{};
  bool passes_missing_ = false;
};

}  // namespace

FactClauseSpec parse_consent_clause(Fields& fields) {
  FactClauseSpec out;
  out.type = FactClauseSpec::Type::kConsent;
  out.name = parse_key(fields.require("consent", "the name of a channel"), fields.path("consent"));
  if (const Node* topic = fields.take("topic")) out.topic = parse_key(*topic, fields.path("topic"));
  out.test = parse_test(fields);
  return out;
}

std::unique_ptr<const FactClause> bind_consent_clause(const FactClauseSpec& spec, const Version& version,
                                                      const Moment& at) {
  return std::make_unique<ConsentClause>(spec, version, at);
}

}  // namespace cdp
