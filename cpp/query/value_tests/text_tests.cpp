// regex, not_regex; version_lt .. version_eq.
#include "query/regex.hpp"
#include "query/value_test.hpp"
#include "query/version_order.hpp"

namespace cdp {
namespace {

class RegexTest final : public ElementTest {
 public:
  RegexTest(std::string_view expression, bool ignore_case, const Path& path) : regex_(expression, ignore_case, path) {}

 private:
  [[nodiscard]] bool passes(const Node& scalar, const Moment&) const override {
    return scalar.type == Node::Type::kString && regex_.search(scalar.text);
  }
  Regex regex_;
};

class VersionTest final : public ElementTest {
 public:
  VersionTest(VersionOrder order, std::string_view version) : order_(order), version_(version) {}

 private:
  [[nodiscard]] bool passes(const Node& scalar, const Moment&) const override {
    if (scalar.type != Node::Type::kString || !is_version(scalar.text)) return false;
    const int order = compare_versions(scalar.text, version_);
    switch (order_) {
      case VersionOrder::kLt: return order < 0;
      case VersionOrder::kLe: return order <= 0;
      case VersionOrder::kGt: return order > 0;
      case VersionOrder::kGe: return order >= 0;
      case VersionOrder::kEq: return order == 0;
    }
    return false;
  }
  VersionOrder order_;
  std::string version_;
};

}  // namespace

std::shared_ptr<const ValueTest> regex_test(const Node& value, bool ignore_case, const Path& path) {
  return std::make_shared<const RegexTest>(read_string(value, path), ignore_case, path);
}

std::shared_ptr<const ValueTest> version_test(VersionOrder order, const Node& value, const Path& path) {
  if (value.type != Node::Type::kString || !is_version(value.text)) {
    fail_expected(path, "a version like \"1.10\" or \"2.0.0-rc.1\"", value);
  }
  return std::make_shared<const VersionTest>(order, value.text);
}

}  // namespace cdp
