#include <algorithm>

#include "column/dictionary.hpp"
#include "query/clauses/local_clause.hpp"
#include "query/named_keys.hpp"
#include "query/predicate.hpp"
#include "store/trait_fold.hpp"

namespace cdp {
namespace {

// How long a test of a trait has passed without interruption, by what a query at each instant since would have seen under
// the links of now.
class HasBeenClause final : public FactClause {
 public:
  HasBeenClause(const std::string& key, const Test& test, bool is_less, std::int64_t span_ms, const Version& version,
                const Moment& at)
      : key_(find_trait(key, version, at)), test_(test, *version.strings, at), is_less_(is_less), span_ms_(span_ms) {}

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    if (!key_) return {test_.passes_missing() && !is_less_, INT64_MAX};
    const ProfileView::Seen seen = version.profiles->trait_at(home, *key_, now_ms, *version.links);
    if (!test_.matches(seen.value, now_ms)) return {false, seen.next_ms};
    const std::int64_t since_ms = passes_since(version, home, now_ms);
    if (since_ms == kEver || since_ms <= now_ms - span_ms_) return {!is_less_, seen.next_ms};
    return {is_less_, std::min(seen.next_ms, since_ms + span_ms_)};
  }
  [[nodiscard]] bool resolved() const noexcept override { return key_ && test_.resolved(); }

 private:
  static constexpr std::int64_t kEver = INT64_MIN;

  // The time of the operation since which it passes; kEver when it did before the first. Looks no further back than the span.
  // REQUIRES: it passes now.
  [[nodiscard]] std::int64_t passes_since(const Version& version, Origin home, std::int64_t now_ms) const {
    const std::span<const Origin> members = version.links->members(home);
    std::vector<StoredOperation> operations = version.profiles->history(members);
    std::erase_if(operations, [&](const StoredOperation& operation) {
      return operation.key != *key_ || operation.time_ms > now_ms;
    });
    const std::vector<bool> passes = members.size() == 1 ? passes_alone(operations) : std::vector<bool>();
    std::vector<Link> links = version.links->links_of(home);
    std::ranges::stable_sort(links, {}, &Link::time_ms);
    std::int64_t since_ms = now_ms;
    for (std::size_t at = operations.size(); at-- > 0;) {
      const std::int64_t time_ms = operations[at].time_ms;
      if (at + 1 < operations.size() && operations[at + 1].time_ms == time_ms) continue;  // as it stood behind the last
      const bool passed =
          passes.empty() ? test_.matches(version.profiles->folded(home, std::span(operations).first(at + 1), links), 0)
                         : bool{passes[at]};
      if (!passed) return since_ms;
      since_ms = time_ms;
      if (since_ms <= now_ms - span_ms_) return since_ms;
    }
    return test_.passes_missing() ? kEver : since_ms;
  }

  // Behind each operation of one origin that never joined: one pass. Empty when a list is among them.
  [[nodiscard]] std::vector<bool> passes_alone(std::span<const StoredOperation> operations) const {
    std::vector<bool> passes;
    Value value;
    for (const StoredOperation& operation : operations) {
      const std::optional<Value> next = fold_scalar(value, operation.kind, operation.value);
      if (!next) return {};
      value = *next;
      passes.push_back(test_.matches(value, 0));
    }
    return passes;
  }

  std::optional<KeyId> key_;  // empty: no profile has the trait
  BoundTest test_;            // never one relative to now
  bool is_less_;              // less_than, not at_least
  std::int64_t span_ms_;
};

struct HasBeenSpec final : LocalClauseSpec {
  std::string key;
  Test test;
  bool is_less = false;
  std::int64_t span_ms = 0;
  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version& version, const Moment& at) const override {
    return std::make_unique<HasBeenClause>(key, test, is_less, span_ms, version, at);
  }
};

}  // namespace

LocalClausePtr parse_has_been_clause(Fields& fields, const std::string& key, const Test& test) {
  const Node* node = fields.take("has_been");
  if (node == nullptr) return nullptr;
  const Path path = fields.path("has_been");
  if (test.value_test != nullptr && test.value_test->is_timed()) {
    fail_invalid(path, "it takes no test relative to now: what time alone turns has no history");
  }
  Fields inner(*node, path);
  const Node* at_least = inner.take("at_least");
  const Node* less_than = inner.take("less_than");
  if ((at_least == nullptr) == (less_than == nullptr)) {
    fail_invalid(path, "expected {\"at_least\": duration} or {\"less_than\": duration}");
  }
  auto out = std::make_shared<HasBeenSpec>();
  out->key = key;
  out->test = test;
  out->is_less = less_than != nullptr;
  out->span_ms = out->is_less ? parse_duration(*less_than, inner.path("less_than"))
                              : parse_duration(*at_least, inner.path("at_least"));
  inner.done();
  return out;
}

}  // namespace cdp
