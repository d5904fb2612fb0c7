#include "engine/log_record.hpp"

#include <cstring>
#include <type_traits>

#include "base/error.hpp"
#include "codec/canonical_codec.hpp"

namespace cdp {
namespace {

enum class PayloadKind : std::uint8_t { kBatch = 1, kTick = 2, kDefine = 3 };
constexpr std::uint8_t kCanonicalCodec = 1;
constexpr std::uint8_t kHasProducer = 1;

template <class T>
void put(std::vector<std::byte>& out, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  std::memcpy(out.data() + at, &value, sizeof value);
}

template <class Length>
void put_text(std::vector<std::byte>& out, std::string_view text) {
  put(out, static_cast<Length>(text.size()));
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  out.insert(out.end(), bytes, bytes + text.size());
}

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, take_bytes(sizeof value).data(), sizeof value);
    return value;
  }
  std::span<const std::byte> take_bytes(std::size_t count) {
    if (bytes_.size() < count) throw Error(Family::kCorruption, code::kLogCorrupt, "a log record ends too early");
    const auto out = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return out;
  }
  template <class Length>
  std::string take_text() {
    const auto text = take_bytes(take<Length>());
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }
  [[nodiscard]] std::span<const std::byte> rest() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

void encode(const BatchRecord& record, std::vector<std::byte>& out) {
  put(out, PayloadKind::kBatch);
  put(out, kCanonicalCodec);
  put(out, record.producer ? kHasProducer : std::uint8_t{0});
  if (record.producer) {
    for (const std::uint8_t byte : record.producer->id) put(out, byte);
    put(out, record.producer->epoch);
    put(out, record.producer->number);
  }
  encode_canonical(*record.batch, out);
}

void encode(const TickRecord& record, std::vector<std::byte>& out) {
  put(out, PayloadKind::kTick);
  put(out, record.now_ms);
}

void encode(const DefineRecord& record, std::vector<std::byte>& out) {
  put(out, PayloadKind::kDefine);
  put(out, record.now_ms);
  put_text<std::uint16_t>(out, record.kind);
  put_text<std::uint16_t>(out, record.name);
  put_text<std::uint32_t>(out, record.body);
}

LogRecord decode_batch_record(Reader& reader, std::uint64_t hash_key) {
  BatchRecord record;
  if (const auto codec = reader.take<std::uint8_t>(); codec != kCanonicalCodec) {
    throw Error(Family::kCorruption, code::kLogCorrupt,
                "a log record has codec " + std::to_string(codec) + ", this version reads codec 1");
  }
  if (reader.take<std::uint8_t>() & kHasProducer) {
    Producer producer;
    for (std::uint8_t& byte : producer.id) byte = reader.take<std::uint8_t>();
    producer.epoch = reader.take<std::uint32_t>();
    producer.number = reader.take<std::uint64_t>();
    record.producer = producer;
  }
  record.batch = std::make_shared<const CanonicalBatch>(decode_canonical(reader.rest(), hash_key));
  return record;
}

}  // namespace

void encode_record(const LogRecord& record, std::vector<std::byte>& out) {
  std::visit([&](const auto& known) { encode(known, out); }, record);
}

LogRecord decode_record(std::span<const std::byte> bytes, std::uint64_t hash_key) {
  Reader reader(bytes);
  switch (reader.take<PayloadKind>()) {
    case PayloadKind::kBatch: return decode_batch_record(reader, hash_key);
    case PayloadKind::kTick: return TickRecord{reader.take<std::int64_t>()};
    case PayloadKind::kDefine: {
      DefineRecord record;
      record.now_ms = reader.take<std::int64_t>();
      record.kind = reader.take_text<std::uint16_t>();
      record.name = reader.take_text<std::uint16_t>();
      record.body = reader.take_text<std::uint32_t>();
      return record;
    }
  }
  throw Error(Family::kCorruption, code::kLogCorrupt, "a log record has an unknown kind");
}

}  // namespace cdp
