#include "disk/log_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <set>

namespace cdp {
namespace {

constexpr std::uint64_t kLogFileMagic = 0x474F4C4157504443ull;  // "CDPWALOG"
constexpr std::uint32_t kLogFileVersion = 1;
constexpr std::size_t kNameDigits = 10;

struct LogFileHeader {
  Digest128 digest;
  std::uint64_t magic = kLogFileMagic;
  std::uint32_t version = kLogFileVersion;
  std::uint32_t zero = 0;
  FileId id;
  std::uint64_t number = 0;
};
static_assert(sizeof(LogFileHeader) == 56);

using HeaderBlock = std::array<std::byte, kLogFileHeaderBytes>;

[[nodiscard]] Digest128 digest_of_block(const HeaderBlock& block) {
  return digest_bytes(std::span(block).subspan(sizeof(Digest128)));
}

// The number of `0000000007<suffix>`; 0 for any other name.
[[nodiscard]] std::uint64_t number_of_name(std::string_view name, std::string_view suffix) noexcept {
  if (!name.ends_with(suffix) || name.size() < kNameDigits + suffix.size()) return 0;
  const std::string_view digits = name.substr(0, name.size() - suffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc{} && end == digits.data() + digits.size() ? number : 0;
}

// Renames of listed files that a crash cut off.
void finish_renames(DataDirectory& directory, const Manifest& manifest, const std::set<std::string>& names) {
  for (const LogFileEntry& entry : manifest.files) {
    const std::string name = log_file_name(entry.number), path = log_file_path(directory, entry.number);
    if (names.contains(name)) continue;
    if (!names.contains(name + ".new"))
      throw Error(Family::kCorruption, code::kLogCorrupt, path + ": the log file is missing", path);
    directory.env().rename(path + ".new", path);
  }
}

}  // namespace

std::string log_file_name(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(kNameDigits - std::min(kNameDigits, digits.size()), '0') + digits + ".log";
}

std::string log_file_path(const DataDirectory& directory, std::uint64_t number) {
  return directory.wal_path() + "/" + log_file_name(number);
}

Error log_corruption(const std::string& path, std::uint64_t offset, const std::string& what) {
  return Error(Family::kCorruption, code::kLogCorrupt, path + ", offset " + std::to_string(offset) + ": " + what, path);
}

void check_log_file_header(File& file, const std::string& path, const LogFileEntry& entry) {
  HeaderBlock block{};
  LogFileHeader header;
  const bool is_whole = file.read_at(0, block) == block.size();
  std::memcpy(&header, block.data(), sizeof(header));
  if (!is_whole || header.digest != digest_of_block(block) || header.magic != kLogFileMagic)
    throw log_corruption(path, 0, "the file's header is damaged");
  if (header.version != kLogFileVersion)
    throw Error(Family::kConflict, code::kStoreFormat, path + ": written by a newer cdpstore", path);
  if (header.id != entry.id || header.number != entry.number)
    throw log_corruption(path, 0,
                         "this is another log file (number " + std::to_string(header.number) + ", id " +
                             hex_of(header.id.bytes) + ") than the MANIFEST names");
}

void tidy_log_files(DataDirectory& directory) {
  Env& env = directory.env();
  const Manifest manifest = directory.manifest();
  const std::vector<std::string> list = env.list(directory.wal_path());
  std::set<std::uint64_t> listed;
  for (const LogFileEntry& entry : manifest.files) listed.insert(entry.number);
  for (const std::string& name : list) {
    const std::uint64_t number = number_of_name(name, ".log");
    if (number >= manifest.next_file && number != 0)
      throw log_corruption(directory.wal_path() + "/" + name, 0, "a log file that the MANIFEST does not know");
  }
  finish_renames(directory, manifest, {list.begin(), list.end()});
  for (const std::string& name : list) {
    const std::uint64_t dropped = number_of_name(name, ".log"), made = number_of_name(name, ".log.new");
    if ((dropped == 0 || listed.contains(dropped)) && made == 0) continue;
    const std::string path = directory.wal_path() + "/" + name;
    if (!env.exists(path)) continue;  // renamed just now
    env.remove(path);
  }
  env.sync_directory(directory.wal_path());  // also for names that are there in a cache only
}

bool ZeroFill::step(File& file, std::uint64_t step_bytes) {
  static const std::vector<std::byte> zeros(256u << 10);
  const std::uint64_t end = std::min(end_, at_ + step_bytes);
  while (at_ < end) {
    const std::uint64_t count = std::min<std::uint64_t>(zeros.size(), end - at_);
    file.write_at(at_, std::span(zeros).first(count));
    at_ += count;
  }
  if (at_ == end_) return true;
  file.sync();
  return false;
}

LogFileBuilder::LogFileBuilder(DataDirectory& directory, std::uint64_t size_bytes)
    : directory_(directory), size_bytes_(size_bytes), fill_(0, size_bytes) {
  entry_.number = directory.manifest().next_file;
  directory.env().random(std::as_writable_bytes(std::span(entry_.id.bytes)));
  file_ = directory.env().open(log_file_path(directory, entry_.number) + ".new", OpenMode::kCreate);
}

LogFileBuilder::~LogFileBuilder() {
  // A poisoned directory may list the file on the medium: then it has to stay.
  if (listed_ || directory_.poisoned()) return;
  try {
    file_.reset();
    directory_.env().remove(log_file_path(directory_, entry_.number) + ".new");
  } catch (const Error&) {
    // The next open removes it.
  }
}

bool LogFileBuilder::step(std::uint64_t step_bytes) {
  if (!allocated_) {
    file_->preallocate(size_bytes_);
    allocated_ = true;
    return false;
  }
  return fill_.step(*file_, step_bytes);
}

void LogFileBuilder::write_header() {
  LogFileHeader header;
  header.id = entry_.id;
  header.number = entry_.number;
  HeaderBlock block{};
  std::memcpy(block.data(), &header, sizeof(header));
  header.digest = digest_of_block(block);
  std::memcpy(block.data(), &header.digest, sizeof(header.digest));
  file_->write_at(0, block);
}

std::unique_ptr<File> LogFileBuilder::publish(const std::function<void(Manifest&)>& change) {
  Env& env = directory_.env();
  const std::string path = log_file_path(directory_, entry_.number);
  write_header();
  file_->sync();
  env.sync_directory(directory_.wal_path());  // the name `.new` must be there once the MANIFEST counts on it
  directory_.update([&](Manifest& manifest) {
    if (change) change(manifest);
    manifest.files.push_back(entry_);
    manifest.next_file = entry_.number + 1;
  });
  listed_ = true;
  try {
    env.rename(path + ".new", path);
    env.sync_directory(directory_.wal_path());
  } catch (const Error&) {
    directory_.poison();
    throw;
  }
  return std::move(file_);
}

}  // namespace cdp
