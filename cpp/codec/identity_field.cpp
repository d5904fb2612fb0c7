#include "codec/identity_field.hpp"

#include <algorithm>
#include <charconv>

#include "base/utf8.hpp"

namespace cdp {

namespace {

constexpr std::string_view kFieldExpected = "a map of identity kinds to values";
constexpr std::string_view kValueExpected = "a string or an integer";

// No white space at either end (every such byte is at most a space).
bool is_trimmed(std::string_view value) noexcept {
  return !value.empty() && static_cast<unsigned char>(value.front()) > ' ' &&
         static_cast<unsigned char>(value.back()) > ' ';
}

}  // namespace

IdentityField::IdentityField(DecodeContext& context) : context_(context), table_(context.table_slots) {
  const DecodeOptions& options = context.options;
  const std::span<const KindRule> rules = options.kinds.empty() ? default_kind_rules() : options.kinds;
  if (rules.size() > kKindsMax)
    throw Error(Family::kInvalidRequest, code::kIdentityTooMany, "more than 64 kinds of identity");
  for (const KindRule& rule : rules) {
    Kind& kind = kinds_.emplace_back(Kind{rule, 0, kNone, true});
    kind.hash_key = options.hash_key ^ hash_bytes(rule.kind, options.hash_key);
    kind.trims_only = rule.kind != "email" && rule.kind != "phone";
  }
}

bool IdentityField::read(std::string_view field, IdentityList& out) {
  const Token map = context_.reader.next();
  if (map.wire != Wire::kMap) return context_.fail(code::kRecordFieldType, field, map, kFieldExpected);
  if (map.count > limits::kIdentitiesPerRecord) {
    return context_.fail(code::kIdentityTooMany, field, map, "at most 16 identities");
  }
  std::uint64_t seen = 0;
  for (std::uint32_t pair = 0; pair < map.count; ++pair) {
    const Token key = context_.reader.next();
    if (key.wire != Wire::kString) return context_.fail(code::kKeyNotString, field, key, "a string as key");
    const std::uint32_t index = find_kind(key.text(), pair);
    if (index == kNone)
      return context_.fail(code::kIdentityKindUnknown, field, key, "a kind of identity that is defined");
    Kind& kind = kinds_[index];
    if (!kind.rule.identifies) {
      return context_.fail(code::kIdentityKindNotIdentifying, field, key, "a kind of identity that identifies");
    }
    if ((seen >> index & 1) != 0) return context_.fail(code::kKeyDuplicate, field, key, "every key at most once");
    seen |= std::uint64_t{1} << index;
    std::uint32_t identity = kNone;
    if (!read_value(kind, identity)) {
      context_.under(kind.rule.kind);
      return context_.under(field);
    }
    if (identity != kNone) out.insert({std::uint64_t{kind.rule.rank} << 32 | index, identity});
  }
  return true;
}

bool IdentityField::refuse_none(std::string_view field) {
  return context_.fail(code::kIdentityNone, field, "", "at least one identity that is not generic");
}

bool IdentityField::read_one(std::string_view field, std::uint32_t& identity, std::uint32_t& kind) {
  const std::uint8_t* const before = context_.reader.position();
  const Token map = context_.reader.next();
  if (map.wire != Wire::kMap || map.count != 1) {
    return context_.fail(code::kRecordFieldType, field, map, "a map of one identity kind to its value");
  }
  context_.reader.seek(before);
  IdentityList list;
  if (!read(field, list)) return false;
  if (list.count == 0) return refuse_none(field);
  identity = list.entries[0].identity;
  kind = static_cast<std::uint32_t>(list.entries[0].order);
  return true;
}

std::uint32_t IdentityField::find_kind(std::string_view kind, std::uint32_t guess) const noexcept {
  const auto equals = [&](std::uint32_t index) {
    const std::string_view known = kinds_[index].rule.kind;
    return known.size() == kind.size() && equal_bytes(known.data(), kind.data(), kind.size());
  };
  if (guess < kinds_.size() && equals(guess)) return guess;
  for (std::uint32_t index = 0; index < kinds_.size(); ++index) {
    if (equals(index)) return index;
  }
  return kNone;
}

// `identity` stays kNone when the value is generic.
bool IdentityField::read_value(Kind& kind, std::uint32_t& identity) {
  const Token token = context_.reader.next();
  if (token.wire == Wire::kString) {
    if (kind.trims_only && is_trimmed(token.text())) [[likely]] {
      return find_or_add(kind, token, token.text(), identity);
    }
    return normalise_value(kind, token, token.text(), identity);
  }
  if (token.wire == Wire::kInt) {
    std::array<char, 24> digits;
    const char* const end =
        std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<std::int64_t>(token.bits)).ptr;
    return normalise_value(kind, token, {digits.data(), end}, identity);
  }
  if (token.wire == Wire::kUint)
    return context_.fail(code::kValueIntRange, "", token, "an integer from -2^63 to 2^63-1");
  return context_.fail(code::kRecordFieldType, "", token, kValueExpected);
}

bool IdentityField::take(std::uint32_t kind, std::string_view text, std::uint32_t& identity) {
  Token token;
  token.wire = Wire::kString;
  token.data = text.data();
  token.count = static_cast<std::uint32_t>(std::min(text.size(), std::size_t{limits::kRecordBytes} + 1));
  identity = kNone;
  if (kinds_[kind].trims_only && is_trimmed(text)) [[likely]] {
    return find_or_add(kinds_[kind], token, text, identity);
  }
  return normalise_value(kinds_[kind], token, text, identity);
}

bool IdentityField::normalise_value(Kind& kind, const Token& token, std::string_view text, std::uint32_t& identity) {
  if (text.size() > limits::kRecordBytes) return context_.fail(code::kIdentityLength, "", token, "at most 512 bytes");
  return find_or_add(kind, token, normalise_identity(kind.rule.kind, text, scratch_), identity);
}

// REQUIRES: value is in its normal form.
bool IdentityField::find_or_add(Kind& kind, const Token& token, std::string_view value, std::uint32_t& identity) {
  const std::uint64_t hash = hash_bytes(value, kind.hash_key);
  identity = find(kind, value, hash);
  if (identity != kNone) return true;
  if (value.size() > limits::kIdentityBytes)
    return context_.fail(code::kIdentityLength, "", token, "at most 512 bytes");
  if (!is_utf8(value)) return context_.fail(code::kValueStringUtf8, "", token, "a string of valid UTF-8");
  if (is_generic_identity(value)) return true;
  if (kind.string == kNone) kind.string = context_.strings.intern_text(kind.rule.kind);
  std::vector<BatchIdentity>& identities = context_.batch.identities;
  identity = static_cast<std::uint32_t>(identities.size());
  identities.push_back({kind.string, context_.batch.strings.append(value), hash});
  table_.insert(hash, identity);
  return true;
}

std::uint32_t IdentityField::find(const Kind& kind, std::string_view value, std::uint64_t hash) const {
  return table_.find(hash, [&](std::uint32_t index) {
    const BatchIdentity& known = context_.batch.identities[index];
    if (known.hash != hash || known.kind != kind.string) return false;
    const std::string_view text = context_.batch.strings.at(known.value);
    return text.size() == value.size() && equal_bytes(text.data(), value.data(), value.size());
  });
}

void IdentityField::truncate(std::uint32_t count, std::uint32_t string_count) {
  std::vector<BatchIdentity>& identities = context_.batch.identities;
  for (std::uint32_t index = count; index < identities.size(); ++index) table_.erase(identities[index].hash, index);
  identities.resize(count);
  for (Kind& kind : kinds_) {
    if (kind.string != kNone && kind.string >= string_count) kind.string = kNone;
  }
}

}  // namespace cdp
