// Frees memory that readers without locks may still look at. One writer retires, any number of readers enter and leave.
//
// A reader is registered under the parity of the epoch it saw. What is retired in epoch e was unlinked before the epoch
// moved to e + 1, so only readers registered under e can hold it; it is freed once none of them is left. Readers never
// wait; entering costs two atomic additions (~20 ns).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace cdp {

class Epoch {
 public:
  class Guard {
   public:
    explicit Guard(Epoch& epoch) noexcept : epoch_(epoch), parity_(epoch.enter()) {}
    ~Guard() { epoch_.readers_[parity_].count.fetch_sub(1); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Epoch& epoch_;
    std::uint64_t parity_;
  };

  // Writer only: room for so many more, so that retiring them cannot fail. Call before the first is unlinked: garbage that
  // found no place would be freed under its readers.
  void make_room(std::size_t count) {
    for (auto& limbo : limbo_) limbo.reserve(limbo.size() + 2 * count);  // what two epochs' retiring may put in one
  }

  // Writer only: takes what no new reader can reach any more. REQUIRES: room was made.
  void retire(std::shared_ptr<const void> garbage) {
    limbo_[now_.load() & 1].push_back(std::move(garbage));
    collect();
  }

  // Writer only: frees what nobody can hold.
  void collect() {
    const std::uint64_t now = now_.load();
    const std::uint64_t before = (now + 1) & 1;
    if (readers_[before].count.load() != 0) return;
    limbo_[before].clear();
    now_.store(now + 1);
  }

 private:
  struct alignas(64) Readers {
    std::atomic<std::uint64_t> count{0};
  };

  [[nodiscard]] std::uint64_t enter() noexcept {
    while (true) {
      const std::uint64_t now = now_.load();
      readers_[now & 1].count.fetch_add(1);
      if (now_.load() == now) return now & 1;
      readers_[now & 1].count.fetch_sub(1);
    }
  }

  std::atomic<std::uint64_t> now_{1};
  std::array<Readers, 2> readers_;
  std::array<std::vector<std::shared_ptr<const void>>, 2> limbo_;
};

}  // namespace cdp
