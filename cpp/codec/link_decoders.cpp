// identify, merge, unmerge: the records that join profiles and take them apart.
#include <array>

#include "codec/record_decoders.hpp"
#include "codec/value_decoder.hpp"

namespace cdp {

bool read_time(DecodeContext& context, RecordTime& time) {
  time.is_given = true;
  return decode_time(context, context.reader.next(), "time_ms", time.given_ms);
}

namespace {

enum Field : std::uint32_t { kType, kTime, kFirst, kSecond };

struct Pair {
  PairRecord record;
  std::uint32_t from_kind = 0;
  std::uint32_t to_kind = 0;
};

bool refuse_missing(DecodeContext& context, std::string_view field, std::string_view expected) {
  return context.fail(code::kRecordFieldMissing, field, "", expected);
}

// A record of two identities: the first field is joined to the second one.
bool read_pair(DecodeContext& context, IdentityField& identities, std::uint32_t count, std::string_view from,
               std::string_view to, Pair& pair) {
  const std::array<std::string_view, 4> names{"type", "time_ms", from, to};
  RecordTime time;
  const auto on_field = [&](std::uint32_t field) {
    switch (field) {
      case kTime: return read_time(context, time);
      case kFirst: return identities.read_one(from, pair.record.from, pair.from_kind);
      case kSecond: return identities.read_one(to, pair.record.to, pair.to_kind);
      default: context.reader.skip(); return true;
    }
  };
  std::uint32_t seen = 0;
  if (!read_fields(context, count, names, seen, on_field)) return false;
  constexpr std::string_view kExpected = "a map of one identity kind to its value";
  if ((seen >> kFirst & 1) == 0) return refuse_missing(context, from, kExpected);
  if ((seen >> kSecond & 1) == 0) return refuse_missing(context, to, kExpected);
  if (context.is_too_large()) return context.fail(code::kRecordTooLarge, "", "", "at most 65536 bytes");
  pair.record.time_ms = time.time_ms(context.options.received_ms);
  return true;
}

}  // namespace

bool read_identify(DecodeContext& context, IdentityField& identities, std::uint32_t count) {
  Pair pair;
  if (!read_pair(context, identities, count, "anonymous", "known", pair)) return false;
  const KindRule& anonymous = identities.rule(pair.from_kind);
  const KindRule& known = identities.rule(pair.to_kind);
  if (anonymous.unique) {
    return context.fail(code::kIdentifyKinds, "anonymous", readable(anonymous.kind), "a kind that is not unique");
  }
  if (known.rank >= anonymous.rank) {
    return context.fail(code::kIdentifyKinds, "known", readable(known.kind), "a kind ranked above that of anonymous");
  }
  context.batch.identifies.push_back(pair.record);
  return true;
}

bool read_merge(DecodeContext& context, IdentityField& identities, std::uint32_t count) {
  Pair pair;
  if (!read_pair(context, identities, count, "loser", "winner", pair)) return false;
  context.batch.merges.push_back(pair.record);
  return true;
}

bool read_unmerge(DecodeContext& context, std::uint32_t count) {
  constexpr std::array<std::string_view, 3> kNames{"type", "time_ms", "sequence"};
  constexpr std::string_view kExpected = "the sequence of the record that made the link, 0 or more";
  UnmergeRecord record;
  RecordTime time;
  const auto on_field = [&](std::uint32_t field) {
    if (field == kType) return context.reader.skip(), true;
    if (field == kTime) return read_time(context, time);
    const Token token = context.reader.next();
    record.link_sequence = token.bits;
    const bool is_sequence = token.wire == Wire::kInt && static_cast<std::int64_t>(token.bits) >= 0;
    return is_sequence || context.fail(code::kRecordFieldType, "sequence", token, kExpected);
  };
  std::uint32_t seen = 0;
  if (!read_fields(context, count, kNames, seen, on_field)) return false;
  if ((seen >> 2 & 1) == 0) return refuse_missing(context, "sequence", kExpected);
  if (context.is_too_large()) return context.fail(code::kRecordTooLarge, "", "", "at most 65536 bytes");
  record.time_ms = time.time_ms(context.options.received_ms);
  context.batch.unmerges.push_back(record);
  return true;
}

}  // namespace cdp
