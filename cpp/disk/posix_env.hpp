// The machine itself: pread/pwrite on descriptors, fdatasync, flock, getrandom. Interrupted and short calls are
// repeated here, so that nobody above meets them.
#pragma once

#include "disk/env.hpp"

namespace cdp {

class PosixEnv final : public Env {
 public:
  [[nodiscard]] std::unique_ptr<File> open(const std::string& path, OpenMode mode) override;
  [[nodiscard]] bool exists(const std::string& path) override;
  [[nodiscard]] std::vector<std::string> list(const std::string& directory) override;
  void create_directory(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override;
  void sync_directory(const std::string& path) override;
  [[nodiscard]] std::unique_ptr<FileLock> lock(const std::string& path) override;
  void random(std::span<std::byte> into) override;
};

}  // namespace cdp
