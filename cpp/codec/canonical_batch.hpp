// A batch as it is after decode, in the log and in the tail: canonical, columnar, with a dictionary of its own.
//
// Hostile bytes become this once (event_record.cpp); nothing behind it validates again. The tail keeps the batch
// itself (no copy), so a row is read through its shape until it is sealed into chunks.
//
// Invariants: rejects are gone; times are set and clamped; identities are normalised, at least one a record, highest
// rank first, no repeats; nested keys are dotted; every value obeys limits.hpp; every index is in range; a shape has no
// repeated key. `check()` asserts them (used by the parser of log payloads and in tests).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/value.hpp"

namespace cdp {

// Stored in logs: numbers never change. kErase is not built yet: record.type.unsupported.
enum class RecordType : std::uint8_t {
  kEvent = 1,
  kTraits = 2,
  kIdentify = 3,
  kMerge = 4,
  kUnmerge = 5,
  kErase = 6,
  kDevice = 7,
  kConsent = 8,
  kSuppress = 9,
  kGroup = 10,
  kMembership = 11,
  kList = 12,
};

// Batch-local dictionary: names, keys, string values, identity kinds and values. Index = order of first sight.
class StringTable {
 public:
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(ends_.size()); }
  [[nodiscard]] std::string_view at(std::uint32_t index) const noexcept {
    const std::uint32_t begin = index == 0 ? 0 : ends_[index - 1];
    return {bytes_.data() + begin, ends_[index] - begin};
  }
  std::uint32_t append(std::string_view text) {
    bytes_.append(text);
    ends_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    return size() - 1;
  }
  // Forgets every string from `count` on. REQUIRES: count <= size().
  void truncate(std::uint32_t count) {
    bytes_.resize(count == 0 ? 0 : ends_[count - 1]);
    ends_.resize(count);
  }
  void reserve(std::size_t strings, std::size_t bytes) { ends_.reserve(strings), bytes_.reserve(bytes); }
  // REQUIRES: ends ascend, the last is bytes.size().
  void assign(std::string bytes, std::vector<std::uint32_t> ends) {
    bytes_ = std::move(bytes), ends_ = std::move(ends);
  }
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::vector<std::uint32_t>& ends() const noexcept { return ends_; }

 private:
  std::string bytes_;
  std::vector<std::uint32_t> ends_;
};

struct ShapeField {
  std::uint32_t key = 0;  // string index
  ValueType type = ValueType::kNull;
  friend bool operator==(const ShapeField&, const ShapeField&) = default;
};

// Event name and the typed keys of its properties, in the order sent: many events of a batch share one.
struct Shape {
  std::uint32_t name = 0;  // string index
  std::uint32_t first_field = 0;
  std::uint32_t field_count = 0;
};

struct BatchIdentity {
  std::uint32_t kind = 0;   // string index
  std::uint32_t value = 0;  // string index
  std::uint64_t hash = 0;   // hash_identity(kind, value) under the store's key; not logged, recomputed at replay
};

struct EventKey {  // 16 bytes of event_id: UUID, or 128-bit keyed hash; the lowest bit of `high` is the tag. 0,0 = none
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const EventKey&, const EventKey&) = default;
};

// A run of records of one type, in log order; `first` counts within that type's columns.
struct RecordRun {
  RecordType type{};
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

struct EventColumns {
  std::vector<std::int64_t> time_ms;
  std::vector<std::uint32_t> shape;           // index into shapes
  std::vector<std::uint32_t> first_value;     // into values; the count is the shape's
  std::vector<std::uint32_t> first_identity;  // into identity_refs; size n + 1
  std::vector<std::uint32_t> identity_refs;   // into identities, highest rank first
  std::vector<EventKey> event_id;             // empty when no event of the batch has one
  std::vector<std::uint64_t> values;          // bits; string kinds hold a string index
  std::vector<Shape> shapes;
  std::vector<ShapeField> fields;
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(time_ms.size()); }
};

// Stored in logs.
enum class TraitKind : std::uint8_t { kSet = 1, kSetOnce = 2, kUnset = 3, kIncrement = 4, kAppend = 5, kRemove = 6 };

struct TraitOperation {
  std::uint32_t key = 0;  // string index, dotted when nested
  TraitKind kind{};
  Value value;  // null for unset; int or float for increment; a scalar for append and remove
};

struct TraitsRecord {
  std::int64_t time_ms = 0;
  std::uint32_t first_identity = 0;  // into trait_identity_refs
  std::uint32_t identity_count = 0;
  std::uint32_t first_operation = 0;
  std::uint32_t operation_count = 0;
};

struct PairRecord {  // identify: (anonymous, known); merge: (loser, winner)
  std::int64_t time_ms = 0;
  std::uint32_t from = 0;  // into identities
  std::uint32_t to = 0;
};

struct UnmergeRecord {
  std::int64_t time_ms = 0;
  std::uint64_t link_sequence = 0;
};

// A text of a fact: `field` counts in its FactSpec.
struct FactText {
  std::uint8_t field = 0;
  Value value;  // a string, or null where it is no longer so
  friend bool operator==(const FactText&, const FactText&) = default;
};

struct FactRecord {
  std::int64_t time_ms = 0;
  std::uint32_t first_identity = 0;  // into FactColumns::identity_refs
  std::uint32_t identity_count = 0;
  std::array<std::uint32_t, 2> subject{kNone,
                                       kNone};  // string indexes; kNone where the type has none or it is left out
  std::uint8_t state = 0;                       // counts in FactSpec::states
  std::uint32_t first_text = 0;
  std::uint32_t text_count = 0;
};

struct FactColumns {
  std::vector<FactRecord> records;
  std::vector<std::uint32_t> identity_refs;
  std::vector<FactText> texts;
};

// Types of facts, as indexes. Logs hold the RecordType.
enum class FactType : std::uint8_t { kDevice, kConsent, kSuppress, kMembership, kList };
inline constexpr std::size_t kFactTypes = 5;
inline constexpr std::array<RecordType, kFactTypes> kFactRecords{
    RecordType::kDevice, RecordType::kConsent, RecordType::kSuppress, RecordType::kMembership, RecordType::kList};

struct GroupRecord {
  std::int64_t time_ms = 0;
  std::uint32_t kind = 0;  // string index
  std::uint32_t id = 0;    // string index
  std::uint32_t first_operation = 0;
  std::uint32_t operation_count = 0;
};

struct CanonicalBatch {
  std::int64_t received_ms = 0;
  std::string source_id;
  StringTable strings;
  std::vector<BatchIdentity> identities;  // distinct
  std::vector<RecordRun> runs;            // in log order
  EventColumns events;
  std::vector<TraitsRecord> traits;
  std::vector<std::uint32_t> trait_identity_refs;
  std::vector<TraitOperation> trait_operations;
  std::vector<PairRecord> identifies;
  std::vector<PairRecord> merges;
  std::vector<UnmergeRecord> unmerges;
  std::array<FactColumns, kFactTypes> facts;  // by FactType
  std::vector<GroupRecord> groups;
  std::vector<TraitOperation> group_operations;

  [[nodiscard]] std::uint32_t record_count() const noexcept {
    std::uint32_t count = 0;
    for (const RecordRun& run : runs) count += run.count;
    return count;
  }
};

// The client's own time of an event that was ahead by up to kFutureSnapMs is kept under this key (datetime); a dot-free
// `$` key cannot come from a client (reserved).
inline constexpr std::string_view kClientTimeKey = "$client_time_ms";

struct Reject {
  std::uint32_t index = 0;  // of the record in the batch as sent
  std::string_view code;    // from error.hpp
  std::string path;         // "properties.price"
  std::string value;        // ≤ kRejectValueBytes, as a person would read it
  std::string expected;     // "an integer from -2^63 to 2^63-1"
};

}  // namespace cdp
