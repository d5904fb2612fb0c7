#include "codec/shape_trie.hpp"

namespace cdp {

std::uint32_t ShapeTrie::find_other(std::uint32_t state, std::string_view text) noexcept {
  std::uint32_t before = states_[state].first_key;
  for (int tried = 1; tried < kKeysTried; ++tried) {
    const std::uint32_t key = keys_[before].next;
    if (key == kNone) return kNone;
    if (matches(key, text)) {  // to the front: the next event probably looks like this one
      keys_[before].next = keys_[key].next;
      keys_[key].next = states_[state].first_key;
      states_[state].first_key = key;
      return key;
    }
    before = key;
  }
  keys_[before].next = kNone;  // the oldest makes room
  return kNone;
}

std::uint32_t ShapeTrie::add_key(std::uint32_t state, std::string_view text, std::uint32_t map,
                                 std::uint32_t path_bytes) {
  Key key{text, path_bytes, map, states_[state].first_key, state, {}};
  key.after.fill(kNone);
  keys_.push_back(key);
  return states_[state].first_key = static_cast<std::uint32_t>(keys_.size() - 1);
}

std::uint32_t ShapeTrie::add_after(std::uint32_t key, std::uint8_t type) {
  State state;
  state.key = key;
  state.type = type;
  return keys_[key].after[type] = add_state(state);
}

std::uint32_t ShapeTrie::add_leave(std::uint32_t state) {
  State left;
  left.from = state;
  const std::uint32_t index = add_state(left);
  return states_[state].left = index;
}

void ShapeTrie::append_path(std::uint32_t key, std::string& out) const {
  if (keys_[key].map != kNone) {
    append_path(keys_[key].map, out);  // kDepth levels at most
    out += '.';
  }
  out += keys_[key].text;
}

}  // namespace cdp
