// did over a task: accumulators of the stripe filled slice by slice, then the truth of every candidate at once.
#include <algorithm>
#include <cstring>

#include "query/clauses/did_clause.hpp"
#include "query/clauses/measure_scan.hpp"
#include "query/profile_mask.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cdp {
namespace {

// Bits of the counts in [low, low + span].
void counts_in(const std::uint32_t* counts, std::uint32_t low, std::uint32_t span, std::uint64_t* words) {
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    std::uint64_t bits = 0;
    for (std::uint32_t bit = 0; bit < 64; ++bit) {
      bits |= static_cast<std::uint64_t>(counts[word * 64 + bit] - low <= span ? 1 : 0) << bit;
    }
    words[word] = bits;
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void counts_in_avx512(const std::uint32_t* counts, std::uint32_t low,
                                                         std::uint32_t span, std::uint64_t* words) {
  const __m512i lows = _mm512_set1_epi32(static_cast<int>(low)), spans = _mm512_set1_epi32(static_cast<int>(span));
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    std::uint64_t bits = 0;
    for (std::uint32_t part = 0; part < 4; ++part) {
      const __m512i values = _mm512_loadu_si512(counts + word * 64 + part * 16);
      const __mmask16 mask = _mm512_cmple_epu32_mask(_mm512_sub_epi32(values, lows), spans);
      bits |= static_cast<std::uint64_t>(mask) << (part * 16);
    }
    words[word] = bits;
  }
}
#endif

using CountsIn = void (*)(const std::uint32_t*, std::uint32_t, std::uint32_t, std::uint64_t*);
CountsIn choose_counts_in() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return counts_in_avx512;
#endif
  return counts_in;
}

// A scan of one clause over one task.
class DidScan {
 public:
  DidScan(const DidClause& clause, const Task& task, std::int64_t now_ms, Scratch& scratch)
      : clause_(clause),
        task_(task),
        range_(resolve_range(clause.window, now_ms)),
        scratch_(scratch),
        counts_(scratch.zeroed<std::uint32_t>(limits::kStripeIds)) {
    for (const BoundMeasure& measure : clause.measures) {
      if (measure.measure != Measure::kCount)
        measures_.emplace_back(measure.measure, measure.key, limits::kStripeIds, scratch);
    }
  }

  void read() {
    for (const Chunk* chunk : task_.chunks) {
      ChunkView view(*chunk, task_, scratch_);
      if (view.outside(range_)) continue;
      if (clause_.selector.any && clause_.selector.where.empty() && measures_.empty()) {
        add_spine(view);
      } else if (clause_.selector.any) {
        for (const Slice& slice : chunk->slices) add(view, view.slice(slice));
      } else {
        for (const NameId name : clause_.selector.names) add(view, view.slice(name));
      }
    }
  }

  void decide(std::span<const std::uint64_t> candidates, std::span<std::uint64_t> out) {
    static const CountsIn in = choose_counts_in();
    std::uint64_t some[kStripeWords];
    in(counts_.data(), 1, UINT32_MAX - 1, some);
    const bool exact = count_words(out, in);
    for (std::uint32_t word = 0; word < kStripeWords; ++word) {
      const std::uint64_t wanted = candidates[word];
      const std::uint64_t zero = clause_.zero_holds ? wanted & ~some[word] : 0;
      std::uint64_t left = wanted & some[word] & out[word];
      if (!exact) left = decide_word(word, left);
      out[word] = zero | left;
    }
  }

 private:
  void add(ChunkView& chunk, const std::optional<SliceView>& slice) {
    if (!slice) return;
    if (clause_.selector.where.empty() && measures_.empty() && !chunk.crosses(range_)) {
      for (std::uint32_t i = 0; i < slice->row_count; ++i) ++counts_[slice->profile[i] + slice->id_offset];
      return;
    }
    const Scratch::Lease<std::uint32_t> rows = scratch_.lease<std::uint32_t>(slice->row_count + 16);
    std::uint32_t count = select_rows(chunk, *slice, range_, rows.data());
    count = filter_rows(*slice, clause_.selector.where, scratch_, rows.data(), count);
    for (std::uint32_t i = 0; i < count; ++i) ++counts_[slice->profile[rows[i]] + slice->id_offset];
    if (count == 0) return;
    for (MeasureScan& measure : measures_) measure.add(*slice, rows.data(), count);
  }

  void add_spine(ChunkView& chunk) {
    const SpineView spine = chunk.spine();
    const auto [first, last] = local_range(range_, chunk.start_ms());
    const std::uint32_t length = last > first ? last - first : 0;
    for (std::uint32_t i = 0; i < spine.size(); ++i) {
      counts_[spine.profile[i] + spine.id_offset] += spine.time[i] - first < length ? 1 : 0;
    }
  }

  // The count tests that are intervals, as words; false when something is left to decide profile by profile.
  bool count_words(std::span<std::uint64_t> out, CountsIn in) {
    std::fill(out.begin(), out.end(), ~std::uint64_t{0});
    bool exact = measures_.empty();
    for (const BoundMeasure& measure : clause_.measures) {
      if (measure.measure != Measure::kCount) continue;
      const auto interval = measure.test.int_interval();
      if (!interval) {
        exact = false;
        continue;
      }
      const std::int64_t low = std::max<std::int64_t>(interval->lo, 0);
      const std::int64_t high = std::min<std::int64_t>(interval->hi, UINT32_MAX);
      if (low > high) {
        std::fill(out.begin(), out.end(), 0);
        continue;
      }
      std::uint64_t words[kStripeWords];
      in(counts_.data(), static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high - low), words);
      for (std::uint32_t word = 0; word < kStripeWords; ++word) out[word] &= words[word];
    }
    return exact;
  }

  std::uint64_t decide_word(std::uint32_t word, std::uint64_t bits) {
    if (bits != 0 && !grouped_) {
      for (MeasureScan& measure : measures_) measure.group(limits::kStripeIds);
      grouped_ = true;
    }
    std::uint64_t out = 0;
    for (; bits != 0; bits &= bits - 1) {
      const std::uint32_t index = word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits));
      if (holds(index)) out |= bits & (~bits + 1);
    }
    return out;
  }

  [[nodiscard]] bool holds(std::uint32_t index) {
    auto scan = measures_.begin();  // one a measure that is no count
    return std::ranges::all_of(clause_.measures, [&](const BoundMeasure& measure) {
      return measure.measure == Measure::kCount ? measure_holds(measure, counts_[index], {})
                                                : (scan++)->holds(measure, index, counts_[index]);
    });
  }

  const DidClause& clause_;
  const Task& task_;
  TimeRange range_;
  Scratch& scratch_;
  Scratch::Lease<std::uint32_t> counts_;
  std::vector<MeasureScan> measures_;
  bool grouped_ = false;
};

}  // namespace

void DidClause::evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch,
                              std::span<const std::uint64_t> candidates, std::span<std::uint64_t> out) const {
  DidScan scan(*this, task, now_ms, scratch);
  scan.read();
  scan.decide(candidates, out);
}

}  // namespace cdp
