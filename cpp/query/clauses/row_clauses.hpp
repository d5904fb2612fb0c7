// The clauses on rows that have a form of their own in the spec, one file each (did_rows.hpp is a `did`).
#pragma once

#include <memory>

#include "query/clauses/row_clause.hpp"
#include "query/spec.hpp"

namespace cdp {

//   {"sequence": [timed, ..] (2 to 16), "within"?: duration, "gaps"?: [{"op": lt le gt ge eq, "value": duration} | null, ..],
//    "without"?: timed, "window"?: window, "count"?: {"op", "value"}, "hold"?: property}
[[nodiscard]] std::shared_ptr<const RowClauseSpec> parse_sequence(Fields& fields, const CalendarSpec& calendar);

//   {"predominantly": {timed, "window"?: window, values}}    {"share": {timed, "window"?: window, values, "op", "value"}}
//   values = "property": key, "values": [literal, ..] | "hours": [[from, to], ..], "zone"? | "weekdays": [..], "zone"?
[[nodiscard]] std::shared_ptr<const RowClauseSpec> parse_predominantly(Fields& fields, const CalendarSpec& calendar);
[[nodiscard]] std::shared_ptr<const RowClauseSpec> parse_share(Fields& fields, const CalendarSpec& calendar);

//   {"cell": question, "at": place}    the profiles behind a cell of an answer (cell_clause.cpp)
[[nodiscard]] std::shared_ptr<const RowClauseSpec> parse_cell(Fields& fields);

}  // namespace cdp
