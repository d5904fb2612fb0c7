// One decoder a type of record. Each reads the whole map of `count` pairs at the reader, whose header was just read, and
// adds the record to the batch as its last act; false when refused.
#pragma once

#include <cstdint>
#include <string>

#include "codec/decode_context.hpp"
#include "codec/identity_field.hpp"
#include "codec/property_decoder.hpp"
#include "codec/record_fields.hpp"

namespace cdp {

class EventDecoder {
 public:
  EventDecoder(DecodeContext& context, IdentityField& identities)
      : context_(context), identities_(identities), properties_(context) {}
  bool read(std::uint32_t count);

 private:
  bool read_name();
  bool read_properties();
  bool read_event_id();
  bool check_complete(std::uint32_t seen);
  void commit();

  DecodeContext& context_;
  IdentityField& identities_;
  PropertyDecoder properties_;
  // of the event in hand
  IdentityList ids_;
  bool name_is_read_ = false;
  const std::uint8_t* properties_waiting_ = nullptr;  // sent before the name, which predicts them
  RecordTime time_;
  EventKey event_id_;
};

class TraitsDecoder {
 public:
  TraitsDecoder(DecodeContext& context, IdentityField& identities) : context_(context), identities_(identities) {}
  bool read(std::uint32_t count);
  // A group: its traits.
  bool read_group(std::uint32_t count);

 private:
  bool read_operations(TraitKind kind);
  bool read_operation(TraitKind kind, const std::string& key, const Token& token, std::size_t depth);
  bool read_unset();
  bool read_label(std::string_view field, std::size_t bytes_max, std::uint32_t& string);
  bool add_operation(TraitKind kind, std::string_view key, Value value);

  DecodeContext& context_;
  IdentityField& identities_;
  std::string path_;
};

bool read_identify(DecodeContext& context, IdentityField& identities, std::uint32_t count);
bool read_merge(DecodeContext& context, IdentityField& identities, std::uint32_t count);
bool read_unmerge(DecodeContext& context, std::uint32_t count);
bool read_fact(DecodeContext& context, IdentityField& identities, FactType type, std::uint32_t count);

}  // namespace cdp
