#include "codec/event_record.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "codec/fact_spec.hpp"
#include "codec/record_decoders.hpp"

namespace cdp {

namespace {

struct TypeName {
  std::string_view name;
  RecordType type;
};
constexpr std::string_view kTypesExpected = "one of event, traits, identify, merge, unmerge, device, consent";
constexpr bool is_built(RecordType type) noexcept {
  return type <= RecordType::kUnmerge || type == RecordType::kDevice || type == RecordType::kConsent;
}
constexpr std::array<TypeName, 12> kTypeNames{{{"event", RecordType::kEvent},
                                               {"traits", RecordType::kTraits},
                                               {"identify", RecordType::kIdentify},
                                               {"merge", RecordType::kMerge},
                                               {"unmerge", RecordType::kUnmerge},
                                               {"erase", RecordType::kErase},
                                               {"device", RecordType::kDevice},
                                               {"consent", RecordType::kConsent},
                                               {"suppress", RecordType::kSuppress},
                                               {"group", RecordType::kGroup},
                                               {"membership", RecordType::kMembership},
                                               {"list", RecordType::kList}}};

// What a refused record may have added, and where it began.
struct Mark {
  std::uint32_t strings = 0;
  std::uint32_t identities = 0;
  std::size_t operations = 0;
};

class BatchDecoder {
 public:
  BatchDecoder(std::span<const std::byte> bytes, const DecodeOptions& options)
      : bytes_(bytes),
        context_(bytes, options, result_.batch),
        identities_(context_),
        events_(context_, identities_),
        traits_(context_, identities_) {
    result_.batch.received_ms = options.received_ms;
    result_.batch.source_id = options.source_id;
  }

  DecodeResult run() {
    const std::uint32_t count = read_header();
    reserve(count);
    for (std::uint32_t index = 0; index < count; ++index) read_record(index);
    if (context_.reader.left() != 0) MsgpackReader::unreadable("bytes behind the batch");
    return std::move(result_);
  }

 private:
  std::uint32_t read_header() {
    const Token token = context_.reader.next();
    if (token.wire != Wire::kArray) {
      throw Error(Family::kBadFrame, code::kBatchNotAnArray, "a batch is an array of records, not " + readable(token));
    }
    if (token.count > limits::kBatchRecords) {
      throw Error(Family::kBadFrame, code::kBatchTooMany,
                  "a batch holds at most 10000 records, not " + std::to_string(token.count));
    }
    return token.count;
  }

  // By the sizes that events usually have; a batch of another kind grows as it goes.
  void reserve(std::uint32_t count) {
    EventColumns& events = result_.batch.events;
    events.time_ms.reserve(count);
    events.shape.reserve(count);
    events.first_value.reserve(count);
    events.first_identity.reserve(count + 1);
    events.first_identity.push_back(0);
    events.identity_refs.reserve(count);
    events.values.reserve(bytes_.size() / 20);
    result_.batch.identities.reserve(count / 2);
    result_.batch.strings.reserve(bytes_.size() / 100, bytes_.size() / 10);
  }

  void read_record(std::uint32_t index) {
    CanonicalBatch& batch = result_.batch;
    const Mark mark{batch.strings.size(), static_cast<std::uint32_t>(batch.identities.size()),
                    batch.trait_operations.size()};
    context_.record_begin = context_.reader.position();
    context_.operations_before = mark.operations;
    context_.keys.clear();
    RecordType type{};
    if (read_type(type) && read_fields_of(type)) [[likely]] {
      add_to_run(type);
      if (!result_.rejects.empty()) result_.record_index.push_back(index);
    } else {
      take_back(mark);
      refuse(index);
    }
  }

  // Finds the record's type; the reader is left before the fields to read, `count_` of them.
  bool read_type(RecordType& type) {
    MsgpackReader& reader = context_.reader;
    const Token map = reader.next();
    if (map.wire != Wire::kMap) return context_.fail(code::kRecordNotAMap, "", map, "a map with a type");
    count_ = map.count;
    const std::uint8_t* const fields = reader.position();
    for (std::uint32_t pair = 0; pair < map.count; ++pair) {
      const Token key = reader.next();
      if (key.wire == Wire::kString && key.text() == "type") {
        const Token value = reader.next();
        context_.type_is_read = pair == 0 && value.wire == Wire::kString;  // all senders that we know put it first
        if (context_.type_is_read) {
          --count_;
        } else {
          reader.seek(fields);
        }
        return find_type(value, type);
      }
      if (key.wire == Wire::kArray || key.wire == Wire::kMap)
        return context_.fail(code::kKeyNotString, "", key, "a string as key");
      reader.skip();
    }
    return context_.fail(code::kRecordTypeMissing, "type", "", "the type of the record");
  }

  bool find_type(const Token& value, RecordType& type) {
    if (value.wire != Wire::kString) return context_.fail(code::kRecordFieldType, "type", value, "a string");
    const auto* const known = std::ranges::find(kTypeNames, value.text(), &TypeName::name);
    if (known == kTypeNames.end()) {
      return context_.fail(code::kRecordTypeUnknown, "type", value, kTypesExpected);
    }
    type = known->type;
    return type != RecordType::kErase || context_.fail(code::kRecordTypeUnsupported, "type", value, kTypesExpected);
  }

  bool read_fields_of(RecordType type) {
    switch (type) {
      case RecordType::kEvent: return events_.read(count_);
      case RecordType::kTraits: return traits_.read(count_);
      case RecordType::kIdentify: return read_identify(context_, identities_, count_);
      case RecordType::kMerge: return read_merge(context_, identities_, count_);
      case RecordType::kUnmerge: return read_unmerge(context_, count_);
      case RecordType::kGroup: return traits_.read_group(count_);
      default: return read_fact(context_, identities_, *fact_type(type), count_);  // find_type lets no other pass
    }
  }

  void add_to_run(RecordType type) {
    std::vector<RecordRun>& runs = result_.batch.runs;
    std::uint32_t& count = type_counts_[static_cast<std::size_t>(type)];
    if (runs.empty() || runs.back().type != type) runs.push_back({type, count, 0});
    ++runs.back().count;
    ++count;
  }

  void take_back(const Mark& mark) {
    identities_.truncate(mark.identities, mark.strings);
    context_.strings.truncate(mark.strings);
    result_.batch.trait_operations.resize(mark.operations);
  }

  // Passes over the record, which may have been left anywhere; its structure must hold.
  void refuse(std::uint32_t index) {
    context_.reader.seek(context_.record_begin);
    context_.reader.skip();
    if (context_.is_too_large()) {
      const std::ptrdiff_t size = context_.reader.position() - context_.record_begin;
      context_.fail(code::kRecordTooLarge, "", std::to_string(size), "at most 65536 bytes");
    }
    if (result_.rejects.empty()) {  // all before were kept
      result_.record_index.resize(index);
      std::iota(result_.record_index.begin(), result_.record_index.end(), 0u);
    }
    context_.reject.index = index;
    result_.rejects.push_back(std::move(context_.reject));
    context_.reject = {};
  }

  std::span<const std::byte> bytes_;
  DecodeResult result_;
  DecodeContext context_;
  IdentityField identities_;
  EventDecoder events_;
  TraitsDecoder traits_;
  std::uint32_t count_ = 0;  // pairs of the record in hand
  std::array<std::uint32_t, 16> type_counts_{};
};

}  // namespace

DecodeResult decode_batch(std::span<const std::byte> bytes, const DecodeOptions& options) {
  if (options.received_ms < limits::kTimeMinMs || options.received_ms > limits::kTimeMaxMs) {
    throw Error(Family::kInvalidRequest, code::kTimeOutOfRange, "received time outside 1973 to 2100", "received_ms");
  }
  if (bytes.size() > limits::kBatchBytes) {
    throw Error(Family::kBadFrame, code::kBatchTooLarge,
                "a batch has at most 8388608 bytes, not " + std::to_string(bytes.size()));
  }
  return BatchDecoder(bytes, options).run();
}

}  // namespace cdp
