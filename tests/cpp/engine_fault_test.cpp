// What the engine does when memory runs out in a thread of its own: every allocation of that thread is made to fail once,
// one run each, until a run passes without reaching the one that fails. Nothing may crash, hang or answer wrong.
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "check.hpp"
#include "engine_harness.hpp"

namespace {

// Which allocation of the thread of this name fails; and those behind it too when `for_good`.
struct Fault {
  const char* thread = "";
  long at = 0;
  bool for_good = false;
};
std::atomic<bool> armed{false};
std::atomic<long> allocations{0};
std::atomic<long> failures{0};
Fault fault;

bool is_named(const char* name) noexcept {
  thread_local char own[16] = "";
  if (own[0] == 0) pthread_getname_np(pthread_self(), own, sizeof own);
  return std::strcmp(own, name) == 0;
}

bool fails_now() noexcept {
  if (!armed.load(std::memory_order_acquire) || !is_named(fault.thread)) return false;
  const long number = allocations.fetch_add(1);
  if (number != fault.at && !(fault.for_good && number > fault.at)) return false;
  failures.fetch_add(1);
  return true;
}

void* allocate(std::size_t size, std::size_t align) {
  if (fails_now()) throw std::bad_alloc();
  void* at = align <= alignof(std::max_align_t) ? std::malloc(size == 0 ? 1 : size)
                                                : std::aligned_alloc(align, (size + align - 1) / align * align);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}

void arm(const Fault& next) {
  fault = next;
  allocations.store(0);
  failures.store(0);
  armed.store(true, std::memory_order_release);
}
long disarm() {
  armed.store(false, std::memory_order_release);
  return failures.load();
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, 1); }
void* operator new[](std::size_t size) { return allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t align) { return allocate(size, static_cast<std::size_t>(align)); }
void* operator new[](std::size_t size, std::align_val_t align) {
  return allocate(size, static_cast<std::size_t>(align));
}
// Who asks this way can do without: stable_sort, inplace_merge.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void operator delete(void* at, const std::nothrow_t&) noexcept { std::free(at); }
void operator delete(void* at) noexcept { std::free(at); }
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t) noexcept { std::free(at); }
void operator delete(void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete[](void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete(void* at, std::size_t, std::align_val_t) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t, std::align_val_t) noexcept { std::free(at); }

using namespace cdp;
using namespace cdp::test;

namespace {

constexpr std::int64_t kHour = 3'600'000;

// Events, traits, joins: a bit of everything that apply does. The same text for the same number.
std::string batch_of(int number) {
  std::string json = "[";
  for (int at = 0; at < 40; ++at) {
    json += event_json("u" + std::to_string((number * 7 + at) % 60), at % 3 == 0 ? "Charged" : "Viewed",
                       kNow - (number * 40 + at) * kHour, at) +
            ",";
  }
  const std::string n = std::to_string(number);
  json += R"({"type":"event","name":"Name )" + n + R"(","ids":{"anonymous_id":"a)" + n + R"("},"event_id":"e)" + n +
          R"(","properties":{"k)" + n + R"(":"v)" + n + R"("}},)";
  json += R"({"type":"traits","ids":{"user_id":"u)" + std::to_string(number % 60) + R"("},"set":{"plan":")" +
          (number % 2 == 0 ? "free" : "pro") + R"("},"append":{"list":")" + n + R"("}},)";
  json += R"({"type":"identify","anonymous":{"anonymous_id":"a)" + n + R"("},"known":{"user_id":"u)" +
          std::to_string(number % 60) + R"("}})";
  return json + "]";
}

void watch(Engine& engine) {
  const std::vector<std::uint8_t> body = pack_json(R"({"did":"Charged","count":{"op":"ge","value":2}})");
  const std::string_view text(reinterpret_cast<const char*>(body.data()), body.size());
  CHECK(!engine.wait(engine.submit_define(kNow, "watch", "buyers", text)).error);
}

std::string digest_of(int batches) {
  const Folder folder;
  const auto engine = Engine::open(options_of(folder.store(), false));
  watch(*engine);
  for (int number = 0; number < batches; ++number) append(*engine, batch_of(number));
  return show_all(*engine);
}

// Every allocation with CDPSTORE_LONG, else one of a few, at places that change with the seed. What comes late is the same
// code again: ever fewer of it.
long stride(long usual) { return std::getenv("CDPSTORE_LONG") != nullptr ? 1 : usual; }
long first_place(long usual) { return static_cast<long>(test::seed() % static_cast<std::uint64_t>(stride(usual))); }
long next_place(long at, long usual) { return at + stride(usual) + (at < 200 ? 0 : at / 12); }

std::uint64_t count_of(const Engine& engine, std::string_view part) {
  for (const MemoryPart& each : engine.memory()) {
    if (each.part == part) return each.count;
  }
  return 0;
}

// One run: three batches, then two with the fault, then what must hold. True while the fault was reached.
bool survive_apply_fault(long at, const std::string& before, const std::string& after) {
  const Folder folder;
  bool is_reached = false;
  {
    const auto engine = Engine::open(options_of(folder.store(), false));
    watch(*engine);
    for (int number = 0; number < 3; ++number) CHECK(!append(*engine, batch_of(number)).error);
    arm({"cdp-apply", at, at % 3 == 0});
    const Ticket first = submit(*engine, batch_of(3));
    Outcome outcome = engine->wait(first);
    is_reached = disarm() > 0;
    if (!is_reached) {
      CHECK(!outcome.error);
      return false;
    }
    CHECK(outcome.error.has_value());
    // The whole batch or nothing of it: what failed may be the watches behind a version that is out.
    const std::string answers = show_all(*engine);
    if (answers != after) CHECK_EQ(answers, before);
    CHECK(outcome.error && outcome.error->code() == code::kApplyFailed);
    bool is_refused = false;
    try {
      append(*engine, batch_of(4));
    } catch (const Error& error) {
      is_refused = error.code() == code::kApplyFailed && error.family() == Family::kUnavailable;
    }
    CHECK(is_refused);
    CHECK_THROWS(engine->flush(), Error);
    CHECK_THROWS(engine->digest(), Error);
    CHECK(!engine->memory().empty());
    engine->compact();
    CHECK_EQ(show_all(*engine), answers);
  }
  const auto again = Engine::open(options_of(folder.store(), false));
  CHECK_EQ(show_all(*again), after);
  CHECK(!append(*again, batch_of(4)).error);
  return true;
}

}  // namespace

TEST("memory that runs out while a batch is applied poisons the store, reads go on, and opening it again finishes") {
  const std::string before = digest_of(3), after = digest_of(4);
  long reached = 0;
  for (long at = first_place(8); survive_apply_fault(at, before, after); at = next_place(at, 8)) ++reached;
  CHECK(reached > 10);
}

TEST("memory that runs out while the log is written refuses or poisons, and what was told survives") {
  for (long at = first_place(4); at < 60; at = next_place(at, 4)) {
    const Folder folder;
    std::vector<bool> taken;
    {
      const auto engine = Engine::open(options_of(folder.store(), false));
      arm({"cdp-sync", at, at % 4 == 3});
      std::thread relief([] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        disarm();
      });
      for (int number = 0; number < 5; ++number) {
        try {
          taken.push_back(!append(*engine, batch_of(number)).error);
        } catch (const Error& error) {
          CHECK_EQ(error.family(), Family::kUnavailable);
          taken.push_back(false);
        }
      }
      relief.join();
    }
    const auto again = Engine::open(options_of(folder.store(), false));
    const VersionPtr version = again->pin();
    for (int number = 0; number < 5; ++number) {
      if (!taken[static_cast<std::size_t>(number)]) continue;
      const Table found = ask(*again, R"({"kind":"trend","event":"Name )" + std::to_string(number) +
                                          R"(","measures":["total"],"interval":null})");
      CHECK_EQ(found.row_count() == 1 ? found.columns[0].uint_at(0) : 0u, 1u);
    }
  }
}

TEST("memory that runs out while sealing or merging changes no answer and is tried again") {
  for (const char* thread : {"cdp-seal", "cdp-merge"}) {
    const bool is_seal = std::strcmp(thread, "cdp-seal") == 0;
    const char* failed = is_seal ? "failed_seals" : "failed_merges";
    const char* part = is_seal ? "tail" : "layers";
    const std::uint64_t enough = is_seal ? limits::kTailBatches - 1 : 8;
    long counted = 0;
    for (long at = first_place(24); at < 300; at = next_place(at, 24)) {
      const auto engine = Engine::open(options_of(""));
      if (is_seal) arm({thread, at, at % 5 == 4});
      // Many batches make the seal thread work, many layers the merge thread.
      for (std::uint32_t batch = 0; batch < limits::kTailBatches; ++batch) {
        submit(*engine, "[" + event_json("u" + std::to_string(batch), "Viewed", kNow, 1) + "]");
        if (is_seal || batch % 16 != 15) continue;
        if (batch + 1 == limits::kTailBatches) arm({thread, at, at % 5 == 4});
        engine->flush();
        engine->seal_now();
      }
      engine->flush();
      for (int tries = 0; tries < 200 && count_of(*engine, failed) == 0 && count_of(*engine, part) > enough; ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      counted += count_of(*engine, failed) > 0;
      const std::string answers = show_all(*engine);
      CHECK_EQ(show(ask(*engine, R"({"kind":"trend","event":"Viewed","measures":["total"],"interval":null})")),
               "total: " + std::to_string(limits::kTailBatches) + "\n");
      disarm();
      for (int tries = 0; tries < 2'000 && count_of(*engine, part) > enough; ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      CHECK(count_of(*engine, part) <= enough);  // done after all
      engine->compact();
      CHECK_EQ(show_all(*engine), answers);
      engine->verify();
    }
    CHECK(counted > 0);
  }
}

TEST_MAIN()
