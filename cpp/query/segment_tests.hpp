// The live segments as tests of one profile, for a question of microseconds: in which of them is it now?
//
// Bound once, when one is defined or when the dictionaries have come to know what it names; the profile's rows are gathered
// once for all of them. What a clause counts by names and times alone is told from the times of each name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "query/predicate.hpp"
#include "query/spec.hpp"
#include "store/version.hpp"

namespace cdp {

class SegmentTests {
 public:
  struct Segment {
    std::string name;
    std::shared_ptr<const PredicateSpec> spec;   // references written out
    std::shared_ptr<const Predicate> predicate;  // perhaps bound before the store knew a name in it
  };
  explicit SegmentTests(std::vector<Segment> segments);  // names ascend
  // Names of those that the profile is in at `now_ms`, ascending; they live as long as this. The same as asking `profiles`
  // of each. Cost: as `rows_of`, once, and ~50 ns a clause that counts; others look at each row.
  [[nodiscard]] std::vector<std::string_view> holding(const Version& version, Origin home, std::int64_t now_ms) const;

 private:
  std::vector<Segment> segments_;
  std::vector<NameId> names_;  // whose rows are read, ascending; none with `any_name_`: of all
  bool any_name_ = false;
  bool reads_rows_ = false;
  bool resolved_ = true;
};

}  // namespace cdp
