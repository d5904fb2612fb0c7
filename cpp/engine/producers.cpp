#include "engine/producers.hpp"

#include <utility>

namespace cdp {

Producers::Seen Producers::look_up(const Producer& producer, const AppliedBatch** stored) const {
  const auto state = states_.find(producer.id);
  if (state == states_.end() || producer.epoch > state->second.epoch) return Seen::kNew;
  if (producer.epoch < state->second.epoch || producer.number < state->second.highest_dropped) return Seen::kStale;
  const auto ack = state->second.acks.find(producer.number);
  if (ack == state->second.acks.end()) return Seen::kNew;
  *stored = &ack->second;
  return Seen::kResent;
}

void Producers::remember(const Producer& producer, AppliedBatch applied) {
  State& state = states_[producer.id];
  if (producer.epoch > state.epoch) state = State{.epoch = producer.epoch, .highest_dropped = 0, .acks = {}};
  state.acks.emplace(producer.number, std::move(applied));
  if (state.acks.size() > kAcksKept) {
    state.highest_dropped = state.acks.begin()->first + 1;
    state.acks.erase(state.acks.begin());
  }
}

}  // namespace cdp
