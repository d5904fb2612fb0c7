// Replay: every group of the log through the same apply as live ingest. Nothing is validated again, nothing is asked of the
// outside: time comes from the records.
#include "engine/impl.hpp"

namespace cdp {

void Engine::Impl::recover() {
  log->replay([this](std::span<const std::span<const std::byte>> payloads) {
    Group group;
    for (const auto payload : payloads) {
      Pending pending;
      pending.record = decode_record(payload, hash_key);
      group.push_back(std::move(pending));
    }
    apply_group(group);
    if (options.background) {
      order_wanted.notify_all();
      if (current.load()->tail.size() >= 4 * limits::kTailBatches) try_seal(1);
    }
  });
}

}  // namespace cdp
