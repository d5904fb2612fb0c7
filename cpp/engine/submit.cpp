// The way in and the way back: decode in the caller's thread, queue, hand out outcomes.
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "codec/event_record.hpp"
#include "disk/group.hpp"
#include "engine/impl.hpp"
#include "engine/load.hpp"

namespace cdp {
namespace {

std::vector<OwnedReject> own(const std::vector<Reject>& rejects) {
  std::vector<OwnedReject> out;
  out.reserve(rejects.size());
  for (const Reject& reject : rejects) {
    out.push_back({reject.index, std::string(reject.code), reject.path, reject.value, reject.expected});
  }
  return out;
}

// Received times and ticks move the store's time, which never goes back: none may come from beyond what it keeps.
void check_time(std::int64_t now_ms, std::int64_t min_ms) {
  if (now_ms >= min_ms && now_ms <= limits::kTimeMaxMs) return;
  throw Error(Family::kInvalidRequest, code::kTimeOutOfRange, "a store's time lies before 2100", "now_ms");
}

// What no group of the log holds would wait for its place for ever.
void check_size(std::size_t payload_bytes) {
  constexpr std::size_t kMost = std::min(limits::kQueuedBytes, kGroupBytesMax) - 2 * limits::kGroupAlign;
  if (payload_bytes <= kMost) return;
  throw Error(Family::kLimitExceeded, code::kBatchTooLarge,
              "a batch takes at most " + std::to_string(kMost) + " bytes of the log, this one " +
                  std::to_string(payload_bytes) + ": send fewer rows in one");
}

}  // namespace

void Engine::Impl::check_open() {  // REQUIRES: queue_mutex held
  if (failed) throw *failed;
  if (stopping) throw Error(Family::kUnavailable, code::kStoreClosed, "the store is closed");
}

// Nothing throws once the ticket is given: a ticket without an outcome would be waited for for ever.
Ticket Engine::Impl::enqueue(Pending pending, bool wanted) {
  if (is_durable) encode_record(pending.record, pending.payload);
  const std::size_t size = pending.payload.size();
  check_size(size);
  if (wanted) {
    Outcomes made;
    made.try_emplace(0);
    pending.outcome = made.extract(made.begin());
  }
  std::list<Work> work(1);
  Group& group = work.front().group;
  group.push_back(std::move(pending));
  std::unique_lock lock(queue_mutex);
  queue_changed.wait(lock, [&] {
    return failed || stopping ||
           (queued_bytes + size <= limits::kQueuedBytes && decided.size() < limits::kQueuedGroups);
  });
  check_open();
  const Ticket ticket = next_ticket++;
  group.front().ticket = ticket;
  if (is_durable) {
    queued_bytes += size;
    queue.splice(queue.end(), group);
  } else {
    decided.splice(decided.end(), work);
  }
  lock.unlock();
  queue_changed.notify_all();
  return ticket;
}

void Engine::Impl::complete(Group& group) noexcept {
  if (group.empty()) return;
  {
    const std::lock_guard lock(outcome_mutex);
    for (Pending& pending : group) {
      applied_through = std::max(applied_through, pending.ticket);
      if (pending.outcome.empty()) continue;
      pending.outcome.key() = pending.ticket;
      outcomes.insert(std::move(pending.outcome));
    }
    if (polled && event_fd >= 0) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = ::write(event_fd, &one, sizeof one);
    }
  }
  outcome_ready.notify_all();
}

DecodeOptions Engine::Impl::decode_options(const Submission& submission) {
  {
    const std::lock_guard lock(queue_mutex);
    check_open();
  }
  check_time(submission.received_ms, limits::kTimeMinMs);
  DecodeOptions out;
  out.received_ms = submission.received_ms;
  out.hash_key = hash_key;
  out.allow_system = submission.system;
  out.source_id = submission.source_id;
  out.kinds = default_identity_kinds();
  return out;
}

Ticket Engine::Impl::enqueue_decoded(DecodeResult decoded, const Submission& submission) {
  Pending pending;
  pending.rejects = own(decoded.rejects);
  pending.record_index = std::move(decoded.record_index);
  pending.record = BatchRecord{submission.producer, std::make_shared<const CanonicalBatch>(std::move(decoded.batch))};
  return enqueue(std::move(pending), submission.wanted);
}

Ticket Engine::submit(const Submission& submission) {
  const DecodeOptions options = impl_->decode_options(submission);
  const auto began = StageTimes::Clock::now();
  DecodeResult decoded = decode_batch(submission.bytes, options);
  impl_->stages.add(Stage::kDecode, StageTimes::Clock::now() - began);
  return impl_->enqueue_decoded(std::move(decoded), submission);
}

std::optional<Engine::LoadTicket> Engine::submit_rows(ArrowLoad& load, const Submission& submission) {
  const DecodeOptions options = impl_->decode_options(submission);
  const auto began = StageTimes::Clock::now();
  std::optional<ArrowLoad::Slice> slice = load.next(options);
  impl_->note_load(slice.has_value());
  if (!slice) return std::nullopt;
  impl_->stages.add(Stage::kDecode, StageTimes::Clock::now() - began);
  const Ticket ticket = impl_->enqueue_decoded(std::move(slice->decoded), submission);
  return LoadTicket{ticket, slice->first_row, slice->row_count};
}

Ticket Engine::submit_define(std::int64_t now_ms, std::string_view kind, std::string_view name, std::string_view body) {
  check_time(now_ms, 0);
  check_definition(kind, name, body, pin()->segments.get());
  Pending pending;
  pending.record = DefineRecord{now_ms, std::string(kind), std::string(name), std::string(body)};
  return impl_->enqueue(std::move(pending), true);
}

Ticket Engine::submit_tick(std::int64_t now_ms) {
  check_time(now_ms, 0);
  Pending pending;
  pending.record = TickRecord{now_ms};
  return impl_->enqueue(std::move(pending), true);
}

Outcome Engine::wait(Ticket ticket) {
  std::unique_lock lock(impl_->outcome_mutex);
  impl_->outcome_ready.wait(lock, [&] { return impl_->outcomes.contains(ticket); });
  auto node = impl_->outcomes.extract(ticket);
  return std::move(node.mapped());
}

std::vector<std::pair<Ticket, Outcome>> Engine::poll() {
  std::vector<std::pair<Ticket, Outcome>> out;
  const std::lock_guard lock(impl_->outcome_mutex);
  if (impl_->event_fd >= 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = ::read(impl_->event_fd, &count, sizeof count);
  }
  if (!impl_->polled) return out;
  out.reserve(impl_->outcomes.size());
  for (auto& [ticket, outcome] : impl_->outcomes) out.emplace_back(ticket, std::move(outcome));
  impl_->outcomes.clear();
  return out;
}

int Engine::event_fd() {
  const std::lock_guard lock(impl_->outcome_mutex);
  if (impl_->event_fd < 0) {
    impl_->event_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (impl_->event_fd < 0) throw Error(Family::kInternal, code::kInternal, std::strerror(errno));
    impl_->polled = true;
  }
  return impl_->event_fd;
}

void Engine::Impl::wait_applied() {
  Ticket last = 0;
  {
    const std::lock_guard lock(queue_mutex);
    last = next_ticket - 1;
  }
  std::unique_lock lock(outcome_mutex);
  outcome_ready.wait(lock, [&] { return applied_through >= last; });
}

void Engine::flush() {
  impl_->wait_applied();
  const std::lock_guard lock(impl_->queue_mutex);
  if (impl_->failed) throw *impl_->failed;
}

}  // namespace cdp
