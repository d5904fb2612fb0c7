// Rows of a foreign producer on their way in: an Arrow stream, taken over, read a slice at a time.
//
//   load := {"type"?: "event" | "traits", "name"?: column | {"value": text}, "time"?: column, "ids"?: {kind: column},
//            "event_id"?: column, "properties"?: [column] | {column: key}, "nan"?: "reject" | "missing"}
//
// What is left out is found by name: `event` or `name`; `time`, `time_ms` or `timestamp`; the kinds of identities; `event_id`; and
// every other column is a property. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "codec/arrow_abi.hpp"
#include "codec/arrow_decoder.hpp"

namespace cdp {

class ArrowLoad {
 public:
  // Takes the stream over, also when it throws: kInvalidRequest load.arrow.*, load.column, load.mapping.
  ArrowLoad(ArrowArrayStream& stream, std::span<const std::uint8_t> spec);
  ~ArrowLoad();
  ArrowLoad(const ArrowLoad&) = delete;
  ArrowLoad& operator=(const ArrowLoad&) = delete;

  // The next rows decoded; nothing at the end. Throws what the producer's stream fails with (load.arrow.failed).
  struct Slice {
    std::uint64_t first_row = 0;  // of the stream
    std::uint32_t row_count = 0;
    DecodeResult decoded;
  };
  [[nodiscard]] std::optional<Slice> next(const DecodeOptions& options);
  // Passes over the next rows, as many as `next` would take: for what is known to be in. 0 at the end.
  std::uint32_t skip();

 private:
  struct Batch;
  bool fill();  // false at the end
  [[nodiscard]] std::uint32_t slice_rows() const noexcept;

  ArrowArrayStream stream_;
  ArrowColumnType schema_;
  std::optional<ArrowDecoder> decoder_;
  std::unique_ptr<Batch> batch_;
  std::int64_t next_row_ = 0;      // in the batch
  std::uint64_t rows_before_ = 0;  // in batches before
  bool at_end_ = false;
};

}  // namespace cdp
