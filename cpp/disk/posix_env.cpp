#include "disk/posix_env.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace cdp {
namespace {

static_assert(EINTR == 4 && ENOSPC == 28, "write_fully names these numbers without <cerrno>");

// Calls `call` again while a signal interrupts it.
template <class Call>
auto uninterrupted(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  Descriptor(int number, std::string path) : number_(number), path_(std::move(path)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(number_); }
  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  int number_;
  std::string path_;
};

[[nodiscard]] int open_descriptor(const std::string& path, int flags) {
  const int number = uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0600); });
  if (number < 0) throw IoError("open", path, errno);
  return number;
}

class PosixFile final : public File {
 public:
  PosixFile(int number, const std::string& path) : descriptor_(number, path) {}

  std::size_t read_at(std::uint64_t offset, std::span<std::byte> into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const auto count = uninterrupted([&] {
        return ::pread(descriptor_.number(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      });
      if (count < 0) throw IoError("read", descriptor_.path(), errno);
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    return done;
  }

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const int error = write_fully(offset, bytes, [this](std::uint64_t at, std::span<const std::byte> rest) {
      const auto count = ::pwrite(descriptor_.number(), rest.data(), rest.size(), static_cast<off_t>(at));
      return count < 0 ? std::int64_t{-errno} : std::int64_t{count};
    });
    if (error != 0) throw IoError("write", descriptor_.path(), error);
  }

  void preallocate(std::uint64_t size_bytes) override {
    const int result =
        uninterrupted([&] { return ::fallocate(descriptor_.number(), 0, 0, static_cast<off_t>(size_bytes)); });
    // A file system without fallocate: the zero-filling that follows takes the space.
    if (result < 0 && errno != EOPNOTSUPP) throw IoError("preallocate", descriptor_.path(), errno);
    if (result < 0 && this->size_bytes() < size_bytes) truncate(size_bytes);
  }

  void truncate(std::uint64_t size_bytes) override {
    if (uninterrupted([&] { return ::ftruncate(descriptor_.number(), static_cast<off_t>(size_bytes)); }) < 0)
      throw IoError("truncate", descriptor_.path(), errno);
  }

  // Not repeated on EINTR: a sync that did not say yes is a failure, and no second one would be believed.
  void sync() override {
    if (::fdatasync(descriptor_.number()) < 0) throw IoError("sync", descriptor_.path(), errno);
  }

  std::uint64_t size_bytes() override {
    struct stat status{};
    if (::fstat(descriptor_.number(), &status) < 0) throw IoError("stat", descriptor_.path(), errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  Descriptor descriptor_;
};

class PosixLock final : public FileLock {
 public:
  PosixLock(int number, const std::string& path) : descriptor_(number, path) {}

 private:
  Descriptor descriptor_;
};

}  // namespace

std::unique_ptr<File> PosixEnv::open(const std::string& path, OpenMode mode) {
  const int flags = mode == OpenMode::kRead ? O_RDONLY : mode == OpenMode::kWrite ? O_RDWR : O_RDWR | O_CREAT | O_TRUNC;
  return std::make_unique<PosixFile>(open_descriptor(path, flags), path);
}

bool PosixEnv::exists(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw IoError("stat", path, errno);
}

std::vector<std::string> PosixEnv::list(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), &::closedir);
  if (!stream) throw IoError("list", directory, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) throw IoError("list", directory, errno);
  std::sort(names.begin(), names.end());
  return names;
}

void PosixEnv::create_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) throw IoError("create directory", path, errno);
}

void PosixEnv::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) < 0) throw IoError("rename", from, errno);
}

void PosixEnv::remove(const std::string& path) {
  if (::unlink(path.c_str()) < 0) throw IoError("remove", path, errno);
}

void PosixEnv::sync_directory(const std::string& path) {
  const Descriptor directory(open_descriptor(path, O_RDONLY | O_DIRECTORY), path);
  if (::fsync(directory.number()) < 0) throw IoError("sync", path, errno);
}

std::unique_ptr<FileLock> PosixEnv::lock(const std::string& path) {
  auto lock = std::unique_ptr<FileLock>();
  const int number = open_descriptor(path, O_RDWR | O_CREAT);
  lock = std::make_unique<PosixLock>(number, path);
  if (uninterrupted([&] { return ::flock(number, LOCK_EX | LOCK_NB); }) == 0) return lock;
  if (errno == EWOULDBLOCK) return nullptr;
  throw IoError("lock", path, errno);
}

void PosixEnv::random(std::span<std::byte> into) {
  while (!into.empty()) {
    const auto count = uninterrupted([&] { return ::getrandom(into.data(), into.size(), 0); });
    if (count < 0) throw IoError("random", "getrandom", errno);
    into = into.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace cdp
