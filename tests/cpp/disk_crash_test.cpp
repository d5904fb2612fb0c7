// Power cuts and failing disks: every legal state after a crash, and a fault at every operation. Nothing acknowledged is
// lost, nothing is there by half, whatever the moment.
//
// CDPSTORE_LONG=<factor> multiplies the states tried at each change (10: more than 10^5).
#include <cerrno>
#include <cstdlib>
#include <set>

#include "disk/faulty_env.hpp"
#include "disk_story.hpp"

using namespace cdp;
using namespace cdp::test;

namespace {

[[nodiscard]] std::size_t effort() {
  const char* factor = std::getenv("CDPSTORE_LONG");
  return factor == nullptr ? 1 : std::max<std::size_t>(1, std::strtoull(factor, nullptr, 10));
}

// What a client knows of the log: payloads acknowledged, and the counts at which groups end.
struct Client {
  std::uint64_t next = 0;           // payloads acknowledged
  std::set<std::uint64_t> ends{0};  // where groups end, those tried included

  void append(OpenStore& store, std::uint64_t count) {
    ends.insert(next + count);
    store.append(next, count);
  }
  // A group that failed may have survived: what the reopened log says counts.
  void reopen(const OpenStore& store) { next = static_cast<std::uint64_t>(count_of(store.read)); }
};

// Choices given one after the other through all combinations.
class Odometer {
 public:
  std::uint64_t choose(std::uint64_t count) {
    if (at_ == digits_.size()) digits_.push_back({0, count});
    return digits_[at_++].value;
  }
  [[nodiscard]] bool next() {
    at_ = 0;
    while (!digits_.empty() && ++digits_.back().value == digits_.back().count) digits_.pop_back();
    return !digits_.empty();
  }

 private:
  struct Digit {
    std::uint64_t value, count;
  };
  std::vector<Digit> digits_;
  std::size_t at_ = 0;
};

struct Judge {
  std::mt19937_64 random{seed()};
  std::uint64_t states = 0;
  std::uint64_t nested = 0;

  FaultyEnv::Choose any() {
    return [this](std::uint64_t count) { return random() % count; };
  }

  // The log must open; at least `client.next` payloads, whole groups only. Returns how many.
  std::int64_t check_opens(FaultyEnv& env, const Client& client) {
    ++states;
    const OpenStore store = open_store(env);
    const std::int64_t count = count_of(store.read);
    if (store.directory->manifest().first_group == 1 && count > 0) CHECK(store.read[0] == payload_text(0));
    if (count < static_cast<std::int64_t>(client.next) || !client.ends.contains(static_cast<std::uint64_t>(count)))
      fail("after a crash", static_cast<int>(states),
           "payloads " + std::to_string(count) + ", acknowledged " + std::to_string(client.next));
    return count;
  }

  // Opens the state; in `nested` cases cuts the power again at every change that recovery makes.
  void check_state(FaultyEnv& env, const Client& client, bool cuts_recovery) {
    if (cuts_recovery) {
      const auto twin = env.copy();
      twin->on_change([&] {
        ++nested;
        const auto again = twin->crash(any(), true);
        check_opens(*again, client);
      });
      static_cast<void>(open_store(*twin));
      twin->on_change({});
    }
    const std::int64_t count = check_opens(env, client);
    // What an opened store has shown is durable, and the log goes on from there.
    const auto cut = env.crash([](std::uint64_t) { return 0; });
    Client later;
    later.next = static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
    later.ends.insert(later.next);
    check_opens(*cut, later);
    if (random() % 3 != 0) return;
    if (random() % 2 == 0) {  // the same process goes on, on the page cache as it is, and the power goes later
      {
        OpenStore store = open_store(env);
        later.append(store, 2);
      }
      check_opens(*env.crash([](std::uint64_t) { return 0; }), later);
      return;
    }
    {
      OpenStore store = open_store(*cut);
      later.append(store, 2);
      if (random() % 2 == 0) store.writer->close();
    }
    check_opens(*cut->crash([](std::uint64_t) { return 0; }), later);
  }

  // All states of the disk now if they are few, else a sample with the two extremes and torn blocks.
  void check_all(const FaultyEnv& env, const Client& client) {
    const std::size_t all = 256 * effort(), sample = 60 * effort();
    Odometer odometer;
    std::vector<std::unique_ptr<FaultyEnv>> crashed;
    bool has_more = true;
    while (has_more && crashed.size() <= all) {
      crashed.push_back(env.crash([&](std::uint64_t count) { return odometer.choose(count); }));
      has_more = odometer.next();
    }
    if (has_more) {
      crashed.resize(1);  // all old
      crashed.push_back(env.crash([](std::uint64_t count) { return count - 1; }));
      while (crashed.size() < sample) crashed.push_back(env.crash(any(), crashed.size() % 2 == 0));
    }
    for (const auto& state : crashed) check_state(*state, client, random() % 24 == 0);
  }
};

// Everything the log does, in a small life: first open, groups, marks, new files, clean and unclean ends, dropping.
void live(FaultyEnv& env, Client& client) {
  {
    OpenStore store = open_store(env);
    for (std::uint64_t i = 0; i < 7; ++i) {
      client.append(store, 1 + i % 3);
      if (i % 2 == 0) store.writer->reserve_step();
    }
    store.writer->write_mark();
    client.append(store, 2);
  }
  {
    OpenStore store = open_store(env);
    client.reopen(store);
    client.append(store, 3);
    store.writer->close();
  }
  OpenStore store = open_store(env);
  client.reopen(store);
  for (std::uint64_t i = 0; i < 5; ++i) client.append(store, 2);
  while (store.writer->reserve_step()) {
  }
  client.append(store, 3);
}

}  // namespace

TEST("every crash state at every change of the disk opens with all that was acknowledged") {
  Judge judge;
  FaultyEnv env;
  Client client;
  std::uint64_t changes = 0;
  env.on_change([&] {
    ++changes;
    judge.check_all(env, client);
  });
  live(env, client);
  for (std::size_t round = 1; round < 4 * effort(); ++round) {
    OpenStore store = open_store(env);
    client.reopen(store);
    for (std::uint64_t i = judge.random() % 6; i > 0; --i) {
      client.append(store, 1 + judge.random() % 3);
      if (judge.random() % 4 == 0) store.writer->write_mark();
      if (judge.random() % 3 == 0) store.writer->drop_before(store.writer->last_group() / 2);
    }
    if (judge.random() % 2 == 0) store.writer->close();
  }
  env.on_change({});
  std::printf("        %llu changes, %llu states, %llu of them inside recovery\n",
              static_cast<unsigned long long>(changes), static_cast<unsigned long long>(judge.states),
              static_cast<unsigned long long>(judge.nested));
  CHECK(client.next > 20);
}

TEST("a long history of crashes, each life continuing what the last left, loses nothing") {
  Judge judge;
  auto env = std::make_unique<FaultyEnv>(seed());
  Client client;
  for (int life = 0; life < static_cast<int>(400 * effort()); ++life) {
    // The power is cut at a change chosen before; the state of that moment is the next life's disk.
    std::unique_ptr<FaultyEnv> next_env;
    Client known;
    std::uint64_t left = judge.random() % 60;
    env->on_change([&] {
      if (next_env || left-- != 0) return;
      next_env = env->crash(judge.any(), life % 2 == 0);
      known = client;
    });
    {
      OpenStore store = open_store(*env);
      const std::int64_t count = count_of(store.read);
      CHECK(count >= static_cast<std::int64_t>(client.next));
      CHECK(client.ends.contains(static_cast<std::uint64_t>(count)));
      client.next = static_cast<std::uint64_t>(count);
      for (std::uint64_t i = judge.random() % 6; i > 0; --i) {
        client.append(store, 1 + judge.random() % 3);
        if (judge.random() % 3 == 0) store.writer->write_mark();
        if (judge.random() % 3 == 0) store.writer->reserve_step();
      }
      if (judge.random() % 3 == 0) store.writer->close();
    }
    env->on_change({});
    if (!next_env) continue;
    client = known;
    env = std::move(next_env);
  }
  CHECK(client.next > 200);
  std::printf("        %llu payloads over %zu lives\n", static_cast<unsigned long long>(client.next), 400 * effort());
}

TEST("a fault at every operation: an error, no acknowledged loss, and never a second sync believed") {
  Judge judge;
  std::uint64_t runs = 0;
  for (int operation = 0; operation < kDiskOperationCount; ++operation) {
    for (const int error_number : {ENOSPC, EIO}) {
      for (const std::size_t short_bytes : {std::size_t{0}, std::size_t{5'000}}) {
        for (const bool stays : {false, true}) {
          const auto kind = static_cast<DiskOperation>(operation);
          if (short_bytes != 0 && kind != DiskOperation::kWrite) continue;
          bool is_reached = true;
          for (std::uint64_t index = 0; is_reached; ++index, ++runs) {
            FaultyEnv env;
            Client client;
            env.fail(kind, index, error_number, stays, short_bytes);
            const std::string code = code_of([&] { live(env, client); });
            is_reached = env.count(kind) > index;
            if (code.empty())
              CHECK(!is_reached || kind == DiskOperation::kRemove || kind == DiskOperation::kTruncate ||
                    kind == DiskOperation::kOpen);
            else
              CHECK(code == code::kDiskFailed || code == code::kLogFailed || code == code::kLogSpace);
            env.heal();
            judge.check_state(*env.crash(judge.any(), true), client, runs % 16 == 0);
            judge.check_state(*env.crash([](std::uint64_t) { return 0; }), client, false);
            judge.check_state(*env.copy(), client, false);  // the process alone died: the page cache is as it was
          }
        }
      }
    }
  }
  std::printf("        %llu runs, %llu states\n", static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(judge.states));
}

TEST("one failed write or sync ends the writer for good, though the disk is well again") {
  for (const DiskOperation kind : {DiskOperation::kWrite, DiskOperation::kSync}) {
    FaultyEnv env;
    Client client;
    OpenStore store = open_store(env);
    client.append(store, 2);
    env.fail(kind, 0, EIO);
    CHECK_EQ(code_of([&] { client.append(store, 2); }), code::kLogFailed);
    env.heal();
    for (int i = 0; i < 3; ++i) CHECK_EQ(code_of([&] { client.append(store, 2); }), code::kLogFailed);
    CHECK_EQ(code_of([&] { store.writer->write_mark(); }), code::kLogFailed);
    CHECK_EQ(code_of([&] { static_cast<void>(store.writer->reserve_step()); }), code::kLogFailed);
    CHECK(store.writer->failed());
    store.writer->close();
    CHECK_EQ(client.next, 2u);
    // Reopened on the same page cache, which still shows the lost group; then the power goes.
    store.writer.reset(), store.directory.reset();
    std::int64_t shown = 0;
    {
      const OpenStore again = open_store(env);
      shown = count_of(again.read);
      CHECK(shown >= 2);
    }
    const auto cut = env.crash([](std::uint64_t) { return 0; });
    CHECK_EQ(count_of(open_store(*cut).read), shown);
  }
}

TEST("a full disk refuses groups while reserving and takes them again once there is space") {
  for (const DiskOperation kind : {DiskOperation::kPreallocate, DiskOperation::kWrite, DiskOperation::kSync}) {
    FaultyEnv env;
    Client client;
    OpenStore store = open_store(env);
    std::string code;
    const auto fill = [&] {
      for (int i = 0; i < 50; ++i) {
        const std::string text = payload_text(client.next);
        const Payload payloads[] = {bytes_of(text)};
        client.ends.insert(client.next + 1);
        store.writer->append_group(payloads);
        ++client.next;
      }
    };
    CHECK_EQ(code_of(fill), code::kLogSpace);
    env.fail(kind, 0, ENOSPC, true);
    for (int i = 0; i < 3; ++i) {
      CHECK_EQ(code_of([&] {
                 while (store.writer->reserve_step()) {
                 }
               }),
               code::kLogSpace);
      CHECK_EQ(code_of(fill), code::kLogSpace);
    }
    CHECK(!store.writer->failed());
    env.heal();
    const std::uint64_t before = client.next;
    while (store.writer->reserve_step()) {
    }
    CHECK_EQ(code_of(fill), code::kLogSpace);
    CHECK(client.next > before);
    Judge judge;
    judge.check_state(*env.crash(judge.any()), client, true);
  }
}

TEST("a full disk at the MANIFEST leaves the log usable; an open outcome of its rename does not") {
  FaultyEnv env;
  OpenStore store = open_store(env);
  const auto reserve = [&] {
    while (store.writer->reserve_step()) {
    }
  };
  // Writes of a file of 64 KiB: one a step of 16 KiB, the header, the MANIFEST.
  env.fail(DiskOperation::kWrite, 5, ENOSPC);
  CHECK_EQ(code_of(reserve), code::kLogSpace);
  CHECK_EQ(code_of(reserve), "");
  std::uint64_t next = 0;
  for (int i = 0; i < 20; ++i) store.append(next, 1);
  env.fail(DiskOperation::kRename, 0, EIO);
  CHECK_EQ(code_of(reserve), code::kLogFailed);
  CHECK_EQ(code_of(reserve), code::kLogFailed);
  store.append(next, 1);  // what is reserved can still be used
  store.writer->close();
  store.writer.reset(), store.directory.reset();
  CHECK_EQ(count_of(open_store(env).read), next);
}

TEST_MAIN()
