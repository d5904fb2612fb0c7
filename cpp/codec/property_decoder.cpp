#include "codec/property_decoder.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include "base/utf8.hpp"
#include "codec/value_decoder.hpp"

namespace cdp {

namespace {

constexpr std::string_view kField = "properties";

std::uint64_t hash_shape(std::uint32_t name, std::span<const ShapeField> fields, std::uint64_t key) noexcept {
  std::uint64_t hash = key ^ name;
  for (const ShapeField& field : fields) {
    hash = detail::fold_multiply(hash ^ 0xA0761D6478BD642Full,
                                 std::uint64_t{field.key} << 8 | static_cast<std::uint64_t>(field.type) | 1ull << 63);
  }
  return hash;
}

}  // namespace

PropertyDecoder::PropertyDecoder(DecodeContext& context) : context_(context), name_table_(64), shape_table_(64) {}

bool PropertyDecoder::begin(const Token& name) {
  if (trie_.full()) [[unlikely]] {
    trie_.clear();
    names_.clear();
    name_table_.clear();
  }
  value_count_ = 0;
  on_new_path_ = false;
  const std::string_view text = name.text();
  const std::uint64_t hash = context_.strings.hash(text);
  name_ = name_table_.find(hash, [&](std::uint32_t index) {
    const std::string_view known = names_[index].text;
    return known.size() == text.size() && equal_bytes(known.data(), text.data(), text.size());
  });
  if (name_ == kNone && !add_name(name, hash)) return false;
  state_ = names_[name_].root;
  return true;
}

bool PropertyDecoder::add_name(const Token& name, std::uint64_t hash) {
  if (!check_event_name(context_, name)) return false;
  name_ = static_cast<std::uint32_t>(names_.size());
  names_.push_back({name.text(), trie_.add_root()});
  name_table_.insert(hash, name_);
  return true;
}

bool PropertyDecoder::read() {
  const Token map = context_.reader.next();
  if (map.wire != Wire::kMap) return context_.fail(code::kRecordFieldType, kField, map, "a map of properties");
  std::array<Open, limits::kDepth> open;
  std::size_t depth = 1;
  open[0] = {kNone, map.count};
  while (true) {
    while (open[depth - 1].pairs_left == 0) {
      if (--depth == 0) return true;
      state_ = trie_.leave(state_);
    }
    Open& top = open[depth - 1];
    --top.pairs_left;
    const Token key_token = context_.reader.next();
    std::uint32_t key = kNone;
    if (key_token.wire == Wire::kString && !on_new_path_) key = trie_.find(state_, key_token.text());
    if (key == kNone) [[unlikely]] {
      key = add_key(key_token, top.key);
      if (key == kNone) return refuse_below(top.key);
    }
    const Token token = context_.reader.next();
    if (token.wire == Wire::kMap && !is_time_map(context_, token)) {
      if (depth == limits::kDepth) {
        context_.fail(code::kRecordTooDeep, "", "", "at most 8 levels of maps and lists");
        return refuse_below(key);
      }
      state_ = trie_.after(key, ShapeTrie::kMap);
      open[depth++] = {key, token.count};
      continue;
    }
    Value value;
    if (!read_value(token, depth, value)) [[unlikely]]
      return refuse_below(key);
    if (value_count_ == limits::kProperties) [[unlikely]] {
      return context_.fail(code::kPropertiesTooMany, kField, "more than 256",
                           "at most 256 properties, nested ones counted");
    }
    values_[value_count_++] = value.bits;
    state_ = trie_.after(key, static_cast<std::uint8_t>(value.type));
  }
}

// The two commonest values without a call; strings when the batch holds them already.
inline bool PropertyDecoder::read_value(const Token& token, std::size_t depth, Value& value) {
  if (token.wire == Wire::kInt) {
    value = {ValueType::kInt, token.bits};
    return true;
  }
  if (token.wire == Wire::kString) {
    const std::uint32_t index = context_.strings.find_text(token.text(), context_.strings.hash(token.text()));
    if (index != kNone) [[likely]] {
      value = {ValueType::kString, index};
      return true;
    }
  }
  return decode_value(context_, token, depth, value);
}

// A key that the trie does not expect here: checked, and from now on searched for repeats. kNone when refused.
std::uint32_t PropertyDecoder::add_key(const Token& key, std::uint32_t map) {
  if (!check_key(context_, key)) return kNone;
  if (!on_new_path_) remember_path();
  if (!context_.keys.insert(map, key.text())) {
    context_.fail(code::kKeyDuplicate, "", key, "every key at most once");
    return kNone;
  }
  const std::size_t prefix = map == kNone ? 0 : trie_.key(map).path_bytes + 1;
  const std::size_t path_bytes = prefix + key.count;
  if (path_bytes > limits::kNameBytes) {
    context_.fail(code::kKeyLength, "", key, "a key of 1 to 256 bytes, with its prefix");
    return kNone;
  }
  return trie_.add_key(state_, key.text(), map, static_cast<std::uint32_t>(path_bytes));
}

// Puts the keys passed so far into the set that finds repeats.
bool PropertyDecoder::remember_path() {
  on_new_path_ = true;
  trie_.walk_back(
      state_, [&](std::uint32_t key, std::uint8_t) { context_.keys.insert(trie_.key(key).map, trie_.key(key).text); });
  return true;
}

bool PropertyDecoder::refuse_below(std::uint32_t key) {
  if (key != kNone) {
    std::string path;
    trie_.append_path(key, path);
    context_.under(path);
  }
  return context_.under(kField);
}

void PropertyDecoder::commit(bool snapped, std::int64_t client_time_ms) {
  if (snapped) values_[value_count_++] = static_cast<std::uint64_t>(client_time_ms);
  EventColumns& events = context_.batch.events;
  const std::uint32_t index = shape(snapped);
  events.shape.push_back(index);
  events.first_value.push_back(static_cast<std::uint32_t>(events.values.size()));
  events.values.insert(events.values.end(), values_.begin(), values_.begin() + value_count_);
}

std::uint32_t PropertyDecoder::shape(bool snapped) {
  const ShapeTrie::State& state = trie_.state(state_);
  const std::uint32_t known = snapped ? state.shape_snapped : state.shape;
  if (known != kNone) [[likely]]
    return known;
  const std::uint32_t made = make_shape(snapped);
  (snapped ? trie_.state(state_).shape_snapped : trie_.state(state_).shape) = made;
  return made;
}

std::uint32_t PropertyDecoder::make_shape(bool snapped) {
  const std::uint32_t name = context_.strings.intern_text(names_[name_].text);
  fields_.clear();
  if (snapped) fields_.push_back({context_.strings.intern_text(kClientTimeKey), ValueType::kDatetime});
  trie_.walk_back(state_, [&](std::uint32_t key, std::uint8_t type) {
    if (type == ShapeTrie::kMap) return;
    path_.clear();
    trie_.append_path(key, path_);
    fields_.push_back({context_.strings.intern_text(path_), static_cast<ValueType>(type)});
  });
  std::reverse(fields_.begin(), fields_.end());

  EventColumns& events = context_.batch.events;
  const auto fields_of = [&](const Shape& shape) {
    return std::span<const ShapeField>(events.fields).subspan(shape.first_field, shape.field_count);
  };
  const std::uint64_t hash = hash_shape(name, fields_, context_.options.hash_key);
  const std::uint32_t known = shape_table_.find(hash, [&](std::uint32_t index) {
    const Shape& shape = events.shapes[index];
    return shape.name == name && std::ranges::equal(fields_of(shape), fields_);
  });
  if (known != kNone) return known;
  const auto made = static_cast<std::uint32_t>(events.shapes.size());
  events.shapes.push_back(
      {name, static_cast<std::uint32_t>(events.fields.size()), static_cast<std::uint32_t>(fields_.size())});
  events.fields.insert(events.fields.end(), fields_.begin(), fields_.end());
  shape_table_.insert(hash, made);
  return made;
}

}  // namespace cdp
