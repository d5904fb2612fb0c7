// Appends groups: one write and one fdatasync each, into space taken and zero-filled before.
//
// 1. append_group returns only when the group is on the medium. If it threw log.space or limit errors, nothing
//    happened and the writer goes on; if it threw log_failed, the group may or may not survive, and every later append
//    throws log_failed too: no second sync is believed. Open the store anew.
// 2. Each file keeps its last 4 KiB for a mark, so that a clean close needs no new space.
// 3. Files double from 1 MiB to 128 MiB, one is ready ahead.
//
// Threads: append_group, write_mark and close from one thread (the sync thread) at a time; reserve_step, reserve_for and
// drop_before from any others, at the same time as it.
// Cost of a group: a copy, a digest, a write, an fdatasync (bench/cpp/log_writer.cpp).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "disk/log_recovery.hpp"

namespace cdp {

class LogWriter {
 public:
  // Resumes the log behind `end` (log_recovery.hpp): everything that was read is on the medium when this returns.
  // REQUIRES: directory outlives the writer; end = what LogReader::read of it gave, nothing written since.
  [[nodiscard]] static std::unique_ptr<LogWriter> open(DataDirectory& directory, const LogEnd& end,
                                                       const LogOptions& options = {});
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // The group's number. REQUIRES: at least one payload.
  // Errors: log.space (call reserve_for(group_size_bytes(payloads)) and try again), log_failed, batch.too_large.
  std::uint64_t append_group(std::span<const Payload> payloads);
  // Says in the log that all groups are synced; nothing if the last group is a mark. For an idle log.
  void write_mark();
  // A mark, and no appends from then on. Without it the next open copies the last group.
  void close();

  [[nodiscard]] std::uint64_t last_group() const noexcept { return last_group_.load(std::memory_order_acquire); }
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }

  // True when reserve_step has something to do.
  [[nodiscard]] bool needs_reserve() const;
  // One small step towards the next file; false when it is ready. Throws log.space when the disk refuses: the next call
  // begins anew. log_failed when only a new open can help.
  bool reserve_step();
  // While it is held no file is half listed: who reads the log beside its writer takes its list of files under it.
  [[nodiscard]] std::unique_lock<std::mutex> hold_reserve() { return std::unique_lock(reserve_mutex_); }
  // Steps until a group of that many bytes fits. What was refused for a file still small, or a worker behind.
  void reserve_for(std::uint64_t group_bytes);

  // Removes the files whose groups all have numbers < `group` (a snapshot holds them).
  void drop_before(std::uint64_t group);

 private:
  struct ReservedFile {
    LogFileEntry entry;
    std::unique_ptr<File> file;
    std::uint64_t capacity_bytes = 0;
  };

  LogWriter(DataDirectory& directory, const LogOptions& options, LogPosition position);

  void adopt_reserved_file();
  [[nodiscard]] bool fits(std::uint64_t group_bytes) const noexcept;
  void rotate(std::uint64_t group_bytes);
  void check_usable() const;
  void write_group(std::span<const Payload> payloads, std::uint32_t flags);
  void reserve_locked_step();
  [[nodiscard]] std::uint64_t reserve_bytes() const;
  [[noreturn]] void refuse_reserve(const IoError& error);

  DataDirectory& directory_;
  const LogOptions options_;

  // The sync thread's own.
  LogPosition position_;
  std::vector<std::byte> buffer_;
  bool closed_ = false;

  std::atomic<std::uint64_t> last_group_{0};
  std::atomic<bool> failed_{false};

  // Between the sync thread and the others.
  mutable std::mutex mutex_;
  std::optional<ReservedFile> reserved_;
  std::uint64_t current_bytes_ = 0;       // capacity of the file in use: the next is twice that
  std::uint64_t wanted_group_bytes_ = 0;  // largest group refused so far
  std::vector<LogFileStart> starts_;

  // Among those that reserve.
  std::mutex reserve_mutex_;
  std::unique_ptr<LogFileBuilder> builder_;
  std::optional<ReservedFile> growing_;
  std::optional<ZeroFill> growing_fill_;
  std::uint64_t growing_bytes_ = 0;
};

}  // namespace cdp
