// Events out: a profile's rows together, in event order, whatever layers they lie in.
//
// A stripe's rows are found chunk by chunk along the spines and put in order by a counting sort over its profiles; what they
// hold is then filled in column by column, so a column of the export walks one column of each slice at a time.
#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>

#include "column/dictionary.hpp"
#include "query/condition.hpp"
#include "query/export_columns.hpp"
#include "query/export_kinds.hpp"
#include "query/predicate.hpp"
#include "query/scan_plan.hpp"

namespace cdp {
namespace {

enum Fixed : std::size_t { kProfileId, kEvent, kTime, kFixed };

class EventExport final : public Export {
 public:
  EventExport(const VersionPtr& version, const ExportSpec& spec, std::int64_t now_ms, const ExportOptions& options)
      : Export(version, now_ms),
        plan_(scan_plan(*version, now_ms)),
        pool_(options.pool),
        stop_(options.stop),
        selector_(bind_selector(spec.names, *version, {now_ms, nullptr})),
        range_(resolve_range(spec.range, now_ms)) {
    if (spec.where != nullptr) where_.emplace(*spec.where, *version, Moment{now_ms, nullptr});
    fields_ = {
        {"profile_id", ArrowType::kUint, false}, {"event", ArrowType::kText, false}, {"time", ArrowType::kTime, false}};
    columns_ = choose_columns(seen_keys(), spec.columns, "property", fields_);
  }

  [[nodiscard]] std::unique_ptr<ExportReader> open() const override;

 private:
  friend class EventReader;

  // Of every row with such a name that is kept, whatever range and `where` say: how rows lie must not show.
  [[nodiscard]] SeenKeys seen_keys() const {
    std::map<std::pair<KeyId, ValueType>, bool> found;
    const auto look = [&](const std::vector<std::shared_ptr<const Chunk>>& chunks) {
      for (const auto& chunk : chunks) {
        for (const Slice& slice : chunk->slices) {
          if (!selector_.selects(slice.name)) continue;
          for (const Column& column : slice.columns) {
            if (has_values(*chunk, slice, column)) found[{column.key, column.type}] = true;
          }
        }
      }
    };
    for (const ShardLayers& shard : version_->shards) {
      for (const auto& layer : shard.layers) look(layer->chunks);
    }
    for (const auto& piece : plan_->pieces) {
      for (const SealedLayer& sealed : piece->layers) look(sealed.layer->chunks);
    }
    SeenKeys seen;
    for (const auto& [column, unused] : found) {
      SeenKey& key = seen[version_->keys->at(raw(column.first))];
      key.key = column.first;
      key.types |= 1u << static_cast<unsigned>(column.second);
    }
    return seen;
  }

  // Of rows that are kept.
  [[nodiscard]] bool has_values(const Chunk& chunk, const Slice& slice, const Column& column) const {
    if (column.value_count == 0 || !plan_->horizon) return column.value_count != 0;
    const std::int64_t start_ms = partition_start_ms(chunk.partition), cut_ms = plan_->horizon->cut_ms(slice.name);
    if (cut_ms < start_ms + chunk.time_min) return true;
    for (std::uint32_t row = 0; row < slice.row_count; ++row) {
      if (start_ms + chunk.time[slice.posting(row)] > cut_ms && column.has(row)) return true;
    }
    return false;
  }

  std::shared_ptr<const ScanPlan> plan_;
  Pool* pool_;
  const std::atomic<bool>* stop_;
  BoundSelector selector_;
  TimeRange range_;
  std::optional<Predicate> where_;
  std::vector<ValueColumn> columns_;
};

struct ExportRow {
  std::int64_t time_ms = 0;
  std::uint32_t profile = 0;    // index in the stripe while it is put in order, then the home's number
  std::uint32_t origin = 0;     // breaks ties of time
  std::uint32_t slot = 0;       // its slice
  std::uint32_t slice_row = 0;  // in it
};

class EventReader final : public ExportReader {
 public:
  explicit EventReader(const EventExport& of) : of_(of) {}

  bool next(ExportBatch& batch) override {
    check_not_stopped(of_.stop_);
    if (next_ == rows_.size()) gather();
    if (next_ == rows_.size()) return false;
    const std::size_t count = std::min(rows_at_once(of_.fields_.size()), rows_.size() - next_);
    next_ += fill_columns(of_.pool_, of_.fields_, count, batch,
                          [this](std::size_t column, std::size_t rows, ArrowColumn& out) { fill(column, rows, out); });
    return true;
  }

 private:
  // Rows of whole stripes, of all shards, until there are enough for a batch.
  void gather() {
    rows_.clear();
    slots_.clear();
    next_ = 0;
    while (rows_.size() < kExportBatchRows && stripe_ < of_.plan_->stripe_count()) {
      const std::size_t before = rows_.size();
      of_.plan_->each_task(stripe_++, [this](const Task& task) {
        check_not_stopped(of_.stop_);
        add_task(task);
      });
      if (of_.version_->placement.shard_count == 1) continue;
      std::stable_sort(rows_.begin() + static_cast<std::ptrdiff_t>(before), rows_.end(),
                       [](const ExportRow& left, const ExportRow& right) { return left.profile < right.profile; });
    }
  }

  void add_task(const Task& task) {
    found_.clear();
    if (!select_profiles(task)) return;
    for (const Chunk* chunk : task.chunks) add_chunk(*chunk, task);
    add_slow(task);
    put_in_order(task);
  }

  // Fills `keep_` with those the fast way answers for, `slow_` with the others. False when nobody is asked for.
  bool select_profiles(const Task& task) {
    const std::span<const std::uint64_t> all = of_.plan_->everyone(*of_.version_).words(task);
    keep_.assign(all.begin(), all.end());
    if (of_.where_) {
      std::fill(keep_.begin(), keep_.end(), 0);
      of_.where_->evaluate_task(task, of_.now_ms_, scratch_, all, keep_);
      if (std::ranges::all_of(keep_, [](std::uint64_t word) { return word == 0; })) return false;
    }
    slow_ = slow_homes(task);
    std::erase_if(slow_, [&](Origin home) { return !is_kept(index_of(task, home)); });
    for (std::size_t word = 0; word < std::min(task.slow.size(), keep_.size()); ++word) keep_[word] &= ~task.slow[word];
    return true;
  }

  [[nodiscard]] bool is_kept(std::uint32_t index) const noexcept {
    return ((keep_[index >> 6] >> (index & 63)) & 1) != 0;
  }
  [[nodiscard]] std::uint32_t index_of(const Task& task, Origin home) const noexcept {
    return of_.version_->placement.local_id(home) - task.first_id;
  }

  std::uint32_t add_slot(const Slice& slice) {
    slots_.push_back(&slice);
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }

  void add_chunk(const Chunk& chunk, const Task& task) {
    ChunkView view(chunk, task, scratch_);
    if (view.outside(of_.range_)) return;
    const auto [low, high] = local_range(of_.range_, view.start_ms());
    const SpineView spine = view.spine();
    if (spine.size() == 0 || low >= high) return;
    struct Code {
      std::uint32_t slot = kNone;
      std::uint32_t next_row = 0;  // of the slice: the spine's rows of one name are the slice's, in order
    };
    std::vector<Code> codes(chunk.slices.size());
    bool any = false;
    for (std::size_t code = 0; code < codes.size(); ++code) {
      const Slice& slice = chunk.slices[code];
      if (!of_.selector_.selects(slice.name)) continue;
      const std::optional<SliceView> rows = view.slice(slice);
      if (!rows) continue;
      codes[code] = {add_slot(slice), rows->first_row};
      any = true;
    }
    if (!any) return;
    for (std::uint32_t at = 0; at < spine.size(); ++at) {
      Code& code = codes[spine.code8 != nullptr ? spine.code8[at] : spine.code16[at]];
      if (code.slot == kNone) continue;
      const std::uint32_t slice_row = code.next_row++;
      const std::uint32_t time = spine.time[at];
      if (time < low || time >= high) continue;
      const std::uint32_t profile = spine.profile[at] + spine.id_offset;
      if (!is_kept(profile)) continue;
      const Origin place = task.origin(profile);
      const Origin origin = chunk.foreign.empty() ? place : chunk.foreign.at(spine.first_row + at, place);
      found_.push_back({view.start_ms() + time, profile, raw(origin), code.slot, slice_row});
    }
  }

  // Profiles whose rows lie under several places.
  void add_slow(const Task& task) {
    if (slow_.empty() || (!of_.selector_.any && of_.selector_.names.empty())) return;
    std::unordered_map<const Slice*, std::uint32_t> slot_of;
    rows_of_many(task, slow_, of_.selector_.names, [&](Origin home, std::span<const Row> rows) {
      for (const Row& row : rows) {
        if (!of_.range_.contains(row.time_ms) || !of_.selector_.selects(row.name)) continue;
        const Slice& slice = row.chunk->slices[row.chunk->code(row.spine_row)];
        const auto [slot, is_new] = slot_of.try_emplace(&slice, 0);
        if (is_new) slot->second = add_slot(slice);
        found_.push_back(
            {row.time_ms, index_of(task, home), raw(row.origin), slot->second, slice.row_of(row.spine_row)});
      }
    });
  }

  // Rows come in log order within each partition, partitions in order of time: a stable sort by (time, origin) within a profile
  // is event order, and most profiles have it already.
  void put_in_order(const Task& task) {
    first_row_.assign(task.size() + 1, 0);
    for (const ExportRow& row : found_) ++first_row_[row.profile + 1];
    for (std::size_t at = 1; at < first_row_.size(); ++at) first_row_[at] += first_row_[at - 1];
    const std::size_t before = rows_.size();
    rows_.resize(before + found_.size());
    for (const ExportRow& row : found_) {
      ExportRow& place = rows_[before + first_row_[row.profile]++];
      place = row;
      place.profile = raw(task.origin(row.profile));
    }
    const auto is_before = [](const ExportRow& left, const ExportRow& right) {
      return left.time_ms != right.time_ms ? left.time_ms < right.time_ms : left.origin < right.origin;
    };
    const auto end = rows_.end();
    for (auto first = rows_.begin() + static_cast<std::ptrdiff_t>(before); first != end;) {
      const auto last = std::find_if(first, end, [&](const ExportRow& row) { return row.profile != first->profile; });
      if (!std::is_sorted(first, last, is_before)) std::stable_sort(first, last, is_before);
      first = last;
    }
  }

  void fill(std::size_t column, std::size_t count, ArrowColumn& out) const {
    const std::span<const ExportRow> rows(rows_.data() + next_, count);
    switch (column) {
      case kProfileId:
        for (const ExportRow& row : rows) out.add_word(row.profile);
        return;
      case kEvent:
        for (const ExportRow& row : rows) out.add_text(of_.version_->names->at(raw(slots_[row.slot]->name)));
        return;
      case kTime:
        for (const ExportRow& row : rows) out.add_word(static_cast<std::uint64_t>(row.time_ms));
        return;
      default: fill_property(of_.columns_[column - kFixed], rows, out);
    }
  }

  void fill_property(const ValueColumn& property, std::span<const ExportRow> rows, ArrowColumn& out) const {
    if (!property.key || (property.type == ValueType::kNull && !property.as_flag)) {
      for (std::size_t at = 0; at < rows.size(); ++at) add_missing(out, property);
      return;
    }
    std::vector<const Column*> column_of(slots_.size());
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      column_of[slot] = slots_[slot]->find(*property.key, property.type);
    }
    std::string scratch;
    for (const ExportRow& row : rows) {
      const Column* column = column_of[row.slot];
      if (column != nullptr && column->has(row.slice_row)) {
        add_value(out, property.type, column->bits_at(row.slice_row), *of_.version_, scratch);
        if (is_too_long(out, rows.size())) return;
      } else {
        add_missing(out, property);
      }
    }
  }

  const EventExport& of_;
  Scratch scratch_;
  std::size_t stripe_ = 0;
  std::vector<ExportRow> rows_;  // in order, of whole stripes
  std::size_t next_ = 0;
  std::vector<const Slice*> slots_;
  // of the stripe in hand
  std::vector<std::uint64_t> keep_;
  std::vector<Origin> slow_;
  std::vector<ExportRow> found_;
  std::vector<std::uint32_t> first_row_;
};

std::unique_ptr<ExportReader> EventExport::open() const { return std::make_unique<EventReader>(*this); }

}  // namespace

std::shared_ptr<const Export> export_events(const VersionPtr& version, const ExportSpec& spec, std::int64_t now_ms,
                                            const ExportOptions& options) {
  return std::make_shared<const EventExport>(version, spec, now_ms, options);
}

}  // namespace cdp
