// The rules of records one by one: every type of value, every limit at its edge, every reject with what it says.
#include <cmath>

#include "check.hpp"
#include "codec/canonical_codec.hpp"
#include "codec/event_record.hpp"
#include "codec_naive.hpp"
#include "codec_random.hpp"

namespace {

using namespace cdp;
using namespace cdp::test;
using Pairs = std::vector<std::pair<Tree, Tree>>;

DecodeResult decode(const Tree& batch, const DecodeOptions& options = test_options()) {
  DecodeResult result = decode_batch(bytes_of(encode(batch)), options);
  check(result.batch);
  return result;
}

Pairs event_fields() { return {{"type", "event"}, {"name", "Charged"}, {"ids", map({{"user_id", "u1"}})}}; }

Tree event_with(Pairs more) {
  Pairs fields = event_fields();
  for (auto& pair : more) fields.push_back(std::move(pair));
  return map(std::move(fields));
}
Tree with_properties(Pairs properties) { return event_with({{"properties", map(std::move(properties))}}); }
Tree with_value(Tree value) { return with_properties({{"p", std::move(value)}}); }

// The one reject of a batch of one record.
Reject reject_of(Tree record, const DecodeOptions& options = test_options()) {
  const DecodeResult result = decode(list({std::move(record)}), options);
  CHECK_EQ(result.rejects.size(), 1u);
  CHECK_EQ(result.batch.record_count(), 0u);
  CHECK_EQ(result.batch.strings.size(), 0u);
  return result.rejects.empty() ? Reject{} : result.rejects[0];
}
void check_reject(Tree record, std::string_view code, std::string_view path, std::string_view value) {
  const Reject reject = reject_of(std::move(record));
  CHECK_EQ(reject.code, code);
  CHECK_EQ(reject.path, path);
  CHECK_EQ(reject.value, value);
  CHECK(!reject.expected.empty());
}
void check_accepted(Tree record) {
  const DecodeResult result = decode(list({std::move(record)}));
  CHECK_EQ(result.rejects.size(), 0u);
  CHECK_EQ(result.batch.record_count(), 1u);
}
// The one property of the one event, as text.
std::string shown(Tree value) {
  const DecodeResult result = decode(list({with_value(std::move(value))}));
  CHECK_EQ(result.rejects.size(), 0u);
  if (!result.rejects.empty()) return std::string(result.rejects[0].code);
  const EventColumns& events = result.batch.events;
  CHECK_EQ(events.values.size(), 1u);
  return show_value(result.batch, events.fields[0].type, events.values[0]);
}
std::string bits(ValueType type, std::uint64_t value) { return show_value(type, value, ""); }
std::string text(ValueType type, std::string_view value) { return show_value(type, 0, value); }

Tree nested(int levels, Tree inner) {
  for (int level = 0; level < levels; ++level) inner = map({{"m", std::move(inner)}});
  return inner;
}

}  // namespace

TEST("scalars keep their type and bits") {
  CHECK_EQ(shown(Tree()), bits(ValueType::kNull, 0));
  CHECK_EQ(shown(true), bits(ValueType::kBool, 1));
  CHECK_EQ(shown(false), bits(ValueType::kBool, 0));
  for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{127}, std::int64_t{128},
                                   std::int64_t{-33}, std::int64_t{70'000}, INT64_MAX, INT64_MIN}) {
    CHECK_EQ(shown(value), bits(ValueType::kInt, static_cast<std::uint64_t>(value)));
  }
  CHECK_EQ(shown(1.5), bits(ValueType::kFloat, std::bit_cast<std::uint64_t>(1.5)));
  CHECK_EQ(shown(3.0), bits(ValueType::kFloat, std::bit_cast<std::uint64_t>(3.0)));
  CHECK_EQ(shown(-0.0), bits(ValueType::kFloat, 0));
  Tree narrow(0.5);
  narrow.narrow_float = true;
  CHECK_EQ(shown(narrow), bits(ValueType::kFloat, std::bit_cast<std::uint64_t>(0.5)));
  CHECK_EQ(shown("é"), text(ValueType::kString, "é"));
  CHECK_EQ(shown(""), text(ValueType::kString, ""));
}

TEST("datetimes come as {\"$time\"} or as timestamps of 32, 64 and 96 bits") {
  const std::int64_t ms = 1'700'000'000'123;
  CHECK_EQ(shown(map({{"$time", ms}})), bits(ValueType::kDatetime, static_cast<std::uint64_t>(ms)));
  CHECK_EQ(shown(ext(-1, big_endian(1'700'000'000, 4))), bits(ValueType::kDatetime, 1'700'000'000'000));
  CHECK_EQ(shown(ext(-1, big_endian(123'999'999ull << 34 | 1'700'000'000, 8))),
           bits(ValueType::kDatetime, 1'700'000'000'123));
  CHECK_EQ(shown(ext(-1, big_endian(123'000'001, 4) + big_endian(1'700'000'000, 8))),
           bits(ValueType::kDatetime, 1'700'000'000'123));
  CHECK_EQ(shown(map({{"$time", limits::kTimeMinMs}})), bits(ValueType::kDatetime, limits::kTimeMinMs));
  CHECK_EQ(shown(map({{"$time", limits::kTimeMaxMs}})), bits(ValueType::kDatetime, limits::kTimeMaxMs));
}

TEST("lists become canonical msgpack, items with sorted dotted keys") {
  CHECK_EQ(shown(list({})), text(ValueType::kList, "\x90"));
  CHECK_EQ(shown(list({1, "a", Tree(), true})), text(ValueType::kList,
                                                     "\x94\x01\xA1"
                                                     "a\xC0\xC3"));
  const Tree item = map({{"b", 1}, {"a", map({{"y", 2}, {"x", list({3})}})}, {"empty", map({})}});
  CHECK_EQ(shown(list({item})), text(ValueType::kItems,
                                     "\x91\x83\xA3"
                                     "a.x\x91\x03\xA3"
                                     "a.y\x02\xA1"
                                     "b\x01"));
  CHECK_EQ(shown(list({map({{"$time", 1'700'000'000'000}})})),
           text(ValueType::kList, "\x91\xD6\xFF" + big_endian(1'700'000'000, 4)));
  CHECK_EQ(shown(list({map({{"$time", 1'700'000'000'001}})})),
           text(ValueType::kList, "\x91\xD7\xFF" + big_endian(1'000'000ull << 34 | 1'700'000'000, 8)));
  CHECK_EQ(shown(list({-0.0})), text(ValueType::kList, "\x91\xCB" + std::string(8, '\0')));
}

TEST("nested maps become dotted properties, an empty map is nothing") {
  const DecodeResult result =
      decode(list({with_properties({{"a", map({{"b", 1}, {"c", map({{"d", "x"}})}})}, {"e", map({})}, {"f", true}})}));
  CHECK_EQ(show_batch(result.batch)[0].substr(show_batch(result.batch)[0].find(" a.b")),
           " a.b=2:0000000000000001 a.c.d=4:x f=1:0000000000000001");
}

TEST("a repeated string is kept once") {
  const DecodeResult result = decode(list({with_value("USD"), with_value("USD"), with_properties({{"q", "USD"}})}));
  int count = 0;
  for (std::uint32_t index = 0; index < result.batch.strings.size(); ++index)
    count += result.batch.strings.at(index) == "USD";
  CHECK_EQ(count, 1);
  CHECK_EQ(result.batch.events.shapes.size(), 2u);
  CHECK_EQ(result.batch.identities.size(), 1u);
}

TEST("bytes of a list do not stand in for a text that is not UTF-8") {
  const DecodeResult result = decode(list({with_value(list({1})), with_value(std::string("\x91\x01"))}));
  CHECK_EQ(result.rejects.size(), 1u);
  CHECK_EQ(result.rejects[0].code, code::kValueStringUtf8);
}

TEST("time is given, snapped back from a little ahead, or received") {
  const auto line = [](Tree record) { return show_batch(decode(list({std::move(record)})).batch)[0]; };
  CHECK(line(map(event_fields())).find(std::to_string(kReceivedMs)) != std::string::npos);
  const std::string at_limit = line(event_with({{"time_ms", kReceivedMs + limits::kFutureSnapMs}}));
  CHECK(at_limit.find("Charged " + std::to_string(kReceivedMs)) != std::string::npos);
  CHECK(at_limit.find("$client_time_ms=5:" + hex(static_cast<std::uint64_t>(kReceivedMs + limits::kFutureSnapMs))) !=
        std::string::npos);
  const std::string beyond = line(event_with({{"time_ms", kReceivedMs + limits::kFutureSnapMs + 1}}));
  CHECK(beyond.find("Charged " + std::to_string(kReceivedMs + limits::kFutureSnapMs + 1)) != std::string::npos);
  CHECK(beyond.find("$client") == std::string::npos);
  CHECK(line(event_with({{"time_ms", kReceivedMs}})).find("$client") == std::string::npos);
  const std::string traits =
      line(map({{"type", "traits"}, {"ids", map({{"user_id", "u"}})}, {"set", map({})}, {"time_ms", kReceivedMs + 5}}));
  CHECK(traits.find("traits " + std::to_string(kReceivedMs)) == 0);
}

TEST("256 properties and a snapped time fit, 257 properties do not") {
  Pairs properties;
  for (std::size_t index = 0; index < limits::kProperties; ++index)
    properties.emplace_back("k" + std::to_string(index), 1);
  const Tree full = event_with({{"properties", map(properties)}, {"time_ms", kReceivedMs + 1}});
  const DecodeResult result = decode(list({full, full}));
  CHECK_EQ(result.batch.events.values.size(), 2 * 257u);
  properties.emplace_back("nested", map({{"one", 1}}));
  check_reject(with_properties(properties), code::kPropertiesTooMany, "properties", "more than 256");
}

TEST("identities are normalised, generic ones left out, highest rank first") {
  const auto ids_of = [](Tree ids) {
    const DecodeResult result = decode(list({map({{"type", "event"}, {"name", "a"}, {"ids", std::move(ids)}})}));
    std::string out;
    for (const std::uint32_t ref : result.batch.events.identity_refs) {
      const BatchIdentity& identity = result.batch.identities[ref];
      CHECK_EQ(identity.hash, hash_identity(result.batch.strings.at(identity.kind),
                                            result.batch.strings.at(identity.value), kHashKey));
      out += std::string(result.batch.strings.at(identity.kind)) + "=" +
             std::string(result.batch.strings.at(identity.value)) + ";";
    }
    return out;
  };
  CHECK_EQ(ids_of(map({{"anonymous_id", " a1\n"}, {"user_id", 42}})), "user_id=42;anonymous_id=a1;");
  CHECK_EQ(ids_of(map({{"anonymous_id", "a1"}, {"user_id", "GUEST"}})), "anonymous_id=a1;");
  CHECK_EQ(ids_of(map({{"user_id", -7}})), "user_id=-7;");
  CHECK_EQ(ids_of(map({{"user_id", std::string(limits::kIdentityBytes, 'i')}})),
           "user_id=" + std::string(limits::kIdentityBytes, 'i') + ";");
}

TEST("every generic identity names nobody") {
  for (const char* value : {"", "  ", "null", "NONE", "nil", "Undefined", "nan", "0", "-1", "true", "FALSE", "guest",
                            "Anonymous", "unknown", "N/A", "00000000-0000-0000-0000-000000000000", "[object Object]"}) {
    check_reject(map({{"type", "event"}, {"name", "a"}, {"ids", map({{"user_id", value}})}}), code::kIdentityNone,
                 "ids", "");
  }
}

TEST("an event id is a UUID in any case or a hash, never the same") {
  const auto key = [](const char* id) {
    return decode(list({event_with({{"event_id", id}})})).batch.events.event_id[0];
  };
  CHECK(key("0198c7d2-4a6b-7def-8123-456789abcdef") == key("0198C7D2-4A6B-7DEF-8123-456789ABCDEF"));
  CHECK(!(key("0198c7d2-4a6b-7def-8123-456789abcdef") == key("0198c7d2-4a6b-7dee-8123-456789abcdef")));
  CHECK(!(key("0198c7d2-4a6b-7def-8123-456789abcdef") == key("0198c7d2-4a6b-7def-8123-456789abcdee")));
  CHECK_EQ(key("0198c7d2-4a6b-7def-8123-456789abcdef").high & 1, 1u);
  CHECK_EQ(key("evt-1").high & 1, 0u);
  CHECK(key("00000000-0000-0000-0000-00000000000A") == key("00000000-0000-0000-0000-00000000000a"));
  CHECK(!(key("00000000-0000-0000-0000-00000000000a") == key("00000000-0000-0000-0000-00000000000b")));
  const DecodeResult result = decode(list({map(event_fields()), event_with({{"event_id", "x"}}), map(event_fields())}));
  CHECK_EQ(result.batch.events.event_id.size(), 3u);
  CHECK(result.batch.events.event_id[0] == EventKey{} && result.batch.events.event_id[2] == EventKey{});
}

TEST("two UUIDs that differ in one bit have two keys") {
  std::mt19937_64 random(seed());
  const auto uuid = [](std::uint64_t high, std::uint64_t low) {
    const std::string text = hex(high) + hex(low);
    return text.substr(0, 8) + "-" + text.substr(8, 4) + "-" + text.substr(12, 4) + "-" + text.substr(16, 4) + "-" +
           text.substr(20);
  };
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t high = random(), low = random();
    const EventKey key = event_key(uuid(high, low), kHashKey);
    for (int bit = 0; bit < 64; ++bit) {
      CHECK(!(event_key(uuid(high ^ 1ull << bit, low), kHashKey) == key));
      CHECK(!(event_key(uuid(high, low ^ 1ull << bit), kHashKey) == key));
    }
  }
}

TEST("records of each type are kept in order, with runs and places") {
  const Tree user = map({{"user_id", "u"}}), anonymous = map({{"anonymous_id", "a"}});
  const DecodeResult result = decode(
      list({map(event_fields()), map(event_fields()), 5,
            map({{"type", "identify"}, {"anonymous", anonymous}, {"known", user}}),
            map({{"type", "merge"}, {"winner", user}, {"loser", anonymous}}),
            map({{"type", "unmerge"}, {"sequence", 9}}), map(event_fields()),
            map({{"type", "traits"}, {"ids", user}, {"increment", map({{"n", 2}})}, {"unset", list({"a.b"})}})}));
  CHECK_EQ(result.batch.runs.size(), 6u);
  CHECK_EQ(result.batch.runs[0].count, 2u);
  CHECK_EQ(result.batch.runs[4].first, 2u);
  CHECK(result.record_index == std::vector<std::uint32_t>({0, 1, 3, 4, 5, 6, 7}));
  CHECK_EQ(result.batch.unmerges[0].link_sequence, 9u);
  CHECK_EQ(result.batch.strings.at(result.batch.identities[result.batch.identifies[0].from].value), "a");
  CHECK_EQ(result.batch.strings.at(result.batch.identities[result.batch.merges[0].to].value), "u");
}

TEST("system names are for the server alone") {
  DecodeOptions options = test_options();
  options.allow_system = true;
  const Tree record = map({{"type", "event"}, {"name", "Message Sent"}, {"ids", map({{"user_id", "u"}})}});
  CHECK_EQ(decode(list({record}), options).batch.record_count(), 1u);
  check_reject(record, code::kNameReserved, "name", "Message Sent");
  check_reject(map({{"type", "event"}, {"name", "Segment Entered"}, {"ids", map({{"user_id", "u"}})}}),
               code::kNameReserved, "name", "Segment Entered");
  check_accepted(map({{"type", "event"}, {"name", "Messages"}, {"ids", map({{"user_id", "u"}})}}));
}

TEST("records that are no record are refused") {
  check_reject(5, code::kRecordNotAMap, "", "5");
  check_reject(list({1, 2}), code::kRecordNotAMap, "", "[2 elements]");
  check_reject(map({}), code::kRecordTypeMissing, "type", "");
  check_reject(map({{"type", 3}}), code::kRecordFieldType, "type", "3");
  check_reject(map({{"type", "evnt"}}), code::kRecordTypeUnknown, "type", "evnt");
  check_reject(map({{"type", "erase"}}), code::kRecordTypeUnsupported, "type", "erase");
}

TEST("fields are refused when unknown, missing, doubled or of a wrong type") {
  check_reject(event_with({{"propertis", map({})}}), code::kRecordFieldUnknown, "propertis", "{0 entries}");
  check_reject(event_with({{"name", "x"}}), code::kKeyDuplicate, "", "name");
  check_reject(event_with({{7, 1}}), code::kKeyNotString, "", "7");
  check_reject(map({{"type", "event"}, {"name", "a"}}), code::kRecordFieldMissing, "ids", "");
  check_reject(map({{"type", "event"}, {"ids", map({{"user_id", "u"}})}}), code::kRecordFieldMissing, "name", "");
  check_reject(map({{"type", "event"}, {"name", 4}, {"ids", map({})}}), code::kRecordFieldType, "name", "4");
  check_reject(map({{"type", "event"}, {"name", "a"}, {"ids", "u"}}), code::kRecordFieldType, "ids", "u");
  check_reject(event_with({{"properties", list({})}}), code::kRecordFieldType, "properties", "[0 elements]");
  check_reject(event_with({{"event_id", 5}}), code::kRecordFieldType, "event_id", "5");
  check_reject(event_with({{"time_ms", 1.5}}), code::kRecordFieldType, "time_ms", "1.5");
  check_reject(event_with({{"time_ms", "now"}}), code::kRecordFieldType, "time_ms", "now");
  check_reject(map({{"type", "traits"}, {"ids", map({{"user_id", "u"}})}}), code::kRecordFieldMissing, "set", "");
  check_reject(map({{"type", "unmerge"}}), code::kRecordFieldMissing, "sequence", "");
  check_reject(map({{"type", "unmerge"}, {"sequence", -1}}), code::kRecordFieldType, "sequence", "-1");
}

TEST("names, event ids and times are refused one over their limit") {
  const auto named = [](std::string name) {
    return map({{"type", "event"}, {"name", std::move(name)}, {"ids", map({{"user_id", "u"}})}});
  };
  check_accepted(named(std::string(256, 'n')));
  check_reject(named(std::string(257, 'n')), code::kNameLength, "name", std::string(64, 'n'));
  check_reject(named(""), code::kNameLength, "name", "");
  check_reject(named("\xFFz"), code::kValueStringUtf8, "name", "\\xffz");
  check_accepted(event_with({{"event_id", std::string(256, 'i')}}));
  check_reject(event_with({{"event_id", std::string(257, 'i')}}), code::kEventIdLength, "event_id",
               std::string(64, 'i'));
  check_reject(event_with({{"event_id", ""}}), code::kEventIdLength, "event_id", "");
  check_accepted(event_with({{"time_ms", limits::kTimeMinMs}}));
  check_accepted(event_with({{"time_ms", limits::kTimeMaxMs}}));
  check_reject(event_with({{"time_ms", limits::kTimeMinMs - 1}}), code::kTimeOutOfRange, "time_ms", "94694399999");
  check_reject(event_with({{"time_ms", limits::kTimeMaxMs + 1}}), code::kTimeOutOfRange, "time_ms", "4102444800001");
  check_reject(event_with({{"time_ms", ~std::uint64_t{0}}}), code::kTimeOutOfRange, "time_ms", "18446744073709551615");
}

TEST("keys are refused with the path of their map") {
  const auto key = [](Tree name) { return with_properties({{"m", map({{std::move(name), 1}})}}); };
  check_reject(key("a.b"), code::kKeyDot, "properties.m", "a.b");
  check_reject(key("$x"), code::kKeyReserved, "properties.m", "$x");
  check_reject(key(5), code::kKeyNotString, "properties.m", "5");
  check_reject(key(""), code::kKeyLength, "properties.m", "");
  check_reject(key("\xC0\x80"), code::kKeyUtf8, "properties.m", "\\xc0\\x80");
  check_accepted(key(std::string(254, 'k')));
  check_reject(key(std::string(255, 'k')), code::kKeyLength, "properties.m", std::string(64, 'k'));
  check_accepted(with_properties({{std::string(256, 'k'), 1}}));
  check_reject(with_properties({{std::string(257, 'k'), 1}}), code::kKeyLength, "properties", std::string(64, 'k'));
  check_reject(with_properties({{"a", 1}, {"b", 2}, {"a", 3}}), code::kKeyDuplicate, "properties", "a");
  check_reject(with_properties({{"a", map({})}, {"a", map({})}}), code::kKeyDuplicate, "properties", "a");
  check_reject(with_properties({{"$client_time_ms", 1}}), code::kKeyReserved, "properties", "$client_time_ms");
  check_reject(with_properties({{"$time", 5}, {"b", 1}}), code::kKeyReserved, "properties", "$time");
  check_reject(with_value(list({map({{"a", 1}, {"a", 2}})})), code::kKeyDuplicate, "properties.p[0]", "a");
}

TEST("a key repeated after a known beginning is refused") {
  const DecodeResult result =
      decode(list({with_properties({{"a", 1}, {"b", 2}}), with_properties({{"a", 1}, {"b", 2}, {"a", 1}}),
                   with_properties({{"a", 1}, {"b", 2}}), with_properties({{"a", 1}, {"a", 1}})}));
  CHECK_EQ(result.rejects.size(), 2u);
  CHECK_EQ(result.batch.events.size(), 2u);
}

TEST("values are refused with their path") {
  const double infinity = std::numeric_limits<double>::infinity();
  check_reject(with_value(~std::uint64_t{0}), code::kValueIntRange, "properties.p", "18446744073709551615");
  check_reject(with_value(std::uint64_t{1} << 63), code::kValueIntRange, "properties.p", "9223372036854775808");
  check_reject(with_value(infinity), code::kValueFloatNotFinite, "properties.p", "inf");
  check_reject(with_value(std::nan("")), code::kValueFloatNotFinite, "properties.p", "nan");
  check_reject(with_value(binary("abc")), code::kValueBinary, "properties.p", "<3 bytes>");
  check_reject(with_value(ext(3, "abcd")), code::kValueExt, "properties.p", "<ext 3, 4 bytes>");
  check_reject(with_value(ext(-1, "abc")), code::kValueDatetime, "properties.p", "<ext -1, 3 bytes>");
  check_reject(with_value(ext(-1, big_endian(1'000'000'000, 4) + big_endian(1'700'000'000, 8))), code::kValueDatetime,
               "properties.p", "<ext -1, 12 bytes>");
  check_reject(with_value(ext(-1, big_endian(1, 4))), code::kTimeOutOfRange, "properties.p", "1000");
  check_reject(with_value(ext(-1, big_endian(0, 4) + big_endian(~std::uint64_t{0}, 8))), code::kTimeOutOfRange,
               "properties.p", "<ext -1, 12 bytes>");
  check_reject(with_value(map({{"$time", 5}})), code::kTimeOutOfRange, "properties.p", "5");
  check_reject(with_value(map({{"$time", "x"}})), code::kValueDatetime, "properties.p", "x");
  CHECK_EQ(shown(std::string(limits::kStringBytes, 's')),
           text(ValueType::kString, std::string(limits::kStringBytes, 's')));
  check_reject(with_value(std::string(limits::kStringBytes + 1, 's')), code::kValueStringLength, "properties.p",
               std::string(64, 's'));
  check_reject(with_value("ok\xED\xA0\x80"), code::kValueStringUtf8, "properties.p", "ok\\xed\\xa0\\x80");
  check_reject(with_value(list({1, map({{"a", 1}})})), code::kValueListMixed, "properties.p[1]", "{1 entries}");
  check_reject(with_value(list({map({{"a", 1}}), 1})), code::kValueListMixed, "properties.p[1]", "1");
  check_reject(with_value(list({list({})})), code::kValueListMixed, "properties.p[0]", "[0 elements]");
  check_reject(with_value(list({map({{"a", map({{"b", binary("x")}})}})})), code::kValueBinary, "properties.p[0].a.b",
               "<1 bytes>");
}

TEST("depth is counted in maps and lists, eight are allowed") {
  check_accepted(with_value(nested(7, 1)));
  check_reject(with_value(nested(8, 1)), code::kRecordTooDeep, "properties.p.m.m.m.m.m.m.m", "");
  check_accepted(with_value(nested(6, list({1}))));
  check_accepted(with_value(nested(5, list({map({{"a", 1}})}))));
  check_reject(with_value(nested(7, list({1}))), code::kRecordTooDeep, "properties.p.m.m.m.m.m.m.m", "");
  check_reject(with_value(nested(6, list({map({{"a", 1}})}))), code::kRecordTooDeep, "properties.p.m.m.m.m.m.m[0]", "");
}

TEST("a record of 65536 bytes is kept, one byte more is refused for that alone") {
  const auto sized = [](std::size_t bytes) {
    Pairs properties;
    for (int index = 0; index < 15; ++index)
      properties.emplace_back("s" + std::to_string(index), std::string(4096, 'x'));
    properties.emplace_back("rest", std::string(3000, 'y'));
    const std::size_t missing = bytes - encode(with_properties(properties)).size();
    properties.back().second.text.append(missing, 'y');
    return with_properties(std::move(properties));
  };
  CHECK_EQ(encode(sized(limits::kRecordBytes)).size(), limits::kRecordBytes);
  check_accepted(sized(limits::kRecordBytes));
  check_reject(sized(limits::kRecordBytes + 1), code::kRecordTooLarge, "", "65537");
  check_reject(std::string(70'000, 'x'), code::kRecordTooLarge, "", "70005");
}

TEST("canonical bytes of a list do not grow without bound") {
  Pairs leaves;
  for (int index = 0; index < 2'000; ++index) leaves.emplace_back("k" + std::to_string(index), 1);
  const Tree item = map({{std::string(200, 'p'), map(leaves)}});
  CHECK_EQ(reject_of(with_value(list({item}))).code, code::kRecordTooLarge);
}

TEST("identities are refused with their path") {
  const auto ids = [](Tree map_of_ids) {
    return map({{"type", "event"}, {"name", "a"}, {"ids", std::move(map_of_ids)}});
  };
  check_reject(ids(map({})), code::kIdentityNone, "ids", "");
  check_reject(ids(map({{"cookie", "x"}})), code::kIdentityKindUnknown, "ids", "cookie");
  check_reject(ids(map({{"email", "a@b.c"}})), code::kIdentityKindNotIdentifying, "ids", "email");
  check_reject(ids(map({{"user_id", true}})), code::kRecordFieldType, "ids.user_id", "true");
  check_reject(ids(map({{"user_id", Tree()}})), code::kRecordFieldType, "ids.user_id", "null");
  check_reject(ids(map({{"user_id", ~std::uint64_t{0}}})), code::kValueIntRange, "ids.user_id", "18446744073709551615");
  check_reject(ids(map({{"user_id", std::string(513, 'u')}})), code::kIdentityLength, "ids.user_id",
               std::string(64, 'u'));
  check_reject(ids(map({{"user_id", "\xFF"}})), code::kValueStringUtf8, "ids.user_id", "\\xff");
  check_reject(ids(map({{"user_id", "a"}, {"user_id", "b"}})), code::kKeyDuplicate, "ids", "user_id");
  check_reject(ids(map({{1, "a"}})), code::kKeyNotString, "ids", "1");
  Pairs many;
  for (std::size_t index = 0; index <= limits::kIdentitiesPerRecord; ++index) many.emplace_back("user_id", "u");
  check_reject(ids(map(many)), code::kIdentityTooMany, "ids", "{17 entries}");
}

TEST("links are refused when they do not name one identity of a fitting kind each") {
  const Tree user = map({{"user_id", "u"}}), anonymous = map({{"anonymous_id", "a"}});
  const auto identify = [](Tree from, Tree to) {
    return map({{"type", "identify"}, {"anonymous", std::move(from)}, {"known", std::move(to)}});
  };
  check_reject(identify(user, user), code::kIdentifyKinds, "anonymous", "user_id");
  check_reject(identify(anonymous, anonymous), code::kIdentifyKinds, "known", "anonymous_id");
  check_reject(identify(map({}), user), code::kRecordFieldType, "anonymous", "{0 entries}");
  check_reject(identify(anonymous, map({{"user_id", "u"}, {"anonymous_id", "a"}})), code::kRecordFieldType, "known",
               "{2 entries}");
  check_reject(identify(map({{"anonymous_id", "null"}}), user), code::kIdentityNone, "anonymous", "");
  check_reject(map({{"type", "identify"}, {"known", user}}), code::kRecordFieldMissing, "anonymous", "");
  check_reject(map({{"type", "merge"}, {"loser", user}}), code::kRecordFieldMissing, "winner", "");
  check_reject(map({{"type", "merge"}, {"loser", "u"}, {"winner", user}}), code::kRecordFieldType, "loser", "u");
}

TEST("trait operations take the values they can use") {
  const auto traits = [](const char* operation, Tree value) {
    return map({{"type", "traits"}, {"ids", map({{"user_id", "u"}})}, {operation, std::move(value)}});
  };
  check_accepted(traits("set", map({{"a", map({{"b", list({1})}})}})));
  check_accepted(traits("set", map({})));
  check_accepted(traits("increment", map({{"n", -2}, {"f", 0.5}})));
  check_accepted(traits("append", map({{"tags", "x"}})));
  check_accepted(traits("unset", list({"a.b", "c"})));
  check_reject(traits("increment", map({{"n", "2"}})), code::kTraitOperation, "increment.n", "2");
  check_reject(traits("append", map({{"tags", list({1})}})), code::kTraitOperation, "append.tags", "[1 elements]");
  check_reject(traits("remove", map({{"t", list({map({{"a", 1}})})}})), code::kTraitOperation, "remove.t",
               "[1 elements]");
  check_reject(traits("set", list({})), code::kRecordFieldType, "set", "[0 elements]");
  check_reject(traits("set", map({{"a", map({{"b.c", 1}})}})), code::kKeyDot, "set.a", "b.c");
  check_reject(traits("unset", map({})), code::kRecordFieldType, "unset", "{0 entries}");
  check_reject(traits("unset", list({"a", 5})), code::kRecordFieldType, "unset[1]", "5");
  check_reject(traits("unset", list({"a..b"})), code::kKeyLength, "unset[0]", "");
  check_reject(traits("unset", list({"a.$b"})), code::kKeyReserved, "unset[0]", "$b");
  check_reject(traits("unset", list({"a", "a"})), code::kKeyDuplicate, "unset[1]", "a");
  Pairs many;
  for (std::size_t index = 0; index < limits::kProperties; ++index) many.emplace_back("k" + std::to_string(index), 1);
  check_accepted(traits("set", map(many)));
  many.emplace_back("one_more", 1);
  check_reject(traits("set", map(many)), code::kTraitOperationsTooMany, "set.one_more", "more than 256");
}

TEST("a refused record leaves nothing behind") {
  const Tree bad = event_with({{"properties", map({{"secret", "hidden text"}, {"p", binary("x")}})}});
  const DecodeResult with = decode(list({map(event_fields()), bad, with_value("x"), bad}));
  const DecodeResult without = decode(list({map(event_fields()), with_value("x")}));
  CHECK(with.batch.strings.bytes() == without.batch.strings.bytes());
  std::vector<std::byte> one, two;
  encode_canonical(with.batch, one);
  encode_canonical(without.batch, two);
  CHECK(one == two);
}

TEST("properties may come before the name and the type last") {
  const DecodeResult result = decode(list(
      {map({{"properties", map({{"p", 1}})}, {"ids", map({{"user_id", "u"}})}, {"name", "a"}, {"type", "event"}})}));
  CHECK_EQ(result.batch.events.values.size(), 1u);
}

TEST("options out of range are an error of the caller") {
  DecodeOptions options = test_options();
  options.received_ms = 5;
  CHECK_THROWS(decode(list({}), options), Error);
  options = test_options();
  const std::vector<KindRule> kinds(kKindsMax + 1, KindRule{"k", 1, true, false});
  options.kinds = kinds;
  CHECK_THROWS(decode(list({}), options), Error);
}

TEST("an empty list of kinds means the default ones") {
  DecodeOptions options = test_options();
  options.kinds = {};
  CHECK_EQ(decode(list({map(event_fields())}), options).batch.record_count(), 1u);
}

TEST_MAIN()
