#include "disk/env.hpp"

#include <cerrno>
#include <cstring>

namespace cdp {

IoError::IoError(const std::string& operation, const std::string& path, int error_number)
    : Error(Family::kUnavailable, code::kDiskFailed, operation + " " + path + ": " + std::strerror(error_number), path),
      error_number_(error_number) {}

bool IoError::is_no_space() const noexcept { return error_number_ == ENOSPC || error_number_ == EDQUOT; }

std::string parent_directory(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string read_text(Env& env, const std::string& path, std::size_t size_bytes_max) {
  const auto file = env.open(path, OpenMode::kRead);
  const std::uint64_t size_bytes = file->size_bytes();
  if (size_bytes > size_bytes_max) throw IoError("read", path, EFBIG);
  std::string text(static_cast<std::size_t>(size_bytes), '\0');
  text.resize(file->read_at(0, std::as_writable_bytes(std::span(text))));
  return text;
}

void write_aside(Env& env, const std::string& path, const std::string& text) {
  const std::string aside = path + ".new";
  if (env.exists(aside)) env.remove(aside);
  const auto file = env.open(aside, OpenMode::kCreate);
  file->write_at(0, bytes_of(text));
  file->sync();
}

void swap_in(Env& env, const std::string& path) {
  env.rename(path + ".new", path);
  env.sync_directory(parent_directory(path));
}

void replace_text(Env& env, const std::string& path, const std::string& text) {
  write_aside(env, path, text);
  swap_in(env, path);
}

}  // namespace cdp
