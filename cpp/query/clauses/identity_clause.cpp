#include <algorithm>
#include <array>

#include "query/clauses/local_clause.hpp"
#include "query/predicate.hpp"
#include "store/identity_map.hpp"

namespace cdp {
namespace {

class IdentityClause final : public FactClause {
 public:
  IdentityClause(std::string kind, const Test& test, const Moment& at)
      : kind_(std::move(kind)), test_(test, no_strings(), at) {}

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    Node identities;
    for (const Origin member : version.links->members(home)) {
      for (const IdentityEntry& entry : version.identities->of(member, version.identity_count)) {
        if (entry.kind != kind_) continue;
        Node& text = identities.items.emplace_back();
        text.type = Node::Type::kString;
        text.text = entry.value;
      }
    }
    if (!identities.items.empty()) identities.type = Node::Type::kArray;
    return {test_.matches(identities, {now_ms, nullptr}), INT64_MAX};
  }
  [[nodiscard]] bool resolved() const noexcept override { return true; }

 private:
  std::string kind_;
  BoundTest test_;  // of texts: it knows no dictionary
};

struct IdentitySpec final : LocalClauseSpec {
  std::string kind;
  Test test;
  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version&, const Moment& at) const override {
    return std::make_unique<IdentityClause>(kind, test, at);
  }
};

}  // namespace

LocalClausePtr parse_identity_clause(Fields& fields) {
  auto out = std::make_shared<IdentitySpec>();
  std::vector<std::string_view> kinds;
  for (const IdentityKind& kind : default_identity_kinds()) kinds.push_back(kind.kind);
  out->kind = kinds[fields.choice("identity", kinds, std::nullopt)];
  out->test = parse_test(fields);
  return out;
}

}  // namespace cdp
