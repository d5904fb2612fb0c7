// A store's directory: who owns it, which version wrote it, which log files belong to it.
//
//   LOCK       flock of the one process that has the store open
//   FORMAT     "cdpstore 1\n"; a newer number is refused before anything else is read
//   MANIFEST   text, replaced whole (aside, synced, renamed, directory synced):
//                  cdpstore manifest 1
//                  hash_key <16 hex>            the store's random key of its hash tables
//                  created_ms <decimal>
//                  first <group> <32 hex>       first group of the log, and the digest of the group before it
//                  next_file <decimal>          number that the next log file takes; numbers are never reused
//                  shards <decimal>             into how many the engine spreads profiles; no line is 1
//                  file <number> <32 hex>       one a log file, ascending: its number and random id
//                  digest <32 hex>              of all text above
//   wal/       log files (log_file.hpp)
//
// 1. `update` either happened on the medium and in memory, or it threw. After an error that leaves the outcome open
//    the directory is poisoned: every later update throws until the store is opened anew.
// 2. A log file is listed only once its content is synced.
//
// Threads: all methods may be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "disk/digest.hpp"
#include "disk/env.hpp"

namespace cdp {

inline constexpr std::uint32_t kStoreFormat = 1;

// 128 random bits; what a client sends cannot contain a group of the file it is stored in.
struct FileId {
  std::array<std::uint8_t, 16> bytes{};
  friend bool operator==(const FileId&, const FileId&) = default;
};

struct LogFileEntry {
  std::uint64_t number = 0;
  FileId id;
  friend bool operator==(const LogFileEntry&, const LogFileEntry&) = default;
};

struct Manifest {
  std::uint64_t hash_key = 0;
  std::int64_t created_ms = 0;
  std::uint64_t first_group = 1;
  Digest128 first_previous;
  std::uint64_t next_file = 1;
  std::uint32_t shard_count = 1;
  std::vector<LogFileEntry> files;
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

[[nodiscard]] std::string format_manifest(const Manifest& manifest);
// nullopt unless `text` is exactly what format_manifest gives for some manifest.
[[nodiscard]] std::optional<Manifest> parse_manifest(std::string_view text);

class DataDirectory {
 public:
  // Makes the store when there is none. Errors: store.locked, store.format (newer), log.corrupt, disk.failed.
  [[nodiscard]] static std::unique_ptr<DataDirectory> open(Env& env, const std::string& path, std::int64_t now_ms);

  [[nodiscard]] Env& env() const noexcept { return env_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string wal_path() const { return path_ + "/wal"; }
  [[nodiscard]] Manifest manifest() const;

  // Applies `change` to a copy, makes it durable, takes it over.
  void update(const std::function<void(Manifest&)>& change);
  // Nothing of the directory is to be trusted to change any more.
  void poison() noexcept;
  [[nodiscard]] bool poisoned() const noexcept;

 private:
  DataDirectory(Env& env, std::string path, std::unique_ptr<FileLock> lock)
      : env_(env), path_(std::move(path)), lock_(std::move(lock)) {}

  [[nodiscard]] std::string manifest_path() const { return path_ + "/MANIFEST"; }
  void open_format();
  void open_manifest(std::int64_t now_ms);

  Env& env_;
  std::string path_;
  std::unique_ptr<FileLock> lock_;
  mutable std::mutex mutex_;
  Manifest manifest_;
  bool poisoned_ = false;
};

}  // namespace cdp
