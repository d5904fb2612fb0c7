// A msgpack document of a client as a tree, and a way to read it that knows where it is: every error names its path.
//
// Hostile bytes: depth, nodes and length are bounded, strings are checked as UTF-8, duplicate keys and trailing bytes
// are refused. Strings are views into the bytes: the bytes must outlive the tree.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace cdp {

inline constexpr std::size_t kDocumentBytes = 1u << 20;  // a list of 10 k values of `in` is about 200 KiB
inline constexpr std::size_t kDocumentNodes = 100'000;
inline constexpr std::size_t kDocumentDepth = 64;
inline constexpr std::size_t kDocumentCost = 32u << 20;  // bytes of states of regular expressions, and the like

struct Node {
  enum class Type : std::uint8_t { kNull, kBool, kInt, kFloat, kString, kDatetime, kArray, kMap };
  Type type = Type::kNull;
  std::int64_t integer = 0;                               // kBool 0 or 1, kInt, kDatetime milliseconds UTC
  double number = 0;                                      // kFloat, finite
  std::string_view text;                                  // kString
  std::vector<Node> items;                                // kArray
  std::vector<std::pair<std::string_view, Node>> fields;  // kMap, keys distinct
};

// Throws BadQuery query.invalid.
[[nodiscard]] Node parse_document(std::span<const std::uint8_t> bytes);

// The same of what the store wrote itself (lists, items): not bounded or checked again as a client's is.
[[nodiscard]] Node parse_stored(std::string_view bytes);

// The text as far as messages and paths show it: at most 64 bytes, whole characters.
[[nodiscard]] std::string_view shown(std::string_view text) noexcept;

// "a map", "the string \"abc\"", "the integer 7": what was found, for messages.
[[nodiscard]] std::string describe(const Node& node);

// Where a node lies: a chain on the stack, written out only for an error. `steps[1].where[0].op`.
class Path {
 public:
  Path() = default;
  [[nodiscard]] Path field(std::string_view name) const { return Path(this, name, 0); }
  [[nodiscard]] Path item(std::size_t index) const { return Path(this, {}, index); }
  [[nodiscard]] std::string text() const;
  // Counts memory that what lies here will take, in all of its document: short texts may ask for much of it. Throws BadQuery
  // over kDocumentCost.
  void spend(std::size_t size_bytes) const;

 private:
  Path(const Path* parent, std::string_view name, std::size_t index) : parent_(parent), name_(name), index_(index) {}
  const Path* parent_ = nullptr;
  std::string_view name_;
  std::size_t index_ = 0;
  mutable std::size_t spent_ = 0;  // of the root: by the whole document
};

// "expected a string, got the integer 7"
[[noreturn]] void fail_expected(const Path& path, std::string_view expected, const Node& got);
[[noreturn]] void fail_invalid(const Path& path, std::string message);
[[noreturn]] void fail_unsupported(const Path& path, std::string message);

[[nodiscard]] std::string_view read_string(const Node& node, const Path& path);
[[nodiscard]] bool read_bool(const Node& node, const Path& path);
[[nodiscard]] std::int64_t read_int(const Node& node, const Path& path, std::int64_t min, std::int64_t max);
[[nodiscard]] const std::vector<Node>& read_array(const Node& node, const Path& path, std::size_t min, std::size_t max);

// The fields of a map: each is taken by name; `done` refuses those that nobody took (query.field.unknown), and says which names
// were asked for. REQUIRES: names outlive this.
class Fields {
 public:
  Fields(const Node& node, const Path& path);            // throws when the node is no map
  Fields(const Node& node, const Path&& path) = delete;  // paths are chains on the stack: keep them alive
  [[nodiscard]] const Path& path() const noexcept { return *path_; }
  [[nodiscard]] Path path(std::string_view name) const { return path_->field(name); }
  // The field, or null when absent or nil.
  [[nodiscard]] const Node* take(std::string_view name);
  // The field also when nil; null only when absent.
  [[nodiscard]] const Node* take_nil(std::string_view name);
  [[nodiscard]] const Node& require(std::string_view name, std::string_view expected);
  [[nodiscard]] bool has(std::string_view name) const noexcept;
  // The field without taking it; null when absent.
  [[nodiscard]] const Node* peek(std::string_view name) const noexcept;
  // Takes a string out of a list of choices; `fallback` when absent. Index into choices.
  [[nodiscard]] std::size_t choice(std::string_view name, std::span<const std::string_view> choices,
                                   std::optional<std::size_t> fallback);
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name, std::int64_t min, std::int64_t max);
  // Fields that somebody else has taken out of the map, for `done` to say.
  void also(std::span<const std::string_view> names) { asked_.insert(asked_.end(), names.begin(), names.end()); }
  void done() const;

 private:
  const Node* node_;
  const Path* path_;
  std::vector<bool> taken_;
  std::vector<std::string_view> asked_;
};

}  // namespace cdp
