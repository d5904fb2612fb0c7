// Worker threads of the process, and runs of numbered tasks on them. The calling thread works too, so a run never waits
// for a thread to wake: helpers join when they come.
//
// Threads: `run` may be called from any thread, several at once; tasks of a run are pulled from one counter. Workers spin
// ~20 us after work before they sleep (waking a halted virtual CPU costs ~50 us). Not to be called from inside a task.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace cdp {

class Pool {
 public:
  // Helpers besides the calling thread; 0 is valid: everything runs inline.
  explicit Pool(unsigned helpers);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  [[nodiscard]] unsigned helpers() const noexcept;

  // body(task, worker) for every task in [0, task_count), worker in [0, threads): a worker number is used by one thread
  // at a time. Returns when all are done. The first exception stops the run (tasks begun end) and is thrown again here.
  // One task, or threads ≤ 1: inline, in order, without a lock.
  template <class Body>
  void run(std::size_t task_count, unsigned threads, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    run_erased(task_count, threads, const_cast<std::remove_const_t<Plain>*>(&body),
               [](void* context, std::size_t task, unsigned worker) { (*static_cast<Plain*>(context))(task, worker); });
  }

 private:
  using Call = void (*)(void* context, std::size_t task, unsigned worker);
  void run_erased(std::size_t task_count, unsigned threads, void* context, Call call);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cdp
