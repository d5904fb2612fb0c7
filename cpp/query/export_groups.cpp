// Groups out: companies, households, plans, with their traits as they stand, in the order that they were first told of.
#include <algorithm>
#include <string>

#include "base/limits.hpp"
#include "column/dictionary.hpp"
#include "query/export_columns.hpp"
#include "query/export_kinds.hpp"
#include "store/group_store.hpp"
#include "store/profile_store.hpp"

namespace cdp {
namespace {

enum Fixed : std::size_t { kKind, kId, kCreated, kFixed };

class GroupExport final : public Export {
 public:
  GroupExport(const VersionPtr& version, const ExportSpec& spec, std::int64_t now_ms, const ExportOptions& options)
      : Export(version, now_ms), pool_(options.pool), stop_(options.stop), any_kind_(!spec.group_kind) {
    if (spec.group_kind) kind_ = version->strings->find(*spec.group_kind);
    fields_ = {{"kind", ArrowType::kText, false}, {"id", ArrowType::kText, false}, {"created", ArrowType::kTime, true}};
    columns_ = choose_columns(seen_keys(spec), spec.columns, "trait", fields_);
  }

  [[nodiscard]] std::unique_ptr<ExportReader> open() const override;

 private:
  friend class GroupReader;

  [[nodiscard]] bool has(Origin group) const { return any_kind_ || (kind_ && *kind_ == version_->groups->kind(group)); }
  [[nodiscard]] Value trait(Origin group, KeyId key) const {
    return version_->group_traits->trait_at(group, key, now_ms_, version_->groups->links()).value;
  }

  // Of every group of the kind.
  [[nodiscard]] SeenKeys seen_keys(const ExportSpec& spec) const {
    std::vector<KeyId> keys = version_->group_traits->keys();
    if (spec.columns) {
      keys.clear();
      for (const ExportColumnSpec& column : *spec.columns) {
        if (const auto id = version_->keys->find(column.key)) keys.push_back(KeyId{*id});
      }
    }
    SeenKeys seen;
    for (const KeyId key : keys) {
      check_not_stopped(stop_);
      std::uint32_t types = 0;
      for (std::uint32_t group = 0; group < version_->group_count; ++group) {
        if (has(Origin{group})) types |= 1u << static_cast<unsigned>(trait(Origin{group}, key).type);
      }
      types &= ~1u;  // a missing trait is no type
      if (types != 0) seen[version_->keys->at(raw(key))] = {key, types};
    }
    return seen;
  }

  Pool* pool_;
  const std::atomic<bool>* stop_;
  bool any_kind_;
  std::optional<std::uint32_t> kind_;  // empty: any, or one that the store never heard of
  std::vector<ValueColumn> columns_;
};

class GroupReader final : public ExportReader {
 public:
  explicit GroupReader(const GroupExport& of) : of_(of) {}

  bool next(ExportBatch& batch) override {
    check_not_stopped(of_.stop_);
    if (next_ == groups_.size()) gather();
    if (next_ == groups_.size()) return false;
    const std::size_t count = std::min(rows_at_once(of_.fields_.size()), groups_.size() - next_);
    next_ += fill_columns(of_.pool_, of_.fields_, count, batch,
                          [this](std::size_t column, std::size_t rows, ArrowColumn& out) { fill(column, rows, out); });
    return true;
  }

 private:
  void gather() {
    groups_.clear();
    next_ = 0;
    for (; groups_.size() < kExportBatchRows && next_group_ < of_.version_->group_count; ++next_group_) {
      if (of_.has(Origin{next_group_})) groups_.push_back(Origin{next_group_});
    }
  }

  void fill(std::size_t column, std::size_t count, ArrowColumn& out) const {
    const Version& version = *of_.version_;
    std::string scratch;
    for (const Origin group : std::span(groups_).subspan(next_, count)) {
      switch (column) {
        case kKind: out.add_text(version.strings->at(version.groups->kind(group))); break;
        case kId: out.add_text(version.strings->at(version.groups->id(group))); break;
        case kCreated: add_created(group, out); break;
        default: add_trait(of_.columns_[column - kFixed], group, out, scratch);
      }
      if (is_too_long(out, count)) return;
    }
  }

  void add_created(Origin group, ArrowColumn& out) const {
    const std::int64_t created_ms = of_.version_->group_traits->created_ms(group, of_.version_->groups->links());
    created_ms < limits::kTimeMaxMs ? out.add_word(static_cast<std::uint64_t>(created_ms)) : out.add_null();
  }
  void add_trait(const ValueColumn& column, Origin group, ArrowColumn& out, std::string& scratch) const {
    const Value value = column.key ? of_.trait(group, *column.key) : Value{};
    if (value.type == ValueType::kNull || value.type != column.type) {
      add_missing(out, column);
    } else {
      add_value(out, value.type, value.bits, *of_.version_, scratch);
    }
  }

  const GroupExport& of_;
  std::uint32_t next_group_ = 0;
  std::vector<Origin> groups_;
  std::size_t next_ = 0;
};

std::unique_ptr<ExportReader> GroupExport::open() const { return std::make_unique<GroupReader>(*this); }

}  // namespace

std::shared_ptr<const Export> export_groups(const VersionPtr& version, const ExportSpec& spec, std::int64_t now_ms,
                                            const ExportOptions& options) {
  return std::make_shared<const GroupExport>(version, spec, now_ms, options);
}

}  // namespace cdp
