// Funnels whose cells a live segment may name (live_cells.hpp).
#include "query/kinds/funnel.hpp"
#include "query/kinds/live_cells.hpp"

namespace cdp {

std::unique_ptr<Kind> FunnelSpec::bind_for_rows(const Binding& binding) const {
  return make_attempts_funnel(*this, binding);
}

bool FunnelSpec::reads_any_event() const {
  const bool every = rules.order == FunnelRules::Order::kStrictAll || rules.session_gap != 0;
  const auto is_any = [](const Selector& each) { return each.names.empty(); };
  return every || std::ranges::any_of(steps, is_any) || std::ranges::any_of(excluded, is_any) ||
         (frequency && is_any(frequency->selector));
}

void FunnelSpec::check_cells(const Path& question) const {
  if (frequency) fail_invalid(question.field("frequency"), "a cell is told by steps, groups and buckets");
}

std::string_view FunnelSpec::needs_question(const CommonSpec& common) const {
  using Order = FunnelRules::Order;
  const bool plain = (rules.order == Order::kInOrder || rules.order == Order::kStrictAll) && rules.optional == 0 &&
                     rules.exclusions.empty() && rules.grace == 0 && rules.step_window == 0 && hold.empty();
  if (!plain) {
    return "a live segment's funnel has steps in order, or strict_all, without optional steps, exclusions, grace, hold "
           "and "
           "windows of steps";
  }
  for (const Selector& step : steps) {
    if (const std::string_view reason = cdp::needs_question(step); !reason.empty()) return reason;
  }
  if (const std::string_view reason = cdp::needs_question(common, interval); !reason.empty()) return reason;
  return cdp::needs_question(common, window_unit);
}

}  // namespace cdp
