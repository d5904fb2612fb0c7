#include "disk/log_recovery.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace cdp {
namespace {

[[nodiscard]] std::vector<std::byte> read_group(DataDirectory& directory, const Manifest& manifest,
                                                const GroupPlace& place) {
  const std::string path = log_file_path(directory, manifest.files[place.file_index].number);
  std::vector<std::byte> bytes(place.size_bytes);
  if (directory.env().open(path, OpenMode::kRead)->read_at(place.offset, bytes) != bytes.size())
    throw log_corruption(path, place.offset, "the file became shorter while it was read");
  return bytes;
}

[[nodiscard]] GroupView parse_again(DataDirectory& directory, const Manifest& manifest, const GroupPlace& place,
                                    std::span<const std::byte> bytes) {
  const LogFileEntry& entry = manifest.files[place.file_index];
  auto group = parse_group(bytes, entry.id, place.offset);
  if (!group) throw log_corruption(log_file_path(directory, entry.number), place.offset, "reads differ");
  return *std::move(group);
}

[[nodiscard]] LogPosition make_first_file(DataDirectory& directory, const LogOptions& options, const LogEnd& end) {
  LogFileBuilder builder(directory, options.file_bytes_first);
  while (!builder.step(options.step_bytes)) {
  }
  LogPosition position;
  position.entry = builder.entry();
  position.capacity_bytes = builder.size_bytes();
  position.last_group = end.last_group;
  position.last_digest = end.last_digest;
  position.file = builder.publish();
  return position;
}

[[nodiscard]] LogPosition continue_file(DataDirectory& directory, const Manifest& manifest, const LogEnd& end) {
  LogPosition position;
  position.entry = manifest.files[end.file_index];
  position.file = directory.env().open(log_file_path(directory, position.entry.number), OpenMode::kWrite);
  position.capacity_bytes = position.file->size_bytes() / limits::kGroupAlign * limits::kGroupAlign;
  position.offset = end.offset;
  position.last_group = end.last_group;
  position.last_digest = end.last_digest;
  position.is_marked = !end.unproven.empty();
  position.starts = end.starts;
  for (const GroupPlace& mark : end.unproven) {
    const auto bytes = read_group(directory, manifest, mark);
    static_cast<void>(parse_again(directory, manifest, mark, bytes));
    position.file->write_at(mark.offset, bytes);
  }
  position.file->sync();
  return position;
}

// The files before this index stay; of them the last is cut at `offset`, what lies behind it being copied.
struct Cut {
  std::size_t file_count = 0;
  std::uint64_t offset = 0;
};

[[nodiscard]] Cut cut_of(const LogEnd& end) {
  const std::size_t index = end.unproven.empty() ? end.file_index : end.unproven.front().file_index;
  const std::uint64_t offset = end.unproven.empty() ? end.offset : end.unproven.front().offset;
  return offset == kLogFileHeaderBytes ? Cut{index, 0} : Cut{index + 1, offset};
}

// Space given back once the fresh file is in its place. What fails here is done at a later open, or never needed.
void release_old_files(DataDirectory& directory, const Manifest& old, const Cut& cut) noexcept {
  try {
    Env& env = directory.env();
    for (std::size_t i = cut.file_count; i < old.files.size(); ++i)
      env.remove(log_file_path(directory, old.files[i].number));
    if (cut.offset != 0)
      env.open(log_file_path(directory, old.files[cut.file_count - 1].number), OpenMode::kWrite)->truncate(cut.offset);
  } catch (const std::exception&) {
    return;
  }
}

// Appends framed groups to a file that nobody reads yet.
class CopyWriter {
 public:
  CopyWriter(LogFileBuilder& builder, std::uint64_t durable_through) : builder_(builder), through_(durable_through) {}

  void put(std::uint64_t number, std::uint32_t flags, const Digest128& previous, std::span<const Payload> payloads) {
    GroupHeader header;
    header.flags = flags;
    header.file_id = builder_.entry().id;
    header.number = number;
    header.durable_through = std::min(through_, number - 1);
    header.previous = previous;
    header.offset = offset_;
    const FramedGroup group = frame_group(header, payloads, buffer_);
    builder_.file().write_at(offset_, group.bytes);
    offset_ += group.bytes.size();
    digest_ = group.digest;
  }
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] const Digest128& digest() const noexcept { return digest_; }

 private:
  LogFileBuilder& builder_;
  std::uint64_t through_;
  std::uint64_t offset_ = kLogFileHeaderBytes;
  Digest128 digest_;
  std::vector<std::byte> buffer_;
};

[[nodiscard]] LogPosition copy_to_fresh_file(DataDirectory& directory, const LogOptions& options,
                                             const Manifest& manifest, const LogEnd& end) {
  const std::string tail_path = log_file_path(directory, manifest.files[end.file_index].number);
  std::uint64_t group_bytes = 0;
  for (const GroupPlace& place : end.unproven) group_bytes += place.size_bytes;
  const std::uint64_t tail_bytes = directory.env().open(tail_path, OpenMode::kRead)->size_bytes();
  LogFileBuilder builder(directory, log_file_bytes(options, tail_bytes, group_bytes));
  while (!builder.step(options.step_bytes)) {
  }
  CopyWriter writer(builder, end.last_group);  // true once the MANIFEST lists the file: all of it is synced by then
  Digest128 previous = end.last_digest;
  std::uint64_t number = end.last_group - end.unproven.size() + 1;
  LogFileStart start{builder.entry().number, number, previous};
  for (const GroupPlace& place : end.unproven) {
    const auto bytes = read_group(directory, manifest, place);
    const GroupView group = parse_again(directory, manifest, place, bytes);
    if (number == start.first_group) start.previous = previous = group.header.previous;
    writer.put(number++, group.header.flags, previous, group.payloads);
    previous = writer.digest();
  }
  writer.put(number, kGroupMark, previous, {});

  LogPosition position;
  position.entry = builder.entry();
  position.capacity_bytes = builder.size_bytes();
  position.offset = writer.offset();
  position.last_group = number;
  position.last_digest = writer.digest();
  position.is_marked = true;
  const Cut cut = cut_of(end);
  position.file = builder.publish([&](Manifest& change) { change.files.resize(cut.file_count); });
  for (const LogFileStart& kept : end.starts)
    if (kept.first_group < start.first_group) position.starts.push_back(kept);
  position.starts.push_back(start);
  release_old_files(directory, manifest, cut);
  return position;
}

}  // namespace

std::uint64_t log_file_bytes(const LogOptions& options, std::uint64_t wanted, std::uint64_t group_bytes) {
  const std::uint64_t bounded = std::clamp(wanted, options.file_bytes_first, options.file_bytes_max);
  const std::uint64_t needed = kLogFileHeaderBytes + group_bytes + limits::kGroupAlign;  // a mark fits always
  return std::max(std::bit_ceil(bounded), std::bit_ceil(needed));
}

LogPosition resume_log(DataDirectory& directory, const LogOptions& options, const LogEnd& end) {
  const Manifest manifest = directory.manifest();
  try {
    if (manifest.files.empty()) return make_first_file(directory, options, end);
    if (end.is_clean) return continue_file(directory, manifest, end);
    return copy_to_fresh_file(directory, options, manifest, end);
  } catch (const IoError& error) {
    if (!error.is_no_space()) throw;
    throw Error(Family::kUnavailable, code::kLogSpace, std::string("no space to open the log: ") + error.what(),
                directory.wal_path());
  }
}

}  // namespace cdp
