// How operations become a value.
//
// One origin: its operations in order of (time, log order). `set` puts its value, `unset` leaves none, `set_once` puts its
// value where none stands. `increment` adds to a number, to 0 where none stands: int + int stays int, anything with a
// float is float; on another type, beyond int64 or beyond the floats it has no effect. `append` adds an element that is
// not there yet (to an empty list where none stands), `remove` takes all equal ones (an emptied list stays a list); on
// anything but a list they have no effect, nor has an append that would make a list larger than kListBytes.
//
// A component of several origins: one line of time that holds its live links too, each at its time behind the operations
// of that very time, ties by sequence. An operation applies to the side its origin is on at that point. A link joins two
// sides: the winner's value stands where it has one, else the loser's; two lists unite (the winner's elements, then the
// loser's, each once, as far as kListBytes allows; a list with objects among them is one of items). What comes later applies to the joined value
// from both. Links made out of order of time thus take effect in order of their times, each joining the sides as they were
// then; a link between what is already one side (possible only in `as_of`, by a dead link) does nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/limits.hpp"
#include "base/value.hpp"
#include "codec/canonical_batch.hpp"
#include "column/dictionary.hpp"
#include "store/links.hpp"

namespace cdp {

inline constexpr std::size_t kListBytes = limits::kRecordBytes;  // of elements: no folded list outgrows a record

// The value after an operation, where no list has to be opened; nullopt for append and remove.
[[nodiscard]] std::optional<Value> fold_scalar(const Value& current, TraitKind kind, const Value& operand) noexcept;

// One trait while it is folded. Lists stay open, as elements, until `value` puts them into the dictionary.
class TraitFold {
 public:
  explicit TraitFold(Dictionary& strings) : strings_(&strings) {}
  void apply(TraitKind kind, const Value& operand);
  // Takes in the loser's side of a join.
  void join(TraitFold& loser);
  [[nodiscard]] Value value();

 private:
  struct List {
    std::vector<std::string> elements;  // canonical msgpack
    std::unordered_set<std::string> present;
    std::size_t size_bytes = 0;
  };
  [[nodiscard]] bool is_list() const noexcept;
  [[nodiscard]] bool open();  // false: not a list
  void add(const std::string& element);
  void drop(const std::string& element);
  void close() noexcept { list_.reset(); }

  Dictionary* strings_;
  Value value_;
  std::optional<List> list_;  // when set, `value_` holds only the type
};

struct StoredOperation;

// The value of the component that `home` is in. REQUIRES: operations by (time, order), links by (time, sequence).
[[nodiscard]] Value fold_component(Origin home, std::span<const StoredOperation> operations,
                                   std::span<const Link> links, Dictionary& strings);

}  // namespace cdp
