// any_element: one and the same item of a list of objects meets all conditions.
#include <algorithm>

#include "query/condition.hpp"
#include "query/condition_tree.hpp"
#include "query/value_test.hpp"

namespace cdp {
namespace {

class AnyElementTest final : public ValueTest {
 public:
  explicit AnyElementTest(std::span<const Condition> conditions)
      : conditions_(conditions, [](const Condition& each) {
          return Bound{each.property, BoundTest(each.test, no_strings(), Moment{})};
        }) {}
  [[nodiscard]] bool matches(const Node& value, const Moment& at) const override {
    return std::ranges::any_of(value.items, [&](const Node& item) { return meets(item, at); });
  }
  [[nodiscard]] bool is_timed() const noexcept override {
    return std::ranges::any_of(conditions_.leaves(), [](const Bound& condition) { return condition.test.is_timed(); });
  }
  [[nodiscard]] std::int64_t valid_until(const Node& value, const Moment& at) const override {
    std::int64_t until = INT64_MAX;
    for (const Node& item : value.items) {
      for (const Bound& condition : conditions_.leaves()) {
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
    return item.type == Node::Type::kMap && conditions_.hold([&](std::size_t leaf) {
      const Bound& condition = conditions_.leaves()[leaf];
      return condition.test.matches(field(item, condition.key), at);
    });
  }
  BoundConditions<Bound> conditions_;
};

}  // namespace

std::shared_ptr<const ValueTest> any_element_test(const Node& conditions, const Path& path) {
  path.spend(sizeof(ValueTest));
  const auto refuse_places = [](const Condition& condition, const Path& at) {
    if (condition.place) fail_invalid(at.field("geo"), "an item has no place of its own");
  };
  const std::vector<Condition> parsed = parse_conditions(conditions, path, nullptr, refuse_places);
  if (parsed.empty()) fail_expected(path, "a list of 1 to 64", conditions);
  return std::make_shared<const AnyElementTest>(parsed);
}

}  // namespace cdp
