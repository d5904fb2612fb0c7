// The dictionary of a batch while it is built: texts (UTF-8, checked by the caller when new) and canonical lists, each
// found again by value. Both live in one StringTable but are looked up apart: bytes of a list must never stand in for a
// text that was not checked.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/equal_bytes.hpp"
#include "base/hash.hpp"
#include "codec/canonical_batch.hpp"
#include "codec/index_table.hpp"

namespace cdp {

class StringInterner {
 public:
  StringInterner(StringTable& strings, std::uint64_t hash_key, std::uint32_t slots)
      : strings_(strings), hash_key_(hash_key), texts_(slots), lists_(16) {}

  [[nodiscard]] std::uint64_t hash(std::string_view text) const noexcept { return hash_bytes(text, hash_key_); }
  // kNone when unseen. REQUIRES: hash == this->hash(text).
  [[nodiscard]] std::uint32_t find_text(std::string_view text, std::uint64_t hash) const {
    return find(texts_, text, hash);
  }
  // REQUIRES: valid UTF-8 within its limits, unseen.
  std::uint32_t add_text(std::string_view text, std::uint64_t hash) { return add(texts_, text, hash); }
  std::uint32_t intern_text(std::string_view text) {
    const std::uint64_t hash = this->hash(text);
    const std::uint32_t index = find_text(text, hash);
    return index != kNone ? index : add_text(text, hash);
  }
  std::uint32_t intern_list(std::string_view bytes) {
    const std::uint64_t hash = this->hash(bytes);
    const std::uint32_t index = find(lists_, bytes, hash);
    return index != kNone ? index : add(lists_, bytes, hash);
  }
  // Forgets every string from `count` on: those of a refused record.
  void truncate(std::uint32_t count) {
    for (std::uint32_t index = count; index < strings_.size(); ++index) {
      const std::uint64_t hash = this->hash(strings_.at(index));
      texts_.erase(hash, index);
      lists_.erase(hash, index);
    }
    strings_.truncate(count);
  }

 private:
  [[nodiscard]] std::uint32_t find(const IndexTable& table, std::string_view text, std::uint64_t hash) const {
    return table.find(hash, [&](std::uint32_t index) {
      const std::string_view known = strings_.at(index);
      return known.size() == text.size() && equal_bytes(known.data(), text.data(), text.size());
    });
  }
  std::uint32_t add(IndexTable& table, std::string_view text, std::uint64_t hash) {
    const std::uint32_t index = strings_.append(text);
    table.insert(hash, index);
    return index;
  }

  StringTable& strings_;
  std::uint64_t hash_key_;
  IndexTable texts_;
  IndexTable lists_;
};

}  // namespace cdp
