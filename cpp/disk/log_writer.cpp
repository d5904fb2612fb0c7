#include "disk/log_writer.hpp"

#include <algorithm>
#include <limits>

namespace cdp {
namespace {

// Room behind the header, the last block kept for a mark.
[[nodiscard]] constexpr std::uint64_t room_bytes(std::uint64_t capacity_bytes) noexcept {
  return capacity_bytes - std::min<std::uint64_t>(capacity_bytes, kLogFileHeaderBytes + limits::kGroupAlign);
}

void check_group_size(std::span<const Payload> payloads) {
  if (payloads.empty()) throw Error(Family::kInternal, code::kInternal, "a log group without payloads");
  const bool is_too_long =
      std::ranges::any_of(payloads, [](Payload payload) { return payload.size() > kGroupBytesMax; });
  if (is_too_long || payloads.size() > kGroupBytesMax || group_size_bytes(payloads) > kGroupBytesMax)
    throw Error(Family::kLimitExceeded, code::kBatchTooLarge,
                "a log group holds at most " + std::to_string(kGroupBytesMax) + " bytes");
}

}  // namespace

std::unique_ptr<LogWriter> LogWriter::open(DataDirectory& directory, const LogEnd& end, const LogOptions& options) {
  return std::unique_ptr<LogWriter>(new LogWriter(directory, options, resume_log(directory, options, end)));
}

LogWriter::LogWriter(DataDirectory& directory, const LogOptions& options, LogPosition position)
    : directory_(directory), options_(options), position_(std::move(position)) {
  last_group_ = position_.last_group;
  current_bytes_ = position_.capacity_bytes;
  starts_ = std::move(position_.starts);
  adopt_reserved_file();
}

// The file that an earlier process had made ready, if this one continues right before it.
void LogWriter::adopt_reserved_file() {
  const Manifest manifest = directory_.manifest();
  for (const LogFileEntry& entry : manifest.files) {
    if (entry.number <= position_.entry.number) continue;
    ReservedFile reserved{entry, directory_.env().open(log_file_path(directory_, entry.number), OpenMode::kWrite), 0};
    reserved.capacity_bytes = reserved.file->size_bytes() / limits::kGroupAlign * limits::kGroupAlign;
    reserved_ = std::move(reserved);
    return;
  }
}

void LogWriter::check_usable() const {
  if (failed())
    throw Error(Family::kUnavailable, code::kLogFailed,
                directory_.path() + ": the log failed earlier; nothing is written until the store is opened anew");
  if (closed_) throw Error(Family::kUnavailable, code::kStoreClosed, directory_.path() + ": the log is closed");
}

bool LogWriter::fits(std::uint64_t group_bytes) const noexcept {
  return position_.offset + group_bytes + limits::kGroupAlign <= position_.capacity_bytes;
}

void LogWriter::rotate(std::uint64_t group_bytes) {
  const std::lock_guard guard(mutex_);
  if (!reserved_ || room_bytes(reserved_->capacity_bytes) < group_bytes) {
    wanted_group_bytes_ = std::max(wanted_group_bytes_, group_bytes);
    throw Error(Family::kUnavailable, code::kLogSpace,
                directory_.path() + ": no log space is ready for " + std::to_string(group_bytes) + " bytes");
  }
  position_.entry = reserved_->entry;
  position_.file = std::move(reserved_->file);
  position_.capacity_bytes = reserved_->capacity_bytes;
  position_.offset = kLogFileHeaderBytes;
  reserved_.reset();
  current_bytes_ = position_.capacity_bytes;
  wanted_group_bytes_ = 0;
}

void LogWriter::write_group(std::span<const Payload> payloads, std::uint32_t flags) {
  GroupHeader header;
  header.flags = flags;
  header.file_id = position_.entry.id;
  header.number = position_.last_group + 1;
  header.durable_through = position_.last_group;  // each group is synced before the next is written
  header.previous = position_.last_digest;
  header.offset = position_.offset;
  const FramedGroup group = frame_group(header, payloads, buffer_);
  if (position_.offset == kLogFileHeaderBytes) {
    const std::lock_guard guard(mutex_);
    starts_.push_back({position_.entry.number, header.number, header.previous});
  }
  try {
    position_.file->write_at(position_.offset, group.bytes);
    position_.file->sync();
  } catch (const std::exception& error) {
    failed_.store(true, std::memory_order_release);
    throw Error(Family::kUnavailable, code::kLogFailed, std::string("the log failed: ") + error.what(),
                log_file_path(directory_, position_.entry.number));
  }
  position_.offset += group.bytes.size();
  position_.last_group = header.number;
  position_.last_digest = group.digest;
  position_.is_marked = (flags & kGroupMark) != 0;
  last_group_.store(header.number, std::memory_order_release);
}

std::uint64_t LogWriter::append_group(std::span<const Payload> payloads) {
  check_usable();
  check_group_size(payloads);
  const std::uint64_t group_bytes = group_size_bytes(payloads);
  if (!fits(group_bytes)) rotate(group_bytes);
  write_group(payloads, 0);
  return position_.last_group;
}

void LogWriter::write_mark() {
  check_usable();
  const bool is_empty = position_.last_group == 0 && position_.offset == kLogFileHeaderBytes;
  if (position_.is_marked || is_empty) return;
  write_group({}, kGroupMark);  // the block kept for it is there: a mark is never behind a mark
}

void LogWriter::close() {
  if (closed_) return;
  if (!failed()) write_mark();
  closed_ = true;
}

std::uint64_t LogWriter::reserve_bytes() const {
  return log_file_bytes(options_, 2 * current_bytes_, wanted_group_bytes_);
}

bool LogWriter::needs_reserve() const {
  const std::lock_guard guard(mutex_);
  return !reserved_ || room_bytes(reserved_->capacity_bytes) < wanted_group_bytes_;
}

void LogWriter::refuse_reserve(const IoError& error) {
  builder_.reset();
  if (growing_) {
    const std::lock_guard guard(mutex_);
    reserved_ = std::move(growing_);  // as it was: what was added behind it is not counted
    growing_.reset();
  }
  if (directory_.poisoned())
    throw Error(Family::kUnavailable, code::kLogFailed, std::string("the log failed: ") + error.what(), error.path());
  throw Error(Family::kUnavailable, code::kLogSpace, std::string("no log space: ") + error.what(), error.path());
}

// One step of a new file, or of making a ready but too small one larger.
void LogWriter::reserve_locked_step() {
  if (!builder_ && !growing_) {
    std::uint64_t size_bytes = 0;
    {
      const std::lock_guard guard(mutex_);
      size_bytes = reserve_bytes();
      if (reserved_) {
        growing_ = std::move(reserved_);
        reserved_.reset();
        growing_bytes_ = std::max(size_bytes, growing_->capacity_bytes);
        growing_fill_.emplace(growing_->capacity_bytes, growing_bytes_);
      }
    }
    if (growing_) return growing_->file->preallocate(growing_bytes_);
    builder_ = std::make_unique<LogFileBuilder>(directory_, size_bytes);
  }
  if (growing_) {
    if (!growing_fill_->step(*growing_->file, options_.step_bytes)) return;
    growing_->file->sync();
    growing_->capacity_bytes = growing_bytes_;
    const std::lock_guard guard(mutex_);
    reserved_ = std::move(growing_);
    growing_.reset();
    return;
  }
  if (!builder_->step(options_.step_bytes)) return;
  ReservedFile ready{builder_->entry(), nullptr, builder_->size_bytes()};
  ready.file = builder_->publish();
  builder_.reset();
  const std::lock_guard guard(mutex_);
  reserved_ = std::move(ready);
}

bool LogWriter::reserve_step() {
  const std::lock_guard guard(reserve_mutex_);
  if (!builder_ && !growing_ && !needs_reserve()) return false;
  if (failed() || directory_.poisoned())
    throw Error(Family::kUnavailable, code::kLogFailed,
                directory_.path() + ": the log failed earlier; nothing is written until the store is opened anew");
  try {
    reserve_locked_step();
  } catch (const IoError& error) {
    refuse_reserve(error);
  }
  return builder_ || growing_ || needs_reserve();
}

void LogWriter::reserve_for(std::uint64_t group_bytes) {
  {
    const std::lock_guard guard(mutex_);
    wanted_group_bytes_ = std::max(wanted_group_bytes_, group_bytes);
  }
  while (reserve_step()) {
  }
}

void LogWriter::drop_before(std::uint64_t group) {
  const std::lock_guard reserve_guard(reserve_mutex_);
  std::vector<LogFileStart> starts;
  {
    const std::lock_guard guard(mutex_);
    starts = starts_;
  }
  std::size_t keep = 0;
  while (keep + 1 < starts.size() && starts[keep + 1].first_group <= group) ++keep;
  if (keep == 0) return;
  const LogFileStart& first = starts[keep];
  const std::vector<LogFileEntry> old = directory_.manifest().files;
  directory_.update([&](Manifest& manifest) {
    manifest.first_group = first.first_group;
    manifest.first_previous = first.previous;
    std::erase_if(manifest.files, [&](const LogFileEntry& entry) { return entry.number < first.file_number; });
  });
  {
    const std::lock_guard guard(mutex_);
    starts_.erase(starts_.begin(), starts_.begin() + static_cast<std::ptrdiff_t>(keep));
  }
  for (const LogFileEntry& entry : old)
    if (entry.number < first.file_number) directory_.env().remove(log_file_path(directory_, entry.number));
  directory_.env().sync_directory(directory_.wal_path());
}

}  // namespace cdp
