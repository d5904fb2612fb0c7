#include "query/clauses/quantile_clause.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <mutex>
#include <optional>
#include <vector>

#include "query/budget.hpp"
#include "query/clauses/own_aggregate.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"
#include "query/quantile.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"

namespace cdp {
namespace {

constexpr std::uint32_t kProfilesACheck = 1'024;

enum class Method : std::uint8_t { kLinear, kNearestRank, kLower, kHigher };

bool is_number(const Value& value) noexcept { return value.type == ValueType::kInt || value.type == ValueType::kFloat; }

// Exactly.
int compare(const Value& left, const Value& right) noexcept {
  const auto sign = [](auto a, auto b) { return (a > b ? 1 : 0) - (a < b ? 1 : 0); };
  if (left.type == ValueType::kInt && right.type == ValueType::kInt) return sign(left.as_int(), right.as_int());
  if (left.type == ValueType::kInt) return compare_exact(left.as_int(), right.as_float());
  if (right.type == ValueType::kInt) return -compare_exact(right.as_int(), left.as_float());
  return sign(left.as_float(), right.as_float());
}

struct QuantileSpec final : LocalClauseSpec {
  std::string trait;
  std::shared_ptr<const OwnSpec> own;  // in place of a trait
  Op op = Op::kGe;
  std::vector<Quantile> cuts;  // one; two of between
  Method method = Method::kLinear;
  std::shared_ptr<const PredicateSpec> among;  // null: all

  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version& version, const Moment& at) const override;
  [[nodiscard]] std::string_view needs_question() const noexcept override {
    return "a quantile is of all profiles: it is for questions and exports";
  }
  [[nodiscard]] bool of_population() const noexcept override { return true; }
};

class QuantileClause final : public FactClause {
 public:
  QuantileClause(const QuantileSpec& spec, const Version& version, const Moment& at)
      : op_(spec.op), cuts_asked_(spec.cuts), method_(spec.method) {
    if (spec.among != nullptr) among_.emplace(*spec.among, version, at);
    if (spec.own != nullptr) {
      own_.emplace(*spec.own, version, at);
      return;
    }
    if (const auto key = version.keys->find(spec.trait)) key_ = KeyId{*key};
    if (!key_ && at.mentions != nullptr) at.mentions->unknown_traits.insert(spec.trait);
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    return {passes(version, home, now_ms, nullptr), now_ms + 1};
  }
  void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const override {
    find_cuts(*task.version, now_ms, task.budget);
    FactClause::evaluate_task(task, now_ms, scratch, candidates, out);
  }
  [[nodiscard]] bool resolved() const noexcept override { return true; }  // of one question: nothing is bound again

 private:
  [[nodiscard]] bool passes(const Version& version, Origin home, std::int64_t now_ms, const Budget* budget) const {
    find_cuts(version, now_ms, budget);
    if (cuts_.empty()) return false;
    const Value value = value_of(version, home, now_ms);
    if (!is_number(value)) return false;
    const int order = compare(value, cuts_.front());
    switch (op_) {
      case Op::kGe: return order >= 0;
      case Op::kGt: return order > 0;
      case Op::kLe: return order <= 0;
      case Op::kLt: return order < 0;
      default: return order >= 0 && compare(value, cuts_.back()) <= 0;
    }
  }

  [[nodiscard]] Value value_of(const Version& version, Origin home, std::int64_t now_ms) const {
    if (own_) return own_->seen(version, home, now_ms).value;
    return key_ ? version.profiles->trait_at(home, *key_, now_ms, *version.links).value : Value{};
  }

  // Once a question, by whoever comes first; what ends it with an error leaves it to the next.
  void find_cuts(const Version& version, std::int64_t now_ms, const Budget* budget) const {
    std::call_once(found_, [&] {
      std::vector<Value> numbers;
      for (std::uint32_t id = 0; id < version.origin_count; ++id) {
        const Origin home{id};
        if (budget != nullptr && id % kProfilesACheck == 0) budget->check();
        if (version.links->home(home) != home) continue;
        if (among_ && !evaluate_profile(version, *among_, home, now_ms).value) continue;
        const Value value = value_of(version, home, now_ms);
        if (is_number(value)) numbers.push_back(value);
      }
      if (numbers.empty()) return;
      std::vector<Value> cuts;
      for (const Quantile& cut : cuts_asked_) cuts.push_back(cut_of(numbers, cut));
      cuts_ = std::move(cuts);
    });
  }

  [[nodiscard]] Value cut_of(std::vector<Value>& numbers, Quantile quantile) const {
    if (method_ == Method::kLinear)
      return {ValueType::kFloat, std::bit_cast<std::uint64_t>(quantile_of(std::span(numbers), quantile))};
    const bool by_count = method_ == Method::kNearestRank;
    const auto rank =
        static_cast<unsigned __int128>(by_count ? numbers.size() : numbers.size() - 1) * quantile.thousandths;
    const auto whole = static_cast<std::ptrdiff_t>(rank / Quantile::kWhole);
    const std::ptrdiff_t rest = rank % Quantile::kWhole != 0 ? 1 : 0;
    // Of p · n numbers the last: the first when that is less than one.
    std::ptrdiff_t at = method_ == Method::kLower ? whole : whole + rest;
    if (by_count) at = std::max<std::ptrdiff_t>(at - 1, 0);
    std::nth_element(numbers.begin(), numbers.begin() + at, numbers.end(),
                     [](const Value& left, const Value& right) { return compare(left, right) < 0; });
    return numbers[static_cast<std::size_t>(at)];
  }

  Op op_;
  std::vector<Quantile> cuts_asked_;
  Method method_;
  std::optional<Predicate> among_;
  std::optional<OwnAggregate> own_;
  std::optional<KeyId> key_;  // empty: no profile has the trait
  mutable std::once_flag found_;
  mutable std::vector<Value> cuts_;  // empty: nobody has a number
};

std::unique_ptr<const FactClause> QuantileSpec::bind(const Version& version, const Moment& at) const {
  return std::make_unique<QuantileClause>(*this, version, at);
}

Quantile parse_cut(const Node& node, const Path& path) {
  const auto quantile = node.type == Node::Type::kString ? parse_quantile(node.text) : std::nullopt;
  if (!quantile) fail_expected(path, "\"median\", or like \"p90\" \"p99.9\"", node);
  return *quantile;
}

}  // namespace

LocalClausePtr parse_quantile_clause(Fields& fields, const CalendarSpec& calendar) {
  constexpr std::array<std::string_view, 5> kNames{"ge", "gt", "le", "lt", "between"};
  constexpr std::array<Op, 5> kOps{Op::kGe, Op::kGt, Op::kLe, Op::kLt, Op::kBetween};
  constexpr std::array<std::string_view, 4> kMethods{"linear", "nearest_rank", "lower", "higher"};
  auto out = std::make_shared<QuantileSpec>();
  const Path path = fields.path("quantile");
  Fields of(fields.require("quantile", "a trait, or an aggregate over the profile's own events"), path);
  const Path own = of.path("own"), trait = of.path("trait");
  if (const Node* node = of.take("own")) {
    if (of.has("trait")) fail_invalid(own, "either a trait or an aggregate, not both");
    out->own = std::make_shared<const OwnSpec>(parse_own(*node, own, calendar));
  } else {
    out->trait = parse_key(of.require("trait", "the key of a trait"), trait);
  }
  of.done();
  out->op = kOps[fields.choice("op", kNames, std::nullopt)];
  const Path value_path = fields.path("value");
  const Node& value = fields.require("value", "a quantile, like \"p90\"");
  if (out->op == Op::kBetween) {
    const std::vector<Node>& cuts = read_array(value, value_path, 2, 2);
    for (std::size_t i = 0; i < cuts.size(); ++i) out->cuts.push_back(parse_cut(cuts[i], value_path.item(i)));
  } else {
    out->cuts.push_back(parse_cut(value, value_path));
  }
  out->method = static_cast<Method>(fields.choice("method", kMethods, 0));
  const Path among = fields.path("among");
  if (const Node* node = fields.take("among")) out->among = parse_predicate(*node, among, calendar);
  return out;
}

}  // namespace cdp
