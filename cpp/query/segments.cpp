#include "query/segments.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace cdp {
namespace {

bool has_references(const PredicateSpec& spec) {
  return spec.type == PredicateSpec::Type::kSegment || std::ranges::any_of(spec.children, has_references);
}

std::size_t clauses_of(const PredicateSpec& spec) {
  std::size_t count = 1;
  for (const PredicateSpec& child : spec.children) count += clauses_of(child);
  return count;
}

PredicateSpec nobody() {
  PredicateSpec out;
  out.type = PredicateSpec::Type::kOr;
  return out;
}

PredicateSpec written_out(const PredicateSpec& spec, const NamedSegments& segments, std::size_t& left) {
  if (spec.type == PredicateSpec::Type::kSegment) {
    const auto found = segments.specs.find(spec.segment);
    const std::size_t count = found == segments.specs.end() ? 0 : clauses_of(*found->second);
    if (count == 0 || count > left) return nobody();
    left -= count;
    return *found->second;
  }
  left -= std::min<std::size_t>(left, 1);
  if (!has_references(spec)) return spec;
  PredicateSpec out;
  out.type = spec.type;  // only and, or, not have children
  for (const PredicateSpec& child : spec.children) out.children.push_back(written_out(child, segments, left));
  return out;
}

void collect(const PredicateSpec& spec, std::vector<std::string>& out) {
  if (spec.type == PredicateSpec::Type::kSegment) out.push_back(spec.segment);
  for (const PredicateSpec& child : spec.children) collect(child, out);
}

// Whether `from` names `name`, through whatever others.
bool reaches(const std::string& from, std::string_view name, const NamedSegments& segments) {
  std::vector<std::string> left{from};
  std::set<std::string, std::less<>> seen;
  while (!left.empty()) {
    const std::string next = std::move(left.back());
    left.pop_back();
    if (next == name) return true;
    if (!seen.insert(next).second) continue;
    const auto found = segments.references.find(next);
    if (found != segments.references.end()) left.insert(left.end(), found->second.begin(), found->second.end());
  }
  return false;
}

void check(std::string_view name, const PredicateSpec& spec, const NamedSegments& segments, std::size_t& left) {
  std::size_t count = 1;
  if (spec.type == PredicateSpec::Type::kSegment) {
    if (reaches(spec.segment, name, segments)) {
      throw Error(Family::kBadQuery, code::kQueryInvalid, "a segment that names itself, through others perhaps",
                  spec.segment_path);
    }
    count = clauses_of(find_segment(spec, &segments));
  }
  if (count > left) {
    throw Error(Family::kBadQuery, code::kQueryInvalid,
                "over 10,000 clauses, those of the segments it names counted in", spec.segment_path);
  }
  left -= count;
  for (const PredicateSpec& child : spec.children) check(name, child, segments, left);
}

}  // namespace

const PredicateSpec& find_segment(const PredicateSpec& reference, const NamedSegments* segments) {
  if (segments != nullptr) {
    if (const auto found = segments->specs.find(reference.segment); found != segments->specs.end()) {
      return *found->second;
    }
  }
  throw Error(Family::kBadQuery, code::kQueryInvalid,
              "no live segment is named \"" + std::string(shown(reference.segment)) + "\"", reference.segment_path);
}

std::shared_ptr<const PredicateSpec> write_out(std::shared_ptr<const PredicateSpec> spec,
                                               const NamedSegments& segments) {
  if (!has_references(*spec)) return spec;
  std::size_t left = limits::kSegmentClauses;
  return std::make_shared<const PredicateSpec>(written_out(*spec, segments, left));
}

std::vector<std::string> references_of(const PredicateSpec& spec) {
  std::vector<std::string> out;
  collect(spec, out);
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

void check_references(std::string_view name, const PredicateSpec& spec, const NamedSegments& segments) {
  std::size_t left = limits::kSegmentClauses;
  check(name, spec, segments, left);
}

}  // namespace cdp
