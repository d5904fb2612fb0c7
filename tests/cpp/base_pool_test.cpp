// The worker pool: every task once, exceptions come home, runs of several threads at once.
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/pool.hpp"
#include "check.hpp"

namespace {

using cdp::Pool;

TEST("every task runs once, and a worker number belongs to one thread at a time") {
  for (const unsigned helpers : {0u, 1u, 3u}) {
    Pool pool(helpers);
    for (const std::size_t tasks : {0u, 1u, 2u, 100u, 5'000u}) {
      std::vector<std::atomic<int>> seen(tasks), busy(8);
      pool.run(tasks, 8, [&](std::size_t task, unsigned worker) {
        CHECK_EQ(busy[worker].fetch_add(1), 0);
        seen[task].fetch_add(1);
        busy[worker].fetch_sub(1);
      });
      for (const auto& count : seen) CHECK_EQ(count.load(), 1);
    }
  }
}

TEST("an exception of a task stops the run and comes to the caller; the pool lives on") {
  Pool pool(2);
  for (int round = 0; round < 50; ++round) {
    bool caught = false;
    try {
      pool.run(1'000, 3, [&](std::size_t task, unsigned) {
        if (task == static_cast<std::size_t>(round * 7)) throw std::runtime_error("stop");
      });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    CHECK(caught);
  }
  std::atomic<int> count{0};
  pool.run(100, 3, [&](std::size_t, unsigned) { ++count; });
  CHECK_EQ(count.load(), 100);
}

TEST("runs of several threads share the pool") {
  Pool pool(2);
  std::atomic<std::uint64_t> total{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        std::atomic<std::uint64_t> own{0};
        pool.run(20, 2, [&](std::size_t task, unsigned) { own += task; });
        CHECK_EQ(own.load(), 190u);
        total += own;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(total.load(), 4u * 200u * 190u);
}

}  // namespace

TEST_MAIN()
