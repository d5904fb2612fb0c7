// The invariants of a canonical batch, one function a part. ~10 ns an event of 8 fields: every string is looked at once.
#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "codec/canonical_codec.hpp"
#include "codec/fact_spec.hpp"
#include "codec/msgpack_reader.hpp"

namespace cdp {

namespace {

constexpr std::uint64_t kMinusZero = std::uint64_t{1} << 63;

[[noreturn, gnu::cold, gnu::noinline]] void refuse(const char* what) {
  throw Error(Family::kCorruption, code::kLogCorrupt, what);
}

[[gnu::always_inline]] inline void require(bool holds, const char* what) {
  if (!holds) [[unlikely]]
    refuse(what);
}

bool is_time(std::int64_t ms) noexcept { return ms >= limits::kTimeMinMs && ms <= limits::kTimeMaxMs; }

class Checker {
 public:
  explicit Checker(const CanonicalBatch& batch) : batch_(batch), known_(batch.strings.size()) {}

  void run() {
    require(is_time(batch_.received_ms), "received time out of range");
    check_identities();
    check_runs();
    check_shapes();
    check_events();
    check_traits();
    check_links();
    for (const FactSpec& spec : kFactSpecs) check_facts(spec);
    check_groups();
  }

 private:
  static constexpr std::size_t kRecordTypes = static_cast<std::size_t>(RecordType::kList) + 1;
  enum Known : std::uint8_t { kText = 1, kValue = 2, kList = 4 };

  // A name or key: 1 to 256 bytes of UTF-8.
  void check_name(std::uint32_t index, std::size_t bytes_max) {
    require(index < batch_.strings.size(), "no such string");
    const std::string_view text = batch_.strings.at(index);
    require(!text.empty() && text.size() <= bytes_max, "a name or identity of a wrong length");
    check_text(index);
  }
  void check_text(std::uint32_t index) {
    if ((known_[index] & kText) != 0) return;
    require(is_utf8(batch_.strings.at(index)), "a string is not UTF-8");
    known_[index] |= kText;
  }
  void check_string_value(std::uint64_t bits) {
    require(bits < batch_.strings.size(), "no such string");
    if ((known_[bits] & kValue) != 0) return;
    require(batch_.strings.at(static_cast<std::uint32_t>(bits)).size() <= limits::kStringBytes, "a string is too long");
    check_text(static_cast<std::uint32_t>(bits));
    known_[bits] |= kValue;
  }
  void check_list(std::uint64_t bits) {
    require(bits < batch_.strings.size(), "no such string");
    if ((known_[bits] & kList) != 0) return;
    const std::string_view bytes = batch_.strings.at(static_cast<std::uint32_t>(bits));
    require(bytes.size() <= kListBytesMax, "a list is too long");
    MsgpackReader reader(std::as_bytes(std::span(bytes)));
    try {
      const bool is_list = reader.next().wire == Wire::kArray;
      MsgpackReader again(std::as_bytes(std::span(bytes)));
      again.skip();
      require(is_list && again.left() == 0, "a list is not one msgpack array");
    } catch (const Error&) {
      require(false, "a list is not one msgpack array");
    }
    known_[bits] |= kList;
  }
  void check_value(ValueType type, std::uint64_t bits) {
    switch (type) {
      case ValueType::kNull: return require(bits == 0, "a null with bits");
      case ValueType::kBool: return require(bits <= 1, "a bool out of range");
      case ValueType::kInt: return;
      case ValueType::kFloat:
        return require(std::isfinite(std::bit_cast<double>(bits)) && bits != kMinusZero, "a float not canonical");
      case ValueType::kString: return check_string_value(bits);
      case ValueType::kDatetime: return require(is_time(static_cast<std::int64_t>(bits)), "a datetime out of range");
      case ValueType::kList:
      case ValueType::kItems: return check_list(bits);
    }
    require(false, "no such type of value");
  }

  void check_identities() {
    for (const BatchIdentity& identity : batch_.identities) {
      check_name(identity.kind, limits::kNameBytes);
      check_name(identity.value, limits::kIdentityBytes);
    }
  }
  // Identities of one record: in range, at least one, none twice.
  void check_refs(std::span<const std::uint32_t> refs) {
    require(!refs.empty() && refs.size() <= limits::kIdentitiesPerRecord, "a record with no or too many identities");
    for (std::size_t index = 0; index < refs.size(); ++index) {
      require(refs[index] < batch_.identities.size(), "no such identity");
      for (std::size_t before = 0; before < index; ++before) require(refs[before] != refs[index], "an identity twice");
    }
  }

  void check_runs() const {
    std::uint64_t counts[kRecordTypes] = {};
    for (const RecordRun& run : batch_.runs) {
      const auto type = static_cast<std::size_t>(run.type);
      require(type > 0 && type < kRecordTypes && run.type != RecordType::kErase, "no such type of record");
      require(run.count > 0 && run.first == counts[type], "runs out of order");
      counts[type] += run.count;
    }
    const auto has = [&](RecordType type, std::size_t records) {
      require(counts[static_cast<std::size_t>(type)] == records, "runs do not add up to the records");
    };
    has(RecordType::kEvent, batch_.events.size());
    has(RecordType::kTraits, batch_.traits.size());
    has(RecordType::kIdentify, batch_.identifies.size());
    has(RecordType::kMerge, batch_.merges.size());
    has(RecordType::kUnmerge, batch_.unmerges.size());
    has(RecordType::kGroup, batch_.groups.size());
    for (std::size_t type = 0; type < kFactTypes; ++type) has(kFactRecords[type], batch_.facts[type].records.size());
    require(batch_.record_count() <= kCanonicalRecordsMax, "too many records");
  }

  void check_shapes() {
    const EventColumns& events = batch_.events;
    std::vector<std::uint32_t> seen_in(batch_.strings.size(), kNone);
    for (std::uint32_t index = 0; index < events.shapes.size(); ++index) {
      const Shape& shape = events.shapes[index];
      check_name(shape.name, limits::kNameBytes);
      require(shape.field_count <= limits::kProperties + 1, "a shape with too many fields");  // one is $client_time_ms
      require(std::uint64_t{shape.first_field} + shape.field_count <= events.fields.size(),
              "a shape beyond the fields");
      for (const ShapeField& field : std::span(events.fields).subspan(shape.first_field, shape.field_count)) {
        check_name(field.key, limits::kNameBytes);
        require(static_cast<int>(field.type) < kValueTypeCount, "no such type of value");
        require(seen_in[field.key] != index, "a key twice in a shape");
        seen_in[field.key] = index;
      }
    }
  }

  void check_events() {
    const EventColumns& events = batch_.events;
    const std::size_t count = events.size();
    require(events.shape.size() == count && events.first_value.size() == count, "event columns of unequal length");
    require(events.first_identity.size() == count + 1 && events.first_identity[0] == 0 &&
                events.first_identity[count] == events.identity_refs.size(),
            "identities of events do not add up");
    require(events.event_id.empty() || events.event_id.size() == count, "event ids of a wrong count");
    std::uint64_t values = 0;
    for (std::size_t event = 0; event < count; ++event) {
      require(is_time(events.time_ms[event]), "an event's time out of range");
      require(events.shape[event] < events.shapes.size(), "no such shape");
      require(events.first_value[event] == values, "values out of order");
      const Shape& shape = events.shapes[events.shape[event]];
      values += shape.field_count;
      require(values <= events.values.size(), "values do not add up");
      check_values(shape, events.values.data() + events.first_value[event]);
      const std::uint32_t first = events.first_identity[event], last = events.first_identity[event + 1];
      require(first <= last && last <= events.identity_refs.size(), "identities out of order");
      check_refs(std::span(events.identity_refs).subspan(first, last - first));
    }
    require(values == events.values.size(), "values do not add up");
  }
  void check_values(const Shape& shape, const std::uint64_t* values) {
    const ShapeField* const fields = batch_.events.fields.data() + shape.first_field;
    for (std::uint32_t index = 0; index < shape.field_count; ++index) check_value(fields[index].type, values[index]);
  }

  void check_traits() {
    std::uint64_t identities = 0, operations = 0;
    for (const TraitsRecord& record : batch_.traits) {
      require(is_time(record.time_ms), "a traits record's time out of range");
      require(record.first_identity == identities && record.first_operation == operations, "traits out of order");
      identities += record.identity_count;
      operations += record.operation_count;
      require(identities <= batch_.trait_identity_refs.size(), "identities of traits do not add up");
      require(record.operation_count <= limits::kProperties, "too many operations in a record");
      check_refs(std::span(batch_.trait_identity_refs).subspan(record.first_identity, record.identity_count));
    }
    require(identities == batch_.trait_identity_refs.size(), "identities of traits do not add up");
    require(operations == batch_.trait_operations.size(), "operations of traits do not add up");
    for (const TraitOperation& operation : batch_.trait_operations) check_operation(operation);
  }
  void check_operation(const TraitOperation& operation) {
    check_name(operation.key, limits::kNameBytes);
    check_value(operation.value.type, operation.value.bits);
    const ValueType type = operation.value.type;
    const bool is_list = type == ValueType::kList || type == ValueType::kItems;
    switch (operation.kind) {
      case TraitKind::kSet:
      case TraitKind::kSetOnce: return;
      case TraitKind::kUnset: return require(type == ValueType::kNull, "an unset with a value");
      case TraitKind::kIncrement:
        return require(type == ValueType::kInt || type == ValueType::kFloat, "an increment by no number");
      case TraitKind::kAppend:
      case TraitKind::kRemove: return require(!is_list, "a list appended or removed");
    }
    require(false, "no such trait operation");
  }

  void check_links() const {
    const auto check_pair = [this](const PairRecord& pair) {
      require(is_time(pair.time_ms), "a link's time out of range");
      require(pair.from < batch_.identities.size() && pair.to < batch_.identities.size(), "no such identity");
    };
    std::ranges::for_each(batch_.identifies, check_pair);
    std::ranges::for_each(batch_.merges, check_pair);
    for (const UnmergeRecord& record : batch_.unmerges)
      require(is_time(record.time_ms), "an unmerge's time out of range");
  }

  void check_facts(const FactSpec& spec) {
    const FactColumns& columns = batch_.facts[static_cast<std::size_t>(spec.type)];
    std::uint64_t identities = 0, texts = 0;
    for (const FactRecord& record : columns.records) {
      require(is_time(record.time_ms), "a fact's time out of range");
      require(record.state < spec.states.size(), "no such state");
      require(record.first_identity == identities && record.first_text == texts, "facts out of order");
      identities += record.identity_count;
      texts += record.text_count;
      require(identities <= columns.identity_refs.size() && texts <= columns.texts.size(), "facts do not add up");
      check_refs(std::span(columns.identity_refs).subspan(record.first_identity, record.identity_count));
      check_subjects(spec, record);
      check_texts(spec, std::span(columns.texts).subspan(record.first_text, record.text_count));
    }
    require(identities == columns.identity_refs.size() && texts == columns.texts.size(), "facts do not add up");
  }
  void check_subjects(const FactSpec& spec, const FactRecord& record) {
    for (std::size_t place = 0; place < record.subject.size(); ++place) {
      const bool is_possible = place < spec.subjects.size();
      const bool is_needed = is_possible && (place == 0 || spec.second_is_required);
      const bool is_there = record.subject[place] != kNone;
      require(is_there ? is_possible : !is_needed, "a fact about nothing, or too much");
      if (is_there) check_name(record.subject[place], spec.subjects[place].bytes_max);
    }
  }
  void check_texts(const FactSpec& spec, std::span<const FactText> texts) {
    int before = -1;
    for (const FactText& text : texts) {
      require(text.field < spec.texts.size() && text.field > before, "no such text of a fact, or out of order");
      before = text.field;
      if (text.value.type == ValueType::kNull) {
        require(spec.texts[text.field].stays && text.value.bits == 0, "a null that says nothing");
        continue;
      }
      require(text.value.type == ValueType::kString && text.value.bits < kNone, "a text that is none");
      check_name(static_cast<std::uint32_t>(text.value.bits), spec.texts[text.field].bytes_max);
    }
  }

  void check_groups() {
    std::uint64_t operations = 0;
    for (const GroupRecord& record : batch_.groups) {
      require(is_time(record.time_ms), "a group's time out of range");
      check_name(record.kind, limits::kNameBytes);
      check_name(record.id, limits::kIdentityBytes);
      require(record.first_operation == operations, "groups out of order");
      operations += record.operation_count;
      require(record.operation_count <= limits::kProperties, "too many operations in a record");
    }
    require(operations == batch_.group_operations.size(), "operations of groups do not add up");
    for (const TraitOperation& operation : batch_.group_operations) check_operation(operation);
  }

  const CanonicalBatch& batch_;
  std::vector<std::uint8_t> known_;  // what each string was found to be
};

}  // namespace

void check(const CanonicalBatch& batch) { Checker(batch).run(); }

}  // namespace cdp
