#include "query/query.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "base/pool.hpp"
#include "query/as_of.hpp"
#include "query/budget.hpp"
#include "query/calendar.hpp"
#include "query/kinds/equal_buckets.hpp"
#include "query/kinds/kinds.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/predicate.hpp"
#include "query/scan_plan.hpp"

namespace cdp {
namespace {

// Buffers outlive a query: fresh ones would cost a page fault per 4 KiB each time.
Scratch& thread_scratch() {
  static thread_local Scratch scratch;
  return scratch;
}

template <class Visit>
void for_each_bit(std::span<const std::uint64_t> words, Visit&& visit) {
  for (std::size_t word = 0; word < words.size(); ++word) {
    for (std::uint64_t bits = words[word]; bits != 0; bits &= bits - 1) {
      visit(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
    }
  }
}

// The caller's instant, bounded like that of a spec: arithmetic on it never overflows.
void check_instant(std::int64_t now_ms) {
  constexpr std::int64_t kMost = 20 * limits::kQueryDurationMs;
  if (now_ms >= -kMost && now_ms <= kMost) return;
  throw Error(Family::kBadQuery, code::kQueryInvalid, "an instant within 2,000 years of 1970", "now_ms");
}

// A measure asked for twice, a breakdown named like another column: an answer whose columns cannot be told apart.
void check_names(const Table& table, bool is_broken_down) {
  for (std::size_t at = 1; at < table.columns.size(); ++at) {
    const std::string& name = table.columns[at].name();
    if (std::none_of(table.columns.begin(), table.columns.begin() + static_cast<std::ptrdiff_t>(at),
                     [&](const TableColumn& before) { return before.name() == name; })) {
      continue;
    }
    throw Error(Family::kBadQuery, code::kQueryInvalid, "two columns of the answer would be named \"" + name + "\"",
                is_broken_down ? "breakdown" : "measures");
  }
}

void note_operands(const Binding& binding) {
  for (const Operand& operand : binding.common.breakdown) {
    if (operand.members != nullptr || operand.key.empty()) continue;  // what it names is looked up when it is bound
    if (!operand.is_trait && !operand.is_at_event) {
      binding.note_property(operand.key);
    } else if (!binding.version.keys->find(operand.key)) {
      binding.mentions->unknown_traits.insert(operand.key);
    }
  }
}

// Names that select nothing are allowed, and the answer says which.
void add_unknown(const Mentions& mentions, Table& table) {
  const auto add = [&](const char* note, const std::set<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text.append(text.empty() ? "" : ", ").append(name);
    if (!names.empty()) table.notes.emplace_back(note, std::move(text));
  };
  add("unknown_events", mentions.unknown_events);
  add("unknown_properties", mentions.unknown_properties);
  add("unknown_traits", mentions.unknown_traits);
  add("unknown_channels", mentions.unknown_channels);
  add("unknown_topics", mentions.unknown_topics);
  add("unknown_lists", mentions.unknown_lists);
}

// One query after binding. Shared by the workers: task i writes only its own words of `where_`.
class Execution {
 public:
  Execution(const Version& version, const Kind* kind, const Predicate* where, const QueryContext& context,
            const QueryOptions& options)
      : version_(version),
        kind_(kind),
        where_(where),
        context_(context),
        force_rows_(options.force_rows),
        plan_(scan_plan(version, context.now_ms)) {
    if (where != nullptr || force_rows_) all_ = &plan_->everyone(version);
    if (where == nullptr) return;
    mask_ = ProfileMask(version);
    context_.where = &mask_;
  }

  // Runs every task; partials_[worker] holds what the worker added.
  void run(Pool* pool, unsigned threads) {
    const unsigned workers =
        pool == nullptr ? 1 : std::min<unsigned>(threads == 0 ? ~0u : threads, pool->helpers() + 1);
    partials_.resize(std::max(workers, 1u));
    const auto body = [this](std::size_t task, unsigned worker) { run_task(task, worker); };
    if (pool != nullptr && workers > 1) {
      pool->run(plan_->tasks.size(), workers, body);
    } else {
      for (std::size_t task = 0; task < plan_->tasks.size(); ++task) body(task, 0);
    }
  }

  // What all tasks added, merged. REQUIRES: run() has returned.
  [[nodiscard]] std::unique_ptr<Partial> total() {
    std::unique_ptr<Partial> total;
    for (std::unique_ptr<Partial>& partial : partials_) {
      if (partial == nullptr) continue;
      if (total == nullptr) {
        total = std::move(partial);
      } else {
        kind_->merge(*total, std::move(*partial));
      }
    }
    return total == nullptr ? kind_->make_partial() : std::move(total);
  }
  [[nodiscard]] const QueryContext& context() const noexcept { return context_; }

 private:
  void run_task(std::size_t index, unsigned worker) {
    context_.budget->check();
    Task task = plan_->tasks[index];  // its own: the kind marks late profiles in it
    task.budget = context_.budget;
    if (where_ != nullptr && !select(task)) return;
    if (!kind_->scans()) return;
    if (partials_[worker] == nullptr) partials_[worker] = kind_->make_partial();
    Partial& partial = *partials_[worker];
    std::vector<Row> rows;
    if (force_rows_) {
      for_each_bit(all_->words(task), [&](std::uint32_t bit) { add_rows(task.origin(bit), rows, partial); });
      return;
    }
    kind_->scan(context_, task, thread_scratch(), partial);
    std::vector<Origin> homes = slow_homes(task);
    for_each_bit(task.late, [&](std::uint32_t bit) {
      if (!task.is_slow(bit)) homes.push_back(task.origin(bit));
    });
    if (where_ != nullptr) std::erase_if(homes, [&](Origin home) { return !mask_.has(home); });
    rows_of_many(task, homes, names_,
                 [&](Origin home, std::span<const Row> of_home) { kind_->add_rows(context_, home, of_home, partial); });
  }

  // Fills the task's words of the mask; false when nobody is in it.
  bool select(const Task& task) {
    const std::span<std::uint64_t> words = mask_.words(task);
    if (force_rows_) {
      for_each_bit(all_->words(task), [&](std::uint32_t bit) {
        const bool truth = evaluate_profile(version_, *where_, task.origin(bit), context_.now_ms).value;
        if (truth) words[bit >> 6] |= std::uint64_t{1} << (bit & 63);
      });
    } else {
      where_->evaluate_task(task, context_.now_ms, thread_scratch(), all_->words(task), words);
    }
    return std::any_of(words.begin(), words.end(), [](std::uint64_t word) { return word != 0; });
  }

  void add_rows(Origin home, std::vector<Row>& rows, Partial& partial) {
    if (where_ != nullptr && !mask_.has(home)) return;
    rows.clear();
    rows_of(version_, home, names_, {.horizon = plan_->horizon ? &*plan_->horizon : nullptr}, rows);
    kind_->add_rows(context_, home, rows, partial);
  }

  const Version& version_;
  const Kind* kind_;
  const Predicate* where_;
  QueryContext context_;
  bool force_rows_;
  std::shared_ptr<const ScanPlan> plan_;
  std::vector<NameId> names_ = kind_->names();
  const ProfileMask* all_ = nullptr;  // lives in the plan
  ProfileMask mask_;
  std::vector<std::unique_ptr<Partial>> partials_;
};

// A range that begins before rows of its events are kept is empty there: the answer says since when they are.
void note_horizon(const Version& version, const Kind& kind, const QueryContext& context, Table& table) {
  const std::optional<Horizon> horizon = horizon_of(version, context.now_ms);
  if (!horizon) return;
  const std::vector<NameId> names = kind.names();
  std::int64_t cut_ms = names.empty() ? horizon->latest_cut_ms() : INT64_MIN;
  for (const NameId name : names) cut_ms = std::max(cut_ms, horizon->cut_ms(name));
  if (cut_ms != INT64_MIN && kind.looks_from_ms(context) <= cut_ms)
    table.notes.emplace_back("retained_since_ms", cut_ms + 1);
}

}  // namespace

Table run_kind(const Kind& kind, const Predicate* where, const QueryContext& context, const QueryOptions& options) {
  Execution execution(*context.version, &kind, where, context, options);
  execution.run(options.pool, options.threads);
  return kind.finish(execution.context(), execution.total());
}

Table run_query(const VersionPtr& pinned, std::span<const std::uint8_t> bytes, const QueryOptions& options) {
  check_instant(options.now_ms);
  Spec spec = parse_spec(bytes);
  const VersionPtr version = spec.common.as_of_ms ? version_as_of(pinned, *spec.common.as_of_ms) : pinned;
  const std::int64_t now_ms = spec.common.now_ms.value_or(options.now_ms);
  const Zone& zone = *spec.common.calendar.zone;
  Mentions mentions;
  Budget own(kQueryMemoryBytes, options.deadline_ns, options.stop);
  QueryContext context;
  context.version = version.get();
  context.range = range_of_all(spec.common, now_ms);
  context.now_ms = now_ms;
  context.budget = options.budget != nullptr ? options.budget : &own;
  CommonSpec common = spec.common;
  const Binding binding{*version, common, context.range, now_ms, zone, &mentions, context.budget};
  note_operands(binding);
  std::optional<Predicate> where;
  if (common.where != nullptr) where.emplace(*common.where, *version, binding.moment());
  set_equal_borders(common, *spec.kind, binding, [&](const Kind& counted) {
    return run_kind(counted, where ? &*where : nullptr, context, options);
  });
  const std::unique_ptr<Kind> kind = spec.kind->bind(binding);
  if (kind->scans()) mentions.any_event |= kind->names().empty();
  if (common.as_of_ms) check_kept(*version, mentions, *common.as_of_ms, Path().field("as_of_ms"));

  Execution execution(*version, kind.get(), where ? &*where : nullptr, context, options);
  execution.run(options.pool, options.threads);
  std::unique_ptr<Partial> total = execution.total();
  Table table;
  if (const std::unique_ptr<Kind> next = kind->again(execution.context(), *total)) {
    total.reset();
    Execution second(*version, next.get(), where ? &*where : nullptr, context, options);
    second.run(options.pool, options.threads);
    table = next->finish(second.context(), second.total());
  } else {
    table = kind->finish(execution.context(), std::move(total));
  }
  note_equal_borders(spec.common, common, table);
  check_names(table, !spec.common.breakdown.empty());
  table.watermark = version->watermark;
  table.now_ms = now_ms;
  if (kind->scans()) note_horizon(*version, *kind, context, table);
  if (!zone.table().empty()) table.notes.emplace_back("zone_table", zone.table());
  add_unknown(mentions, table);
  return table;
}

Table run_query(const VersionPtr& version, std::span<const std::byte> spec, const QueryOptions& options) {
  return run_query(version, std::span(reinterpret_cast<const std::uint8_t*>(spec.data()), spec.size()), options);
}

}  // namespace cdp
