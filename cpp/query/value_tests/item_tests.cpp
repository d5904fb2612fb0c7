// any_element: one and the same item of a list of objects meets all conditions.
#include <algorithm>

#include "query/condition.hpp"
#include "query/value_test.hpp"

namespace cdp {
namespace {

class AnyElementTest final : public ValueTest {
 public:
  explicit AnyElementTest(std::span<const Condition> conditions) {
    for (const Condition& condition : conditions) {
      conditions_.push_back({condition.property, BoundTest(condition.test, no_strings(), Moment{})});
    }
  }
  [[nodiscard]] bool matches(const Node& value, const Moment& at) const override {
    return std::ranges::any_of(value.items, [&](const Node& item) { return meets(item, at); });
  }
  [[nodiscard]] bool is_timed() const noexcept override {
    return std::ranges::any_of(conditions_, [](const Bound& condition) { return condition.test.is_timed(); });
  }
  [[nodiscard]] std::int64_t valid_until(const Node& value, const Moment& at) const override {
    std::int64_t until = INT64_MAX;
    for (const Node& item : value.items) {
      for (const Bound& condition : conditions_) {
        until = std::min(until, condition.test.valid_until(field(item, condition.key), at));
      }
    }
    return until;
  }

 private:
  struct Bound {
    std::string key;
    BoundTest test;
  };
  [[nodiscard]] static const Node& field(const Node& item, std::string_view key) noexcept {
    static const Node missing;
    const auto found = std::ranges::find(item.fields, key, &std::pair<std::string_view, Node>::first);
    return found == item.fields.end() ? missing : found->second;
  }
  [[nodiscard]] bool meets(const Node& item, const Moment& at) const {
    return item.type == Node::Type::kMap && std::ranges::all_of(conditions_, [&](const Bound& condition) {
             return condition.test.matches(field(item, condition.key), at);
           });
  }
  std::vector<Bound> conditions_;
};

}  // namespace

std::shared_ptr<const ValueTest> any_element_test(const Node& conditions, const Path& path) {
  path.spend(sizeof(ValueTest));
  const std::vector<Condition> parsed = parse_conditions(conditions, path);
  for (std::size_t at = 0; at < parsed.size(); ++at) {
    if (parsed[at].place) fail_invalid(path.item(at).field("geo"), "an item has no place of its own");
  }
  if (parsed.empty()) fail_expected(path, "a list of 1 to 64", conditions);
  return std::make_shared<const AnyElementTest>(parsed);
}

}  // namespace cdp
