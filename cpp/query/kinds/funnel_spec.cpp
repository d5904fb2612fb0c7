// The fields of a funnel and which of them go together. Steps are numbered from 1, as the columns of the answer are.
//
//   "steps": [selector | {selector's fields, "optional"?: bool, "anchored"?: bool, "first"?: "event" | "matching"}, ..] (1 to 32)
//   "window"?: duration ("7d") | {"calendar": unit} | {"step": duration} | {"session": gap} | null
//   "order"?: "in_order" | "strict_steps" | "strict_all" | "any_order"
//   "attempt"?: "longest" | "first_entry"          "count"?: "profiles" | "totals" | "all_entries"
//   "same_time"?: "counts" | "later" | {"grace": duration}          "event_fills"?: "one_step" | "several_steps"
//   "exclude"?: [{selector's fields, "between"?: [step, step]}, ..] (up to 16)
//   "exclude_mode"?: "drop" | "remove" | "any_clean_path"
//   "hold"?: [property, ..] (up to 3)
//   "times"?: ["mean" | "min" | "max" | "median" | "p90" .. | {"within": duration}, ..]
//   "interval"?: unit
//   "frequency"?: {selector's fields, "between"?: [step, step]}
//   "attribution"?: "entry" | "first_touch" | "last_touch" | "every_step" | {"step": number}
#include <algorithm>
#include <array>

#include "query/kinds/extended_selector.hpp"
#include "query/kinds/funnel.hpp"

namespace cdp {
namespace {

using Order = FunnelRules::Order;

constexpr std::size_t kExclusionsMax = 16;
constexpr std::size_t kHoldMax = 3;
constexpr std::size_t kTimesMax = 64;
constexpr std::int64_t kWindowMs = std::int64_t{7} * 86'400'000;
// Steps that are a first event of names take a selector more.
constexpr std::size_t kFirstsMax = RowMatcher::kSelectorsMax - kStepsMax - kExclusionsMax - 1;

void parse_steps(Fields& fields, const CalendarSpec& calendar, FunnelSpec& out) {
  const Path path = fields.path("steps");
  constexpr std::array<std::string_view, 2> kFirst = {"event", "matching"};
  const std::vector<Node>& steps = read_array(fields.require("steps", "1 to 32 selectors"), path, 1, kStepsMax);
  std::size_t firsts = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Path item = path.item(i);
    const Extended own = take_field(steps[i], "first");
    const Extended placed = take_field(own.rest, "anchored");
    const Extended step = take_field(placed.rest, "optional");
    constexpr std::array<std::string_view, 3> kAlso = {"optional", "anchored", "first"};
    out.steps.push_back(parse_selector(step.rest, item, &calendar, kAlso));
    out.first.push_back(StepFirst::kNo);
    if (own.extra != nullptr && own.extra->type != Node::Type::kNull) {
      const Path first = item.field("first");
      const std::string_view text = read_string(*own.extra, first);
      if (text != kFirst[0] && text != kFirst[1]) fail_expected(first, "\"event\" or \"matching\"", *own.extra);
      out.first.back() = text == kFirst[0] ? StepFirst::kEvent : StepFirst::kMatching;
      if (text == kFirst[0] && ++firsts > kFirstsMax) fail_invalid(first, "expected at most 15 steps of first events");
    }
    if (placed.extra != nullptr && placed.extra->type != Node::Type::kNull)
      out.rules.anchored |= static_cast<std::uint32_t>(read_bool(*placed.extra, item.field("anchored"))) << i;
    if (step.extra == nullptr || step.extra->type == Node::Type::kNull) continue;
    const Path optional = item.field("optional");
    if (!read_bool(*step.extra, optional)) continue;
    if (i == 0 || i + 1 == steps.size()) fail_invalid(optional, "the first and the last step are never optional");
    out.rules.optional |= 1u << i;
  }
  out.rules.steps = static_cast<std::uint32_t>(steps.size());
}

void parse_window(Fields& fields, FunnelSpec& out) {
  const Path path = fields.path("window");
  const Node* window = fields.take_nil("window");
  if (window == nullptr) out.rules.window = kWindowMs;
  if (window == nullptr || window->type == Node::Type::kNull) return;
  if (window->type != Node::Type::kMap) {
    out.rules.window = parse_duration(*window, path);
    return;
  }
  Fields inner(*window, path);
  const Path step = inner.path("step"), session = inner.path("session"), unit = inner.path("calendar");
  if (const Node* node = inner.take("step")) {
    out.rules.step_window = parse_duration(*node, step);
  } else if (const Node* gap = inner.take("session")) {
    out.rules.session_gap = parse_duration(*gap, session);
  } else if (const Node* calendar = inner.take("calendar")) {
    out.window_unit = parse_unit(*calendar, unit);
  } else {
    fail_invalid(path, "expected a duration, {\"calendar\": unit}, {\"step\": duration}, {\"session\": gap} or null");
  }
  inner.done();
}

void parse_same_time(Fields& fields, FunnelSpec& out) {
  const Path path = fields.path("same_time");
  const Node* node = fields.take("same_time");
  if (node == nullptr) return;
  if (node->type == Node::Type::kMap) {
    Fields inner(*node, path);
    const Path grace = inner.path("grace");
    out.rules.grace = parse_duration(inner.require("grace", "a duration"), grace);
    inner.done();
    return;
  }
  const std::string_view text = read_string(*node, path);
  if (text != "counts" && text != "later") fail_expected(path, "\"counts\", \"later\" or {\"grace\": duration}", *node);
  out.rules.strictly_later = text == "later";
}

void parse_exclusions(Fields& fields, const CalendarSpec& calendar, FunnelSpec& out) {
  constexpr std::array<std::string_view, 3> kModes = {"drop", "remove", "any_clean_path"};
  const bool has_mode = fields.has("exclude_mode");
  const Path mode_path = fields.path("exclude_mode");
  out.rules.exclusion_mode = static_cast<FunnelRules::ExclusionMode>(fields.choice("exclude_mode", kModes, 0));
  const Path path = fields.path("exclude");
  const Node* node = fields.take("exclude");
  if (node == nullptr) {
    if (has_mode) fail_invalid(mode_path, "says how to exclude, but exclude says nothing");
    return;
  }
  const std::vector<Node>& items = read_array(*node, path, 1, kExclusionsMax);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Path item = path.item(i);
    const Extended each = take_field(items[i], "between");
    constexpr std::array<std::string_view, 1> kAlso = {"between"};
    out.excluded.push_back(parse_selector(each.rest, item, &calendar, kAlso));
    FunnelExclusion exclusion{0, out.rules.steps - 1};
    if (each.extra != nullptr && each.extra->type != Node::Type::kNull) {
      const Path between = item.field("between");
      if (out.rules.order == Order::kAnyOrder) fail_invalid(between, "steps in any order have no between");
      const std::vector<Node>& pair = read_array(*each.extra, between, 2, 2);
      const auto count = static_cast<std::int64_t>(out.rules.steps);
      exclusion.from = static_cast<std::uint32_t>(read_int(pair[0], between.item(0), 1, count - 1)) - 1;
      exclusion.to =
          static_cast<std::uint32_t>(read_int(pair[1], between.item(1), std::int64_t{exclusion.from} + 2, count)) - 1;
    }
    out.rules.exclusions.push_back(exclusion);
  }
}

void parse_hold(Fields& fields, FunnelSpec& out) {
  const Path path = fields.path("hold");
  const Node* node = fields.take("hold");
  if (node == nullptr) return;
  const std::vector<Node>& items = read_array(*node, path, 1, kHoldMax);
  for (std::size_t i = 0; i < items.size(); ++i) out.hold.push_back(parse_key(items[i], path.item(i)));
}

void parse_times(Fields& fields, FunnelSpec& out) {
  const Path path = fields.path("times");
  const Node* node = fields.take("times");
  if (node == nullptr) return;
  const std::vector<Node>& items = read_array(*node, path, 1, kTimesMax);
  for (std::size_t i = 0; i < items.size(); ++i) {
    using Type = TimeStatistic::Type;
    const bool is_map = items[i].type == Node::Type::kMap;
    const std::string_view text = is_map ? std::string_view("within") : read_string(items[i], path.item(i));
    TimeStatistic statistic{Type::kMean, {}, 0, std::string(text)};
    if (is_map) {
      const Path item = path.item(i);
      Fields inner(items[i], item);
      const Path within = inner.path("within");
      statistic.type = Type::kWithin;
      statistic.within_ms = parse_duration(inner.require("within", "a duration"), within);
      statistic.name += '_' + std::to_string(statistic.within_ms);
      inner.done();
    } else if (text == "min") {
      statistic.type = Type::kMin;
    } else if (text == "max") {
      statistic.type = Type::kMax;
    } else if (text != "mean") {
      const auto quantile = parse_quantile(text);
      if (!quantile)
        fail_expected(path.item(i), "\"mean\", \"min\", \"max\", \"median\", \"p90\" or {\"within\": duration}",
                      items[i]);
      statistic.type = Type::kQuantile;
      statistic.quantile = *quantile;
    }
    const bool again = std::any_of(out.times.begin(), out.times.end(),
                                   [&](const TimeStatistic& other) { return other.name == statistic.name; });
    if (again) fail_invalid(path.item(i), "asked for twice");
    out.times.push_back(std::move(statistic));
  }
}

void parse_attribution(Fields& fields, const CommonSpec& common, FunnelSpec& out) {
  const Path path = fields.path("attribution");
  const Node* node = fields.take("attribution");
  if (node == nullptr) return;
  const bool reads = std::any_of(common.breakdown.begin(), common.breakdown.end(),
                                 [](const Operand& operand) { return !operand.is_trait; });
  if (!reads) fail_invalid(path, "says which event a breakdown by a property reads, but there is none");
  if (node->type == Node::Type::kMap) {
    Fields inner(*node, path);
    const Path step = inner.path("step");
    out.attribution.step = static_cast<std::uint32_t>(
        read_int(inner.require("step", "the number of a step"), step, 1, std::int64_t{out.rules.steps}) - 1);
    inner.done();
    return;
  }
  constexpr std::array<std::string_view, 4> kNames = {"entry", "first_touch", "last_touch", "every_step"};
  const auto found =
      node->type == Node::Type::kString ? std::find(kNames.begin(), kNames.end(), node->text) : kNames.end();
  if (found == kNames.end()) {
    fail_expected(path, "\"entry\", \"first_touch\", \"last_touch\", \"every_step\" or {\"step\": number}", *node);
  }
  out.attribution.type = static_cast<Attribution::Type>(found - kNames.begin());
}

void parse_frequency(Fields& fields, const CalendarSpec& calendar, FunnelSpec& out) {
  const Path path = fields.path("frequency");
  const Node* node = fields.take("frequency");
  if (node == nullptr) return;
  if (out.rules.steps < 2) fail_invalid(path, "lies between two steps, but there is one");
  const Extended own = take_field(*node, "between");
  out.frequency = {parse_selector(own.rest, path, &calendar), 0, out.rules.steps - 1};
  if (own.extra != nullptr && own.extra->type != Node::Type::kNull) {
    const Path between = path.field("between");
    const std::vector<Node>& pair = read_array(*own.extra, between, 2, 2);
    const auto count = static_cast<std::int64_t>(out.rules.steps);
    const std::int64_t from = read_int(pair[0], between.item(0), 1, count - 1);
    out.frequency->from = static_cast<std::uint32_t>(from) - 1;
    out.frequency->to = static_cast<std::uint32_t>(read_int(pair[1], between.item(1), from + 1, count)) - 1;
  }
  if (out.interval) fail_invalid(path, "rows are by the bucket of the entry already");
  const auto firsts = static_cast<std::size_t>(std::ranges::count(out.first, StepFirst::kEvent));
  if (out.steps.size() + out.excluded.size() + firsts + 2 > RowMatcher::kSelectorsMax)
    fail_invalid(path, "over 62 steps, exclusions and first events beside it");
}

void check_together(const FunnelSpec& spec, const Fields& fields) {
  const FunnelRules& rules = spec.rules;
  if (rules.optional != 0 && rules.order == Order::kAnyOrder)
    fail_invalid(fields.path("steps"), "steps in any order cannot be optional");
  if (rules.anchored != 0 && rules.order != Order::kAnyOrder)
    fail_invalid(fields.path("steps"), "anchored steps are for steps in any order");
  if (rules.grace != 0) {
    const Path path = fields.path("same_time");
    if (rules.order != Order::kInOrder) fail_invalid(path, "a grace is for steps in order");
  }
  if (rules.step_window != 0 && (rules.order == Order::kAnyOrder || rules.grace != 0))
    fail_invalid(fields.path("window").field("step"), "the window of a step is for steps that follow one another");
  if (rules.several && (rules.strictly_later || rules.grace != 0))
    fail_invalid(fields.path("event_fills"), "an event that fills several steps does so at one time");
  if (rules.strictly_later && rules.order == Order::kAnyOrder)
    fail_invalid(fields.path("same_time"), "steps in any order need not be later");
  const bool by_interval = rules.count == FunnelRules::Count::kProfilesByInterval;
  if (by_interval && !spec.interval) fail_invalid(fields.path("count"), "profiles by interval need an interval");
  if (rules.attempt == FunnelRules::Attempt::kFirstEntry && rules.count != FunnelRules::Count::kProfiles &&
      !by_interval)
    fail_invalid(fields.path("attempt"),
                 "first_entry picks one attempt of a profile, totals and all_entries count all");
}

}  // namespace

bool FunnelSpec::is_plain() const noexcept {
  return rules.order == Order::kInOrder && rules.optional == 0 && rules.attempt == FunnelRules::Attempt::kLongest &&
         rules.count == FunnelRules::Count::kProfiles && rules.grace == 0 && rules.exclusions.empty() && !window_unit &&
         rules.step_window == 0 && rules.session_gap == 0 && !rules.several && !interval && !frequency &&
         rules.steps > 1 &&
         std::all_of(first.begin(), first.end(), [](StepFirst each) { return each == StepFirst::kNo; }) &&
         hold.empty() && times.empty() && attribution.type == Attribution::Type::kStep && attribution.step == 0;
}

void parse_funnel_fields(Fields& fields, const CommonSpec& common, FunnelSpec& out) {
  constexpr std::array<std::string_view, 4> kOrders = {"in_order", "strict_steps", "strict_all", "any_order"};
  constexpr std::array<std::string_view, 2> kAttempts = {"longest", "first_entry"};
  constexpr std::array<std::string_view, 4> kCounts = {"profiles", "totals", "all_entries", "profiles_by_interval"};
  parse_steps(fields, common.calendar, out);
  parse_window(fields, out);
  out.rules.order = static_cast<Order>(fields.choice("order", kOrders, 0));
  out.rules.attempt = static_cast<FunnelRules::Attempt>(fields.choice("attempt", kAttempts, 0));
  out.rules.count = static_cast<FunnelRules::Count>(fields.choice("count", kCounts, 0));
  parse_same_time(fields, out);
  constexpr std::array<std::string_view, 2> kFills = {"one_step", "several_steps"};
  out.rules.several = fields.choice("event_fills", kFills, 0) == 1;
  const Path interval = fields.path("interval");
  if (const Node* node = fields.take("interval")) out.interval = parse_interval(*node, interval);
  parse_exclusions(fields, common.calendar, out);
  parse_hold(fields, out);
  parse_times(fields, out);
  parse_attribution(fields, common, out);
  parse_frequency(fields, common.calendar, out);
  check_together(out, fields);
}

}  // namespace cdp
