// Predicts the properties of an event from those before it: a trie over what was sent, key by key and type by type.
//
// A state is reached by one exact sequence of (key, type), from the event's name on; a map is entered and left by edges
// of their own, so nested properties are predicted too. Along known edges an event needs only a comparison of its key's
// bytes with those expected: no hash, no check of the key, no search for repeats (a path holds no key twice in one map,
// because that was checked when its edge was made). The last state knows the finished shape.
//
// Keys point into the batch's bytes. Nodes of refused records stay: they only recognise. A full trie is emptied and
// starts anew, so that hostile keys cost bounded memory.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/equal_bytes.hpp"
#include "base/ids.hpp"
#include "base/value.hpp"

namespace cdp {

class ShapeTrie {
 public:
  // A key within its map at one place of a sequence.
  struct Key {
    std::string_view text;
    std::uint32_t path_bytes = 0;                            // of its dotted name
    std::uint32_t map = kNone;                               // key whose map holds it; kNone at the top
    std::uint32_t next = kNone;                              // another key seen at the same place
    std::uint32_t from = kNone;                              // state before it
    std::array<std::uint32_t, kValueTypeCount + 1> after{};  // state behind it by type; the last: inside its map
  };
  struct State {
    std::uint32_t first_key = kNone;
    std::uint32_t left = kNone;           // state after leaving the map
    std::uint32_t key = kNone;            // edge that led here; kNone for a root and after leaving a map
    std::uint32_t from = kNone;           // state before the map was left; kNone when a key led here
    std::uint32_t shape = kNone;          // of an event that ends here
    std::uint32_t shape_snapped = kNone;  // of one whose client's time is kept
    std::uint8_t type = 0;                // of the edge `key`
  };
  static constexpr std::uint8_t kMap = kValueTypeCount;

  ShapeTrie() { keys_.reserve(32), states_.reserve(32); }

  [[nodiscard]] const Key& key(std::uint32_t index) const noexcept { return keys_[index]; }
  [[nodiscard]] State& state(std::uint32_t index) noexcept { return states_[index]; }
  [[nodiscard]] bool full() const noexcept { return states_.size() > kStatesMax; }
  void clear() noexcept { keys_.clear(), states_.clear(); }

  std::uint32_t add_root() { return add_state({}); }

  // The key expected after `state` that equals `text`, or kNone.
  [[nodiscard]] std::uint32_t find(std::uint32_t state, std::string_view text) noexcept {
    const std::uint32_t first = states_[state].first_key;
    if (first == kNone) return kNone;
    if (matches(first, text)) [[likely]]
      return first;
    return find_other(state, text);
  }
  // REQUIRES: unseen there, checked, in no other place of the same map.
  std::uint32_t add_key(std::uint32_t state, std::string_view text, std::uint32_t map, std::uint32_t path_bytes);

  [[nodiscard]] std::uint32_t after(std::uint32_t key, std::uint8_t type) {
    const std::uint32_t known = keys_[key].after[type];
    return known != kNone ? known : add_after(key, type);
  }
  [[nodiscard]] std::uint32_t leave(std::uint32_t state) {
    const std::uint32_t known = states_[state].left;
    return known != kNone ? known : add_leave(state);
  }

  // Calls visit(key, type) for every edge that led to `state`, last first.
  template <class Visit>
  void walk_back(std::uint32_t state, const Visit& visit) const {
    while (true) {
      const State& at = states_[state];
      if (at.key != kNone) {
        visit(at.key, at.type);
        state = keys_[at.key].from;
      } else if (at.from != kNone) {
        state = at.from;
      } else {
        return;
      }
    }
  }
  // The dotted name of a key.
  void append_path(std::uint32_t key, std::string& out) const;

 private:
  static constexpr std::uint32_t kStatesMax = 65'536;
  static constexpr int kKeysTried = 8;  // at one place; more would make a hostile batch quadratic

  [[nodiscard]] bool matches(std::uint32_t key, std::string_view text) const noexcept {
    const std::string_view known = keys_[key].text;
    return known.size() == text.size() && equal_bytes(known.data(), text.data(), text.size());
  }
  std::uint32_t add_state(const State& state) {
    states_.push_back(state);
    return static_cast<std::uint32_t>(states_.size() - 1);
  }
  [[nodiscard]] std::uint32_t find_other(std::uint32_t state, std::string_view text) noexcept;
  std::uint32_t add_after(std::uint32_t key, std::uint8_t type);
  std::uint32_t add_leave(std::uint32_t state);

  std::vector<Key> keys_;
  std::vector<State> states_;
};

}  // namespace cdp
