// msgpack as a tree, for tests: built by hand, encoded in smallest or random forms, parsed back by plain recursion.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cdp::test {

struct Tree {
  enum Kind { kNil, kBool, kInt, kUint, kFloat, kString, kBinary, kArray, kMap, kExt };
  Kind kind = kNil;
  std::uint64_t bits = 0;  // bool, int, uint, double
  bool narrow_float = false;
  std::int8_t ext = 0;
  std::string text;         // string, binary, ext
  std::vector<Tree> items;  // array; map: key, value, key, value
  std::size_t size = 0;     // bytes it was parsed from

  Tree() = default;
  Tree(bool value) : kind(kBool), bits(value) {}
  Tree(int value) : kind(kInt), bits(static_cast<std::uint64_t>(std::int64_t{value})) {}
  Tree(std::int64_t value) : kind(kInt), bits(static_cast<std::uint64_t>(value)) {}
  Tree(std::uint64_t value) : kind(value >> 63 != 0 ? kUint : kInt), bits(value) {}
  Tree(double value) : kind(kFloat), bits(std::bit_cast<std::uint64_t>(value)) {}
  Tree(const char* value) : kind(kString), text(value) {}
  Tree(std::string value) : kind(kString), text(std::move(value)) {}

  [[nodiscard]] std::int64_t as_int() const { return static_cast<std::int64_t>(bits); }
};

inline Tree list(std::vector<Tree> items) {
  Tree tree;
  tree.kind = Tree::kArray;
  tree.items = std::move(items);
  return tree;
}
inline Tree map(std::vector<std::pair<Tree, Tree>> pairs) {
  Tree tree;
  tree.kind = Tree::kMap;
  for (auto& [key, value] : pairs) tree.items.push_back(std::move(key)), tree.items.push_back(std::move(value));
  return tree;
}
inline Tree binary(std::string bytes) {
  Tree tree(std::move(bytes));
  tree.kind = Tree::kBinary;
  return tree;
}
inline Tree ext(std::int8_t type, std::string bytes) {
  Tree tree(std::move(bytes));
  tree.kind = Tree::kExt;
  tree.ext = type;
  return tree;
}
inline std::string big_endian(std::uint64_t value, int size) {
  std::string out;
  for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  return out;
}

// Encodes in the smallest forms, or, given chance, in any form that holds the value.
class TreeEncoder {
 public:
  explicit TreeEncoder(std::mt19937_64* random = nullptr) : random_(random) {}
  std::string out;

  void put(const Tree& tree) {
    switch (tree.kind) {
      case Tree::kNil: byte(0xC0); break;
      case Tree::kBool: byte(tree.bits != 0 ? 0xC3 : 0xC2); break;
      case Tree::kInt: put_int(tree.as_int()); break;
      case Tree::kUint: number(0xCF, tree.bits, 8); break;
      case Tree::kFloat: put_float(tree); break;
      case Tree::kString: header(tree.text.size(), 32, 0xA0, 0xD9, true), out += tree.text; break;
      case Tree::kBinary: header(tree.text.size(), 0, 0, 0xC4, true), out += tree.text; break;
      case Tree::kArray: header(tree.items.size(), 16, 0x90, 0xDC, false), put_all(tree.items); break;
      case Tree::kMap: header(tree.items.size() / 2, 16, 0x80, 0xDE, false), put_all(tree.items); break;
      case Tree::kExt: put_ext(tree); break;
    }
  }

 private:
  void byte(int value) { out.push_back(static_cast<char>(value)); }
  void number(int lead, std::uint64_t value, int size) { byte(lead), out += big_endian(value, size); }
  int widen(int form, int most) {  // a form at least as wide
    return random_ == nullptr || (*random_)() % 4 != 0
               ? form
               : form + static_cast<int>((*random_)() % static_cast<unsigned>(most - form + 1));
  }
  void put_all(const std::vector<Tree>& items) {
    for (const Tree& item : items) put(item);
  }
  // Forms: 0 in the lead byte, then lengths of 1, 2, 4 bytes.
  void header(std::uint64_t size, std::uint64_t fixed_below, int fixed, int lead, bool has_byte_form) {
    int form = size < fixed_below ? 0 : size <= 0xFF ? 1 : size <= 0xFFFF ? 2 : 3;
    form = widen(form, 3);
    if (form == 1 && !has_byte_form) form = 2;
    if (form == 0) return byte(fixed | static_cast<int>(size));
    number(lead + form - (has_byte_form ? 1 : 2), size, form == 3 ? 4 : form);
  }
  void put_int(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    if (value >= 0 && (random_ == nullptr || (*random_)() % 2 == 0)) {
      const int form = widen(bits < 0x80 ? 0 : bits <= 0xFF ? 1 : bits <= 0xFFFF ? 2 : bits <= 0xFFFF'FFFF ? 3 : 4, 4);
      if (form == 0) return byte(static_cast<int>(bits));
      return number(0xCB + form, bits, 1 << (form - 1));
    }
    const int least = value >= -32 && value < 128                ? 0
                      : value >= INT8_MIN && value <= INT8_MAX   ? 1
                      : value >= INT16_MIN && value <= INT16_MAX ? 2
                      : value >= INT32_MIN && value <= INT32_MAX ? 3
                                                                 : 4;
    const int form = widen(least, 4);
    if (form == 0) return byte(static_cast<int>(bits & 0xFF));
    number(0xCF + form, bits, 1 << (form - 1));
  }
  void put_float(const Tree& tree) {
    if (!tree.narrow_float) return number(0xCB, tree.bits, 8);
    number(0xCA, std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<double>(tree.bits))), 4);
  }
  void put_ext(const Tree& tree) {
    const std::size_t size = tree.text.size();
    const bool fixed = std::has_single_bit(size) && size <= 16;
    if (fixed && widen(0, 1) == 0) {
      byte(0xD4 + std::countr_zero(size));
    } else {
      header(size, 0, 0, 0xC7, true);
    }
    byte(tree.ext);
    out += tree.text;
  }

  std::mt19937_64* random_;
};

inline std::string encode(const Tree& tree, std::mt19937_64* random = nullptr) {
  TreeEncoder encoder(random);
  encoder.put(tree);
  return std::move(encoder.out);
}

// Plain recursive parse, deep inputs aside (it gives up at 200 levels: such inputs are not compared).
class TreeParser {
 public:
  explicit TreeParser(std::string_view bytes) : bytes_(bytes) {}
  bool too_deep = false;

  std::optional<Tree> parse_all() {
    std::optional<Tree> tree = parse(0);
    return at_ == bytes_.size() ? tree : std::nullopt;
  }

 private:
  std::optional<std::uint64_t> number(std::size_t size) {
    if (bytes_.size() - at_ < size) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t index = 0; index < size; ++index)
      value = value << 8 | static_cast<unsigned char>(bytes_[at_ + index]);
    at_ += size;
    return value;
  }
  static Tree of(Tree::Kind kind, std::uint64_t bits) {
    Tree tree;
    tree.kind = kind, tree.bits = bits;
    return tree;
  }
  std::optional<Tree> blob(Tree::Kind kind, std::optional<std::uint64_t> size) {
    Tree tree = of(kind, 0);
    if (size && kind == Tree::kExt) {
      const auto type = number(1);
      if (!type) return std::nullopt;
      tree.ext = static_cast<std::int8_t>(*type);
    }
    if (!size || bytes_.size() - at_ < *size) return std::nullopt;
    tree.text = bytes_.substr(at_, *size);
    at_ += *size;
    return tree;
  }
  std::optional<Tree> container(Tree::Kind kind, std::optional<std::uint64_t> count, int depth) {
    if (!count || bytes_.size() - at_ < *count * (kind == Tree::kMap ? 2 : 1)) return std::nullopt;
    Tree tree = of(kind, 0);
    for (std::uint64_t left = *count * (kind == Tree::kMap ? 2 : 1); left > 0; --left) {
      std::optional<Tree> item = parse(depth + 1);
      if (!item) return std::nullopt;
      tree.items.push_back(std::move(*item));
    }
    return tree;
  }
  std::optional<Tree> parse(int depth) {
    const std::size_t begin = at_;
    std::optional<Tree> tree = parse_value(depth);
    if (tree) tree->size = at_ - begin;
    return tree;
  }
  std::optional<Tree> parse_value(int depth) {
    if (depth > 200) return too_deep = true, std::nullopt;
    const auto lead_read = number(1);
    if (!lead_read) return std::nullopt;
    const auto lead = static_cast<int>(*lead_read);
    if (lead < 0x80) return Tree(lead);
    if (lead < 0x90) return container(Tree::kMap, static_cast<std::uint64_t>(lead & 15), depth);
    if (lead < 0xA0) return container(Tree::kArray, static_cast<std::uint64_t>(lead & 15), depth);
    if (lead < 0xC0) return blob(Tree::kString, static_cast<std::uint64_t>(lead & 31));
    if (lead >= 0xE0) return Tree(lead - 256);
    if (lead == 0xC0) return Tree();
    if (lead == 0xC1) return std::nullopt;
    if (lead <= 0xC3) return Tree(lead == 0xC3);
    if (lead <= 0xC6) return blob(Tree::kBinary, number(std::size_t{1} << (lead - 0xC4)));
    if (lead <= 0xC9) return blob(Tree::kExt, number(std::size_t{1} << (lead - 0xC7)));
    if (lead <= 0xCB) return parse_float(lead);
    if (lead <= 0xCF) {
      const auto value = number(std::size_t{1} << (lead - 0xCC));
      return value ? std::optional<Tree>(Tree(*value)) : std::nullopt;
    }
    if (lead <= 0xD3) return parse_signed(std::size_t{1} << (lead - 0xD0));
    if (lead <= 0xD8) return blob(Tree::kExt, std::uint64_t{1} << (lead - 0xD4));
    if (lead <= 0xDB) return blob(Tree::kString, number(std::size_t{1} << (lead - 0xD9)));
    if (lead <= 0xDD) return container(Tree::kArray, number(lead == 0xDC ? 2 : 4), depth);
    return container(Tree::kMap, number(lead == 0xDE ? 2 : 4), depth);
  }
  std::optional<Tree> parse_float(int lead) {
    const auto bits = number(lead == 0xCA ? 4 : 8);
    if (!bits) return std::nullopt;
    if (lead == 0xCB) return of(Tree::kFloat, *bits);
    return Tree(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(*bits))));
  }
  std::optional<Tree> parse_signed(std::size_t size) {
    const auto bits = number(size);
    if (!bits) return std::nullopt;
    const unsigned unused = static_cast<unsigned>(64 - size * 8);
    return Tree(static_cast<std::int64_t>(*bits << unused) >> unused);
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace cdp::test
