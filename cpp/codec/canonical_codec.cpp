#include "codec/canonical_codec.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "codec/fact_spec.hpp"
#include "codec/narrow_column.hpp"

namespace cdp {

namespace {

// More of anything than a batch of kBatchBytes can hold (a byte each at least) is damage, not data.
constexpr std::size_t kCountMax = limits::kBatchBytes;
constexpr std::size_t kValuesMax = kCanonicalRecordsMax * (limits::kProperties + 1);  // one is $client_time_ms
constexpr std::size_t kIdentitiesMax = kCanonicalRecordsMax * limits::kIdentitiesPerRecord;

std::uint32_t identity_count(const EventColumns& events, std::size_t event) noexcept {
  return events.first_identity[event + 1] - events.first_identity[event];
}

// --- encode

void put_strings(NarrowWriter& out, const StringTable& strings) {
  const std::vector<std::uint32_t>& ends = strings.ends();
  out.number(strings.size());
  out.column(ends.size(),
             [&](std::size_t index) -> std::uint64_t { return ends[index] - (index == 0 ? 0 : ends[index - 1]); });
  out.number(static_cast<std::uint32_t>(strings.bytes().size()));
  out.bytes(strings.bytes().data(), strings.bytes().size());
}

void put_identities(NarrowWriter& out, const std::vector<BatchIdentity>& identities) {
  out.number(static_cast<std::uint32_t>(identities.size()));
  out.column(identities.size(), [&](std::size_t index) { return std::uint64_t{identities[index].kind}; });
  out.column(identities.size(), [&](std::size_t index) { return std::uint64_t{identities[index].value}; });
}

void put_runs(NarrowWriter& out, const std::vector<RecordRun>& runs) {
  out.number(static_cast<std::uint32_t>(runs.size()));
  for (const RecordRun& run : runs) {
    out.number(static_cast<std::uint8_t>(run.type));
    out.number(run.count);
  }
}

void put_shapes(NarrowWriter& out, const EventColumns& events) {
  out.number(static_cast<std::uint32_t>(events.shapes.size()));
  out.number(static_cast<std::uint32_t>(events.fields.size()));
  out.column(events.shapes.size(), [&](std::size_t index) { return std::uint64_t{events.shapes[index].name}; });
  out.column(events.shapes.size(), [&](std::size_t index) { return std::uint64_t{events.shapes[index].field_count}; });
  out.column(events.fields.size(), [&](std::size_t index) { return std::uint64_t{events.fields[index].key}; });
  for (const ShapeField& field : events.fields) out.number(static_cast<std::uint8_t>(field.type));
}

struct Narrow {  // how the values of one field are coded
  std::uint64_t base = ~std::uint64_t{0};
  std::uint64_t last = 0;
  std::uint8_t width = 0;
};

std::vector<Narrow> narrow_fields(const EventColumns& events) {
  std::vector<Narrow> fields(events.fields.size());
  for (std::size_t event = 0; event < events.shape.size(); ++event) {
    const Shape& shape = events.shapes[events.shape[event]];
    const std::uint64_t* const values = events.values.data() + events.first_value[event];
    Narrow* const narrow = fields.data() + shape.first_field;
    for (std::uint32_t index = 0; index < shape.field_count; ++index) {
      narrow[index].base = std::min(narrow[index].base, values[index]);
      narrow[index].last = std::max(narrow[index].last, values[index]);
    }
  }
  for (Narrow& field : fields) {
    if (field.base > field.last) field.base = field.last;  // of a shape without events
    field.width = narrow_bytes(field.last - field.base);
  }
  return fields;
}

void put_values(NarrowWriter& out, const EventColumns& events) {
  const std::vector<Narrow> fields = narrow_fields(events);
  for (const Narrow& field : fields) {
    out.number(field.base);
    out.number(field.width);
  }
  std::vector<std::size_t> shape_bytes;
  shape_bytes.reserve(events.shapes.size());
  for (const Shape& shape : events.shapes) {
    std::size_t bytes = 0;
    for (std::uint32_t index = 0; index < shape.field_count; ++index) bytes += fields[shape.first_field + index].width;
    shape_bytes.push_back(bytes);
  }
  std::size_t size = 0;
  for (const std::uint32_t shape : events.shape) size += shape_bytes[shape];
  std::byte* at = out.claim(size);
  for (std::size_t event = 0; event < events.shape.size(); ++event) {
    const Shape& shape = events.shapes[events.shape[event]];
    const std::uint64_t* const values = events.values.data() + events.first_value[event];
    const Narrow* const narrow = fields.data() + shape.first_field;
    for (std::uint32_t index = 0; index < shape.field_count; ++index) {
      const std::uint64_t code = values[index] - narrow[index].base;
      std::memcpy(at, &code, sizeof code);
      at += narrow[index].width;
    }
  }
}

void put_events(NarrowWriter& out, const EventColumns& events) {
  out.number(events.size());
  put_shapes(out, events);
  out.column(events.time_ms);
  out.column(events.shape);
  out.column(events.size(), [&](std::size_t event) { return std::uint64_t{identity_count(events, event)}; });
  out.number(static_cast<std::uint32_t>(events.identity_refs.size()));
  out.column(events.identity_refs);
  out.number(static_cast<std::uint8_t>(!events.event_id.empty()));
  out.bytes(events.event_id.data(), events.event_id.size() * sizeof(EventKey));
  put_values(out, events);
}

void put_operations(NarrowWriter& out, const std::vector<TraitOperation>& operations) {
  out.number(static_cast<std::uint32_t>(operations.size()));
  out.column(operations.size(), [&](std::size_t index) { return std::uint64_t{operations[index].key}; });
  for (const TraitOperation& operation : operations) out.number(static_cast<std::uint8_t>(operation.kind));
  for (const TraitOperation& operation : operations) out.number(static_cast<std::uint8_t>(operation.value.type));
  out.column(operations.size(), [&](std::size_t index) { return operations[index].value.bits; });
}

void put_traits(NarrowWriter& out, const CanonicalBatch& batch) {
  const std::vector<TraitsRecord>& traits = batch.traits;
  out.number(static_cast<std::uint32_t>(traits.size()));
  out.column(traits.size(), [&](std::size_t index) { return static_cast<std::uint64_t>(traits[index].time_ms); });
  out.column(traits.size(), [&](std::size_t index) { return std::uint64_t{traits[index].identity_count}; });
  out.column(traits.size(), [&](std::size_t index) { return std::uint64_t{traits[index].operation_count}; });
  out.number(static_cast<std::uint32_t>(batch.trait_identity_refs.size()));
  out.column(batch.trait_identity_refs);
  put_operations(out, batch.trait_operations);
}

void put_pairs(NarrowWriter& out, const std::vector<PairRecord>& pairs) {
  out.number(static_cast<std::uint32_t>(pairs.size()));
  out.column(pairs.size(), [&](std::size_t index) { return static_cast<std::uint64_t>(pairs[index].time_ms); });
  out.column(pairs.size(), [&](std::size_t index) { return std::uint64_t{pairs[index].from}; });
  out.column(pairs.size(), [&](std::size_t index) { return std::uint64_t{pairs[index].to}; });
}

void put_unmerges(NarrowWriter& out, const std::vector<UnmergeRecord>& unmerges) {
  out.number(static_cast<std::uint32_t>(unmerges.size()));
  out.column(unmerges.size(), [&](std::size_t index) { return static_cast<std::uint64_t>(unmerges[index].time_ms); });
  out.column(unmerges.size(), [&](std::size_t index) { return unmerges[index].link_sequence; });
}

std::uint64_t plus_one(std::uint32_t string) noexcept { return string + 1u; }  // kNone becomes 0

void put_facts(NarrowWriter& out, const CanonicalBatch& batch) {
  const auto present =
      std::ranges::count_if(batch.facts, [](const FactColumns& columns) { return !columns.records.empty(); });
  out.number(static_cast<std::uint8_t>(present));
  for (std::size_t type = 0; type < kFactTypes; ++type) {
    const std::vector<FactRecord>& records = batch.facts[type].records;
    const std::vector<FactText>& texts = batch.facts[type].texts;
    if (records.empty()) continue;
    out.number(static_cast<std::uint8_t>(kFactRecords[type]));
    out.number(static_cast<std::uint32_t>(records.size()));
    out.column(records.size(), [&](std::size_t index) { return static_cast<std::uint64_t>(records[index].time_ms); });
    out.column(records.size(), [&](std::size_t index) { return std::uint64_t{records[index].identity_count}; });
    for (const std::size_t subject : {0u, 1u}) {
      out.column(records.size(), [&](std::size_t index) { return plus_one(records[index].subject[subject]); });
    }
    out.column(records.size(), [&](std::size_t index) { return std::uint64_t{records[index].state}; });
    out.column(records.size(), [&](std::size_t index) { return std::uint64_t{records[index].text_count}; });
    out.number(static_cast<std::uint32_t>(batch.facts[type].identity_refs.size()));
    out.column(batch.facts[type].identity_refs);
    out.number(static_cast<std::uint32_t>(texts.size()));
    out.column(texts.size(), [&](std::size_t index) { return std::uint64_t{texts[index].field}; });
    out.column(texts.size(), [&](std::size_t index) {
      const Value& value = texts[index].value;
      return value.type == ValueType::kNull ? 0 : value.bits + 1;
    });
  }
}

void put_groups(NarrowWriter& out, const CanonicalBatch& batch) {
  const std::vector<GroupRecord>& groups = batch.groups;
  out.number(static_cast<std::uint32_t>(groups.size()));
  if (groups.empty()) return;
  out.column(groups.size(), [&](std::size_t index) { return static_cast<std::uint64_t>(groups[index].time_ms); });
  out.column(groups.size(), [&](std::size_t index) { return std::uint64_t{groups[index].kind}; });
  out.column(groups.size(), [&](std::size_t index) { return std::uint64_t{groups[index].id}; });
  out.column(groups.size(), [&](std::size_t index) { return std::uint64_t{groups[index].operation_count}; });
  put_operations(out, batch.group_operations);
}

// --- decode. What is read here is only made safe to walk; `check` judges the rest.

template <class T, class Member>
void get_member(NarrowReader& in, std::vector<T>& records, Member T::* member) {
  in.column(records.size(), [&](std::size_t index, std::uint64_t value) {
    records[index].*member = static_cast<Member>(value);
    if (static_cast<std::uint64_t>(records[index].*member) != value) {
      NarrowReader::corrupt("a value of a canonical batch is out of range");
    }
  });
}

std::string_view get_text(NarrowReader& in) {
  const std::uint32_t size = in.number<std::uint32_t>();
  return {reinterpret_cast<const char*>(in.bytes(size)), size};
}

void get_strings(NarrowReader& in, StringTable& strings) {
  std::vector<std::uint32_t> sizes;
  in.column(sizes, in.count(std::min(kCountMax, in.left() + 1)));  // only one can be empty, if they are distinct
  const std::string_view bytes = get_text(in);
  std::uint64_t end = 0;
  for (std::uint32_t& size : sizes) {
    end += size;
    if (end > bytes.size()) NarrowReader::corrupt("a string of a canonical batch ends beyond its bytes");
    size = static_cast<std::uint32_t>(end);
  }
  if (end != bytes.size()) NarrowReader::corrupt("bytes of a canonical batch belong to no string");
  strings.assign(std::string(bytes), std::move(sizes));
}

void get_identities(NarrowReader& in, CanonicalBatch& batch, std::uint64_t hash_key) {
  batch.identities.resize(in.count(std::min(kIdentitiesMax, in.left() + 1)));
  get_member(in, batch.identities, &BatchIdentity::kind);
  get_member(in, batch.identities, &BatchIdentity::value);
  std::uint32_t kind = kNone;
  std::uint64_t kind_key = 0;
  for (BatchIdentity& identity : batch.identities) {
    if (identity.kind >= batch.strings.size() || identity.value >= batch.strings.size()) {
      NarrowReader::corrupt("an identity of a canonical batch has no string");
    }
    if (identity.kind != kind) {  // hash_identity, with the kind's part made once for its run
      kind = identity.kind;
      kind_key = hash_key ^ hash_bytes(batch.strings.at(kind), hash_key);
    }
    identity.hash = hash_bytes(batch.strings.at(identity.value), kind_key);
  }
}

void get_runs(NarrowReader& in, std::vector<RecordRun>& runs) {
  runs.resize(in.count(in.left() / 5));
  std::uint32_t first[256] = {};
  for (RecordRun& run : runs) {
    const auto type = in.number<std::uint8_t>();
    run = {static_cast<RecordType>(type), first[type], in.count(kCanonicalRecordsMax - first[type])};
    first[type] += run.count;
  }
}

void get_shapes(NarrowReader& in, EventColumns& events) {
  events.shapes.resize(in.count(kCanonicalRecordsMax));
  events.fields.resize(in.count(in.left()));
  get_member(in, events.shapes, &Shape::name);
  get_member(in, events.shapes, &Shape::field_count);
  std::uint64_t first = 0;
  for (Shape& shape : events.shapes) {
    shape.first_field = static_cast<std::uint32_t>(first);
    first += shape.field_count;
    if (first > events.fields.size()) break;
  }
  if (first != events.fields.size()) NarrowReader::corrupt("shapes of a canonical batch do not add up to its fields");
  get_member(in, events.fields, &ShapeField::key);
  for (ShapeField& field : events.fields) field.type = static_cast<ValueType>(in.number<std::uint8_t>());
}

std::vector<Narrow> get_narrow_fields(NarrowReader& in, std::size_t count) {
  std::vector<Narrow> fields(count);
  for (Narrow& field : fields) {
    field.base = in.number<std::uint64_t>();
    field.width = in.width();
    field.last = narrow_mask(field.width);
  }
  return fields;
}

// Where each event's values begin, and how many bytes they all take.
std::uint64_t place_values(EventColumns& events, const std::vector<Narrow>& fields) {
  std::vector<std::uint32_t> shape_bytes;
  shape_bytes.reserve(events.shapes.size());
  for (const Shape& shape : events.shapes) {
    std::uint32_t bytes = 0;
    for (std::uint32_t index = 0; index < shape.field_count; ++index) bytes += fields[shape.first_field + index].width;
    shape_bytes.push_back(bytes);
  }
  std::uint64_t values = 0, bytes = 0;
  events.first_value.reserve(events.shape.size());
  for (const std::uint32_t shape : events.shape) {
    if (shape >= events.shapes.size()) NarrowReader::corrupt("an event of a canonical batch has no shape");
    events.first_value.push_back(static_cast<std::uint32_t>(values));
    values += events.shapes[shape].field_count;
    bytes += shape_bytes[shape];
    if (values > kValuesMax) NarrowReader::corrupt("a canonical batch has too many values");
  }
  events.values.resize(values);
  return bytes;
}

void get_values(NarrowReader& in, EventColumns& events) {
  const std::vector<Narrow> fields = get_narrow_fields(in, events.fields.size());
  const std::uint64_t size = place_values(events, fields);
  const std::byte* at = in.bytes(size);
  const std::byte* const end = at + size;
  std::uint64_t* out = events.values.data();
  for (const std::uint32_t shape_index : events.shape) {
    const Shape& shape = events.shapes[shape_index];
    const Narrow* const narrow = fields.data() + shape.first_field;
    for (std::uint32_t index = 0; index < shape.field_count; ++index) {
      std::uint64_t code = 0;
      if (end - at >= 8) [[likely]] {
        std::memcpy(&code, at, 8);
      } else {
        std::memcpy(&code, at, static_cast<std::size_t>(end - at));
      }
      *out++ = narrow[index].base + (code & narrow[index].last);
      at += narrow[index].width;
    }
  }
}

void get_events(NarrowReader& in, EventColumns& events) {
  const std::uint32_t count = in.count(kCanonicalRecordsMax);
  get_shapes(in, events);
  in.column(events.time_ms, count);
  in.column(events.shape, count);
  events.first_identity.resize(std::size_t{count} + 1);
  std::uint64_t refs = 0;
  in.column(count, [&](std::size_t event, std::uint64_t identities) {
    if (identities > limits::kIdentitiesPerRecord) NarrowReader::corrupt("a canonical batch has too many identities");
    refs += identities;
    events.first_identity[event + 1] = static_cast<std::uint32_t>(refs);
  });
  if (in.number<std::uint32_t>() != refs) NarrowReader::corrupt("identities of events do not add up");
  in.column(events.identity_refs, refs);
  if (in.number<std::uint8_t>() != 0) {
    const std::byte* const keys = in.bytes(count * sizeof(EventKey));
    events.event_id.resize(count);
    if (count != 0) std::memcpy(events.event_id.data(), keys, count * sizeof(EventKey));
  }
  get_values(in, events);
}

void get_operations(NarrowReader& in, std::vector<TraitOperation>& list, std::uint64_t count) {
  if (in.number<std::uint32_t>() != count) NarrowReader::corrupt("trait operations do not add up");
  if (count > in.left()) NarrowReader::corrupt("a canonical batch ends early");
  list.resize(count);
  get_member(in, list, &TraitOperation::key);
  for (TraitOperation& operation : list) operation.kind = static_cast<TraitKind>(in.number<std::uint8_t>());
  for (TraitOperation& operation : list) operation.value.type = static_cast<ValueType>(in.number<std::uint8_t>());
  in.column(list.size(), [&](std::size_t index, std::uint64_t bits) { list[index].value.bits = bits; });
}

void get_traits(NarrowReader& in, CanonicalBatch& batch) {
  std::vector<TraitsRecord>& traits = batch.traits;
  traits.resize(in.count(kCanonicalRecordsMax));
  get_member(in, traits, &TraitsRecord::time_ms);
  get_member(in, traits, &TraitsRecord::identity_count);
  get_member(in, traits, &TraitsRecord::operation_count);
  std::uint64_t identities = 0, operations = 0;
  for (TraitsRecord& record : traits) {
    record.first_identity = static_cast<std::uint32_t>(identities);
    record.first_operation = static_cast<std::uint32_t>(operations);
    identities += record.identity_count;
    operations += record.operation_count;
    if (record.identity_count > limits::kIdentitiesPerRecord || record.operation_count > limits::kProperties) {
      NarrowReader::corrupt("a traits record is too long");
    }
  }
  if (in.number<std::uint32_t>() != identities) NarrowReader::corrupt("identities of traits do not add up");
  in.column(batch.trait_identity_refs, identities);
  get_operations(in, batch.trait_operations, operations);
}

void get_pairs(NarrowReader& in, std::vector<PairRecord>& pairs) {
  pairs.resize(in.count(kCanonicalRecordsMax));
  get_member(in, pairs, &PairRecord::time_ms);
  get_member(in, pairs, &PairRecord::from);
  get_member(in, pairs, &PairRecord::to);
}

void get_unmerges(NarrowReader& in, std::vector<UnmergeRecord>& unmerges) {
  unmerges.resize(in.count(kCanonicalRecordsMax));
  get_member(in, unmerges, &UnmergeRecord::time_ms);
  get_member(in, unmerges, &UnmergeRecord::link_sequence);
}

std::uint32_t minus_one(std::uint64_t code) {
  if (code > kNone) NarrowReader::corrupt("a value of a canonical batch is out of range");
  return static_cast<std::uint32_t>(code) - 1;  // 0 becomes kNone
}

// Where each record's identities and texts begin; how many they all are.
void place_facts(std::vector<FactRecord>& records, std::uint64_t& identities, std::uint64_t& texts) {
  for (FactRecord& record : records) {
    record.first_identity = static_cast<std::uint32_t>(identities);
    record.first_text = static_cast<std::uint32_t>(texts);
    identities += record.identity_count;
    texts += record.text_count;
    if (record.identity_count > limits::kIdentitiesPerRecord || record.text_count > kFactTexts) {
      NarrowReader::corrupt("a fact is too long");
    }
  }
}

void get_fact_columns(NarrowReader& in, FactColumns& columns) {
  std::vector<FactRecord>& records = columns.records;
  records.resize(in.count(kCanonicalRecordsMax));
  get_member(in, records, &FactRecord::time_ms);
  get_member(in, records, &FactRecord::identity_count);
  for (const std::size_t subject : {0u, 1u}) {
    in.column(records.size(),
              [&](std::size_t index, std::uint64_t code) { records[index].subject[subject] = minus_one(code); });
  }
  get_member(in, records, &FactRecord::state);
  get_member(in, records, &FactRecord::text_count);
  std::uint64_t identities = 0, texts = 0;
  place_facts(records, identities, texts);
  if (in.number<std::uint32_t>() != identities) NarrowReader::corrupt("identities of facts do not add up");
  in.column(columns.identity_refs, identities);
  if (in.number<std::uint32_t>() != texts) NarrowReader::corrupt("texts of facts do not add up");
  columns.texts.resize(texts);
  get_member(in, columns.texts, &FactText::field);
  in.column(texts, [&](std::size_t index, std::uint64_t code) {
    if (code != 0) columns.texts[index].value = {ValueType::kString, minus_one(code)};
  });
}

void get_facts(NarrowReader& in, CanonicalBatch& batch) {
  const auto types = in.number<std::uint8_t>();
  int before = -1;
  for (std::uint8_t at = 0; at < types; ++at) {
    const std::optional<FactType> type = fact_type(static_cast<RecordType>(in.number<std::uint8_t>()));
    if (!type || static_cast<int>(*type) <= before) NarrowReader::corrupt("types of facts out of order");
    before = static_cast<int>(*type);
    get_fact_columns(in, batch.facts[static_cast<std::size_t>(before)]);
  }
}

void get_groups(NarrowReader& in, CanonicalBatch& batch) {
  std::vector<GroupRecord>& groups = batch.groups;
  groups.resize(in.count(kCanonicalRecordsMax));
  if (groups.empty()) return;
  get_member(in, groups, &GroupRecord::time_ms);
  get_member(in, groups, &GroupRecord::kind);
  get_member(in, groups, &GroupRecord::id);
  get_member(in, groups, &GroupRecord::operation_count);
  std::uint64_t operations = 0;
  for (GroupRecord& record : groups) {
    record.first_operation = static_cast<std::uint32_t>(operations);
    operations += record.operation_count;
    if (record.operation_count > limits::kProperties) NarrowReader::corrupt("a group record is too long");
  }
  get_operations(in, batch.group_operations, operations);
}

}  // namespace

void encode_canonical(const CanonicalBatch& batch, std::vector<std::byte>& out) {
  if (batch.record_count() > kCanonicalRecordsMax) {
    throw Error(Family::kLimitExceeded, code::kBatchTooMany, "a canonical batch holds at most 65536 records");
  }
  NarrowWriter writer(out);
  writer.number(batch.received_ms);
  writer.number(static_cast<std::uint32_t>(batch.source_id.size()));
  writer.bytes(batch.source_id.data(), batch.source_id.size());
  put_strings(writer, batch.strings);
  put_identities(writer, batch.identities);
  put_runs(writer, batch.runs);
  put_events(writer, batch.events);
  put_traits(writer, batch);
  put_pairs(writer, batch.identifies);
  put_pairs(writer, batch.merges);
  put_unmerges(writer, batch.unmerges);
  put_facts(writer, batch);
  put_groups(writer, batch);
  writer.finish();
}

CanonicalBatch decode_canonical(std::span<const std::byte> bytes, std::uint64_t hash_key) {
  NarrowReader reader(bytes);
  CanonicalBatch batch;
  batch.received_ms = reader.number<std::int64_t>();
  batch.source_id = get_text(reader);
  get_strings(reader, batch.strings);
  get_identities(reader, batch, hash_key);
  get_runs(reader, batch.runs);
  get_events(reader, batch.events);
  get_traits(reader, batch);
  get_pairs(reader, batch.identifies);
  get_pairs(reader, batch.merges);
  get_unmerges(reader, batch.unmerges);
  get_facts(reader, batch);
  get_groups(reader, batch);
  if (reader.left() != 0) NarrowReader::corrupt("bytes behind a canonical batch");
  check(batch);
  return batch;
}

}  // namespace cdp
