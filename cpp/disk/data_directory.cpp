#include "disk/data_directory.hpp"

#include <charconv>

namespace cdp {
namespace {

constexpr std::size_t kManifestBytesMax = 64u << 20;  // a million log files
constexpr std::string_view kManifestTitle = "cdpstore manifest 1\n";
constexpr std::string_view kFormatTitle = "cdpstore ";

[[nodiscard]] std::string hex_of_number(std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  return hex_of(bytes);
}

// Reads the manifest's words; any mismatch makes it fail for good.
class WordReader {
 public:
  explicit WordReader(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }
  [[nodiscard]] bool starts_with(std::string_view word) const noexcept { return rest_.starts_with(word); }

  void expect(std::string_view literal) {
    if (!rest_.starts_with(literal)) return fail();
    rest_.remove_prefix(literal.size());
  }

  template <class Number>
  [[nodiscard]] Number number(int base = 10) {
    Number value{};
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value, base);
    if (error != std::errc{}) return fail(), value;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  template <class Bytes16>
  [[nodiscard]] Bytes16 hex() {
    Bytes16 value;
    if (rest_.size() < 2 * value.bytes.size()) return fail(), value;
    for (std::uint8_t& byte : value.bytes) {
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 2, byte, 16);
      if (error != std::errc{} || end != rest_.data() + 2) return fail(), value;
      rest_.remove_prefix(2);
    }
    return value;
  }

 private:
  void fail() noexcept { failed_ = true, rest_ = {}; }

  std::string_view rest_;
  bool failed_ = false;
};

[[nodiscard]] Error corrupt(const std::string& path, const std::string& what) {
  return Error(Family::kCorruption, code::kLogCorrupt, path + ": " + what, path);
}

}  // namespace

std::string format_manifest(const Manifest& manifest) {
  std::string text(kManifestTitle);
  text += "hash_key " + hex_of_number(manifest.hash_key) + "\n";
  text += "created_ms " + std::to_string(manifest.created_ms) + "\n";
  text += "first " + std::to_string(manifest.first_group) + " " + hex_of(manifest.first_previous.bytes) + "\n";
  text += "next_file " + std::to_string(manifest.next_file) + "\n";
  if (manifest.shard_count != 1) text += "shards " + std::to_string(manifest.shard_count) + "\n";
  for (const LogFileEntry& file : manifest.files)
    text += "file " + std::to_string(file.number) + " " + hex_of(file.id.bytes) + "\n";
  text += "digest " + hex_of(digest_bytes(bytes_of(text)).bytes) + "\n";
  return text;
}

std::optional<Manifest> parse_manifest(std::string_view text) {
  WordReader reader(text);
  Manifest manifest;
  reader.expect(kManifestTitle);
  reader.expect("hash_key ");
  manifest.hash_key = reader.number<std::uint64_t>(16);
  reader.expect("\ncreated_ms ");
  manifest.created_ms = reader.number<std::int64_t>();
  reader.expect("\nfirst ");
  manifest.first_group = reader.number<std::uint64_t>();
  reader.expect(" ");
  manifest.first_previous = reader.hex<Digest128>();
  reader.expect("\nnext_file ");
  manifest.next_file = reader.number<std::uint64_t>();
  if (reader.starts_with("\nshards ")) {
    reader.expect("\nshards ");
    manifest.shard_count = reader.number<std::uint32_t>();
  }
  while (reader.starts_with("\nfile ")) {
    reader.expect("\nfile ");
    LogFileEntry file;
    file.number = reader.number<std::uint64_t>();
    reader.expect(" ");
    file.id = reader.hex<FileId>();
    if (!manifest.files.empty() && manifest.files.back().number >= file.number) return std::nullopt;
    manifest.files.push_back(file);
  }
  if (reader.failed()) return std::nullopt;
  if (!manifest.files.empty() && manifest.files.back().number >= manifest.next_file) return std::nullopt;
  // The one form a manifest has: the digest and every spelling are checked by writing it again.
  if (format_manifest(manifest) != text) return std::nullopt;
  return manifest;
}

std::unique_ptr<DataDirectory> DataDirectory::open(Env& env, const std::string& path, std::int64_t now_ms) {
  if (!env.exists(path)) env.create_directory(path);
  // Until there is a MANIFEST, an earlier try may have been cut off before the directory's own name was durable.
  if (!env.exists(path + "/MANIFEST")) env.sync_directory(parent_directory(path));
  auto lock = env.lock(path + "/LOCK");
  if (!lock)
    throw Error(Family::kUnavailable, code::kStoreLocked, path + ": another process has this store open", path);
  std::unique_ptr<DataDirectory> directory(new DataDirectory(env, path, std::move(lock)));
  directory->open_format();
  directory->open_manifest(now_ms);
  // The names just read may be a cache's only; what is done to wal/ from here on relies on them.
  env.sync_directory(path);
  return directory;
}

void DataDirectory::open_format() {
  const std::string path = path_ + "/FORMAT";
  if (!env_.exists(path)) {
    if (env_.exists(manifest_path())) throw corrupt(path, "is missing beside a MANIFEST");
    return replace_text(env_, path, std::string(kFormatTitle) + std::to_string(kStoreFormat) + "\n");
  }
  const std::string text = read_text(env_, path, 4096);
  WordReader reader(text);
  reader.expect(kFormatTitle);
  const auto format = reader.number<std::uint32_t>();
  reader.expect("\n");
  if (reader.failed() || !reader.rest().empty() || format == 0) throw corrupt(path, "is not a cdpstore FORMAT file");
  if (format > kStoreFormat)
    throw Error(Family::kConflict, code::kStoreFormat,
                path_ + ": written by a newer cdpstore (format " + std::to_string(format) + "); this one reads up to " +
                    std::to_string(kStoreFormat) + ". Upgrade cdpstore, or restore a backup of that format.",
                path);
}

void DataDirectory::open_manifest(std::int64_t now_ms) {
  if (!env_.exists(wal_path())) {
    if (env_.exists(manifest_path())) throw corrupt(wal_path(), "is missing beside a MANIFEST");
    env_.create_directory(wal_path());
    env_.sync_directory(path_);
  }
  if (env_.exists(manifest_path())) {
    const auto manifest = parse_manifest(read_text(env_, manifest_path(), kManifestBytesMax));
    if (!manifest) throw corrupt(manifest_path(), "is damaged");
    manifest_ = *manifest;
    return;
  }
  if (!env_.list(wal_path()).empty()) throw corrupt(manifest_path(), "is missing beside log files");
  update([&](Manifest& manifest) {
    env_.random(std::as_writable_bytes(std::span(&manifest.hash_key, 1)));
    manifest.created_ms = now_ms;
  });
}

Manifest DataDirectory::manifest() const {
  const std::lock_guard guard(mutex_);
  return manifest_;
}

void DataDirectory::update(const std::function<void(Manifest&)>& change) {
  const std::lock_guard guard(mutex_);
  if (poisoned_)
    throw Error(Family::kUnavailable, code::kLogFailed, path_ + ": an earlier disk error; open the store anew", path_);
  Manifest manifest = manifest_;
  change(manifest);
  try {
    write_aside(env_, manifest_path(), format_manifest(manifest));
  } catch (const IoError& error) {
    poisoned_ = !error.is_no_space();  // out of space: the old manifest stands, a later try writes a new file
    throw;
  }
  poisoned_ = true;  // until both calls said yes, nobody knows which manifest the medium holds
  swap_in(env_, manifest_path());
  poisoned_ = false;
  manifest_ = std::move(manifest);
}

void DataDirectory::poison() noexcept {
  const std::lock_guard guard(mutex_);
  poisoned_ = true;
}

bool DataDirectory::poisoned() const noexcept {
  const std::lock_guard guard(mutex_);
  return poisoned_;
}

}  // namespace cdp
