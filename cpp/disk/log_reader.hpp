// Reads the log in order, and finds its end after whatever happened.
//
// The rule: an invalid group g is a torn tail iff no valid later group has durable_through >= g; then g and what lies
// behind it are dropped. Otherwise it is corruption: log.corrupt names file and offset, nothing is guessed or skipped.
// A whole group whose number or previous digest does not fit is corruption too: no crash writes one.
// A file's groups end where the next file's first group takes over: what a recovery copied lies twice, in the torn
// file and in the fresh one, and the fresh one counts.
//
// Cost: one pass over the groups, digests checked; the tail file is read to its end (at most 128 MiB).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "disk/log_file.hpp"

namespace cdp {

// Where a group lies: index into Manifest::files.
struct GroupPlace {
  std::size_t file_index = 0;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};

// A file's first group, and the digest of the group before it.
struct LogFileStart {
  std::uint64_t file_number = 0;
  std::uint64_t first_group = 0;
  Digest128 previous;
};

struct LogEnd {
  std::uint64_t last_group = 0;  // of all valid ones; marks count
  Digest128 last_digest;
  std::uint64_t durable_through = 0;  // groups up to here are proved to be on the medium
  std::vector<GroupPlace> unproven;   // those behind: read from a cache that may lie
  bool is_clean = false;              // ends with a mark and zeros, or holds no group at all
  std::size_t file_index = 0;         // the file that the last group lies in, and the offset behind it
  std::uint64_t offset = kLogFileHeaderBytes;
  std::vector<LogFileStart> starts;  // of the files that hold groups
};

class LogReader {
 public:
  using OnPayload = std::function<void(std::uint64_t group, Payload payload)>;

  // Tidies the log files (log_file.hpp), unless a writer is at them: what lies half made there is its own.
  enum class Files { kTidied, kInUse };
  explicit LogReader(DataDirectory& directory, Files files = Files::kTidied);
  ~LogReader();

  // Gives the payloads of all groups behind `after_group` (0: all), in order. The spans live for the call.
  // Throws log.corrupt also when the log does not reach back or forward to `after_group`.
  [[nodiscard]] LogEnd read(std::uint64_t after_group, const OnPayload& on_payload);

 private:
  class FileView;
  struct NextStart {
    std::size_t file_index = 0;
    std::uint64_t number = 0;
  };

  [[nodiscard]] FileView& file(std::size_t index);
  // The nearest file behind `index` that begins with a valid group.
  [[nodiscard]] std::optional<NextStart> next_start(std::size_t index);
  // Takes groups of file `index` until one is invalid or `next` takes over; returns the offset behind the last.
  [[nodiscard]] std::uint64_t read_file(std::size_t index, const std::optional<NextStart>& next, LogEnd& end);
  void accept(std::size_t index, std::uint64_t offset, const GroupView& group, LogEnd& end);
  // Throws if the invalid group at (index, offset) is no torn tail. True if only zeros lie there and behind.
  [[nodiscard]] bool is_tail_empty(std::size_t index, std::uint64_t offset, std::uint64_t last_group);

  DataDirectory& directory_;
  Manifest manifest_;
  std::vector<std::unique_ptr<FileView>> files_;  // at most two open at a time
  std::uint64_t after_group_ = 0;
  const OnPayload* on_payload_ = nullptr;
};

}  // namespace cdp
