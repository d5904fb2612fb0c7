#include "query/document.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/utf8.hpp"

namespace cdp {
namespace {

constexpr std::size_t kReserveMost = 1'024;  // lists in lists must not take memory by what they claim alone

[[noreturn]] void fail_bytes(std::string message, std::string path = {}) {
  throw Error(Family::kBadQuery, code::kQueryInvalid, std::move(message), std::move(path));
}

void append_field(std::string& path, std::string_view name) {
  if (!path.empty()) path += '.';
  path.append(shown(name));
}

void append_item(std::string& path, std::size_t index) { path.append("[").append(std::to_string(index)).append("]"); }

// One pass over the bytes; every read is checked, and what is wrong is told with its place.
class Parser {
 public:
  explicit Parser(std::span<const std::uint8_t> bytes, bool is_ours = false)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()), is_ours_(is_ours) {}

  Node parse_all() {
    Node node = parse(0);
    if (at_ != end_) fail("bytes behind the end of the query");
    return node;
  }

 private:
  const std::uint8_t* need(std::size_t count) {
    if (static_cast<std::size_t>(end_ - at_) < count) fail("the query ends in the middle of a value");
    const std::uint8_t* at = at_;
    at_ += count;
    return at;
  }
  template <class T>
  T big_endian() {
    const std::uint8_t* at = need(sizeof(T));
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << 8) | at[i]);
    return value;
  }

  Node parse(std::size_t depth) {
    if (depth > kDocumentDepth) fail("nested over 64 levels");
    if (++nodes_ > kDocumentNodes && !is_ours_) fail("over 100,000 values");
    const std::uint8_t tag = *need(1);
    if (tag <= 0x7F) return integer(tag);
    if (tag >= 0xE0) return integer(static_cast<std::int8_t>(tag));
    if (tag <= 0x8F) return map(tag & 0x0F, depth);
    if (tag <= 0x9F) return array(tag & 0x0F, depth);
    if (tag <= 0xBF) return string(tag & 0x1F);
    return parse_tagged(tag, depth);
  }

  Node parse_tagged(std::uint8_t tag, std::size_t depth) {
    switch (tag) {
      case 0xC0: return {};
      case 0xC2: return boolean(false);
      case 0xC3: return boolean(true);
      case 0xC7: return extension(big_endian<std::uint8_t>());
      case 0xC8: return extension(big_endian<std::uint16_t>());
      case 0xC9: return extension(big_endian<std::uint32_t>());
      case 0xCA: return floating(std::bit_cast<float>(big_endian<std::uint32_t>()));
      case 0xCB: return floating(std::bit_cast<double>(big_endian<std::uint64_t>()));
      case 0xCC: return integer(big_endian<std::uint8_t>());
      case 0xCD: return integer(big_endian<std::uint16_t>());
      case 0xCE: return integer(big_endian<std::uint32_t>());
      case 0xCF: return unsigned_integer(big_endian<std::uint64_t>());
      case 0xD0: return integer(static_cast<std::int8_t>(big_endian<std::uint8_t>()));
      case 0xD1: return integer(static_cast<std::int16_t>(big_endian<std::uint16_t>()));
      case 0xD2: return integer(static_cast<std::int32_t>(big_endian<std::uint32_t>()));
      case 0xD3: return integer(static_cast<std::int64_t>(big_endian<std::uint64_t>()));
      case 0xD6: return extension(4);
      case 0xD7: return extension(8);
      case 0xD9: return string(big_endian<std::uint8_t>());
      case 0xDA: return string(big_endian<std::uint16_t>());
      case 0xDB: return string(big_endian<std::uint32_t>());
      case 0xDC: return array(big_endian<std::uint16_t>(), depth);
      case 0xDD: return array(big_endian<std::uint32_t>(), depth);
      case 0xDE: return map(big_endian<std::uint16_t>(), depth);
      case 0xDF: return map(big_endian<std::uint32_t>(), depth);
      default: fail("a query holds maps, lists, strings, numbers, booleans, nil and timestamps only");
    }
  }

  static Node boolean(bool value) {
    Node node;
    node.type = Node::Type::kBool;
    node.integer = value ? 1 : 0;
    return node;
  }
  static Node integer(std::int64_t value) {
    Node node;
    node.type = Node::Type::kInt;
    node.integer = value;
    return node;
  }
  [[nodiscard]] Node unsigned_integer(std::uint64_t value) const {
    if (value > INT64_MAX) fail("an integer beyond 2^63-1: " + std::to_string(value));
    return integer(static_cast<std::int64_t>(value));
  }
  [[nodiscard]] Node floating(double value) const {
    if (!std::isfinite(value))
      fail("expected a finite number, got " + std::string(std::isnan(value) ? "NaN" : "infinity"));
    Node node;
    node.type = Node::Type::kFloat;
    node.number = value == 0 ? 0.0 : value;
    return node;
  }
  Node string(std::size_t length);
  Node array(std::size_t count, std::size_t depth);
  Node map(std::size_t count, std::size_t depth);
  Node extension(std::size_t length);

  // Where a value lies that is being read: a field of a map, else a place in a list.
  struct Step {
    std::string_view name;
    std::size_t index;
  };
  void enter(const Step& step) {
    if (!is_ours_) steps_.push_back(step);
  }
  void leave() noexcept {
    if (!is_ours_) steps_.pop_back();
  }
  [[noreturn]] void fail(std::string message) const {
    std::string path;
    for (const Step& step : steps_)
      step.name.data() == nullptr ? append_item(path, step.index) : append_field(path, step.name);
    fail_bytes(std::move(message), std::move(path));
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::size_t nodes_ = 0;
  bool is_ours_;  // checked when it came in
  std::vector<Step> steps_;
};

Node Parser::string(std::size_t length) {
  Node node;
  node.type = Node::Type::kString;
  node.text = {reinterpret_cast<const char*>(need(length)), length};
  if (!is_ours_ && !is_utf8(node.text)) fail("a string that is not UTF-8");
  return node;
}

Node Parser::array(std::size_t count, std::size_t depth) {
  if (count > static_cast<std::size_t>(end_ - at_)) fail("the query ends in the middle of a list");
  Node node;
  node.type = Node::Type::kArray;
  node.items.reserve(std::min(count, kReserveMost));
  for (std::size_t i = 0; i < count; ++i) {
    enter({{}, i});
    node.items.push_back(parse(depth + 1));
    leave();
  }
  return node;
}

Node Parser::map(std::size_t count, std::size_t depth) {
  if (count > static_cast<std::size_t>(end_ - at_) / 2) fail("the query ends in the middle of a map");
  if (count > 64 && !is_ours_) fail("a map of over 64 fields");  // the largest map of the grammar has about 20
  Node node;
  node.type = Node::Type::kMap;
  node.fields.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Node key = parse(depth + 1);
    if (key.type != Node::Type::kString) fail("a key that is " + describe(key) + ", expected a string");
    for (const auto& [known, value] : node.fields) {
      if (is_ours_) break;
      if (known == key.text) fail("the key \"" + std::string(shown(key.text)) + "\" twice");
    }
    enter({key.text, 0});
    node.fields.emplace_back(key.text, parse(depth + 1));
    leave();
  }
  return node;
}

// Timestamp, type −1: 32 bits of seconds; 30 bits of nanoseconds and 34 of seconds; 32 of nanoseconds and 64 of seconds.
Node Parser::extension(std::size_t length) {
  if (static_cast<std::int8_t>(*need(1)) != -1) fail("an extension type that is no timestamp");
  std::int64_t seconds = 0;
  std::uint64_t nanoseconds = 0;
  if (length == 4) {
    seconds = big_endian<std::uint32_t>();
  } else if (length == 8) {
    const auto word = big_endian<std::uint64_t>();
    nanoseconds = word >> 34;
    seconds = static_cast<std::int64_t>(word & ((std::uint64_t{1} << 34) - 1));
  } else if (length == 12) {
    nanoseconds = big_endian<std::uint32_t>();
    seconds = static_cast<std::int64_t>(big_endian<std::uint64_t>());
  } else {
    fail("a timestamp of a length that does not exist");
  }
  // Years 1 to 9999: what every language can hold that the document may be given back to.
  constexpr std::int64_t kSecondsMin = -62'135'596'800, kSecondsMax = 253'402'300'799;
  if (nanoseconds > 999'999'999 || seconds > kSecondsMax || seconds < kSecondsMin) fail("a timestamp out of range");
  Node node;
  node.type = Node::Type::kDatetime;
  node.integer = seconds * 1'000 + static_cast<std::int64_t>(nanoseconds / 1'000'000);
  return node;
}

}  // namespace

Node parse_document(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kDocumentBytes) fail_bytes("a query of over 1 MiB");
  return Parser(bytes).parse_all();
}

Node parse_stored(std::string_view bytes) {
  return Parser({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, true).parse_all();
}

std::string_view shown(std::string_view text) noexcept {
  constexpr std::size_t kShownBytes = 64;
  return text.substr(0, utf8_prefix(text.substr(0, kShownBytes)));
}

std::string describe(const Node& node) {
  switch (node.type) {
    case Node::Type::kNull: return "nil";
    case Node::Type::kBool: return node.integer != 0 ? "true" : "false";
    case Node::Type::kInt: return "the integer " + std::to_string(node.integer);
    case Node::Type::kFloat: return "the number " + std::to_string(node.number);
    case Node::Type::kString: return "the string \"" + std::string(shown(node.text)) + "\"";
    case Node::Type::kDatetime: return "a timestamp";
    case Node::Type::kArray: return "a list of " + std::to_string(node.items.size());
    case Node::Type::kMap: return "a map";
  }
  return "something else";
}

std::string Path::text() const {
  if (parent_ == nullptr) return {};
  std::string out = parent_->text();
  name_.data() == nullptr ? append_item(out, index_) : append_field(out, name_);
  return out;
}

void Path::spend(std::size_t size_bytes) const {
  const Path* root = this;
  while (root->parent_ != nullptr) root = root->parent_;
  root->spent_ += size_bytes;
  if (root->spent_ > kDocumentCost) fail_invalid(*this, "regular expressions and tests of over 32 MiB in one query");
}

void fail_invalid(const Path& path, std::string message) {
  throw Error(Family::kBadQuery, code::kQueryInvalid, std::move(message), path.text());
}
void fail_expected(const Path& path, std::string_view expected, const Node& got) {
  fail_invalid(path, "expected " + std::string(expected) + ", got " + describe(got));
}
void fail_unsupported(const Path& path, std::string message) {
  throw Error(Family::kBadQuery, code::kQueryUnsupported, std::move(message), path.text());
}

std::string_view read_string(const Node& node, const Path& path) {
  if (node.type != Node::Type::kString) fail_expected(path, "a string", node);
  return node.text;
}

bool read_bool(const Node& node, const Path& path) {
  if (node.type != Node::Type::kBool) fail_expected(path, "true or false", node);
  return node.integer != 0;
}

std::int64_t read_int(const Node& node, const Path& path, std::int64_t min, std::int64_t max) {
  if (node.type != Node::Type::kInt || node.integer < min || node.integer > max) {
    fail_expected(path, "an integer from " + std::to_string(min) + " to " + std::to_string(max), node);
  }
  return node.integer;
}

const std::vector<Node>& read_array(const Node& node, const Path& path, std::size_t min, std::size_t max) {
  if (node.type != Node::Type::kArray || node.items.size() < min || node.items.size() > max) {
    fail_expected(path, "a list of " + std::to_string(min) + " to " + std::to_string(max), node);
  }
  return node.items;
}

Fields::Fields(const Node& node, const Path& path) : node_(&node), path_(&path) {
  if (node.type != Node::Type::kMap) fail_expected(path, "a map", node);
  taken_.resize(node.fields.size());
}

const Node* Fields::take_nil(std::string_view name) {
  asked_.push_back(name);
  for (std::size_t i = 0; i < node_->fields.size(); ++i) {
    if (node_->fields[i].first != name) continue;
    taken_[i] = true;
    return &node_->fields[i].second;
  }
  return nullptr;
}

const Node* Fields::take(std::string_view name) {
  const Node* node = take_nil(name);
  return node != nullptr && node->type == Node::Type::kNull ? nullptr : node;
}

const Node& Fields::require(std::string_view name, std::string_view expected) {
  const Node* node = take(name);
  if (node == nullptr) fail_invalid(path(name), "missing; expected " + std::string(expected));
  return *node;
}

bool Fields::has(std::string_view name) const noexcept {
  return std::any_of(node_->fields.begin(), node_->fields.end(),
                     [&](const auto& field) { return field.first == name; });
}

const Node* Fields::peek(std::string_view name) const noexcept {
  const auto field = std::ranges::find(node_->fields, name, &std::pair<std::string_view, Node>::first);
  return field == node_->fields.end() ? nullptr : &field->second;
}

std::size_t Fields::choice(std::string_view name, std::span<const std::string_view> choices,
                           std::optional<std::size_t> fallback) {
  const Node* node = take(name);
  if (node == nullptr && fallback) return *fallback;
  std::string expected = "one of";
  for (const std::string_view choice : choices) expected.append(" \"").append(choice).append("\"");
  if (node == nullptr) fail_invalid(path(name), "missing; expected " + expected);
  const auto found =
      node->type == Node::Type::kString ? std::find(choices.begin(), choices.end(), node->text) : choices.end();
  if (found == choices.end()) fail_expected(path(name), expected, *node);
  return static_cast<std::size_t>(found - choices.begin());
}

std::optional<std::int64_t> Fields::integer(std::string_view name, std::int64_t min, std::int64_t max) {
  const Node* node = take(name);
  if (node == nullptr) return std::nullopt;
  return read_int(*node, path(name), min, max);
}

namespace {

// How many letters differ, changed, lost, added or exchanged with the next, as far as it is below `most`.
std::size_t distance(std::string_view left, std::string_view right, std::size_t most) {
  if (std::max(left.size(), right.size()) > 64) return most;
  std::vector<std::size_t> before(right.size() + 1), last(right.size() + 1), row(right.size() + 1);
  for (std::size_t j = 0; j <= right.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return std::min(last.back(), most);
}

std::string unknown_field(std::string_view name, const std::vector<std::string_view>& known) {
  std::string closest, all;
  std::size_t least = name.size() < 3 ? 2 : std::max<std::size_t>(3, name.size() / 2);
  std::vector<std::string_view> listed;
  for (const std::string_view each : known) {
    if (std::ranges::find(listed, each) != listed.end()) continue;
    listed.push_back(each);
    all.append(all.empty() ? "" : ", ").append(each);
    if (const std::size_t far = distance(name, each, least); far < least) least = far, closest = each;
  }
  std::string out = "unknown field";
  if (!closest.empty()) out.append(", did you mean \"").append(closest).append("\"?");
  return all.empty() ? out : out.append("; known here: ").append(all);
}

}  // namespace

void Fields::done() const {
  for (std::size_t i = 0; i < taken_.size(); ++i) {
    if (taken_[i]) continue;
    const std::string_view name = node_->fields[i].first;
    throw Error(Family::kBadQuery, code::kQueryFieldUnknown, unknown_field(name, asked_), path_->field(name).text());
  }
}

}  // namespace cdp
