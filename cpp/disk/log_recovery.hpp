// Brings the log into a state that can be appended to, before anything is acknowledged.
//
// A clean end: the mark is written and synced once more where it lies (what was read may be a cache that never reached
// the medium), and the file is continued. Any other end: the groups behind `durable_through` are copied into a fresh
// file with a mark behind them, all synced before the MANIFEST lists it; the torn file is cut and never appended to
// again. A crash at any point of this leaves either the old state or the new one.
#pragma once

#include <memory>
#include <vector>

#include "disk/log_file.hpp"
#include "disk/log_reader.hpp"

namespace cdp {

// Where the next group goes.
struct LogPosition {
  LogFileEntry entry;
  std::unique_ptr<File> file;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t offset = kLogFileHeaderBytes;
  std::uint64_t last_group = 0;
  Digest128 last_digest;
  bool is_marked = false;  // the last group is a mark
  std::vector<LogFileStart> starts;
};

// A file size for groups of `group_bytes` in all: `wanted` within the options' bounds, larger if they need it.
[[nodiscard]] std::uint64_t log_file_bytes(const LogOptions& options, std::uint64_t wanted, std::uint64_t group_bytes);

// Throws log.space when there is no room for a file, disk.failed and log_failed when the disk errs.
[[nodiscard]] LogPosition resume_log(DataDirectory& directory, const LogOptions& options, const LogEnd& end);

}  // namespace cdp
