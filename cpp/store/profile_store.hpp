// Traits of profiles: every operation ever, and the folded value of each trait. `ProfileStore` is apply's; `ProfileView`
// is the immutable picture a version pins: copy-on-write pages of 256 origins a trait, indexed by Origin.
//
// What operations come to is defined in trait_fold.hpp. An operation that can only follow what is folded (its origin was
// never linked, it is the latest, it opens no list) is folded at once; all else is noted and folded by the next view, once
// a trait and profile, from all operations that the profile's links now give it: so an unjoin gives exactly what never
// joining gives, and no order of arrival can make folding cost more than one pass a batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/value.hpp"
#include "codec/canonical_batch.hpp"
#include "column/dictionary.hpp"
#include "store/links.hpp"

namespace cdp {

// An operation behind apply: ids of the store instead of the batch's.
struct StoredOperation {
  Origin origin{};
  KeyId key{};
  TraitKind kind{};
  std::int64_t time_ms = 0;
  std::uint64_t order = 0;  // log order, for ties
  Value value;              // dictionary types hold a StringId
};

// All that is known of one profile's traits at an instant.
struct ProfileTraits {
  std::vector<std::pair<KeyId, Value>> values;  // ascending by key; of traits that stand
  std::vector<StoredOperation> history;         // by (time, order), none timed later
  std::int64_t created_ms = 0;                  // as ProfileView::created_ms
};

class ProfileView {
 public:
  virtual ~ProfileView() = default;
  // The folded trait of the profile whose home this is, by all its operations, those timed in the future too (`trait_at` for
  // what a query sees); null type when it has none. O(1), ~5 ns.
  [[nodiscard]] virtual Value trait(Origin home, KeyId key) const = 0;
  // The same for homes [first, first + out.size()): values of every origin in the range (garbage for origins that are not
  // homes). For kernels. ~1 ns a profile.
  virtual void traits(Origin first, KeyId key, std::span<Value> out) const = 0;
  // The trait as a query at `now_ms` sees it, operations timed later left out, under the links of now. `next_ms`: when the
  // first of those becomes visible. As `trait` when nothing of the profile is later; else a fold of all its operations.
  struct Seen {
    Value value;
    std::int64_t next_ms = INT64_MAX;
  };
  [[nodiscard]] virtual Seen trait_at(Origin home, KeyId key, [[maybe_unused]] std::int64_t now_ms,
                                      [[maybe_unused]] const LinkView& links) const {
    return {trait(home, key), INT64_MAX};
  }
  // Time of the latest operation on the key in the store: at or after it, `trait` and `traits` are what a query sees.
  [[nodiscard]] virtual std::int64_t latest_ms([[maybe_unused]] KeyId key) const noexcept { return INT64_MIN; }
  // Keys that some operation told of: of what holds later or no longer, too.
  [[nodiscard]] virtual std::vector<KeyId> keys() const = 0;
  // Every operation of the origins, by (time, order); `members` as in LinkView.
  [[nodiscard]] virtual std::vector<StoredOperation> history(std::span<const Origin> members) const = 0;
  // Folded value at time `as_of_ms` with the links alive then. Slow path.
  [[nodiscard]] virtual Value trait_as_of(Origin home, KeyId key, std::int64_t as_of_ms,
                                          const LinkView& links) const = 0;
  // The trait of the profile that the origin was of at `time_ms`, as it was valid then: trait_as_of, ~50 ns where the origin was
  // never linked and nothing is later.
  [[nodiscard]] virtual Value trait_when(Origin origin, KeyId key, std::int64_t time_ms, const LinkView& links) const {
    return trait_as_of(origin, key, time_ms, links);
  }
  // What these operations come to for `home` under these links. REQUIRES: as for fold_component (store/trait_fold.hpp).
  [[nodiscard]] virtual Value folded([[maybe_unused]] Origin home,
                                     [[maybe_unused]] std::span<const StoredOperation> operations,
                                     [[maybe_unused]] std::span<const Link> links) const {
    return {};
  }
  // Earliest time known of any origin: first record that named it ("created"). kTimeMaxMs when unknown.
  [[nodiscard]] virtual std::int64_t created_ms(Origin home, const LinkView& links) const = 0;
  // The profile's traits, history and creation in one walk, as `trait_at`, `history` and `created_ms` tell them.
  [[nodiscard]] virtual ProfileTraits read(Origin home, std::int64_t now_ms, const LinkView& links) const;
};

class ProfileStore {
 public:
  // `strings` holds list values as canonical msgpack.
  explicit ProfileStore(Dictionary& strings);
  ~ProfileStore();
  // Notes that `origin` was named at `time_ms` (min is kept).
  void touch(Origin origin, std::int64_t time_ms);
  // Fetches what `touch` will look at.
  void prefetch(Origin origin) const noexcept;
  // Fetches what `apply` will look at, in three steps that each rely on the one before having arrived: a writer of many
  // records takes step 0 some 12 records ahead, step 1 some 8, step 2 some 4.
  void prefetch(Origin origin, KeyId key, int step) const noexcept;
  // Whether `apply` would take the operations of a record that all belong to `origin`.
  [[nodiscard]] bool accepts(Origin origin, std::span<const StoredOperation> operations) const;
  // Takes the operations of one record, all or none: false when an origin would get over kOperationsPerTrait. An operation
  // equal in origin, time, kind and value to one kept is dropped silently. `linked`: the origin has other members beside it.
  bool apply(std::span<const StoredOperation> operations, bool linked);
  // Notes that a join or unjoin changed what the component of this origin is.
  void refold(Origin origin);
  // Folds what is noted under these links; the picture for the next version.
  [[nodiscard]] std::shared_ptr<const ProfileView> view(const LinkView& links);
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cdp
