// The log without faults: framing, files, marks, reserving, dropping, the data directory, and the real disk.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "disk/faulty_env.hpp"
#include "disk/posix_env.hpp"
#include "disk_story.hpp"

using namespace cdp;
using namespace cdp::test;

TEST("digest_bytes is XXH3-128 and Sha256 is SHA-256") {
  CHECK_EQ(hex_of(digest_bytes({}).bytes), "99aa06d3014798d86001c324468d497f");
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 7 + i / 251);
  CHECK_EQ(hex_of(digest_bytes(bytes_of(text)).bytes), "99e59016b5d18a3f1a86fba1101018cf");
  CHECK_EQ(hex_of(digest_bytes(bytes_of(text).first(240)).bytes), "89e3a0a2ee355d25d10beb4e0599e4b3");
  Sha256 sha;
  sha.update(bytes_of("a"));
  sha.update(bytes_of("bc"));
  CHECK_EQ(hex_of(sha.finish()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST("a group gives back its payloads, empty ones too, and nothing under another id or offset") {
  std::mt19937_64 random(seed());
  std::vector<std::byte> buffer;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> texts(1 + random() % 20);
    for (auto& text : texts) text = payload_text(random() % 1000);
    if (round % 3 == 0) texts[0].clear();
    const std::vector<Payload> payloads = [&] {
      std::vector<Payload> list;
      for (const auto& text : texts) list.push_back(bytes_of(text));
      return list;
    }();
    GroupHeader header;
    header.file_id.bytes[3] = 9;
    header.number = 7;
    header.offset = 8192;
    const FramedGroup framed = frame_group(header, payloads, buffer);
    CHECK_EQ(framed.bytes.size(), group_size_bytes(payloads));
    CHECK_EQ(framed.bytes.size() % limits::kGroupAlign, 0u);
    const auto group = parse_group(framed.bytes, header.file_id, 8192);
    CHECK(group.has_value());
    if (!group) return;
    CHECK_EQ(group->payloads.size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(text_of(group->payloads[i]) == texts[i]);
    CHECK(!parse_group(framed.bytes, FileId{}, 8192));
    CHECK(!parse_group(framed.bytes, header.file_id, 4096));
    CHECK(!parse_group(framed.bytes.first(framed.bytes.size() - 1), header.file_id, 8192));
  }
}

TEST("a whole group of a newer version is refused, not dropped") {
  std::vector<std::byte> buffer;
  GroupHeader header;
  header.version = 2;
  const FramedGroup framed = frame_group(header, {}, buffer);
  CHECK_EQ(code_of([&] { static_cast<void>(parse_group(framed.bytes, {}, 0)); }), code::kStoreFormat);
}

TEST("a log is read beside its writer at every step of a file that is being made ready, and opens again") {
  FaultyEnv env;
  std::uint64_t next = 0;
  for (int life = 0; life < 4; ++life) {
    OpenStore store = open_store(env);
    CHECK_EQ(count_of(store.read), next);
    for (int group = 0; group < 12; ++group) {
      store.append(next, 2);
      for (bool more = true; more;) {
        std::uint64_t payloads = 0;
        LogReader reader(*store.directory, LogReader::Files::kInUse);
        static_cast<void>(reader.read(0, [&](std::uint64_t, Payload) { ++payloads; }));
        CHECK_EQ(payloads, next);
        more = store.writer->reserve_step();
      }
    }
    if (life % 2 == 0) store.writer->close();
  }
}

TEST("what is appended is read back over many files, clean closes and unclean ends") {
  FaultyEnv env;
  std::uint64_t next = 0;
  std::mt19937_64 random(seed());
  for (int life = 0; life < 30; ++life) {
    OpenStore store = open_store(env);
    CHECK_EQ(count_of(store.read), next);
    for (std::uint64_t i = random() % 8; i > 0; --i) {
      store.append(next, 1 + random() % 3);
      if (random() % 4 == 0) store.writer->write_mark();
      if (random() % 2 == 0) store.writer->reserve_step();
    }
    if (random() % 2 == 0) store.writer->close();
  }
  CHECK(next > 100);
}

TEST("a clean close is continued in the same file, an unclean end in a fresh one, and space is given back") {
  FaultyEnv env;
  std::uint64_t next = 0;
  {
    OpenStore store = open_store(env, "store", LogOptions{});
    store.append(next, 2);
    store.writer->close();
    CHECK_EQ(code_of([&] { store.append(next, 1); }), code::kStoreClosed);
  }
  {
    OpenStore store = open_store(env, "store", LogOptions{});
    CHECK(store.end.is_clean);
    CHECK_EQ(store.directory->manifest().files.size(), 1u);
    store.append(next, 2);
    store.append(next, 2);
  }
  OpenStore store = open_store(env, "store", LogOptions{});
  CHECK(!store.end.is_clean);
  CHECK_EQ(store.end.unproven.size(), 1u);
  CHECK_EQ(store.directory->manifest().files.size(), 2u);
  CHECK(env.content("store/wal/0000000001.log").size() < limits::kLogFileFirstBytes);
  CHECK_EQ(count_of(store.read), next);
}

TEST("hundred unclean ends without a write do not gather files") {
  FaultyEnv env;
  for (int life = 0; life < 100; ++life) CHECK(open_store(env).read.empty());
  CHECK_EQ(env.list("store/wal").size(), 1u);
}

TEST("files double up to the largest, and a group larger than the next file makes it grow") {
  FaultyEnv env;
  OpenStore store = open_store(env);
  while (store.writer->reserve_step()) {
  }
  CHECK(!store.writer->needs_reserve());
  CHECK_EQ(env.content("store/wal/0000000002.log").size(), 64u << 10);
  const std::string large(200'000, 'x');
  const Payload payloads[] = {bytes_of(large)};
  CHECK_EQ(code_of([&] { store.writer->append_group(payloads); }), code::kLogSpace);
  CHECK(!store.writer->failed());
  store.writer->reserve_for(group_size_bytes(payloads));
  CHECK_EQ(store.writer->append_group(payloads), 1u);
  store.writer->close();
  store.writer.reset(), store.directory.reset();
  CHECK(open_store(env).read == std::vector<std::string>{large});
}

TEST("a group over the limit is refused and nothing else happens") {
  FaultyEnv env;
  OpenStore store = open_store(env);
  const std::string large(kGroupBytesMax, 'x');
  const Payload payloads[] = {bytes_of(large)};
  CHECK_EQ(code_of([&] { store.writer->append_group(payloads); }), code::kBatchTooLarge);
  std::uint64_t next = 0;
  store.append(next, 1);
  CHECK_EQ(store.writer->last_group(), 1u);
}

TEST("an idle log takes one mark, not many") {
  FaultyEnv env;
  OpenStore store = open_store(env);
  store.writer->write_mark();
  CHECK_EQ(store.writer->last_group(), 0u);
  std::uint64_t next = 0;
  store.append(next, 1);
  for (int i = 0; i < 5; ++i) store.writer->write_mark();
  CHECK_EQ(store.writer->last_group(), 2u);
}

TEST("reading begins behind a group, and never where the log no longer or not yet reaches") {
  FaultyEnv env;
  std::uint64_t next = 0;
  OpenStore store = open_store(env);
  for (int i = 0; i < 40; ++i) store.append(next, 1);
  store.writer->drop_before(20);
  const std::uint64_t first = store.directory->manifest().first_group;
  CHECK(first > 1 && first <= 20);
  store.writer->close();
  store.writer.reset();
  std::vector<std::string> read;
  const LogEnd end = LogReader(*store.directory).read(30, [&](std::uint64_t group, Payload payload) {
    CHECK(text_of(payload) == payload_text(group - 1));
    read.emplace_back(text_of(payload));
  });
  CHECK_EQ(read.size(), 10u);
  CHECK_EQ(end.last_group, 41u);
  const auto ignore = [](std::uint64_t, Payload) {};
  CHECK_EQ(code_of([&] { static_cast<void>(LogReader(*store.directory).read(first - 2, ignore)); }), code::kLogCorrupt);
  CHECK_EQ(code_of([&] { static_cast<void>(LogReader(*store.directory).read(42, ignore)); }), code::kLogCorrupt);
  store.writer = LogWriter::open(*store.directory, end, kSmallFiles);
  for (int i = 0; i < 20; ++i) store.append(next, 1);
  store.writer->drop_before(store.writer->last_group() + 1);
  CHECK_EQ(env.list("store/wal").size(), store.directory->manifest().files.size());
}

TEST("a second opener is told that the store is locked") {
  FaultyEnv env;
  auto first = DataDirectory::open(env, "store", kNowMs);
  CHECK_EQ(code_of([&] { static_cast<void>(DataDirectory::open(env, "store", kNowMs)); }), code::kStoreLocked);
  const std::uint64_t key = first->manifest().hash_key;
  first.reset();
  const auto second = DataDirectory::open(env, "store", kNowMs + 5);
  CHECK_EQ(second->manifest().hash_key, key);
  CHECK_EQ(second->manifest().created_ms, kNowMs);
}

TEST("a newer FORMAT is refused by name, a damaged one is corruption") {
  for (const auto& [text, code] :
       std::vector<std::pair<std::string, std::string_view>>{{"cdpstore 2\n", code::kStoreFormat},
                                                             {"cdpstore 1", code::kLogCorrupt},
                                                             {"", code::kLogCorrupt},
                                                             {"cdpstore 0\n", code::kLogCorrupt},
                                                             {"cdpstore 1\n ", code::kLogCorrupt},
                                                             {"hello", code::kLogCorrupt}}) {
    FaultyEnv env;
    static_cast<void>(DataDirectory::open(env, "store", kNowMs));
    const auto bytes = bytes_of(text);
    env.set_content("store/FORMAT", {bytes.begin(), bytes.end()});
    CHECK_EQ(code_of([&] { static_cast<void>(DataDirectory::open(env, "store", kNowMs)); }), code);
  }
}

TEST("every flipped bit and every truncation of a MANIFEST is found") {
  Manifest manifest;
  manifest.hash_key = 0x0123456789ABCDEFull;
  manifest.created_ms = kNowMs;
  manifest.next_file = 9;
  for (std::uint64_t i = 3; i < 9; ++i) manifest.files.push_back({i, {}});
  const std::string text = format_manifest(manifest);
  CHECK(parse_manifest(text) == manifest);
  for (std::size_t i = 0; i < text.size(); ++i) {
    CHECK(!parse_manifest(std::string_view(text).substr(0, i)));
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = text;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      CHECK(!parse_manifest(flipped));
    }
  }
}

TEST("short writes and interrupts are repeated, an error and no progress are told") {
  std::string written;
  int calls = 0;
  const auto write_some = [&](std::uint64_t offset, std::span<const std::byte> bytes) -> std::int64_t {
    CHECK_EQ(offset, 100 + written.size());
    if (++calls % 3 == 0) return -4;
    const auto part = bytes.first(std::min<std::size_t>(bytes.size(), 3));
    written += text_of(part);
    return static_cast<std::int64_t>(part.size());
  };
  CHECK_EQ(write_fully(100, bytes_of("a sentence in pieces"), write_some), 0);
  CHECK_EQ(written, "a sentence in pieces");
  CHECK_EQ(write_fully(0, bytes_of("x"), [](auto, auto) { return std::int64_t{-5}; }), 5);
  CHECK_EQ(write_fully(0, bytes_of("x"), [](auto, auto) { return std::int64_t{0}; }), 28);
}

TEST("a worker reserves while the sync thread appends") {
  FaultyEnv env;
  OpenStore store = open_store(env);
  std::atomic<bool> is_done{false};
  std::thread worker([&] {
    while (!is_done.load()) {
      if (!store.writer->reserve_step()) std::this_thread::yield();
      if (store.writer->last_group() % 50 == 49) store.writer->drop_before(store.writer->last_group() / 2);
    }
  });
  std::uint64_t next = 0;
  for (int i = 0; i < 300; ++i) store.append(next, 1);
  is_done = true;
  worker.join();
  store.writer->close();
  CHECK_EQ(store.writer->last_group(), 301u);
  store.writer.reset();
  const LogEnd end = LogReader(*store.directory)
                         .read(store.directory->manifest().first_group - 1, [](std::uint64_t group, Payload payload) {
                           CHECK(text_of(payload) == payload_text(group - 1));
                         });
  CHECK(end.is_clean);
}

namespace {

struct TemporaryDirectory {
  std::string path;
  TemporaryDirectory() {
    const char* base = std::getenv("TMPDIR");
    std::string name = std::string(base == nullptr ? "/tmp" : base) + "/cdpstore-disk-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
  }
  ~TemporaryDirectory() {
    PosixEnv env;
    for (const std::string& part : {path + "/store/wal", path + "/store", path}) {
      if (!env.exists(part)) continue;
      for (const std::string& name : env.list(part))
        if (name != "wal" && name != "store") env.remove(part + "/" + name);
      ::rmdir(part.c_str());
    }
  }
};

// Appends until killed; tells the pipe after each group how many payloads are acknowledged.
[[noreturn]] void append_until_killed(const std::string& path, int pipe) {
  PosixEnv env;
  OpenStore store = open_store(env, path);
  std::uint64_t next = store.read.size();
  for (;;) {
    store.append(next, 1 + next % 3);
    if (next % 7 == 0) store.writer->write_mark();
    store.writer->reserve_step();
    if (::write(pipe, &next, sizeof(next)) != sizeof(next)) ::_exit(1);
  }
}

}  // namespace

TEST("on the real disk a closed log is read back, and the lock holds between processes") {
  const TemporaryDirectory temporary;
  PosixEnv env;
  std::uint64_t next = 0;
  const std::string path = temporary.path + "/store";
  for (int life = 0; life < 4; ++life) {
    OpenStore store = open_store(env, path);
    CHECK_EQ(count_of(store.read), next);
    for (int i = 0; i < 12; ++i) store.append(next, 1);
    CHECK_EQ(code_of([&] { static_cast<void>(DataDirectory::open(env, path, kNowMs)); }), code::kStoreLocked);
    if (life % 2 == 0) store.writer->close();
  }
  CHECK_EQ(code_of([&] { static_cast<void>(env.open(path + "/none", OpenMode::kRead)); }), code::kDiskFailed);
}

TEST("a process killed while it appends loses nothing that it acknowledged") {
  const TemporaryDirectory temporary;
  const std::string path = temporary.path + "/store";
  std::mt19937_64 random(seed());
  std::uint64_t acknowledged = 0;
  for (int life = 0; life < 12; ++life) {
    int pipe[2];
    CHECK_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) append_until_killed(path, pipe[1]);
    ::close(pipe[1]);
    ::usleep(static_cast<useconds_t>(40'000 + random() % 80'000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::uint64_t told = 0;
    while (::read(pipe[0], &told, sizeof(told)) == sizeof(told)) acknowledged = told;
    ::close(pipe[0]);
    PosixEnv env;
    const OpenStore store = open_store(env, path);
    CHECK(count_of(store.read) >= static_cast<std::int64_t>(acknowledged));
    acknowledged = store.read.size();
  }
  std::printf("        %llu payloads over 12 kills\n", static_cast<unsigned long long>(acknowledged));
  CHECK(acknowledged > 0);
}

TEST_MAIN()
