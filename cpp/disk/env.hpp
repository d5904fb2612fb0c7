// The seam between the store and the machine: files, directories, a lock, random bytes. All of `disk/` goes through it.
//
// `PosixEnv` is the real one, `FaultyEnv` its twin in memory that crashes and fails on command.
//
// 1. `sync` returns only when every earlier write to the file is on the medium. After it threw, nothing about the
//    file's unsynced bytes is known, and no later `sync` that succeeds may be believed (fsyncgate).
// 2. A created, renamed or removed name survives a crash only after `sync_directory` of its directory.
// 3. Errors are `IoError`; reading behind the end of a file is not one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace cdp {

class IoError : public Error {
 public:
  IoError(const std::string& operation, const std::string& path, int error_number);
  [[nodiscard]] int error_number() const noexcept { return error_number_; }
  [[nodiscard]] bool is_no_space() const noexcept;

 private:
  int error_number_;
};

// Threads: one at a time, except that distinct files are independent.
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  // Bytes read: fewer than asked only at the end of the file.
  [[nodiscard]] virtual std::size_t read_at(std::uint64_t offset, std::span<std::byte> into) = 0;
  // Writes all or throws; after a throw any part may have been written.
  virtual void write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Takes the space of [0, size_bytes) from the file system and lengthens the file to it: out of space shows here.
  virtual void preallocate(std::uint64_t size_bytes) = 0;
  virtual void truncate(std::uint64_t size_bytes) = 0;
  virtual void sync() = 0;
  [[nodiscard]] virtual std::uint64_t size_bytes() = 0;
};

// Held as long as it lives; given back by the kernel when the process dies.
class FileLock {
 public:
  FileLock() = default;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,
  kWrite,   // exists; read and write
  kCreate,  // made, or emptied if it exists; read and write
};

class Env {
 public:
  Env() = default;
  Env(const Env&) = delete;
  Env& operator=(const Env&) = delete;
  virtual ~Env() = default;

  [[nodiscard]] virtual std::unique_ptr<File> open(const std::string& path, OpenMode mode) = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) = 0;
  // Names in the directory, sorted, without "." and "..".
  [[nodiscard]] virtual std::vector<std::string> list(const std::string& directory) = 0;
  // No error if it exists; the parent must.
  virtual void create_directory(const std::string& path) = 0;
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual void remove(const std::string& path) = 0;
  virtual void sync_directory(const std::string& path) = 0;
  // nullptr if another process (or another store of this one) holds it. Makes the file.
  [[nodiscard]] virtual std::unique_ptr<FileLock> lock(const std::string& path) = 0;
  virtual void random(std::span<std::byte> into) = 0;
};

// `a/b` → `a`; `a` → `.`.
[[nodiscard]] std::string parent_directory(const std::string& path);

// Whole content of a file no longer than `size_bytes_max` (longer: IoError EFBIG).
[[nodiscard]] std::string read_text(Env& env, const std::string& path, std::size_t size_bytes_max);
// Replacing a file whole, in its two halves: written and synced as `path.new`; renamed, directory synced. Readers see
// the old text or the new one.
void write_aside(Env& env, const std::string& path, const std::string& text);
void swap_in(Env& env, const std::string& path);
void replace_text(Env& env, const std::string& path, const std::string& text);

// Repeats `write_once(offset, bytes) → count written, or −errno` over short writes and EINTR. 0 once all is written,
// else the errno; a write that makes no progress is ENOSPC.
template <class WriteOnce>
[[nodiscard]] int write_fully(std::uint64_t offset, std::span<const std::byte> bytes, WriteOnce&& write_once) {
  constexpr int kInterrupted = 4, kNoSpace = 28;
  while (!bytes.empty()) {
    const std::int64_t count = write_once(offset, bytes);
    if (count == -kInterrupted) continue;
    if (count < 0) return static_cast<int>(-count);
    if (count == 0) return kNoSpace;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return 0;
}

[[nodiscard]] inline std::span<const std::byte> bytes_of(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}
[[nodiscard]] inline std::string_view text_of(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace cdp
