#include "query/clauses/did_rows_scan.hpp"

#include <algorithm>
#include <vector>

#include "query/clauses/edge_rows.hpp"
#include "query/clauses/measure_scan.hpp"
#include "query/clauses/row_measure_scan.hpp"
#include "query/clauses/row_walk.hpp"

namespace cdp {
namespace {

// Events that wait to be followed: by profile, those that nothing has ended or outlasted yet.
class Waiting {
 public:
  static constexpr std::uint32_t kKeyedMost = 256;  // of one profile, where each end looks at all of them

  Waiting(const DidRowsParts& did, std::uint32_t size, Scratch& scratch)
      : did_(did), heads_(scratch.lease<std::uint32_t>(size)), counts_(scratch.zeroed<std::uint32_t>(size)) {
    std::fill_n(heads_.data(), size, kNone);
  }

  // False: too many to look at again and again.
  [[nodiscard]] bool add(const RowWalk::At& at, const Value& value) {
    std::uint32_t node = free_;
    if (node != kNone) {
      free_ = nodes_[node].before;
    } else {
      node = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
    }
    nodes_[node] = {at.time_ms, at.place, value, heads_[at.profile]};
    heads_[at.profile] = node;
    return ++counts_[at.profile] <= kKeyedMost || !did_.is_keyed;
  }

  // An end: those of the same value are decided; keep(profile, place) for what outlasted it.
  template <class Keep>
  void end(const RowWalk::At& at, const Value& value, Keep&& keep) {
    std::uint32_t* link = &heads_[at.profile];
    while (*link != kNone) {
      const std::uint32_t node = *link;
      if (did_.is_keyed && nodes_[node].value != value) {
        link = &nodes_[node].before;
        continue;
      }
      if (at.time_ms > nodes_[node].time_ms + did_.within_ms) keep(at.profile, nodes_[node].place);
      *link = nodes_[node].before;
      nodes_[node].before = free_;
      free_ = node;
      --counts_[at.profile];
    }
  }

  // What still waits when its time is over.
  template <class Keep>
  void finish(std::int64_t now_ms, Keep&& keep) {
    for (std::uint32_t profile = 0; profile < heads_.size(); ++profile) {
      for (std::uint32_t node = heads_[profile]; node != kNone; node = nodes_[node].before) {
        if (now_ms > nodes_[node].time_ms + did_.within_ms) keep(profile, nodes_[node].place);
      }
    }
  }

 private:
  struct Node {
    std::int64_t time_ms = 0;
    std::uint64_t place = 0;
    Value value{};
    std::uint32_t before = kNone;
  };
  const DidRowsParts& did_;
  Scratch::Lease<std::uint32_t> heads_;
  Scratch::Lease<std::uint32_t> counts_;
  std::vector<Node> nodes_;
  std::uint32_t free_ = kNone;
};

class DidRowsScan {
 public:
  DidRowsScan(const DidRowsParts& did, const Task& task, std::int64_t now_ms, Scratch& scratch,
              std::span<const std::uint64_t> candidates, std::span<std::uint64_t> left)
      : did_(did),
        task_(task),
        now_ms_(now_ms),
        scratch_(scratch),
        candidates_(candidates),
        left_(left),
        counts_(scratch.zeroed<std::uint32_t>(task.size())) {
    for (const BoundMeasure& measure : did.measures) {
      if (measure.measure != Measure::kCount)
        measures_.emplace_back(measure.measure, measure.key, task.size(), scratch);
    }
    for (const RowMeasure& measure : did.row_measures) row_measures_.emplace_back(measure, task, scratch);
    counts_alone_ = measures_.empty() && row_measures_.empty();
  }

  void find() {
    if (did_.first_ever != FirstEver::kNo) return find_first();
    if (did_.ended_by != nullptr) return find_unfollowed();
    for_each_found(did_.events, did_.window, now_ms_, task_, scratch_, [this](auto&&... rows) { add(rows...); });
  }

  void decide(bool truth_of_none, std::span<std::uint64_t> out) {
    for (MeasureScan& measure : measures_) measure.group(task_.size());
    for (RowMeasureScan& measure : row_measures_) {
      measure.group();
      measure.mark_unsure(left_);
    }
    const auto interval =
        counts_alone_ && did_.measures.size() == 1 ? did_.measures[0].test.int_interval() : std::nullopt;
    for (std::uint32_t word = 0; word < kStripeWords; ++word) {
      left_[word] &= candidates_[word];
      for (std::uint64_t bits = candidates_[word] & ~left_[word]; bits != 0; bits &= bits - 1) {
        const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(bits));
        const std::uint32_t profile = word * 64 + bit;
        const std::int64_t count = counts_[profile];
        const bool truth = count == 0 ? truth_of_none
                           : interval ? count >= interval->lo && count <= interval->hi
                                      : holds(profile);
        out[word] |= std::uint64_t{truth} << bit;
      }
    }
  }

 private:
  void add(const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) ++counts_[view.profile[rows[i]] + view.id_offset];
    for (MeasureScan& measure : measures_) measure.add(view, rows, count);
    for (RowMeasureScan& measure : row_measures_) measure.add(in, view, rows, count);
  }

  [[nodiscard]] bool holds(std::uint32_t profile) {
    const std::uint32_t count = counts_[profile];
    auto scan = measures_.begin();
    return std::ranges::all_of(did_.measures,
                               [&](const BoundMeasure& measure) {
                                 return measure.measure == Measure::kCount ? measure_holds(measure, count, {})
                                                                           : (scan++)->holds(measure, profile, count);
                               }) &&
           std::ranges::all_of(row_measures_,
                               [&](const RowMeasureScan& measure) { return measure.holds(profile, now_ms_); });
  }

  // A row found by itself: counted, or listed for the measures.
  void keep(std::uint32_t profile, std::uint64_t place) {
    if (counts_alone_) {
      ++counts_[profile];
    } else {
      kept_.push_back(place);
    }
  }
  void add_kept() {
    for_each_listed(std::move(kept_), task_, scratch_, [this](auto&&... rows) { add(rows...); });
  }

  // The first one ever, if it is what is asked for and lies in the window.
  void find_first() {
    EdgeRows first(EdgeRows::Edge::kFirst, task_, scratch_);
    const TimeRange ever{INT64_MIN, now_ms_ + 1};
    const bool by_name = did_.first_ever == FirstEver::kEvent && !did_.events.by_name_alone();
    if (!by_name) {
      for_each_found(did_.events.selector, did_.events.slots.get(), ever, task_, scratch_,
                     [&](const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count) {
                       first.add(in, view, rows, count, nullptr);
                     });
    } else {
      find_first_by_name(ever, first);
    }
    first.mark_unsure(left_);
    std::optional<ProfileWindows> windows;
    if (did_.window.of_each_profile()) windows.emplace(did_.window, task_, now_ms_, scratch_);
    const TimeRange window = did_.window.at(*task_.version, task_.origin(0), now_ms_).inside();
    for (std::uint32_t profile = 0; profile < task_.size(); ++profile) {
      if (!first.has(profile) || (by_name && !first.is_marked(profile))) continue;
      if ((windows ? windows->of(profile) : window).contains(first.time_ms(profile)))
        keep(profile, first.place(profile));
    }
    add_kept();
  }

  // Of all events of these names, marked where they meet the conditions too.
  void find_first_by_name(const TimeRange& ever, EdgeRows& first) {
    BoundSelector names = did_.events.selector;
    names.where.clear();
    for_each_found(names, nullptr, ever, task_, scratch_,
                   [&](const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count) {
                     const auto matching = scratch_.lease<std::uint32_t>(count + simd::kSlack);
                     std::copy_n(rows, count, matching.data());
                     std::uint32_t kept =
                         filter_rows(view, did_.events.selector.where, scratch_, matching.data(), count);
                     if (did_.events.slots != nullptr)
                       kept = did_.events.slots->filter(in.view.chunk(), view, matching.data(), kept);
                     const auto marked = scratch_.zeroed<std::uint8_t>(view.row_count);
                     for (std::uint32_t i = 0; i < kept; ++i) marked[matching[i]] = 1;
                     first.add(in, view, rows, count, marked.data());
                   });
  }

  void find_unfollowed() {
    constexpr std::uint32_t kFound = 1, kEnds = 2;
    if (did_.is_keyed && !did_.by) return;  // a property that nobody has: nothing has a value to wait for
    const RowWalk walk({&did_.events, did_.ended_by});
    Waiting waiting(did_, task_.size(), scratch_);
    std::optional<ProfileWindows> windows;
    if (did_.window.of_each_profile()) windows.emplace(did_.window, task_, now_ms_, scratch_);
    std::optional<WalkValues> values;
    if (did_.is_keyed) values.emplace(*did_.by, scratch_);
    const TimeRange window = did_.window.at(*task_.version, task_.origin(0), now_ms_).inside();
    const TimeRange seen{windows ? INT64_MIN : window.start_ms, now_ms_ + 1};
    const auto keep_it = [&](std::uint32_t profile, std::uint64_t place) { keep(profile, place); };
    walk.each(task_, seen, scratch_, candidates_, left_, [&](const RowWalk::At& at) {
      Value value;
      if (values) {
        value = values->of(at);
        if (value.type == ValueType::kNull || value.type == ValueType::kItems) return;
        if (value.type == ValueType::kList) return leave(at.profile);  // of several values
      }
      if ((at.selectors & kEnds) != 0) waiting.end(at, value, keep_it);
      if ((at.selectors & kFound) == 0) return;
      if (!(windows ? windows->of(at.profile) : window).contains(at.time_ms)) return;
      if (!waiting.add(at, value)) leave(at.profile);
    });
    waiting.finish(now_ms_, keep_it);
    add_kept();
  }

  void leave(std::uint32_t profile) { left_[profile >> 6] |= std::uint64_t{1} << (profile & 63); }

  const DidRowsParts& did_;
  const Task& task_;
  std::int64_t now_ms_;
  Scratch& scratch_;
  std::span<const std::uint64_t> candidates_;
  std::span<std::uint64_t> left_;
  Scratch::Lease<std::uint32_t> counts_;
  std::vector<MeasureScan> measures_;  // those that are no counts
  std::vector<RowMeasureScan> row_measures_;
  std::vector<std::uint64_t> kept_;  // places
  bool counts_alone_ = false;
};

}  // namespace

bool scan_did_rows(const DidRowsParts& did, std::int64_t bound_ms, bool truth_of_none, const Task& task,
                   std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                   std::span<std::uint64_t> out, std::span<std::uint64_t> left) {
  if (did.first_ever != FirstEver::kNo && did.ended_by != nullptr) return false;
  if (!can_scan(did.events, bound_ms, now_ms)) return false;
  if (did.ended_by != nullptr && !can_scan(*did.ended_by, bound_ms, now_ms)) return false;
  if (bound_ms != now_ms && std::ranges::any_of(did.row_measures, &RowMeasure::is_timed)) return false;
  DidRowsScan scan(did, task, now_ms, scratch, candidates, left);
  scan.find();
  scan.decide(truth_of_none, out);
  return true;
}

}  // namespace cdp
