#include "engine/durable_log.hpp"

#include <filesystem>
#include <optional>

#include "base/error.hpp"
#include "disk/data_directory.hpp"
#include "disk/group.hpp"
#include "disk/log_reader.hpp"
#include "disk/log_writer.hpp"
#include "disk/posix_env.hpp"

namespace cdp {

struct DurableLog::State {
  PosixEnv env;
  std::unique_ptr<DataDirectory> directory;
  std::unique_ptr<LogWriter> writer;
};

DurableLog::DurableLog(std::unique_ptr<State> state) : state_(std::move(state)) {}
DurableLog::~DurableLog() = default;

std::unique_ptr<DurableLog> DurableLog::open(const std::string& path, std::int64_t now_ms) {
  auto state = std::make_unique<State>();
  state->directory = DataDirectory::open(state->env, path, now_ms);
  return std::unique_ptr<DurableLog>(new DurableLog(std::move(state)));
}

std::uint64_t DurableLog::hash_key() const noexcept { return state_->directory->manifest().hash_key; }

std::uint32_t DurableLog::shard_count() const noexcept { return state_->directory->manifest().shard_count; }

void DurableLog::keep_shard_count(std::uint32_t shard_count) {
  state_->directory->update([&](Manifest& manifest) { manifest.shard_count = shard_count; });
}

void DurableLog::replay(const GroupHandler& handler) {
  // Payloads come one by one with views that live for the call: a group is kept until the next begins.
  std::uint64_t group = 0;
  std::vector<std::vector<std::byte>> kept;
  const auto hand_over = [&] {
    if (kept.empty()) return;
    const std::vector<std::span<const std::byte>> payloads(kept.begin(), kept.end());
    handler(payloads);
    kept.clear();
  };
  LogReader reader(*state_->directory);
  const LogEnd end = reader.read(0, [&](std::uint64_t number, Payload payload) {
    if (number != group) hand_over();
    group = number;
    kept.emplace_back(payload.begin(), payload.end());
  });
  hand_over();
  state_->writer = LogWriter::open(*state_->directory, end);
}

void DurableLog::append(std::span<const std::span<const std::byte>> payloads) {
  try {
    state_->writer->append_group(payloads);
  } catch (const Error& error) {
    if (error.code() != code::kLogSpace) throw;
    // A burst outran the reserve: take the space now, as far as the disk has it.
    state_->writer->reserve_for(group_size_bytes(payloads));
    state_->writer->append_group(payloads);
  }
}

bool DurableLog::reserve_step() { return state_->writer->needs_reserve() && state_->writer->reserve_step(); }

void DurableLog::mark() { state_->writer->write_mark(); }

void DurableLog::close() {
  if (state_->writer != nullptr) state_->writer->close();  // not there when recovery has failed
}

void DurableLog::verify() const {
  std::optional<LogReader> reader;
  {
    const auto no_file_half_listed = state_->writer->hold_reserve();
    reader.emplace(*state_->directory, LogReader::Files::kInUse);
  }
  static_cast<void>(reader->read(0, [](std::uint64_t, Payload) {}));
}

std::uint64_t DurableLog::size_bytes() const {
  std::uint64_t total = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(state_->directory->wal_path(), ignored)) {
    total += entry.file_size(ignored);
  }
  return total;
}

}  // namespace cdp
