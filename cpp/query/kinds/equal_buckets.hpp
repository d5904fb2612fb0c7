// Buckets of equal count: the borders of {"buckets": n}, found by a first look at what the question counts.
//
// Meaning: of the numbers that the question's events have there (a trend's first series in the range, a funnel's entries, a
// retention's starts, each as often as it is counted), in ascending order, border i is the one at place floor(i · count / n) from 0:
// nearest rank, so borders are values that occur, and exact. Equal numbers are never apart: they lie in the bucket they begin.
// Borders that coincide are one, so ties make fewer, larger buckets.
//
// Cost: that of the same question broken down by the values themselves.
#pragma once

#include <functional>

#include "query/kernel.hpp"
#include "query/kinds/kinds.hpp"

namespace cdp {

using RunKind = std::function<Table(const Kind&)>;

// Makes borders of every operand's buckets in `common`, that of `binding`; `kind` is the question's, not yet bound.
void set_equal_borders(CommonSpec& common, const KindSpec& kind, const Binding& binding, const RunKind& run);
// Tells the answer which they are: a note "borders(column)" each.
void note_equal_borders(const CommonSpec& asked, const CommonSpec& used, Table& table);

}  // namespace cdp
