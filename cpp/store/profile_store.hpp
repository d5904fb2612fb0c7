// Traits of profiles: every operation ever, and the folded value of each trait. `ProfileStore` is apply's; `ProfileView`
// is the immutable picture a version pins: copy-on-write pages of 1,024 origins a trait, indexed by Origin.
//
// Folding (DESIGN: data model, identities): within an origin by operation time, later time wins (ties: log order). At a
// join the survivor's values stand where it has one, else the other's; lists unite; operations timed after the join apply
// from both in order of time. `unjoin` folds again from the operations that remain. set_once takes effect only where no value
// stands; increment needs a number (int + int overflow or a non-number: the operation is kept and has no effect); append and
// remove work on unique lists.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
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

class ProfileView {
 public:
  virtual ~ProfileView() = default;
  // The folded trait of the profile whose home this is; null type when it has none. O(1), ~5 ns.
  [[nodiscard]] virtual Value trait(Origin home, KeyId key) const noexcept = 0;
  // The same for homes [first, first + out.size()): values of every origin in the range (garbage for origins that are not
  // homes). For kernels. ~1 ns a profile.
  virtual void traits(Origin first, KeyId key, std::span<Value> out) const noexcept = 0;
  // Keys that any profile has.
  [[nodiscard]] virtual std::vector<KeyId> keys() const = 0;
  // Every operation of the origins, by (time, order); `members` as in LinkView.
  [[nodiscard]] virtual std::vector<StoredOperation> history(std::span<const Origin> members) const = 0;
  // Folded value at time `as_of_ms` with the links alive then. Slow path.
  [[nodiscard]] virtual Value trait_as_of(Origin home, KeyId key, std::int64_t as_of_ms, const LinkView& links) const = 0;
  // Earliest time known of any origin: first record that named it ("created"). kTimeMaxMs when unknown.
  [[nodiscard]] virtual std::int64_t created_ms(Origin home, const LinkView& links) const = 0;
};

class ProfileStore {
 public:
  // `strings` holds list values as canonical msgpack and is written by apply only.
  explicit ProfileStore(Dictionary& strings);
  ~ProfileStore();
  // Notes that `origin` was first named at `time_ms` (min is kept).
  void touch(Origin origin, std::int64_t time_ms);
  // Applies and folds into the profile whose home is links.home(origin). False: over kOperationsPerTrait (nothing changed).
  // An operation equal in origin, time, kind and value to one kept is dropped silently (true).
  bool apply(const StoredOperation& operation, const LinkView& links);
  // Folds the component(s) again after a join or unjoin changed them.
  void refold(std::span<const Origin> homes, const LinkView& links);
  [[nodiscard]] std::shared_ptr<const ProfileView> view() const;
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cdp
