#include <array>

#include "base/utf8.hpp"
#include "codec/record_decoders.hpp"
#include "codec/value_decoder.hpp"

namespace cdp {

namespace {

enum Field : std::uint32_t { kType, kIds, kTime, kFirstOperation };
constexpr std::array<std::string_view, 9> kNames{"type",      "ids",    "time_ms", "set",  "set_once",
                                                 "increment", "append", "remove",  "unset"};
constexpr std::array<TraitKind, 6> kKinds{TraitKind::kSet,    TraitKind::kSetOnce, TraitKind::kIncrement,
                                          TraitKind::kAppend, TraitKind::kRemove,  TraitKind::kUnset};

std::string_view name_of(TraitKind kind) noexcept {
  for (std::size_t index = 0; index < kKinds.size(); ++index) {
    if (kKinds[index] == kind) return kNames[kFirstOperation + index];
  }
  return {};
}

// Whether the operation takes such a value; `expected` says which it takes.
bool takes(TraitKind kind, ValueType type, std::string_view& expected) noexcept {
  if (kind == TraitKind::kIncrement) {
    expected = "a number to add";
    return type == ValueType::kInt || type == ValueType::kFloat;
  }
  expected = "a scalar";
  return kind == TraitKind::kSet || kind == TraitKind::kSetOnce ||
         (type != ValueType::kList && type != ValueType::kItems);
}

// A trait's dotted name as `unset` gives it: every part a key.
bool check_dotted_key(DecodeContext& context, const Token& token) {
  if (token.wire != Wire::kString) return context.fail(code::kRecordFieldType, "", token, "a list of keys");
  if (token.count == 0 || token.count > limits::kNameBytes) {
    return context.fail(code::kKeyLength, "", token, "a key of 1 to 256 bytes, with its prefix");
  }
  Token part = token;
  std::string_view rest = token.text();
  while (true) {
    const std::size_t dot = rest.find('.');
    part.data = rest.data();
    part.count = static_cast<std::uint32_t>(dot == std::string_view::npos ? rest.size() : dot);
    if (!check_key(context, part)) return false;
    if (dot == std::string_view::npos) return true;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace

bool TraitsDecoder::read(std::uint32_t count) {
  CanonicalBatch& batch = context_.batch;
  const auto first_operation = static_cast<std::uint32_t>(batch.trait_operations.size());
  IdentityList ids;
  RecordTime time;
  const auto on_field = [&](std::uint32_t field) {
    switch (field) {
      case kType: context_.reader.skip(); return true;
      case kIds: return identities_.read("ids", ids);
      case kTime: return read_time(context_, time);
      default: return read_operations(kKinds[field - kFirstOperation]);
    }
  };
  std::uint32_t seen = 0;
  if (!read_fields(context_, count, kNames, seen, on_field)) return false;
  if ((seen >> kIds & 1) == 0) {
    return context_.fail(code::kRecordFieldMissing, "ids", "", "a map of identity kinds to values");
  }
  if (seen >> kFirstOperation == 0) {
    return context_.fail(code::kRecordFieldMissing, "set", "",
                         "any of set, set_once, increment, append, remove, unset");
  }
  if (ids.count == 0) return identities_.refuse_none("ids");
  if (context_.is_too_large()) return context_.fail(code::kRecordTooLarge, "", "", "at most 65536 bytes");

  const auto first_identity = static_cast<std::uint32_t>(batch.trait_identity_refs.size());
  for (std::uint32_t index = 0; index < ids.count; ++index)
    batch.trait_identity_refs.push_back(ids.entries[index].identity);
  batch.traits.push_back({time.time_ms(context_.options.received_ms), first_identity, ids.count, first_operation,
                          static_cast<std::uint32_t>(batch.trait_operations.size()) - first_operation});
  return true;
}

bool TraitsDecoder::read_group(std::uint32_t count) {
  constexpr std::uint32_t kKind = 1, kId = 2;  // where a traits record has its ids, and one more
  constexpr std::array<std::string_view, 10> kGroupNames{"type",     "kind",      "id",     "time_ms", "set",
                                                         "set_once", "increment", "append", "remove",  "unset"};
  CanonicalBatch& batch = context_.batch;
  const std::size_t first_operation = batch.trait_operations.size();
  GroupRecord record;
  RecordTime time;
  const auto on_field = [&](std::uint32_t field) {
    switch (field) {
      case kType: context_.reader.skip(); return true;
      case kKind: return read_label("kind", limits::kNameBytes, record.kind);
      case kId: return read_label("id", limits::kIdentityBytes, record.id);
      case kTime + 1: return read_time(context_, time);
      default: return read_operations(kKinds[field - kFirstOperation - 1]);
    }
  };
  std::uint32_t seen = 0;
  if (!read_fields(context_, count, kGroupNames, seen, on_field)) return false;
  if ((seen >> kKind & 1) == 0) return context_.fail(code::kRecordFieldMissing, "kind", "", "a string");
  if ((seen >> kId & 1) == 0) return context_.fail(code::kRecordFieldMissing, "id", "", "a string");
  if (context_.is_too_large()) return context_.fail(code::kRecordTooLarge, "", "", "at most 65536 bytes");
  // A group without operations is there all the same.
  const auto operations = batch.trait_operations.begin() + static_cast<std::ptrdiff_t>(first_operation);
  record.time_ms = time.time_ms(context_.options.received_ms);
  record.first_operation = static_cast<std::uint32_t>(batch.group_operations.size());
  record.operation_count = static_cast<std::uint32_t>(batch.trait_operations.end() - operations);
  batch.group_operations.insert(batch.group_operations.end(), operations, batch.trait_operations.end());
  batch.trait_operations.resize(first_operation);
  batch.groups.push_back(record);
  return true;
}

// What names a group.
bool TraitsDecoder::read_label(std::string_view field, std::size_t bytes_max, std::uint32_t& string) {
  const Token token = context_.reader.next();
  if (token.wire != Wire::kString) return context_.fail(code::kRecordFieldType, field, token, "a string");
  if (token.count == 0 || token.count > bytes_max) {
    return context_.fail(code::kRecordFieldLength, field, token,
                         "a string of 1 to " + std::to_string(bytes_max) + " bytes");
  }
  if (!is_utf8(token.text())) return context_.fail(code::kValueStringUtf8, field, token, "a string of valid UTF-8");
  string = context_.strings.intern_text(token.text());
  return true;
}

bool TraitsDecoder::read_operations(TraitKind kind) {
  const std::string_view field = name_of(kind);
  if (kind == TraitKind::kUnset) return read_unset() || context_.under(field);
  const Token map = context_.reader.next();
  if (map.wire != Wire::kMap) return context_.fail(code::kRecordFieldType, field, map, "a map of traits");
  path_.clear();
  const auto on_leaf = [this, kind](const std::string& key, const Token& token, std::size_t depth) {
    return read_operation(kind, key, token, depth);
  };
  return walk_map(context_, map.count, 1, path_, on_leaf) || context_.under(field);
}

bool TraitsDecoder::read_operation(TraitKind kind, const std::string& key, const Token& token, std::size_t depth) {
  Value value;
  if (!decode_value(context_, token, depth, value)) return false;
  std::string_view expected;
  if (!takes(kind, value.type, expected)) return context_.fail(code::kTraitOperation, "", token, expected);
  return add_operation(kind, key, value);
}

bool TraitsDecoder::read_unset() {
  const Token list = context_.reader.next();
  if (list.wire != Wire::kArray) return context_.fail(code::kRecordFieldType, "", list, "a list of keys");
  const std::uint32_t map = 0x8000'0000u | ++context_.maps_walked;
  for (std::uint32_t index = 0; index < list.count; ++index) {
    const Token key = context_.reader.next();
    if (!check_dotted_key(context_, key)) return context_.under(index);
    if (!context_.keys.insert(map, key.text())) {
      context_.fail(code::kKeyDuplicate, "", key, "every key at most once");
      return context_.under(index);
    }
    if (!add_operation(TraitKind::kUnset, key.text(), {})) return context_.under(index);
  }
  return true;
}

bool TraitsDecoder::add_operation(TraitKind kind, std::string_view key, Value value) {
  CanonicalBatch& batch = context_.batch;
  if (batch.trait_operations.size() - context_.operations_before == limits::kProperties) {
    return context_.fail(code::kTraitOperationsTooMany, "", "more than 256", "at most 256 operations in a record");
  }
  batch.trait_operations.push_back({context_.strings.intern_text(key), kind, value});
  return true;
}

}  // namespace cdp
