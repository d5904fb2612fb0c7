// Predicates that name live segments: {"segment": name}.
//
// A version pins the definitions of its live segments, references written out. So a question means them as of now, and a
// live segment means what those that it names meant when it was defined: none of them can become a cycle.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "query/spec.hpp"

namespace cdp {

namespace limits {
inline constexpr std::size_t kSegmentClauses = 10'000;  // of one definition with its references written out
}  // namespace limits

class SegmentTests;  // query/segment_tests.hpp

struct NamedSegments {
  std::map<std::string, std::shared_ptr<const PredicateSpec>, std::less<>> specs;  // references written out
  std::map<std::string, std::vector<std::string>, std::less<>> references;         // as they were defined
  std::shared_ptr<const SegmentTests> tests;                                       // all of them, of one profile
};

// What the reference names. Throws BadQuery at its place. `segments` may be null.
[[nodiscard]] const PredicateSpec& find_segment(const PredicateSpec& reference, const NamedSegments* segments);
// The same predicate, every reference written out; of names that are not there, and of what lies beyond the limit, nobody.
[[nodiscard]] std::shared_ptr<const PredicateSpec> write_out(std::shared_ptr<const PredicateSpec> spec,
                                                             const NamedSegments& segments);
// The names that it refers to, ascending, each once.
[[nodiscard]] std::vector<std::string> references_of(const PredicateSpec& spec);
// Refuses, before `name` is defined so: names that are not there, `name` itself through whatever others, and definitions
// beyond the limit.
void check_references(std::string_view name, const PredicateSpec& spec, const NamedSegments& segments);

}  // namespace cdp
