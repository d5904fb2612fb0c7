// Facts out: what holds of each profile at an instant, a row a subject: its devices, its consents, its memberships, the lists it
// is on or was, its suppression. Columns follow from the list of facts (codec/fact_spec.hpp).
#include <algorithm>
#include <string>

#include "codec/fact_spec.hpp"
#include "column/dictionary.hpp"
#include "query/export_columns.hpp"
#include "query/export_homes.hpp"
#include "query/export_kinds.hpp"
#include "store/fact_store.hpp"
#include "store/links.hpp"

namespace cdp {
namespace {

// Columns in this order: the profile, its subject's texts, the state and its times, the texts of the fact.
class FactExport final : public Export {
 public:
  FactExport(const VersionPtr& version, const ExportSpec& spec, std::int64_t now_ms, const ExportOptions& options)
      : Export(version, now_ms),
        facts_(spec_of(spec.fact)),
        plan_(scan_plan(*version, now_ms)),
        pool_(options.pool),
        stop_(options.stop) {
    if (spec.where != nullptr) where_.emplace(*spec.where, *version, Moment{now_ms, nullptr});
    fields_.push_back({"profile_id", ArrowType::kUint, false});
    for (std::size_t at = 0; at < facts_.subjects.size(); ++at)
      fields_.push_back(
          {std::string(facts_.subjects[at].name), ArrowType::kText, at > 0 && !facts_.second_is_required});
    fields_.push_back({"state", ArrowType::kText, false});
    for (const char* name : {"first_time", "since", "time"}) fields_.push_back({name, ArrowType::kTime, false});
    for (const FactTextSpec& text : facts_.texts) fields_.push_back({std::string(text.name), ArrowType::kText, true});
  }

  [[nodiscard]] std::unique_ptr<ExportReader> open() const override;

 private:
  friend class FactReader;

  const FactSpec& facts_;
  std::shared_ptr<const ScanPlan> plan_;
  Pool* pool_;
  const std::atomic<bool>* stop_;
  std::optional<Predicate> where_;
};

class FactReader final : public ExportReader {
 public:
  explicit FactReader(const FactExport& of)
      : of_(of), homes_(*of.version_, *of.plan_, of.where_, of.now_ms_, of.stop_) {}

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
  struct Row {
    Origin home;
    Fact fact;
  };

  // Profiles one by one until there are enough rows for a batch: one of them has as many as it was told of.
  void gather() {
    const Version& version = *of_.version_;
    const FactView& facts = *version.facts[static_cast<std::size_t>(of_.facts_.type)];
    rows_.clear();
    next_ = 0;
    while (rows_.size() < kExportBatchRows) {
      if (next_home_ == stripe_.size()) {
        stripe_.clear();
        next_home_ = 0;
        if (!homes_.next(stripe_)) return;
        continue;
      }
      const Origin home = stripe_[next_home_++];
      const std::span<const Origin> members = version.links->members(home);
      if (std::ranges::none_of(members, [&](Origin member) { return facts.has(member); })) continue;
      for (Fact& fact : facts.facts(members, of_.now_ms_)) rows_.push_back({home, fact});
    }
  }

  void fill(std::size_t column, std::size_t count, ArrowColumn& out) const {
    const std::size_t subjects = of_.facts_.subjects.size(), state = 1 + subjects;
    const std::span<const Row> rows(rows_.data() + next_, count);
    for (const Row& row : rows) {
      if (column == 0) {
        out.add_word(raw(row.home));
      } else if (column < state) {
        add_subject(row.fact, column - 1, out);
      } else if (column == state) {
        out.add_text(of_.facts_.states[row.fact.state]);
      } else if (column < state + 4) {
        out.add_word(static_cast<std::uint64_t>(time_of(row.fact, column - state)));
      } else {
        add_text(row.fact.texts[column - state - 4], out);
      }
      if (is_too_long(out, count)) return;
    }
  }

  [[nodiscard]] static std::int64_t time_of(const Fact& fact, std::size_t which) noexcept {
    return which == 1 ? fact.first_ms : which == 2 ? fact.since_ms : fact.time_ms();
  }
  void add_subject(const Fact& fact, std::size_t at, ArrowColumn& out) const {
    const bool is_missing = at > 0 && of_.facts_.type != FactType::kMembership && second_of(fact.subject) == kNone;
    is_missing ? out.add_null() : out.add_text(subject_texts(*of_.version_, of_.facts_.type, fact.subject)[at]);
  }
  void add_text(const Value& value, ArrowColumn& out) const {
    if (value.type == ValueType::kNull) return out.add_null();
    out.add_text(of_.version_->strings->at(static_cast<std::uint32_t>(value.bits)));
  }

  const FactExport& of_;
  ExportHomes homes_;
  std::vector<Origin> stripe_;
  std::size_t next_home_ = 0;
  std::vector<Row> rows_;
  std::size_t next_ = 0;
};

std::unique_ptr<ExportReader> FactExport::open() const { return std::make_unique<FactReader>(*this); }

}  // namespace

std::shared_ptr<const Export> export_facts(const VersionPtr& version, const ExportSpec& spec, std::int64_t now_ms,
                                           const ExportOptions& options) {
  return std::make_shared<const FactExport>(version, spec, now_ms, options);
}

}  // namespace cdp
