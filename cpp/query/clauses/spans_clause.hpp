// `regularly` in some of the last spans of time only: how many of them hold so many events.
#pragma once

#include <cstdint>
#include <memory>

#include "query/clauses/row_clause.hpp"
#include "query/spec.hpp"

namespace cdp {

struct Spans {
  std::int64_t every_ms = 0;  // span i is (now - (i + 1) every, now - i every]
  std::int64_t times = 0;     // so many of them
  std::int64_t least = 0;     // of which so many hold events that pass
  Test count;                 // how many events a span holds
};

[[nodiscard]] std::shared_ptr<const RowClauseSpec> spans_clause(const Selector& selector, const Spans& spans);

}  // namespace cdp
