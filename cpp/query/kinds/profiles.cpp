// profiles: the members of a predicate, as one ascending column of ids, in pages; the exact count in the notes.
//
//   "where": predicate (required), "after"?: profile id, "limit"?: int
//
// The set itself is made by the executor (`context.where`); no task is run. Cost of the page: one pass over the bits.
#include "query/kinds/kinds.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/predicate.hpp"

namespace cdp {
namespace {

class ProfilesKind final : public Kind {
 public:
  // `after` is exclusive; −1 begins at the first.
  ProfilesKind(std::int64_t after, std::uint64_t limit) : after_(after), limit_(limit) {}

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override { return std::make_unique<Partial>(); }
  [[nodiscard]] bool scans() const override { return false; }
  void scan(const QueryContext&, Task&, Scratch&, Partial&) const override {}
  void add_rows(const QueryContext&, Origin, std::span<const Row>, Partial&) const override {}
  [[nodiscard]] std::vector<NameId> names() const override { return {}; }
  void merge(Partial&, Partial&&) const override {}

  [[nodiscard]] Table finish(const QueryContext& context, std::unique_ptr<Partial>) const override {
    Table table;
    table.add("profile_id", ColumnType::kUint64)
        .adopt(context.where->ids(static_cast<std::uint64_t>(after_ + 1), limit_));
    table.notes.emplace_back("count", static_cast<std::int64_t>(context.where->count()));
    return table;
  }

 private:
  std::int64_t after_;
  std::uint64_t limit_;
};

struct ProfilesSpec final : KindSpec {
  std::int64_t after = -1;
  std::uint64_t limit = UINT64_MAX;

  [[nodiscard]] std::unique_ptr<Kind> bind(const Binding&) const override {
    return std::make_unique<ProfilesKind>(after, limit);
  }
};

}  // namespace

std::unique_ptr<KindSpec> parse_profiles(Fields& fields, const CommonSpec& common) {
  refuse_profile_zone(fields, common);
  if (common.where == nullptr) fail_invalid(fields.path("where"), "missing; expected a predicate");
  if (!common.breakdown.empty()) fail_unsupported(fields.path("breakdown"), "profiles has no breakdown yet");
  if (common.range.type != RangeSpec::Type::kAll) {
    fail_invalid(fields.path("range"), "profiles has no range: give the clauses windows");
  }
  auto spec = std::make_unique<ProfilesSpec>();
  spec->after = fields.integer("after", 0, INT64_MAX - 1).value_or(-1);
  if (common.limit) spec->limit = static_cast<std::uint64_t>(*common.limit);
  return spec;
}

}  // namespace cdp
