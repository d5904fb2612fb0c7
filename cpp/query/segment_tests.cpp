#include "query/segment_tests.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "query/profile_rows.hpp"
#include "store/event_store.hpp"

namespace cdp {

SegmentTests::SegmentTests(std::vector<Segment> segments) : segments_(std::move(segments)) {
  for (const Segment& segment : segments_) {
    const Predicate& predicate = *segment.predicate;
    resolved_ &= predicate.resolved();
    reads_rows_ |= predicate.reads_rows();
    any_name_ |= predicate.any_name();
    names_.insert(names_.end(), predicate.names().begin(), predicate.names().end());
  }
  std::ranges::sort(names_);
  names_.erase(std::ranges::unique(names_).begin(), names_.end());
  if (any_name_) names_.clear();
}

std::vector<std::string_view> SegmentTests::holding(const Version& version, Origin home, std::int64_t now_ms) const {
  if (!resolved_) {  // what was not known then may be known to this version
    std::vector<Segment> bound = segments_;
    for (Segment& segment : bound) {
      if (!segment.predicate->resolved()) segment.predicate = std::make_shared<const Predicate>(*segment.spec, version);
    }
    SegmentTests again(std::move(bound));
    again.resolved_ = true;
    const std::vector<std::string_view> found = again.holding(version, home, now_ms);
    std::vector<std::string_view> out;
    for (const Segment& segment : segments_) {
      if (std::ranges::binary_search(found, std::string_view(segment.name))) out.push_back(segment.name);
    }
    return out;
  }
  std::vector<Row> rows;
  if (reads_rows_ && (any_name_ || !names_.empty())) {
    const std::optional<Horizon> horizon = horizon_of(version, now_ms);
    rows_of(version, home, names_, {.horizon = horizon ? &*horizon : nullptr}, rows);
  }
  const ProfileRows of_profile(rows);
  std::vector<std::string_view> out;
  for (const Segment& segment : segments_) {
    if (segment.predicate->holds(version, home, of_profile, now_ms)) out.push_back(segment.name);
  }
  return out;
}

}  // namespace cdp
