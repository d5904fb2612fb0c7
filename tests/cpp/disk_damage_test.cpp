// Damaged and misplaced bytes: cut, flipped, overwritten, swapped, missing, doubled, foreign. Found every time; never a
// payload that was not written there.
#include "disk/faulty_env.hpp"
#include "disk_story.hpp"

using namespace cdp;
using namespace cdp::test;

namespace {

const std::string kFirst = "store/wal/0000000001.log";

// What reading alone gives: the payloads, or -2 and the error's path and text if it is log.corrupt.
struct Reading {
  std::int64_t count = 0;
  std::string path;
  std::string message;
};

[[nodiscard]] Reading read_log(DataDirectory& directory) {
  Reading reading;
  std::vector<std::string> read;
  try {
    static_cast<void>(
        LogReader(directory).read(0, [&](std::uint64_t, Payload payload) { read.emplace_back(text_of(payload)); }));
    reading.count = read.empty() || read[0] == payload_text(0) ? count_of(read) : -1;
  } catch (const Error& error) {
    if (error.family() != Family::kCorruption) throw;
    reading = {-2, error.path(), error.what()};
    if (count_of(read) < 0) reading.count = -1;  // a wrong payload was given before the error
  }
  return reading;
}

[[nodiscard]] Reading read_store(FaultyEnv& env) {
  try {
    return read_log(*DataDirectory::open(env, "store", kNowMs));
  } catch (const Error& error) {
    if (error.family() != Family::kCorruption) throw;
    return {-2, error.path(), error.what()};
  }
}

// Groups of one small payload each, so that a log of some blocks holds several. `ends[i]`: file size that holds i + 1.
struct SmallLog {
  FaultyEnv env;
  std::uint64_t count = 0;
  std::vector<std::uint64_t> ends;

  SmallLog(std::uint64_t groups, bool closes, const LogOptions& options = kSmallFiles, std::uint64_t env_seed = 1)
      : env(env_seed) {
    OpenStore store = open_store(env, "store", options);
    std::uint64_t end = kLogFileHeaderBytes;
    for (; count < groups; ++count) {
      const std::string text = payload_text(count);
      const Payload payloads[] = {bytes_of(text)};
      try {
        store.writer->append_group(payloads);
      } catch (const Error&) {
        store.writer->reserve_for(group_size_bytes(payloads));
        store.writer->append_group(payloads);
      }
      ends.push_back(end += group_size_bytes(payloads));
    }
    if (closes) store.writer->close();
  }
};

constexpr LogOptions kOneFile{64u << 10, 64u << 10, 64u << 10};

}  // namespace

TEST("a log cut at any byte gives the groups that are whole, and goes on from there") {
  for (const bool closes : {false, true}) {
    SmallLog log(4, closes);
    const auto whole = log.env.content(kFirst);
    CHECK_EQ(whole.size(), 32u << 10);
    const auto directory = DataDirectory::open(log.env, "store", kNowMs);
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      log.env.set_content(kFirst, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
      std::int64_t expected = size < kLogFileHeaderBytes ? -2 : 0;
      for (const std::uint64_t end : log.ends) expected += size >= end ? 1 : 0;
      const Reading reading = read_log(*directory);
      if (reading.count != expected) {
        CHECK_EQ(reading.count, expected);
        std::printf("cut at %zu: %s\n", size, reading.message.c_str());
        return;
      }
      if (size % 251 != 0 || expected < 0) continue;
      const auto twin = log.env.copy();
      auto next = static_cast<std::uint64_t>(expected);
      {
        OpenStore store = open_store(*twin);
        store.append(next, 1);
        store.append(next, 1);
      }
      CHECK_EQ(read_store(*twin).count, expected + 2);
    }
  }
}

TEST("every flipped bit of a closed log is found or lies where nothing is") {
  SmallLog log(4, true);
  const auto whole = log.env.content(kFirst);
  const std::uint64_t data_end = log.ends.back();
  CHECK_EQ(whole.size(), 32u << 10);
  const auto directory = DataDirectory::open(log.env, "store", kNowMs);
  std::uint64_t refused = 0, harmless = 0, wrong = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      auto flipped = whole;
      flipped[i] ^= static_cast<std::byte>(1 << bit);
      log.env.set_content(kFirst, std::move(flipped));
      const Reading reading = read_log(*directory);
      // Up to the last group: refused by name. Behind it, in the mark and the zeros: all payloads are there.
      const bool is_right = i < data_end ? reading.count == -2 && reading.path == kFirst : reading.count == 4;
      wrong += is_right ? 0 : 1;
      (reading.count == -2 ? refused : harmless) += 1;
    }
  }
  CHECK_EQ(wrong, 0u);
  CHECK_EQ(refused, data_end * 8);
  std::printf("        %llu flips refused, %llu harmless\n", static_cast<unsigned long long>(refused),
              static_cast<unsigned long long>(harmless));
}

TEST("every flipped bit of a log without a mark is refused, but for its last group, which counts as torn") {
  SmallLog log(4, false);
  const auto whole = log.env.content(kFirst);
  const auto directory = DataDirectory::open(log.env, "store", kNowMs);
  std::uint64_t wrong = 0;
  for (std::size_t i = 0; i < log.ends.back() + 4096; ++i) {
    auto flipped = whole;
    flipped[i] ^= static_cast<std::byte>(1 << (i % 8));
    log.env.set_content(kFirst, std::move(flipped));
    const std::int64_t expected = i < log.ends[2] ? -2 : i < log.ends[3] ? 3 : 4;
    wrong += read_log(*directory).count == expected ? 0 : 1;
  }
  CHECK_EQ(wrong, 0u);
}

TEST("a flipped bit in any of many files, and behind a recovery, is refused or harmless; never a wrong payload") {
  std::mt19937_64 random(seed());
  FaultyEnv env;
  std::uint64_t next = 0;
  for (int life = 0; life < 5; ++life) {  // unclean ends: every file but the last has a copied group
    OpenStore store = open_store(env);
    for (int i = 0; i < 8; ++i) store.append(next, 1 + i % 2);
    if (life == 4) store.writer->close();
  }
  const auto directory = DataDirectory::open(env, "store", kNowMs);
  std::uint64_t refused = 0;
  const auto names = env.list("store/wal");
  CHECK(names.size() >= 5);
  constexpr int kFlips = 20'000;
  for (int i = 0; i < kFlips; ++i) {
    const std::string path = "store/wal/" + names[random() % names.size()];
    const auto whole = env.content(path);
    auto flipped = whole;
    flipped[random() % whole.size()] ^= static_cast<std::byte>(1 << (random() % 8));
    env.set_content(path, std::move(flipped));
    const Reading reading = read_log(*directory);
    CHECK(reading.count == -2 || reading.count == static_cast<std::int64_t>(next));
    refused += reading.count == -2 ? 1 : 0;
    env.set_content(path, whole);
  }
  CHECK(refused > kFlips / 4);
}

TEST("garbage, zeros, an older file's bytes or a copied group behind the end are dropped, never taken") {
  std::mt19937_64 random(seed());
  SmallLog log(3, false, kOneFile);
  SmallLog other(8, true, kOneFile, 77);
  const auto whole = log.env.content(kFirst), foreign = other.env.content(kFirst);
  const std::uint64_t end = log.ends.back();
  for (int round = 0; round < 400; ++round) {
    auto bytes = whole;
    const std::uint64_t begin = end + 4096 * (random() % 3);
    for (std::uint64_t at = begin; at < bytes.size(); ++at) {
      if (round % 4 == 0) bytes[at] = static_cast<std::byte>(random());
      if (round % 4 == 1) bytes[at] = foreign[at];
      if (round % 4 == 2) bytes[at] = whole[kLogFileHeaderBytes + (at - begin) % (end - kLogFileHeaderBytes)];
      if (round % 4 == 3) bytes[at] = at % 4096 < 16 ? static_cast<std::byte>(random()) : std::byte{0};
    }
    log.env.set_content(kFirst, bytes);
    CHECK_EQ(read_store(log.env).count, 3);
    const auto twin = log.env.copy();
    std::uint64_t next = 3;
    {
      OpenStore store = open_store(*twin);
      CHECK(!store.end.is_clean);
      CHECK_EQ(store.directory->manifest().files.size(), 2u);  // not appended to
      store.append(next, 2);
    }
    CHECK_EQ(read_store(*twin).count, 5);
  }
}

TEST("a block of zeros or a misdirected group in the middle is refused, with its file and offset") {
  SmallLog log(6, true, kOneFile);
  const auto whole = log.env.content(kFirst);
  for (std::size_t group = 0; group < 6; ++group) {
    const std::uint64_t at = group == 0 ? kLogFileHeaderBytes : log.ends[group - 1];
    for (const bool zeros : {true, false}) {
      auto bytes = whole;
      for (std::size_t i = 0; i < 4096; ++i)
        bytes[at + i] = zeros ? std::byte{0} : whole[(group == 0 ? log.ends[0] : kLogFileHeaderBytes) + i];
      log.env.set_content(kFirst, std::move(bytes));
      const Reading reading = read_store(log.env);
      CHECK_EQ(reading.count, -2);
      CHECK_EQ(reading.path, kFirst);
      CHECK(reading.message.find("offset " + std::to_string(at)) != std::string::npos);
    }
  }
}

TEST("missing, swapped, doubled, foreign and restored older files are refused by name") {
  SmallLog log(40, true);
  const auto names = log.env.list("store/wal");
  CHECK(names.size() >= 4);
  const auto path_of = [&](std::size_t i) { return "store/wal/" + names[i]; };
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto missing = log.env.copy();
    missing->remove(path_of(i));
    Reading reading = read_store(*missing);
    CHECK_EQ(reading.count, -2);
    CHECK_EQ(reading.path, path_of(i));
    for (std::size_t other = 0; other < names.size(); ++other) {
      if (other == i) continue;
      const auto doubled = log.env.copy();
      doubled->set_content(path_of(i), log.env.content(path_of(other)));
      reading = read_store(*doubled);
      CHECK_EQ(reading.count, -2);
      CHECK_EQ(reading.path, path_of(i));
      doubled->set_content(path_of(other), log.env.content(path_of(i)));  // swapped
      CHECK_EQ(read_store(*doubled).count, -2);
    }
  }
  const auto foreign = log.env.copy();
  foreign->set_content("store/wal/0000000099.log", log.env.content(path_of(0)));
  Reading reading = read_store(*foreign);
  CHECK_EQ(reading.count, -2);
  CHECK_EQ(reading.path, "store/wal/0000000099.log");

  SmallLog older(3, true);  // the same ids by the same seed, fewer groups
  CHECK_EQ(read_store(older.env).count, 3);
  const auto restored = log.env.copy();
  restored->set_content(path_of(0), older.env.content(path_of(0)));
  CHECK_EQ(read_store(*restored).count, -2);
}

TEST("a missing or older MANIFEST beside log files is refused, as is one without its FORMAT") {
  SmallLog small(2, true), log(40, true);
  for (const std::string& name : {std::string("MANIFEST"), std::string("FORMAT")}) {
    const auto missing = log.env.copy();
    missing->remove("store/" + name);
    CHECK_EQ(read_store(*missing).count, -2);
  }
  const auto older = log.env.copy();
  older->set_content("store/MANIFEST", small.env.content("store/MANIFEST"));
  CHECK_EQ(read_store(*older).count, -2);
}

TEST("random bytes as a whole file, header kept or not, never crash and never give a payload") {
  std::mt19937_64 random(seed());
  SmallLog log(1, false);
  const auto whole = log.env.content(kFirst);
  for (int round = 0; round < 500; ++round) {
    auto bytes = whole;
    const bool keeps_header = round % 2 == 0;
    for (std::size_t i = keeps_header ? kLogFileHeaderBytes : 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::byte>(random());
    if (round % 3 == 0) {  // a header that looks like a group, with hostile numbers
      GroupHeader header;
      std::memcpy(&header, whole.data() + kLogFileHeaderBytes, sizeof(header));
      header.size_bytes = random() % 2 == 0 ? ~std::uint64_t{4095} : 4096 * (random() % 20);
      header.payload_count = static_cast<std::uint32_t>(random());
      std::memcpy(bytes.data() + kLogFileHeaderBytes, &header, sizeof(header));
    }
    log.env.set_content(kFirst, std::move(bytes));
    CHECK_EQ(read_store(log.env).count, keeps_header ? 0 : -2);
  }
}

TEST_MAIN()
