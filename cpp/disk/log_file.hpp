// Log files: names, header, how one comes to be, and what lies about in `wal/`.
//
//   wal/0000000007.log       file 7, listed in the MANIFEST
//   wal/0000000007.log.new   being made; or listed, its rename not yet durable
//   file header := digest[16] (of the rest of the block), magic "CDPWALOG", version u32, zero u32, file_id[16],
//                  number u64, zeros up to 4 KiB
//
// A file is made in this order: space taken, zeros written and synced, header (and groups, when recovery made it)
// written and synced, listed in the MANIFEST, renamed. A crash in between leaves an unlisted `.new` that nobody was
// told of, or a listed one whose rename is done again at the next open.
//
// Cost: zero-filling goes in steps of LogOptions::step_bytes, each synced, so that no step holds the disk for long
// (a virtual disk with flushes of 4 ms: 5 ns/byte in steps of 1 MiB, 2.1 of 4 MiB, 1.0 of 16 MiB with 20 ms each).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/limits.hpp"
#include "disk/data_directory.hpp"
#include "disk/group.hpp"

namespace cdp {

inline constexpr std::uint64_t kLogFileHeaderBytes = limits::kGroupAlign;

struct LogOptions {
  std::uint64_t file_bytes_first = limits::kLogFileFirstBytes;
  std::uint64_t file_bytes_max = limits::kLogFileBytes;
  std::uint64_t step_bytes = limits::kGroupBytes;  // of a zero-filling step: keeps the disk no longer than a group does
};

[[nodiscard]] std::string log_file_name(std::uint64_t number);
[[nodiscard]] std::string log_file_path(const DataDirectory& directory, std::uint64_t number);
[[nodiscard]] Error log_corruption(const std::string& path, std::uint64_t offset, const std::string& what);

// Throws log.corrupt unless the file's header is valid and that of `entry`.
void check_log_file_header(File& file, const std::string& path, const LogFileEntry& entry);

// Finishes renames and removes what no one was told of; throws log.corrupt, naming the file, when a listed file is
// missing or a log file is there that a MANIFEST newer than ours must have listed.
void tidy_log_files(DataDirectory& directory);

// Writes zeros over [begin, end) in steps, each synced but the last: true when only that sync is left to do.
class ZeroFill {
 public:
  ZeroFill(std::uint64_t begin, std::uint64_t end) : at_(begin), end_(end) {}
  bool step(File& file, std::uint64_t step_bytes);

 private:
  std::uint64_t at_;
  std::uint64_t end_;
};

// A file on its way into the log. Dropped before `publish`, it removes what it made.
class LogFileBuilder {
 public:
  // Takes the next file number. REQUIRES: size_bytes a multiple of 4 KiB, more than the header.
  LogFileBuilder(DataDirectory& directory, std::uint64_t size_bytes);
  LogFileBuilder(const LogFileBuilder&) = delete;
  LogFileBuilder& operator=(const LogFileBuilder&) = delete;
  ~LogFileBuilder();

  // True when the file can be published.
  bool step(std::uint64_t step_bytes);

  [[nodiscard]] const LogFileEntry& entry() const noexcept { return entry_; }
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_bytes_; }
  [[nodiscard]] File& file() noexcept { return *file_; }

  // Header, sync, MANIFEST (where `change` may alter more), rename. REQUIRES: step() said true.
  [[nodiscard]] std::unique_ptr<File> publish(const std::function<void(Manifest&)>& change = {});

 private:
  void write_header();

  DataDirectory& directory_;
  LogFileEntry entry_;
  std::uint64_t size_bytes_;
  std::unique_ptr<File> file_;
  ZeroFill fill_;
  bool allocated_ = false;
  bool listed_ = false;
};

}  // namespace cdp
