// A small store of the disk room for tests: payloads that name themselves, a log opened and read in one line.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "disk/data_directory.hpp"
#include "disk/env.hpp"
#include "disk/log_reader.hpp"
#include "disk/log_writer.hpp"

namespace cdp::test {

inline constexpr std::int64_t kNowMs = 1'700'000'000'000;
// Files of 32 KiB to 64 KiB: all that happens to large files happens to these, in microseconds.
inline constexpr LogOptions kSmallFiles{32u << 10, 64u << 10, 16u << 10};

// Payload `index`: its number, then bytes that follow from it, 0 to 11,000 of them.
[[nodiscard]] inline std::string payload_text(std::uint64_t index) {
  std::mt19937_64 random(index + 1);
  const std::size_t sizes[] = {0, 1, 7, 100, 3'900, 4'096, 11'000};
  std::string text = "payload " + std::to_string(index) + ":";
  text.resize(text.size() + sizes[random() % 7]);
  for (std::size_t i = 10; i < text.size(); i += 8) text[i] = static_cast<char>(random());
  return text;
}

// A store that is open: what it read, and its writer.
struct OpenStore {
  std::unique_ptr<DataDirectory> directory;
  LogEnd end;
  std::vector<std::string> read;
  std::unique_ptr<LogWriter> writer;

  // Appends one group of `count` payloads that continue `next`; makes room as the engine does.
  void append(std::uint64_t& next, std::uint64_t count) {
    std::vector<std::string> texts;
    for (std::uint64_t i = 0; i < count; ++i) texts.push_back(payload_text(next + i));
    std::vector<Payload> payloads;
    for (const std::string& text : texts) payloads.push_back(bytes_of(text));
    try {
      writer->append_group(payloads);
    } catch (const Error& error) {
      if (error.code() != code::kLogSpace) throw;
      writer->reserve_for(group_size_bytes(payloads));
      writer->append_group(payloads);
    }
    next += count;
  }
};

[[nodiscard]] inline OpenStore open_store(Env& env, const std::string& path = "store",
                                          const LogOptions& options = kSmallFiles) {
  OpenStore store;
  store.directory = DataDirectory::open(env, path, kNowMs);
  const std::uint64_t first = store.directory->manifest().first_group;
  store.end = LogReader(*store.directory).read(first - 1, [&](std::uint64_t, Payload payload) {
    store.read.emplace_back(text_of(payload));
  });
  store.writer = LogWriter::open(*store.directory, store.end, options);
  return store;
}

// The number behind the last payload; -1 if they are not exactly some payload and those that follow it.
[[nodiscard]] inline std::int64_t count_of(const std::vector<std::string>& read) {
  if (read.empty()) return 0;
  if (!read[0].starts_with("payload ")) return -1;
  const std::uint64_t first = std::strtoull(read[0].c_str() + 8, nullptr, 10);
  for (std::size_t i = 0; i < read.size(); ++i)
    if (read[i] != payload_text(first + i)) return -1;
  return static_cast<std::int64_t>(first + read.size());
}

// The error's code, "" if there was none.
template <class Body>
[[nodiscard]] std::string code_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return std::string(error.code());
  }
  return "";
}

}  // namespace cdp::test
