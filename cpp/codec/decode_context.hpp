// What all record decoders share: the input, the batch being built, its dictionaries, and the defect found.
//
// A decoder returns false when the record is refused, after `fail` said why; the batch loop then takes back what the
// record added and passes over it. Paths are put together only then: the leaf names itself, each floor above puts its own
// name in front (`under`).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "codec/event_record.hpp"
#include "codec/key_set.hpp"
#include "codec/msgpack_reader.hpp"
#include "codec/string_interner.hpp"

namespace cdp {

struct DecodeContext {
  DecodeContext(std::span<const std::byte> bytes, const DecodeOptions& decode_options, CanonicalBatch& canonical)
      : DecodeContext(bytes, bytes.size() / 64, decode_options, canonical) {}
  // `expected`: about how many distinct texts there will be.
  DecodeContext(std::span<const std::byte> bytes, std::size_t expected, const DecodeOptions& decode_options,
                CanonicalBatch& canonical)
      : options(decode_options),
        reader(bytes),
        batch(canonical),
        table_slots(static_cast<std::uint32_t>(std::bit_ceil(std::clamp<std::size_t>(expected, 64, 2048)))),
        strings(canonical.strings, decode_options.hash_key, table_slots),
        record_begin(reader.position()),
        keys(decode_options.hash_key) {}

  // Whether the record in hand has taken more than it may so far.
  [[nodiscard]] bool is_too_large() const noexcept {
    return reader.position() - record_begin > static_cast<std::ptrdiff_t>(limits::kRecordBytes);
  }

  // Refuses the record. Always false, so that a decoder may end with it.
  bool fail(std::string_view code, std::string_view path, std::string value, std::string_view expected);
  bool fail(std::string_view code, std::string_view path, const Token& token, std::string_view expected);
  // Puts a name in front of the defect's path. Always false.
  bool under(std::string_view name);
  // The same for an element of a list: "[3]".
  bool under(std::uint32_t index);

  const DecodeOptions& options;
  MsgpackReader reader;
  CanonicalBatch& batch;
  std::uint32_t table_slots;  // that the batch's tables begin with: a small batch must stay cheap
  StringInterner strings;
  const std::uint8_t* record_begin;
  bool type_is_read = false;          // the record's type came first and lies behind the reader
  std::size_t operations_before = 0;  // trait operations of earlier records
  KeySet keys;                        // of the record in hand
  std::uint32_t maps_walked = 0;      // names the maps of walk_map in `keys`
  Reject reject;
  std::string list_bytes;  // scratch of decode_list
};

// At most limits::kRejectValueBytes of `text` as valid UTF-8; bytes that are none become "\xNN".
[[nodiscard]] std::string readable(std::string_view text);
[[nodiscard]] std::string readable(const Token& token);

// A key of a client's map: a string of 1 .. kNameBytes bytes of UTF-8 without a dot, not beginning with $. The defect's
// path is that of the map. Here, on the way that hostile keys take, the record's size is looked at too.
bool check_key(DecodeContext& context, const Token& key);

// The name of an event: 1 .. kNameBytes bytes of UTF-8, none of the system's unless the options allow it.
bool check_event_name(DecodeContext& context, const Token& name);

}  // namespace cdp
