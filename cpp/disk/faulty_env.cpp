#include "disk/faulty_env.hpp"

#include <algorithm>
#include <cerrno>

namespace cdp {
namespace {
constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::uint64_t kSectorBytes = 512;
}  // namespace

class FaultyFile final : public File {
 public:
  FaultyFile(FaultyEnv& env, std::shared_ptr<FaultyEnv::Inode> inode, std::string path, bool writes)
      : env_(env), inode_(std::move(inode)), path_(std::move(path)), writes_(writes) {}

  std::size_t read_at(std::uint64_t offset, std::span<std::byte> into) override {
    const std::lock_guard guard(env_.mutex_);
    const auto& live = inode_->live;
    if (offset >= live.size()) return 0;
    const std::size_t count = std::min<std::size_t>(into.size(), live.size() - offset);
    std::copy_n(live.begin() + static_cast<std::ptrdiff_t>(offset), count, into.begin());
    return count;
  }
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (!writes_) throw IoError("write", path_, EBADF);
    env_.write(*inode_, path_, offset, bytes);
  }
  void preallocate(std::uint64_t size_bytes) override {
    const std::lock_guard guard(env_.mutex_);
    env_.strike_or_throw(DiskOperation::kPreallocate, "preallocate", path_);
    if (size_bytes > inode_->live.size()) env_.resize(*inode_, size_bytes);
    env_.changed();
  }
  void truncate(std::uint64_t size_bytes) override {
    const std::lock_guard guard(env_.mutex_);
    env_.strike_or_throw(DiskOperation::kTruncate, "truncate", path_);
    env_.resize(*inode_, size_bytes);
    env_.changed();
  }
  void sync() override { env_.sync(*inode_, path_); }
  std::uint64_t size_bytes() override {
    const std::lock_guard guard(env_.mutex_);
    return inode_->live.size();
  }

 private:
  FaultyEnv& env_;
  std::shared_ptr<FaultyEnv::Inode> inode_;
  std::string path_;
  bool writes_;
};

class FaultyLock final : public FileLock {
 public:
  FaultyLock(FaultyEnv& env, std::string path) : env_(env), path_(std::move(path)) {}
  ~FaultyLock() override {
    const std::lock_guard guard(env_.mutex_);
    env_.locked_.erase(path_);
  }

 private:
  FaultyEnv& env_;
  std::string path_;
};

void FaultyEnv::apply(const NameChange& change, Names& names) {
  if (!change.from.empty()) names.erase(change.from);
  if (!change.to.empty()) names[change.to] = change.inode;
}

void FaultyEnv::change_name(const std::string& directory, NameChange change) {
  apply(change, names_);
  name_changes_[directory].push_back(std::move(change));
  changed();
}

void FaultyEnv::changed() {
  if (on_change_) on_change_();
}

std::shared_ptr<FaultyEnv::Inode> FaultyEnv::find(const std::string& operation, const std::string& path) const {
  const auto found = names_.find(path);
  if (found == names_.end()) throw IoError(operation, path, ENOENT);
  return found->second;
}

std::optional<FaultyEnv::Fault> FaultyEnv::strike(DiskOperation operation) {
  const auto index = static_cast<std::size_t>(operation);
  const std::uint64_t number = counts_[index]++;
  const auto& fault = faults_[index];
  if (fault && (number == fault->at || (fault->stays && number > fault->at))) return fault;
  return std::nullopt;
}

void FaultyEnv::strike_or_throw(DiskOperation operation, const std::string& name, const std::string& path) {
  if (const auto fault = strike(operation)) throw IoError(name, path, fault->error_number);
}

void FaultyEnv::fail(DiskOperation operation, std::uint64_t index, int error_number, bool stays,
                     std::size_t short_bytes) {
  const std::lock_guard guard(mutex_);
  const auto slot = static_cast<std::size_t>(operation);
  faults_[slot] = Fault{counts_[slot] + index, error_number, stays, short_bytes};
}

void FaultyEnv::heal() {
  const std::lock_guard guard(mutex_);
  for (auto& fault : faults_) fault.reset();
}

std::uint64_t FaultyEnv::count(DiskOperation operation) const {
  const std::lock_guard guard(mutex_);
  return counts_[static_cast<std::size_t>(operation)];
}

std::unique_ptr<File> FaultyEnv::open(const std::string& path, OpenMode mode) {
  const std::lock_guard guard(mutex_);
  strike_or_throw(DiskOperation::kOpen, "open", path);
  const auto found = names_.find(path);
  if (found == names_.end()) {
    if (mode != OpenMode::kCreate || !names_.contains(parent_directory(path))) throw IoError("open", path, ENOENT);
    auto inode = std::make_shared<Inode>();
    change_name(parent_directory(path), {"", path, inode});
    return std::make_unique<FaultyFile>(*this, inode, path, true);
  }
  if (found->second->is_directory) throw IoError("open", path, EISDIR);
  if (mode == OpenMode::kCreate) resize(*found->second, 0);
  return std::make_unique<FaultyFile>(*this, found->second, path, mode != OpenMode::kRead);
}

bool FaultyEnv::exists(const std::string& path) {
  const std::lock_guard guard(mutex_);
  return names_.contains(path);
}

std::vector<std::string> FaultyEnv::list(const std::string& directory) {
  const std::lock_guard guard(mutex_);
  static_cast<void>(find("list", directory));
  std::vector<std::string> names;
  for (const auto& [path, inode] : names_)
    if (path != directory && parent_directory(path) == directory) names.push_back(path.substr(directory.size() + 1));
  return names;
}

void FaultyEnv::create_directory(const std::string& path) {
  const std::lock_guard guard(mutex_);
  if (names_.contains(path)) return;
  auto inode = std::make_shared<Inode>();
  inode->is_directory = true;
  change_name(parent_directory(path), {"", path, std::move(inode)});
}

void FaultyEnv::rename(const std::string& from, const std::string& to) {
  const std::lock_guard guard(mutex_);
  strike_or_throw(DiskOperation::kRename, "rename", from);
  const auto inode = find("rename", from);
  if (parent_directory(from) != parent_directory(to)) throw IoError("rename", from, EXDEV);
  change_name(parent_directory(to), {from, to, inode});
}

void FaultyEnv::remove(const std::string& path) {
  const std::lock_guard guard(mutex_);
  strike_or_throw(DiskOperation::kRemove, "remove", path);
  static_cast<void>(find("remove", path));
  change_name(parent_directory(path), {path, "", nullptr});
}

void FaultyEnv::sync_directory(const std::string& path) {
  const std::lock_guard guard(mutex_);
  strike_or_throw(DiskOperation::kSyncDirectory, "sync", path);
  for (const NameChange& change : name_changes_[path]) apply(change, durable_names_);
  name_changes_.erase(path);
  changed();
}

std::unique_ptr<FileLock> FaultyEnv::lock(const std::string& path) {
  const std::lock_guard guard(mutex_);
  if (!names_.contains(path)) change_name(parent_directory(path), {"", path, std::make_shared<Inode>()});
  if (!locked_.insert(path).second) return nullptr;
  return std::make_unique<FaultyLock>(*this, path);
}

void FaultyEnv::random(std::span<std::byte> into) {
  const std::lock_guard guard(mutex_);
  for (std::byte& byte : into) {  // splitmix64, a byte a step
    std::uint64_t word = random_state_ += 0x9E3779B97F4A7C15ull;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ull;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBull;
    byte = static_cast<std::byte>(word >> 56);
  }
}

void FaultyEnv::write_blocks(Inode& inode, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const std::uint64_t end = offset + bytes.size();
  if (end > inode.live.size()) {
    inode.live.resize(end);
    inode.sizes.push_back(end);
  }
  std::copy(bytes.begin(), bytes.end(), inode.live.begin() + static_cast<std::ptrdiff_t>(offset));
  for (std::uint64_t block = offset / kBlockBytes; block * kBlockBytes < end; ++block) {
    const std::uint64_t begin = block * kBlockBytes;
    const std::uint64_t stop = std::min<std::uint64_t>(inode.live.size(), begin + kBlockBytes);
    inode.versions[block].emplace_back(inode.live.begin() + static_cast<std::ptrdiff_t>(begin),
                                       inode.live.begin() + static_cast<std::ptrdiff_t>(stop));
  }
}

void FaultyEnv::write(Inode& inode, const std::string& path, std::uint64_t offset, std::span<const std::byte> bytes) {
  const std::lock_guard guard(mutex_);
  const auto fault = strike(DiskOperation::kWrite);
  write_blocks(inode, offset, fault ? bytes.first(std::min(bytes.size(), fault->short_bytes)) : bytes);
  changed();
  if (fault) throw IoError("write", path, fault->error_number);
}

void FaultyEnv::resize(Inode& inode, std::uint64_t size_bytes) {
  inode.live.resize(size_bytes);
  inode.sizes.push_back(size_bytes);
  std::erase_if(inode.versions, [&](const auto& entry) { return entry.first * kBlockBytes >= size_bytes; });
}

void FaultyEnv::sync(Inode& inode, const std::string& path) {
  const std::lock_guard guard(mutex_);
  if (const auto fault = strike(DiskOperation::kSync)) {
    inode.versions.clear();  // marked clean; the size, being metadata, is still going to be written
    throw IoError("sync", path, fault->error_number);
  }
  const Choose newest = [](std::uint64_t count) { return count - 1; };
  persist(inode, newest, false, inode.synced);
  inode.versions.clear();
  inode.sizes.clear();
  changed();
}

// Choice 0 of a block or size is the synced one, the last the newest.
void FaultyEnv::persist(const Inode& inode, const Choose& choose, bool tears, std::vector<std::byte>& content) {
  if (!inode.sizes.empty()) {
    const std::uint64_t choice = choose(inode.sizes.size() + 1);
    if (choice != 0) content.resize(inode.sizes[choice - 1]);
  }
  for (const auto& [block, versions] : inode.versions) {
    const std::uint64_t choice = choose(versions.size() + 1);
    const std::uint64_t begin = block * kBlockBytes;
    if (choice == 0 || begin >= content.size()) continue;
    const Block& version = versions[choice - 1];
    std::uint64_t count = std::min<std::uint64_t>(version.size(), content.size() - begin);
    if (tears && choose(4) == 0) count = std::min(count, kSectorBytes * choose(kBlockBytes / kSectorBytes));
    std::copy_n(version.begin(), count, content.begin() + static_cast<std::ptrdiff_t>(begin));
  }
}

std::unique_ptr<FaultyEnv> FaultyEnv::crash(const Choose& choose, bool tears) const {
  const std::lock_guard guard(mutex_);
  Names names = durable_names_;
  for (const auto& [directory, changes] : name_changes_) {
    const std::uint64_t kept = choose(changes.size() + 1);
    for (std::uint64_t i = 0; i < kept; ++i) apply(changes[i], names);
  }
  auto after = std::make_unique<FaultyEnv>(random_state_ * 6364136223846793005u + 1442695040888963407u);
  for (const auto& [path, inode] : names) {
    const std::string parent = parent_directory(path);
    const bool is_rooted = parent == "." || parent == "/" || after->names_.contains(parent);
    if (!is_rooted) continue;
    auto left = std::make_shared<Inode>();
    left->is_directory = inode->is_directory;
    left->synced = inode->synced;
    persist(*inode, choose, tears, left->synced);
    left->live = left->synced;
    after->names_[path] = left;
  }
  after->durable_names_ = after->names_;
  return after;
}

std::unique_ptr<FaultyEnv> FaultyEnv::copy() const {
  const std::lock_guard guard(mutex_);
  auto twin = std::make_unique<FaultyEnv>(random_state_ * 6364136223846793005u + 1442695040888963407u);
  std::map<const Inode*, std::shared_ptr<Inode>> copies;
  const auto copy_of = [&copies](const std::shared_ptr<Inode>& inode) {
    if (!inode) return inode;
    auto& made = copies[inode.get()];
    if (!made) made = std::make_shared<Inode>(*inode);
    return made;
  };
  for (const auto& [path, inode] : names_) twin->names_[path] = copy_of(inode);
  for (const auto& [path, inode] : durable_names_) twin->durable_names_[path] = copy_of(inode);
  for (const auto& [directory, changes] : name_changes_)
    for (const NameChange& change : changes)
      twin->name_changes_[directory].push_back({change.from, change.to, copy_of(change.inode)});
  return twin;
}

std::vector<std::byte> FaultyEnv::content(const std::string& path) const {
  const std::lock_guard guard(mutex_);
  return find("read", path)->live;
}

void FaultyEnv::set_content(const std::string& path, std::vector<std::byte> bytes) {
  const std::lock_guard guard(mutex_);
  auto inode = std::make_shared<Inode>();
  inode->live = inode->synced = std::move(bytes);
  names_[path] = inode;
  durable_names_[path] = inode;
}

}  // namespace cdp
