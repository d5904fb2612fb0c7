// What an answer is split by; the grammar of each form is with what it means: member_operand.hpp, value_groups.hpp.
//
//   operand   {"property": key, groups, "name"?: column} | {"trait": key, "at"?: "now" | "event", groups, "name"?: column}
//             | {"time": unit, "name"?: column} | {"event": "name", "name"?: column} | segments | group
#include <array>

#include "query/kinds/member_operand.hpp"
#include "query/kinds/value_groups.hpp"
#include "query/spec.hpp"

namespace cdp {

Operand parse_operand(const Node& node, const Path& path, const CalendarSpec& calendar) {
  Fields fields(node, path);
  Operand out;
  if ((out.members = take_member_operand(fields, calendar, out.name))) {
    out.is_trait = true;
    fields.done();
    return out;
  }
  const Path property_path = fields.path("property"), trait_path = fields.path("trait"),
             time_path = fields.path("time"), name_path = fields.path("name");
  constexpr std::array<std::string_view, 1> kOfEvent = {"name"};
  const bool by_event = fields.has("event");
  if (by_event) static_cast<void>(fields.choice("event", kOfEvent, std::nullopt));
  const Node* property = fields.take("property");
  const Node* trait = fields.take("trait");
  const Node* time = fields.take("time");
  if ((property != nullptr) + (trait != nullptr) + (time != nullptr) + by_event != 1) {
    fail_invalid(path,
                 "expected {\"property\": key}, {\"trait\": key}, {\"time\": unit}, {\"event\": \"name\"}, "
                 "{\"segments\": [..]} or {\"group\": kind}");
  }
  constexpr std::array<std::string_view, 2> kInstants = {"now", "event"};
  out.is_at_event = trait != nullptr && fields.choice("at", kInstants, 0) == 1;
  out.is_trait = trait != nullptr && !out.is_at_event;
  if (time != nullptr) {
    out.groups = time_groups(*time, time_path, calendar);
    out.name = "time";
  } else if (by_event) {
    out.groups = event_groups();
    out.name = "event";
  } else {
    out.key = trait != nullptr ? parse_key(*trait, trait_path) : parse_key(*property, property_path);
    out.groups = take_value_groups(fields, calendar);
    out.name = out.key;
  }
  if (const Node* name = fields.take("name")) out.name = parse_key(*name, name_path);
  fields.done();
  return out;
}

}  // namespace cdp
