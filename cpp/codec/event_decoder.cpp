#include <array>

#include "base/utf8.hpp"
#include "codec/event_id.hpp"
#include "codec/record_decoders.hpp"
#include "codec/value_decoder.hpp"

namespace cdp {

namespace {

enum Field : std::uint32_t { kType, kName, kTime, kIds, kProperties, kEventId };
constexpr std::array<std::string_view, 6> kNames{"type", "name", "time_ms", "ids", "properties", "event_id"};
constexpr std::size_t kEventIdBytes = 256;

}  // namespace

bool EventDecoder::read(std::uint32_t count) {
  ids_.count = 0;
  name_is_read_ = false;
  properties_waiting_ = nullptr;
  time_ = {};
  event_id_ = {};
  const auto on_field = [this](std::uint32_t field) {
    switch (field) {
      case kName: return read_name();
      case kTime: return read_time(context_, time_);
      case kIds: return identities_.read("ids", ids_);
      case kProperties: return read_properties();
      case kEventId: return read_event_id();
      default: context_.reader.skip(); return true;  // the type, which led here
    }
  };
  std::uint32_t seen = 0;
  if (!read_fields(context_, count, kNames, seen, on_field) || !check_complete(seen)) return false;
  commit();
  return true;
}

bool EventDecoder::read_name() {
  const Token name = context_.reader.next();
  if (name.wire != Wire::kString) return context_.fail(code::kRecordFieldType, "name", name, "a string");
  if (!properties_.begin(name)) return false;
  name_is_read_ = true;
  if (properties_waiting_ == nullptr) return true;
  const std::uint8_t* const behind = context_.reader.position();
  context_.reader.seek(properties_waiting_);
  if (!properties_.read()) return false;
  context_.reader.seek(behind);
  return true;
}

bool EventDecoder::read_properties() {
  if (name_is_read_) return properties_.read();
  properties_waiting_ = context_.reader.position();
  context_.reader.skip();
  return true;
}

bool EventDecoder::read_event_id() {
  const Token token = context_.reader.next();
  if (token.wire != Wire::kString) return context_.fail(code::kRecordFieldType, "event_id", token, "a string");
  const std::string_view text = token.text();
  if (text.empty() || text.size() > kEventIdBytes) {
    return context_.fail(code::kEventIdLength, "event_id", token, "a string of 1 to 256 bytes");
  }
  if (!is_utf8(text)) return context_.fail(code::kValueStringUtf8, "event_id", token, "a string of valid UTF-8");
  event_id_ = event_key(text, context_.options.hash_key);
  return true;
}

bool EventDecoder::check_complete(std::uint32_t seen) {
  if ((seen >> kName & 1) == 0) return context_.fail(code::kRecordFieldMissing, "name", "", "the event's name");
  if ((seen >> kIds & 1) == 0)
    return context_.fail(code::kRecordFieldMissing, "ids", "", "a map of identity kinds to values");
  if (ids_.count == 0) return identities_.refuse_none("ids");
  return !context_.is_too_large() || context_.fail(code::kRecordTooLarge, "", "", "at most 65536 bytes");
}

void EventDecoder::commit() {
  const std::int64_t received_ms = context_.options.received_ms;
  properties_.commit(time_.is_snapped(received_ms), time_.given_ms);
  EventColumns& events = context_.batch.events;
  if (event_id_ != EventKey{} || !events.event_id.empty()) {
    events.event_id.resize(events.time_ms.size());  // those before had none
    events.event_id.push_back(event_id_);
  }
  events.time_ms.push_back(time_.time_ms(received_ms));
  for (std::uint32_t index = 0; index < ids_.count; ++index) {
    events.identity_refs.push_back(ids_.entries[index].identity);
  }
  events.first_identity.push_back(static_cast<std::uint32_t>(events.identity_refs.size()));
}

}  // namespace cdp
