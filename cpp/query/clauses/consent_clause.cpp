#include <algorithm>
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
    if (at.mentions != nullptr) mention(spec, version, channel, *at.mentions);
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
  // A channel, or a topic of it, that nobody was ever asked about.
  void mention(const FactClauseSpec& spec, const Version& version, std::optional<std::uint32_t> channel,
               Mentions& mentions) const {
    const FactView& consents = *version.facts[static_cast<std::size_t>(FactType::kConsent)];
    const bool known = channel && consents.knows([&](std::uint64_t subject) { return first_of(subject) == *channel; });
    if (!known) {
      mentions.unknown_channels.insert(spec.name);
    } else if (!subject_ || !consents.knows([&](std::uint64_t subject) { return subject == *subject_; })) {
      if (spec.topic) mentions.unknown_topics.insert(*spec.topic);
    }
  }

  std::optional<std::uint64_t> subject_;  // empty: the store never heard of it
  std::array<bool, kFactStates> passes_{};
  bool passes_missing_ = false;
};

}  // namespace

namespace {

bool is_state(std::string_view text, bool ignore_case) {
  const auto same = [ignore_case](char left, char right) {
    return left == right || (ignore_case && left >= 'A' && left <= 'Z' && left + 32 == right);
  };
  return std::ranges::any_of(kConsent.states,
                             [&](std::string_view state) { return std::ranges::equal(text, state, same); });
}

// A state that no consent ever has would silently be nobody's.
void check_state(const Node& value, const Path& path, bool ignore_case) {
  if (value.type == Node::Type::kString && is_state(value.text, ignore_case)) return;
  std::string expected = "one of";
  for (const std::string_view state : kConsent.states) expected.append(" \"").append(state).append("\"");
  fail_expected(path, expected, value);
}

void check_states(const Fields& fields, const Test& test) {
  const Node *op = fields.peek("op"), *value = fields.peek("value");
  constexpr std::array<std::string_view, 7> kExact = {"eq", "ne", "in", "not_in", "any", "none", "all"};
  if (op == nullptr || value == nullptr || std::ranges::find(kExact, op->text) == kExact.end()) return;
  const Node* folds = fields.peek("ignore_case");
  const bool ignore_case = test.ignore_case || (folds != nullptr && folds->integer != 0);
  const Path path = fields.path("value");
  if (value->type != Node::Type::kArray) return check_state(*value, path, ignore_case);
  for (std::size_t i = 0; i < value->items.size(); ++i) check_state(value->items[i], path.item(i), ignore_case);
}

}  // namespace

FactClauseSpec parse_consent_clause(Fields& fields) {
  FactClauseSpec out;
  out.type = FactClauseSpec::Type::kConsent;
  out.name = parse_key(fields.require("consent", "the name of a channel"), fields.path("consent"));
  if (const Node* topic = fields.take("topic")) out.topic = parse_key(*topic, fields.path("topic"));
  out.test = parse_test(fields);
  check_states(fields, out.test);
  return out;
}

std::unique_ptr<const FactClause> bind_consent_clause(const FactClauseSpec& spec, const Version& version,
                                                      const Moment& at) {
  return std::make_unique<ConsentClause>(spec, version, at);
}

}  // namespace cdp
