// all, size. (any and none are in and not_in.)
#include <algorithm>

#include "query/condition.hpp"
#include "query/value_test.hpp"

namespace cdp {
namespace {

// Each of the values is an element; a scalar is the list of itself.
class AllTest final : public ValueTest {
 public:
  explicit AllTest(const Test& values) {
    for (const Literal& value : values.values) {
      wanted_.emplace_back(Test{Op::kEq, {value}, values.ignore_case}, no_strings(), Moment{});
    }
  }
  [[nodiscard]] bool matches(const Node& value, const Moment&) const override {
    return std::ranges::all_of(wanted_, [&](const BoundTest& each) { return each.matches(value); });
  }

 private:
  std::vector<BoundTest> wanted_;
};

class SizeTest final : public ValueTest {
 public:
  explicit SizeTest(const Test& size) : size_(size, no_strings(), Moment{}) {}
  [[nodiscard]] bool matches(const Node& value, const Moment&) const override {
    return value.type == Node::Type::kArray && size_.matches({ValueType::kInt, value.items.size()});
  }

 private:
  BoundTest size_;
};

}  // namespace

std::shared_ptr<const ValueTest> all_test(const Node& values, bool ignore_case, const Path& path) {
  return std::make_shared<const AllTest>(Test{Op::kIn, parse_constants(Op::kIn, values, path), ignore_case});
}

std::shared_ptr<const ValueTest> size_test(const Node& value, const Path& path) {
  Fields fields(value, path);
  const Test size = parse_test(fields);
  fields.done();
  check_number_test(size, fields);
  return std::make_shared<const SizeTest>(size);
}

}  // namespace cdp
