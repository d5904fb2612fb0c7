#include "base/pool.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace cdp {
namespace {

constexpr auto kSpin = std::chrono::microseconds(20);
constexpr auto kSpinAtEnd = std::chrono::microseconds(50);  // of the caller, for a helper's last task

// Whether it came true before the time was up.
template <class Done>
bool spin(std::chrono::microseconds most, Done&& done) {
  const auto until = std::chrono::steady_clock::now() + most;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= until) return false;
  }
  return true;
}

// One call of run(). Lives on the caller's stack: a helper may touch it only between joining (under the pool's lock, while
// it is listed) and its `helpers_inside` decrement, which the caller waits for.
struct Run {
  Run(std::size_t count, unsigned limit, void* of, void (*function)(void*, std::size_t, unsigned))
      : task_count(count), threads(limit), context(of), call(function) {}
  std::size_t task_count;
  unsigned threads;
  void* context;
  void (*call)(void*, std::size_t, unsigned);
  std::atomic<std::size_t> next{0};
  unsigned workers_joined = 1;               // under the pool's lock; the caller is worker 0
  std::atomic<unsigned> helpers_inside = 0;  // changed under the pool's lock
  std::exception_ptr error;                  // under the pool's lock

  void work(unsigned worker) {
    for (;;) {
      const std::size_t task = next.fetch_add(1, std::memory_order_relaxed);
      if (task >= task_count) return;
      call(context, task, worker);
    }
  }
  [[nodiscard]] bool wants_helper() const noexcept {
    return workers_joined < threads && next.load(std::memory_order_relaxed) < task_count;
  }
};

}  // namespace

struct Pool::State {
  std::mutex mutex;
  std::condition_variable work_came;
  std::condition_variable helper_left;
  std::list<Run*> runs;
  std::atomic<unsigned> runs_listed{0};  // read without the lock by spinning helpers
  bool stopping = false;
  std::vector<std::thread> threads;

  Run* find_run() {
    const auto found = std::find_if(runs.begin(), runs.end(), [](const Run* run) { return run->wants_helper(); });
    return found == runs.end() ? nullptr : *found;
  }
  void help(std::unique_lock<std::mutex>& lock, Run& run);
  void live();
};

// REQUIRES: lock held; it is held again on return.
void Pool::State::help(std::unique_lock<std::mutex>& lock, Run& run) {
  const unsigned worker = run.workers_joined++;
  ++run.helpers_inside;
  lock.unlock();
  std::exception_ptr error;
  try {
    run.work(worker);
  } catch (...) {
    error = std::current_exception();
    run.next.store(run.task_count, std::memory_order_relaxed);
  }
  lock.lock();
  if (error && !run.error) run.error = error;
  if (--run.helpers_inside == 0) helper_left.notify_all();
}

void Pool::State::live() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (Run* run = find_run()) {
      help(lock, *run);
      lock.unlock();
      spin(kSpin, [&] { return runs_listed.load(std::memory_order_relaxed) != 0; });
      lock.lock();
      continue;
    }
    work_came.wait(lock);
  }
}

Pool::Pool(unsigned helpers) : state_(std::make_unique<State>()) {
  for (unsigned i = 0; i < helpers; ++i) state_->threads.emplace_back([state = state_.get()] { state->live(); });
}

Pool::~Pool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work_came.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

unsigned Pool::helpers() const noexcept { return static_cast<unsigned>(state_->threads.size()); }

void Pool::run_erased(std::size_t task_count, unsigned threads, void* context, Call call) {
  const unsigned useful =
      static_cast<unsigned>(std::min<std::size_t>({task_count, threads, helpers() + std::size_t{1}}));
  if (useful <= 1) {
    for (std::size_t task = 0; task < task_count; ++task) call(context, task, 0);
    return;
  }
  Run run(task_count, useful, context, call);
  State& state = *state_;
  std::list<Run*> entry{&run};
  const auto at = entry.begin();
  {
    const std::lock_guard lock(state.mutex);
    state.runs.splice(state.runs.end(), entry);
    state.runs_listed.fetch_add(1, std::memory_order_relaxed);
  }
  for (unsigned i = 1; i < useful; ++i) state.work_came.notify_one();
  std::exception_ptr error;
  try {
    run.work(0);
  } catch (...) {
    error = std::current_exception();
    run.next.store(task_count, std::memory_order_relaxed);
  }
  spin(kSpinAtEnd, [&] { return run.helpers_inside.load(std::memory_order_relaxed) == 0; });
  std::unique_lock lock(state.mutex);
  state.runs.erase(at);
  state.runs_listed.fetch_sub(1, std::memory_order_relaxed);
  state.helper_left.wait(lock, [&] { return run.helpers_inside == 0; });
  if (!error) error = run.error;
  lock.unlock();
  if (error) std::rethrow_exception(error);
}

}  // namespace cdp
