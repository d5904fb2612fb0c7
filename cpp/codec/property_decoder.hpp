// The properties of one event: values in the order sent, and the state of the trie that stands for their keys and types.
// Nothing enters the batch's columns before `commit`; strings do, and are taken back with a refused record.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "codec/decode_context.hpp"
#include "codec/index_table.hpp"
#include "codec/shape_trie.hpp"

namespace cdp {

class PropertyDecoder {
 public:
  explicit PropertyDecoder(DecodeContext& context);

  // Starts an event. False when its name is refused. REQUIRES: name is a string token.
  bool begin(const Token& name);
  // Reads the map of properties. At most once between `begin` and `commit`.
  bool read();
  // Appends values and shape to the event columns. `client_time_ms` is kept as a property when `snapped`.
  void commit(bool snapped, std::int64_t client_time_ms);

 private:
  struct Name {
    std::string_view text;  // in the batch's bytes
    std::uint32_t root = kNone;
  };
  struct Open {  // a map being read
    std::uint32_t key = kNone;
    std::uint32_t pairs_left = 0;
  };

  bool read_value(const Token& token, std::size_t depth, Value& value);
  bool add_name(const Token& name, std::uint64_t hash);
  std::uint32_t add_key(const Token& key, std::uint32_t map);
  bool remember_path();
  bool refuse_below(std::uint32_t key);
  [[nodiscard]] std::uint32_t shape(bool snapped);
  std::uint32_t make_shape(bool snapped);

  DecodeContext& context_;
  ShapeTrie trie_;
  std::vector<Name> names_;
  IndexTable name_table_;
  IndexTable shape_table_;
  std::uint32_t name_ = 0;  // of the event in hand
  std::uint32_t state_ = 0;
  std::uint32_t value_count_ = 0;
  bool on_new_path_ = false;  // the trie had no edge for a key of this event: from there on every key is new
  std::array<std::uint64_t, limits::kProperties + 1> values_;
  std::vector<ShapeField> fields_;
  std::string path_;
};

}  // namespace cdp
