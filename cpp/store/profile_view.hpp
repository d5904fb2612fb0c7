// What a version pins of the profiles: pages of every trait column as they were, over histories that only ever grow behind
// what the pages know.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "store/cow_pages.hpp"
#include "store/key_sets.hpp"
#include "store/profile_store.hpp"
#include "store/trait_history.hpp"
#include "store/trait_page.hpp"

namespace cdp {

inline constexpr std::uint32_t kColumnsPerPage = 16;

// A trait key as pinned.
struct PinnedColumn {
  CowPages<TraitPage>::Picture pages;
  std::shared_ptr<const TraitHistory> history;  // null: no operation yet
  std::uint64_t value_count = 0;                // homes with a value
  std::int64_t latest_ms = INT64_MIN;           // of all operations
};
struct ColumnPage {
  std::array<PinnedColumn, kColumnsPerPage> columns{};
};
struct ProfilePage {
  std::array<std::int64_t, TraitPage::kOrigins> created_ms{};  // 0 = unknown
  std::array<std::uint32_t, TraitPage::kOrigins> keys{};       // a set of KeySets
};

// Appends the operations of one origin and key to `out`, in order of arrival.
void read_chain(const TraitHistory& history, std::uint32_t newest, Origin origin, KeyId key,
                std::vector<StoredOperation>& out);
// By (time, order); operations of one record stay in order of arrival.
void sort_operations(std::vector<StoredOperation>& operations);

class PinnedProfiles final : public ProfileView {
 public:
  PinnedProfiles(CowPages<ColumnPage>::Picture columns, std::uint32_t column_count,
                 CowPages<ProfilePage>::Picture profiles, std::shared_ptr<const KeySets> key_sets, Dictionary& strings);
  [[nodiscard]] Value trait(Origin home, KeyId key) const noexcept override;
  void traits(Origin first, KeyId key, std::span<Value> out) const noexcept override;
  [[nodiscard]] Seen trait_at(Origin home, KeyId key, std::int64_t now_ms, const LinkView& links) const override;
  [[nodiscard]] std::int64_t latest_ms(KeyId key) const noexcept override;
  [[nodiscard]] std::vector<KeyId> keys() const override;
  [[nodiscard]] std::vector<StoredOperation> history(std::span<const Origin> members) const override;
  [[nodiscard]] Value trait_as_of(Origin home, KeyId key, std::int64_t as_of_ms, const LinkView& links) const override;
  [[nodiscard]] Value trait_when(Origin origin, KeyId key, std::int64_t time_ms, const LinkView& links) const override;
  [[nodiscard]] Value folded(Origin home, std::span<const StoredOperation> operations,
                             std::span<const Link> links) const override;
  [[nodiscard]] std::int64_t created_ms(Origin home, const LinkView& links) const override;
  [[nodiscard]] ProfileTraits read(Origin home, std::int64_t now_ms, const LinkView& links) const override;

 private:
  // A trait of an origin: what a walk over all of them fetches before it reads.
  struct Cell {
    KeyId key{};
    const PinnedColumn* column = nullptr;
    const TraitPage* page = nullptr;
    std::uint32_t slot = 0;
    std::uint32_t newest = 0;  // place in the history, 0 = no operation
    Value value;
  };

  [[nodiscard]] const PinnedColumn* column(KeyId key) const noexcept;
  [[nodiscard]] std::vector<Cell> cells_of(Origin origin) const;

  CowPages<ColumnPage>::Picture columns_;
  std::uint32_t column_count_;
  CowPages<ProfilePage>::Picture profiles_;
  std::shared_ptr<const KeySets> key_sets_;
  Dictionary* strings_;
};

}  // namespace cdp
