// Rows out, in Arrow's layout: every event, or every profile, of one pinned version, a batch at a time.
//
// An export is bound to a version once: its fields are fixed and equal for every reader, whatever is written meanwhile.
// `open` starts a reader; several may read at once. Memory of a reader: the rows of one stripe (32 bytes each) and one batch.
// Spec, columns and the order of rows: docs/architecture.md, "Export".
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "query/arrow_column.hpp"
#include "store/version.hpp"

namespace cdp {

class Pool;

struct ExportOptions {
  std::int64_t now_ms = 0;                  // unless the spec gives its own
  Pool* pool = nullptr;                     // null: columns are filled in the calling thread
  const std::atomic<bool>* stop = nullptr;  // true: readers end with query.cancelled
};

inline constexpr std::size_t kExportBatchRows = 65'536;
inline constexpr std::size_t kExportBatchCells = 8u << 20;       // wide batches have fewer rows
inline constexpr std::size_t kExportBatchTextBytes = 64u << 20;  // of one column; a batch over it is cut

struct ExportBatch {
  std::vector<ArrowColumn> columns;
  std::int64_t row_count = 0;
};

class ExportReader {
 public:
  virtual ~ExportReader() = default;
  // The next batch, of one row at least; false at the end. Throws Timeout query.cancelled.
  virtual bool next(ExportBatch& batch) = 0;
};

class Export {
 public:
  // Throws BadQuery with a path.
  [[nodiscard]] static std::shared_ptr<const Export> bind(const VersionPtr& version, std::span<const std::uint8_t> spec,
                                                          const ExportOptions& options);
  virtual ~Export() = default;
  // REQUIRES: the export outlives the reader.
  [[nodiscard]] virtual std::unique_ptr<ExportReader> open() const = 0;

  [[nodiscard]] const std::vector<ArrowField>& fields() const noexcept { return fields_; }
  [[nodiscard]] std::uint64_t watermark() const noexcept { return version_->watermark; }
  [[nodiscard]] std::int64_t now_ms() const noexcept { return now_ms_; }

 protected:
  Export(VersionPtr version, std::int64_t now_ms) : version_(std::move(version)), now_ms_(now_ms) {}
  VersionPtr version_;
  std::int64_t now_ms_;
  std::vector<ArrowField> fields_;
};

}  // namespace cdp
