// Acks kept for producers, so that a batch resent after a lost reply is answered and not applied again. Part of the state
// machine: decided in log order, the same in replay.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/log_record.hpp"

namespace cdp {

// What apply decided of a batch; rejects of decode are not in it (a resent batch is decoded again).
struct AppliedBatch {
  std::uint64_t sequence = 0;
  std::uint64_t accepted = 0;
  std::uint64_t duplicates = 0;
  struct ApplyReject {
    std::uint32_t record = 0;  // ordinal in the canonical batch
    std::string code, path, value, expected;
  };
  std::vector<ApplyReject> rejects;
};

class Producers {
 public:
  // How many acks back a producer may resend. One connection has at most this many batches in flight.
  static constexpr std::size_t kAcksKept = 1'024;

  enum class Seen { kNew, kResent, kStale };
  // kResent: `stored` is its ack. kStale: an old epoch, or so old a number that its ack is gone: must be refused.
  [[nodiscard]] Seen look_up(const Producer& producer, const AppliedBatch** stored) const;
  void remember(const Producer& producer, AppliedBatch applied);  // REQUIRES: look_up said kNew

 private:
  struct State {
    std::uint32_t epoch = 0;
    std::uint64_t highest_dropped = 0;  // number of the newest ack dropped, +1; 0 = none
    std::map<std::uint64_t, AppliedBatch> acks;
  };
  std::map<std::array<std::uint8_t, 16>, State> states_;
};

}  // namespace cdp
