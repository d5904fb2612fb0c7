// The log as the engine needs it: open and replay, append a group, reserve ahead, mark. Joins the parts of disk/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace cdp {

class DurableLog {
 public:
  // Payloads of one group, in order.
  using GroupHandler = std::function<void(std::span<const std::span<const std::byte>> payloads)>;

  // Locks the directory, creates it when empty. Throws store.locked, store.format, log.corrupt.
  [[nodiscard]] static std::unique_ptr<DurableLog> open(const std::string& path, std::int64_t now_ms);
  ~DurableLog();

  [[nodiscard]] std::uint64_t hash_key() const noexcept;
  [[nodiscard]] std::uint32_t shard_count() const noexcept;
  // Kept in the directory from now on. Throws as a write does. Call before replay.
  void keep_shard_count(std::uint32_t shard_count);
  // Gives back every group, oldest first, then makes the log ready to append. Call once, before append.
  void replay(const GroupHandler& handler);
  // Durable on return. Throws Unavailable: log.space (later ones may fit) or log_failed (nothing will be written again).
  void append(std::span<const std::span<const std::byte>> payloads);
  bool reserve_step();  // a little more zero-filled space ahead; false when there is enough. Any thread.
  void mark();          // everything so far is durable: for an idle log
  void close();         // a last mark
  void verify() const;  // reads every byte again; throws Corruption
  [[nodiscard]] std::uint64_t size_bytes() const;

 private:
  struct State;
  explicit DurableLog(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cdp
