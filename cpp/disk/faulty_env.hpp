// A disk in memory that forgets and fails on command: the twin of PosixEnv for tests of everything above it.
//
// It keeps apart what is synced and what only the page cache holds, in 4 KiB blocks. `crash` gives the disk after a
// power cut: the synced content plus any choice of unsynced blocks (each in any version since the last sync, or torn at
// a 512-byte sector when asked) and, a directory, any prefix of its unsynced creations, renames and removals. A kill -9
// needs no method: drop the store, open it again on the same disk.
//
// A failed sync behaves as Linux does: the unsynced blocks are marked clean, so that a later sync succeeds without
// writing them, while reads still show them until the power is cut.
//
// Threads: safe from several. Cost: a write copies its blocks twice.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "disk/env.hpp"

namespace cdp {

enum class DiskOperation { kOpen, kWrite, kPreallocate, kTruncate, kSync, kRename, kRemove, kSyncDirectory };
inline constexpr int kDiskOperationCount = 8;

class FaultyEnv final : public Env {
 public:
  // Picks one of `count` >= 1 possibilities.
  using Choose = std::function<std::uint64_t(std::uint64_t count)>;

  explicit FaultyEnv(std::uint64_t seed = 1) : random_state_(seed) {}

  [[nodiscard]] std::unique_ptr<File> open(const std::string& path, OpenMode mode) override;
  [[nodiscard]] bool exists(const std::string& path) override;
  [[nodiscard]] std::vector<std::string> list(const std::string& directory) override;
  void create_directory(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override;
  void sync_directory(const std::string& path) override;
  [[nodiscard]] std::unique_ptr<FileLock> lock(const std::string& path) override;
  void random(std::span<std::byte> into) override;

  // The operation number `index` (from 0, of those to come) of that sort throws IoError(error_number); with `stays` all
  // behind it as well. A failing write first writes `short_bytes` of its bytes.
  void fail(DiskOperation operation, std::uint64_t index, int error_number, bool stays = false,
            std::size_t short_bytes = 0);
  void heal();
  [[nodiscard]] std::uint64_t count(DiskOperation operation) const;

  // Called behind every operation that changes the disk. `file.write_at` of n bytes is one operation.
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }

  // The disk after a power cut now. With `tears` a block may hold the first sectors new and the rest old.
  [[nodiscard]] std::unique_ptr<FaultyEnv> crash(const Choose& choose, bool tears = false) const;
  // The same disk with the same page cache, open by nobody.
  [[nodiscard]] std::unique_ptr<FaultyEnv> copy() const;

  // A file's content, to damage it behind the store's back: taken as synced.
  [[nodiscard]] std::vector<std::byte> content(const std::string& path) const;
  void set_content(const std::string& path, std::vector<std::byte> bytes);

 private:
  friend class FaultyFile;
  friend class FaultyLock;
  using Block = std::vector<std::byte>;

  struct Inode {
    std::vector<std::byte> live;
    std::vector<std::byte> synced;
    std::map<std::uint64_t, std::vector<Block>> versions;  // block number → its states since the last sync
    std::vector<std::uint64_t> sizes;                      // since the last sync
    bool is_directory = false;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  struct NameChange {
    std::string from;  // gone behind this; empty: none
    std::string to;    // there behind this; empty: none
    std::shared_ptr<Inode> inode;
  };
  struct Fault {
    std::uint64_t at = 0;
    int error_number = 0;
    bool stays = false;
    std::size_t short_bytes = 0;
  };

  static void apply(const NameChange& change, Names& names);
  static void persist(const Inode& inode, const Choose& choose, bool tears, std::vector<std::byte>& content);
  [[nodiscard]] std::shared_ptr<Inode> find(const std::string& operation, const std::string& path) const;
  void change_name(const std::string& directory, NameChange change);
  // Counts the operation; the fault if it is to fail.
  [[nodiscard]] std::optional<Fault> strike(DiskOperation operation);
  void strike_or_throw(DiskOperation operation, const std::string& name, const std::string& path);
  void changed();

  void write(Inode& inode, const std::string& path, std::uint64_t offset, std::span<const std::byte> bytes);
  static void write_blocks(Inode& inode, std::uint64_t offset, std::span<const std::byte> bytes);
  void resize(Inode& inode, std::uint64_t size_bytes);
  void sync(Inode& inode, const std::string& path);

  mutable std::recursive_mutex mutex_;
  Names names_;                                                  // as processes see them
  Names durable_names_;                                          // as a power cut leaves them
  std::map<std::string, std::vector<NameChange>> name_changes_;  // a directory: those not synced
  std::set<std::string> locked_;
  std::uint64_t counts_[kDiskOperationCount] = {};
  std::optional<Fault> faults_[kDiskOperationCount];
  std::function<void()> on_change_;
  std::uint64_t random_state_;
};

}  // namespace cdp
