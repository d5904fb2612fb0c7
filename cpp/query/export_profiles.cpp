// Profiles out: who they are, and their traits as they stand.
#include <algorithm>
#include <string>

#include "codec/normalise.hpp"
#include "column/dictionary.hpp"
#include "query/export_columns.hpp"
#include "query/export_homes.hpp"
#include "query/export_kinds.hpp"
#include "query/predicate.hpp"
#include "query/scan_plan.hpp"
#include "store/identity_map.hpp"

namespace cdp {
namespace {

enum Fixed : std::size_t { kProfileId, kCreated, kFirstKind };

class ProfileExport final : public Export {
 public:
  ProfileExport(const VersionPtr& version, const ExportSpec& spec, std::int64_t now_ms, const ExportOptions& options)
      : Export(version, now_ms), plan_(scan_plan(*version, now_ms)), pool_(options.pool), stop_(options.stop) {
    if (spec.where != nullptr) where_.emplace(*spec.where, *version, Moment{now_ms, nullptr});
    fields_ = {{"profile_id", ArrowType::kUint, false}, {"created", ArrowType::kTime, true}};
    for (const KindRule& rule : default_kind_rules()) {
      if (!rule.identifies) continue;
      kinds_.emplace_back(rule.kind);
      fields_.push_back({std::string(rule.kind), ArrowType::kTexts, false});
    }
    columns_ = choose_columns(seen_keys(spec), spec.columns, "trait", fields_);
  }

  [[nodiscard]] std::unique_ptr<ExportReader> open() const override;

 private:
  friend class ProfileReader;

  [[nodiscard]] Value trait(Origin home, KeyId key, bool is_past) const {
    return is_past ? version_->profiles->trait(home, key)
                   : version_->profiles->trait_at(home, key, now_ms_, *version_->links).value;
  }
  [[nodiscard]] bool is_past(KeyId key) const { return version_->profiles->latest_ms(key) <= now_ms_; }

  [[nodiscard]] SeenKeys seen_keys(const ExportSpec& spec) const {
    std::vector<KeyId> keys;
    if (spec.columns) {
      for (const ExportColumnSpec& column : *spec.columns) {
        if (const auto id = version_->keys->find(column.key)) keys.push_back(KeyId{*id});
      }
    } else {
      keys = version_->profiles->keys();
    }
    std::vector<std::uint32_t> types(keys.size());
    const ProfileMask& everyone = plan_->everyone(*version_);
    const auto body = [&](std::size_t at, unsigned) { types[at] = types_of(keys[at], everyone); };
    if (pool_ != nullptr) {
      pool_->run(keys.size(), pool_->helpers() + 1, body);
    } else {
      for (std::size_t at = 0; at < keys.size(); ++at) body(at, 0);
    }
    SeenKeys seen;
    for (std::size_t at = 0; at < keys.size(); ++at) {
      if (types[at] != 0) seen[version_->keys->at(raw(keys[at]))] = {keys[at], types[at]};
    }
    return seen;
  }

  // Of every profile, whatever `where` says: the columns of two exports of one version are the same.
  [[nodiscard]] std::uint32_t types_of(KeyId key, const ProfileMask& everyone) const {
    constexpr std::uint32_t kAtOnce = 1'024;
    const bool past = is_past(key);
    std::uint32_t types = 0;
    std::vector<Value> values(kAtOnce);
    for (std::uint32_t first = 0; first < version_->origin_count; first += kAtOnce) {
      const std::uint32_t count = std::min(kAtOnce, version_->origin_count - first);
      if (past) version_->profiles->traits(Origin{first}, key, std::span(values).first(count));
      for (std::uint32_t at = 0; at < count; ++at) {
        const Origin origin{first + at};
        if (!everyone.has(origin)) continue;
        const Value value = past ? values[at] : trait(origin, key, false);
        types |= 1u << static_cast<unsigned>(value.type);
      }
    }
    return types & ~1u;  // a missing trait is no type
  }

  std::shared_ptr<const ScanPlan> plan_;
  Pool* pool_;
  const std::atomic<bool>* stop_;
  std::optional<Predicate> where_;
  std::vector<std::string> kinds_;
  std::vector<ValueColumn> columns_;
};

class ProfileReader final : public ExportReader {
 public:
  explicit ProfileReader(const ProfileExport& of)
      : of_(of), stripes_(*of.version_, *of.plan_, of.where_, of.now_ms_, of.stop_) {}

  bool next(ExportBatch& batch) override {
    check_not_stopped(of_.stop_);
    if (next_ == homes_.size()) gather();
    if (next_ == homes_.size()) return false;
    const std::size_t count = std::min(rows_at_once(of_.fields_.size()), homes_.size() - next_);
    next_ += fill_columns(of_.pool_, of_.fields_, count, batch,
                          [this](std::size_t column, std::size_t rows, ArrowColumn& out) { fill(column, rows, out); });
    return true;
  }

 private:
  // Homes of whole stripes until there are enough for a batch.
  void gather() {
    homes_.clear();
    next_ = 0;
    while (homes_.size() < kExportBatchRows && stripes_.next(homes_)) continue;
  }

  void fill(std::size_t column, std::size_t rows, ArrowColumn& out) const {
    const std::span<const Origin> homes(homes_.data() + next_, rows);
    if (column == kProfileId) {
      for (const Origin home : homes) out.add_word(raw(home));
    } else if (column == kCreated) {
      fill_created(homes, out);
    } else if (column < kFirstKind + of_.kinds_.size()) {
      fill_identities(of_.kinds_[column - kFirstKind], homes, out);
    } else {
      fill_trait(of_.columns_[column - kFirstKind - of_.kinds_.size()], homes, out);
    }
  }

  void fill_created(std::span<const Origin> homes, ArrowColumn& out) const {
    for (const Origin home : homes) {
      const std::int64_t created_ms = of_.version_->profiles->created_ms(home, *of_.version_->links);
      if (created_ms < limits::kTimeMaxMs) {
        out.add_word(static_cast<std::uint64_t>(created_ms));
      } else {
        out.add_null();
      }
    }
  }

  void fill_identities(std::string_view kind, std::span<const Origin> homes, ArrowColumn& out) const {
    const Version& version = *of_.version_;
    for (const Origin home : homes) {
      for (const Origin member : version.links->members(home)) {
        for (const IdentityEntry& entry : version.identities->of(member, version.identity_count)) {
          if (entry.kind == kind) out.add_element(entry.value);
        }
      }
      out.end_list();
      if (is_too_long(out, homes.size())) return;
    }
  }

  void fill_trait(const ValueColumn& column, std::span<const Origin> homes, ArrowColumn& out) const {
    std::string scratch;
    const bool past = column.key && of_.is_past(*column.key);
    for (const Origin home : homes) {
      const Value value = column.key ? of_.trait(home, *column.key, past) : Value{};
      if (value.type == ValueType::kNull || value.type != column.type) {  // a trait set to null is missing
        add_missing(out, column);
      } else {
        add_value(out, value.type, value.bits, *of_.version_, scratch);
      }
      if (is_too_long(out, homes.size())) return;
    }
  }

  const ProfileExport& of_;
  ExportHomes stripes_;
  std::vector<Origin> homes_;
  std::size_t next_ = 0;
};

std::unique_ptr<ExportReader> ProfileExport::open() const { return std::make_unique<ProfileReader>(*this); }

}  // namespace

std::shared_ptr<const Export> export_profiles(const VersionPtr& version, const ExportSpec& spec, std::int64_t now_ms,
                                              const ExportOptions& options) {
  return std::make_shared<const ProfileExport>(version, spec, now_ms, options);
}

}  // namespace cdp
