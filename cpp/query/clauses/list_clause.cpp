#include "column/dictionary.hpp"
#include "query/clauses/fact_clause.hpp"
#include "query/predicate.hpp"
#include "store/fact_store.hpp"

namespace cdp {

namespace {

// On a list, or suppressed: whether one subject's state is the first one of its type.
class StateClause final : public FactClause {
 public:
  StateClause(FactType type, std::optional<std::uint64_t> subject, bool wanted)
      : type_(type), subject_(subject), wanted_(wanted) {}

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    if (!subject_) return {!wanted_, INT64_MAX};
    const FactView& view = *version.facts[static_cast<std::size_t>(type_)];
    const FactView::Seen seen = view.state_at(version.links->members(home), *subject_, now_ms);
    return {(seen.state == 0) == wanted_, seen.next_ms};
  }
  [[nodiscard]] bool resolved() const noexcept override { return subject_.has_value(); }

 private:
  FactType type_;
  std::optional<std::uint64_t> subject_;  // empty: the store never heard of it
  bool wanted_;
};

}  // namespace

FactClauseSpec parse_list_clause(Fields& fields) {
  FactClauseSpec out;
  out.type = FactClauseSpec::Type::kList;
  out.name = parse_key(fields.require("list", "the name of a list"), fields.path("list"));
  return out;
}

std::unique_ptr<const FactClause> bind_list_clause(const FactClauseSpec& spec, const Version& version,
                                                   const Moment& at) {
  const std::optional<std::uint32_t> name = version.strings->find(spec.name);
  const std::optional<std::uint64_t> subject = name ? std::optional(subject_of(*name)) : std::nullopt;
  const FactView& lists = *version.facts[static_cast<std::size_t>(FactType::kList)];
  if (at.mentions != nullptr && (!subject || !lists.knows([&](std::uint64_t each) { return each == *subject; })))
    at.mentions->unknown_lists.insert(spec.name);
  return std::make_unique<StateClause>(FactType::kList, subject, true);
}

FactClauseSpec parse_suppressed_clause(Fields& fields) {
  FactClauseSpec out;
  out.type = FactClauseSpec::Type::kSuppressed;
  out.wanted = read_bool(fields.require("suppressed", "true or false"), fields.path("suppressed"));
  return out;
}

std::unique_ptr<const FactClause> bind_suppressed_clause(const FactClauseSpec& spec, const Version&, const Moment&) {
  return std::make_unique<StateClause>(FactType::kSuppress, std::uint64_t{0}, spec.wanted);
}

}  // namespace cdp
