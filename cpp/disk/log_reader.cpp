#include "disk/log_reader.hpp"

#include <algorithm>

namespace cdp {
namespace {

constexpr std::uint64_t kReadAheadBytes = 1u << 20;

[[nodiscard]] bool is_all_zero(std::span<const std::byte> bytes) noexcept {
  unsigned any = 0;
  for (const std::byte byte : bytes) any |= static_cast<unsigned>(byte);
  return any == 0;
}

}  // namespace

// An open log file and a window of its bytes.
class LogReader::FileView {
 public:
  FileView(Env& env, std::string path, const LogFileEntry& entry)
      : path_(std::move(path)), id_(entry.id), file_(env.open(path_, OpenMode::kRead)), size_(file_->size_bytes()) {
    check_log_file_header(*file_, path_, entry);
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_; }

  // Up to `count` bytes from `offset`, fewer at the end of the file; valid until the next call.
  [[nodiscard]] std::span<const std::byte> bytes(std::uint64_t offset, std::uint64_t count) {
    if (offset >= size_) return {};
    count = std::min(count, size_ - offset);
    if (offset < begin_ || offset + count > begin_ + valid_) fill(offset, count);
    return std::span<const std::byte>(buffer_).subspan(offset - begin_, std::min(count, begin_ + valid_ - offset));
  }

  [[nodiscard]] std::optional<GroupView> group_at(std::uint64_t offset) {
    const std::uint64_t size = plausible_group_size(bytes(offset, sizeof(GroupHeader)), offset);
    if (size == 0 || offset + size > size_) return std::nullopt;
    return parse_group(bytes(offset, size), id_, offset);
  }

 private:
  void fill(std::uint64_t offset, std::uint64_t count) {
    const std::uint64_t wanted = std::min(std::max(count, kReadAheadBytes), size_ - offset);
    if (buffer_.size() < wanted) buffer_.resize(wanted);
    begin_ = offset, valid_ = 0;
    valid_ = file_->read_at(offset, std::span(buffer_).first(wanted));
  }

  std::string path_;
  FileId id_;
  std::unique_ptr<File> file_;
  std::uint64_t size_;
  std::vector<std::byte> buffer_;
  std::uint64_t begin_ = 0;
  std::uint64_t valid_ = 0;
};

LogReader::LogReader(DataDirectory& directory, Files files) : directory_(directory) {
  if (files == Files::kTidied) tidy_log_files(directory_);
  manifest_ = directory_.manifest();
  files_.resize(manifest_.files.size());
}

LogReader::~LogReader() = default;

LogReader::FileView& LogReader::file(std::size_t index) {
  if (!files_[index]) {
    const LogFileEntry& entry = manifest_.files[index];
    files_[index] = std::make_unique<FileView>(directory_.env(), log_file_path(directory_, entry.number), entry);
  }
  return *files_[index];
}

std::optional<LogReader::NextStart> LogReader::next_start(std::size_t index) {
  for (std::size_t next = index + 1; next < files_.size(); ++next)
    if (const auto group = file(next).group_at(kLogFileHeaderBytes)) return NextStart{next, group->header.number};
  return std::nullopt;
}

void LogReader::accept(std::size_t index, std::uint64_t offset, const GroupView& group, LogEnd& end) {
  const GroupHeader& header = group.header;
  if (offset == kLogFileHeaderBytes)
    end.starts.push_back({manifest_.files[index].number, header.number, header.previous});
  end.last_group = header.number;
  end.last_digest = header.digest;
  end.file_index = index;
  end.offset = offset + header.size_bytes;
  end.is_clean = header.is_mark();
  end.unproven.push_back({index, offset, header.size_bytes});
  end.durable_through = std::max(end.durable_through, header.durable_through);
  const std::uint64_t unproven_count = end.last_group - std::min(end.last_group, end.durable_through);
  while (end.unproven.size() > unproven_count) end.unproven.erase(end.unproven.begin());
  if (header.number <= after_group_) return;
  for (const Payload payload : group.payloads) (*on_payload_)(header.number, payload);
}

std::uint64_t LogReader::read_file(std::size_t index, const std::optional<NextStart>& next, LogEnd& end) {
  FileView& view = file(index);
  std::uint64_t offset = kLogFileHeaderBytes;
  while (!next || end.last_group + 1 < next->number) {
    const auto group = view.group_at(offset);
    if (!group || group->header.number != end.last_group + 1 || group->header.previous != end.last_digest) break;
    accept(index, offset, *group, end);
    offset += group->header.size_bytes;
  }
  return offset;
}

bool LogReader::is_tail_empty(std::size_t index, std::uint64_t offset, std::uint64_t last_group) {
  const std::uint64_t torn = last_group + 1;
  const std::string torn_path = file(index).path();
  bool is_empty = true;
  for (std::size_t at_file = index; at_file < files_.size(); ++at_file) {
    FileView& view = file(at_file);
    const std::uint64_t begin = at_file == index ? offset : kLogFileHeaderBytes;
    for (std::uint64_t at = begin; at < view.size_bytes(); at += limits::kGroupAlign) {
      if (is_all_zero(view.bytes(at, limits::kGroupAlign))) continue;
      is_empty = false;
      const auto group = view.group_at(at);
      if (!group) continue;
      const GroupHeader& header = group->header;
      if (header.number <= torn)
        throw log_corruption(view.path(), at,
                             "group " + std::to_string(header.number) +
                                 " does not continue the log: files are swapped or of two backups");
      if (header.durable_through >= torn)
        throw log_corruption(torn_path, offset,
                             "group " + std::to_string(torn) + " is damaged; group " + std::to_string(header.number) +
                                 " proves that it was written");
    }
  }
  return is_empty;
}

LogEnd LogReader::read(std::uint64_t after_group, const OnPayload& on_payload) {
  after_group_ = after_group;
  on_payload_ = &on_payload;
  LogEnd end;
  end.last_group = end.durable_through = manifest_.first_group - 1;
  end.last_digest = manifest_.first_previous;
  end.is_clean = true;
  if (after_group < end.last_group)
    throw log_corruption(directory_.wal_path(), 0,
                         "groups " + std::to_string(after_group + 1) + " to " + std::to_string(end.last_group) +
                             " are no longer in the log");
  for (std::size_t index = 0; index < files_.size();) {
    const auto next = next_start(index);
    const std::uint64_t offset = read_file(index, next, end);
    if (!next) {
      end.is_clean = is_tail_empty(index, offset, end.last_group) && end.is_clean;
      break;
    }
    if (next->number != end.last_group + 1)
      throw log_corruption(file(index).path(), offset,
                           "group " + std::to_string(end.last_group + 1) +
                               " is damaged or missing; the next file "
                               "begins with group " +
                               std::to_string(next->number));
    for (; index < next->file_index; ++index) files_[index].reset();
  }
  if (end.last_group < after_group)
    throw log_corruption(
        directory_.wal_path(), 0,
        "the log ends with group " + std::to_string(end.last_group) + ", before group " + std::to_string(after_group));
  return end;
}

}  // namespace cdp
