// The envelope of a log payload. Little-endian.
//
//   payload   := kind u8 · rest
//   batch     := 1 · codec u8 · flags u8 (1 = has producer) · [producer 16 bytes · epoch u32 · number u64] · canonical batch
//   tick      := 2 · now_ms i64
//   define    := 3 · now_ms i64 · kind (u16 length · bytes) · name (u16 length · bytes) · body (u32 length · bytes)
//
// Numbers never change; every released codec number stays readable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "codec/canonical_batch.hpp"

namespace cdp {

// Who sent a batch, and which of its batches: a resent one gets its stored ack again.
struct Producer {
  std::array<std::uint8_t, 16> id{};
  std::uint32_t epoch = 0;
  std::uint64_t number = 0;
  friend bool operator==(const Producer&, const Producer&) = default;
};

struct BatchRecord {
  std::optional<Producer> producer;
  std::shared_ptr<const CanonicalBatch> batch;
};
struct TickRecord {
  std::int64_t now_ms = 0;
};
// A definition that apply depends on (a watched predicate) or that must live where its effects live (a campaign).
struct DefineRecord {
  std::int64_t now_ms = 0;
  std::string kind;
  std::string name;
  std::string body;  // msgpack; empty removes the definition
};
using LogRecord = std::variant<BatchRecord, TickRecord, DefineRecord>;

void encode_record(const LogRecord& record, std::vector<std::byte>& out);
// Throws Error(kCorruption, log.corrupt) on anything unreadable.
[[nodiscard]] LogRecord decode_record(std::span<const std::byte> bytes, std::uint64_t hash_key);

}  // namespace cdp
