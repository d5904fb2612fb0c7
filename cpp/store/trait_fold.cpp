#include "store/trait_fold.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "codec/msgpack_writer.hpp"
#include "store/profile_store.hpp"

namespace cdp {

namespace {

[[nodiscard]] Value float_value(double number) noexcept {
  return {ValueType::kFloat, std::bit_cast<std::uint64_t>(number == 0.0 ? 0.0 : number)};
}

[[nodiscard]] double as_double(const Value& value) noexcept {
  return value.type == ValueType::kFloat ? value.as_float() : static_cast<double>(value.as_int());
}

[[nodiscard]] Value increment(const Value& current, const Value& by) noexcept {
  const auto is_number = [](const Value& value) {
    return value.type == ValueType::kInt || value.type == ValueType::kFloat;
  };
  if (!is_number(by)) return current;
  if (current.type == ValueType::kNull) return by;
  if (!is_number(current)) return current;
  if (current.type == ValueType::kInt && by.type == ValueType::kInt) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(current.as_int(), by.as_int(), &sum)) return current;
    return {ValueType::kInt, static_cast<std::uint64_t>(sum)};
  }
  const double sum = as_double(current) + as_double(by);
  return std::isfinite(sum) ? float_value(sum) : current;
}

// A scalar as an element of a canonical list; empty when it can be none.
[[nodiscard]] std::string encode_element(const Value& value, const Dictionary& strings) {
  std::string bytes;
  MsgpackWriter writer(bytes);
  switch (value.type) {
    case ValueType::kNull: writer.nil(); break;
    case ValueType::kBool: writer.boolean(value.bits != 0); break;
    case ValueType::kInt: writer.integer(value.as_int()); break;
    case ValueType::kFloat: writer.float_bits(value.bits); break;
    case ValueType::kString: writer.string(strings.at(static_cast<std::uint32_t>(value.bits))); break;
    case ValueType::kDatetime: writer.datetime(value.as_int()); break;
    case ValueType::kList:
    case ValueType::kItems: break;
  }
  return bytes;
}

[[nodiscard]] std::uint64_t big_endian(std::string_view bytes, std::size_t at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t index = 0; index < size && at + index < bytes.size(); ++index) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + index]);
  }
  return value;
}

// What a lead byte announces: bytes of head (lead and lengths), bytes of body, values nested behind them.
struct Head {
  std::size_t head = 1;
  std::uint64_t body = 0;
  std::uint64_t nested = 0;
};

[[nodiscard]] Head read_head(std::string_view bytes, std::size_t at) noexcept {
  const auto lead = static_cast<unsigned char>(bytes[at]);
  const auto length = [&](std::size_t size) { return big_endian(bytes, at + 1, size); };
  if (lead < 0x80 || lead >= 0xE0) return {};
  if (lead < 0x90) return {1, 0, (lead & 15u) * 2u};
  if (lead < 0xA0) return {1, 0, lead & 15u};
  if (lead < 0xC0) return {1, lead & 31u, 0};
  switch (lead) {
    case 0xC4:
    case 0xD9: return {2, length(1), 0};
    case 0xC5:
    case 0xDA: return {3, length(2), 0};
    case 0xC6:
    case 0xDB: return {5, length(4), 0};
    case 0xC7: return {3, length(1), 0};
    case 0xC8: return {4, length(2), 0};
    case 0xC9: return {6, length(4), 0};
    case 0xCC:
    case 0xD0: return {2, 0, 0};
    case 0xCD:
    case 0xD1: return {3, 0, 0};
    case 0xCA:
    case 0xCE:
    case 0xD2: return {5, 0, 0};
    case 0xCB:
    case 0xCF:
    case 0xD3: return {9, 0, 0};
    case 0xD4: return {3, 0, 0};
    case 0xD5: return {4, 0, 0};
    case 0xD6: return {6, 0, 0};
    case 0xD7: return {10, 0, 0};
    case 0xD8: return {18, 0, 0};
    case 0xDC: return {3, 0, length(2)};
    case 0xDD: return {5, 0, length(4)};
    case 0xDE: return {3, 0, length(2) * 2};
    case 0xDF: return {5, 0, length(4) * 2};
    default: return {};
  }
}

// Where the value at `at` ends, the values nested in it included. Stays within the bytes whatever they are.
[[nodiscard]] std::size_t end_of(std::string_view bytes, std::size_t at) noexcept {
  for (std::uint64_t open = 1; open > 0 && at < bytes.size(); --open) {
    const Head head = read_head(bytes, at);
    at = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), at + head.head + head.body));
    open += head.nested;
  }
  return at;
}

}  // namespace

std::optional<Value> fold_scalar(const Value& current, TraitKind kind, const Value& operand) noexcept {
  switch (kind) {
    case TraitKind::kSet: return operand;
    case TraitKind::kSetOnce: return current.type == ValueType::kNull ? operand : current;
    case TraitKind::kUnset: return Value{};
    case TraitKind::kIncrement: return increment(current, operand);
    case TraitKind::kAppend:
    case TraitKind::kRemove: break;
  }
  return std::nullopt;
}

bool TraitFold::is_list() const noexcept { return value_.type == ValueType::kList || value_.type == ValueType::kItems; }

bool TraitFold::open() {
  if (!is_list()) return false;
  if (list_) return true;
  const std::string_view bytes = strings_->at(static_cast<std::uint32_t>(value_.bits));
  list_.emplace();
  if (bytes.empty()) return true;
  for (std::size_t at = read_head(bytes, 0).head; at < bytes.size();) {
    const std::size_t end = end_of(bytes, at);
    list_->elements.emplace_back(bytes.substr(at, end - at));
    list_->present.insert(list_->elements.back());
    list_->size_bytes += end - at;
    at = end;
  }
  return true;
}

void TraitFold::add(const std::string& element) {
  if (list_->present.contains(element) || list_->size_bytes + element.size() > kListBytes) return;
  list_->elements.push_back(element);
  list_->present.insert(element);
  list_->size_bytes += element.size();
}

void TraitFold::drop(const std::string& element) {
  if (list_->present.erase(element) == 0) return;
  const std::size_t count = std::erase(list_->elements, element);
  list_->size_bytes -= count * element.size();
}

void TraitFold::apply(TraitKind kind, const Value& operand) {
  if (kind == TraitKind::kAppend || kind == TraitKind::kRemove) {
    const std::string element = encode_element(operand, *strings_);
    if (element.empty()) return;
    if (kind == TraitKind::kAppend && value_.type == ValueType::kNull) {
      value_.type = ValueType::kList;
      list_.emplace();
    }
    if (!open()) return;
    if (kind == TraitKind::kAppend) {
      add(element);
    } else {
      drop(element);
    }
    return;
  }
  if (list_ && (kind == TraitKind::kSetOnce || kind == TraitKind::kIncrement)) return;
  value_ = *fold_scalar(value_, kind, operand);
  close();
}

void TraitFold::join(TraitFold& loser) {
  if (value_.type == ValueType::kNull) {
    value_ = loser.value_;
    list_ = std::move(loser.list_);
    return;
  }
  if (!is_list() || !loser.is_list()) return;
  static_cast<void>(open());
  static_cast<void>(loser.open());
  const List own = *std::exchange(list_, List{});
  for (const List* side : std::array<const List*, 2>{&own, &*loser.list_}) {
    for (const std::string& element : side->elements) add(element);
  }
  if (loser.value_.type != value_.type && !loser.list_->elements.empty()) value_.type = ValueType::kItems;
}

Value TraitFold::value() {
  if (!list_) return value_;
  std::string bytes;
  MsgpackWriter(bytes).array(static_cast<std::uint32_t>(list_->elements.size()));
  for (const std::string& element : list_->elements) bytes += element;
  return {value_.type, strings_->intern(bytes)};
}

Value fold_component(Origin home, std::span<const StoredOperation> operations, std::span<const Link> links,
                     Dictionary& strings) {
  std::vector<TraitFold> folds;
  std::vector<std::size_t> parent;  // of a fold: what it was joined into
  std::unordered_map<std::uint32_t, std::size_t> first;
  const auto side = [&](Origin origin) {
    const auto [entry, fresh] = first.try_emplace(raw(origin), folds.size());
    if (fresh) folds.emplace_back(strings), parent.push_back(entry->second);
    std::size_t at = entry->second;
    while (parent[at] != at) at = parent[at] = parent[parent[at]];
    return at;
  };
  std::size_t link = 0;
  const auto join_until = [&](std::int64_t time_ms) {  // links before this time
    for (; link < links.size() && links[link].time_ms < time_ms; ++link) {
      const std::size_t winner = side(links[link].winner), loser = side(links[link].loser);
      if (winner == loser) continue;
      folds[winner].join(folds[loser]);
      parent[loser] = winner;
    }
  };
  for (const StoredOperation& operation : operations) {
    join_until(operation.time_ms);
    folds[side(operation.origin)].apply(operation.kind, operation.value);
  }
  join_until(std::numeric_limits<std::int64_t>::max());
  return folds[side(home)].value();
}

}  // namespace cdp
