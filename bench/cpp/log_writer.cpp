// What a group costs: append_group of 1 MiB (and of 4 KiB, 64 KiB, 4 MiB) on the disk of the directory given, its
// parts in memory alone, and reading the log back. Checks what it wrote before it reports.
//
//   bench_log_writer [directory] [MiB in all]
#include "disk/log_writer.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "disk/log_reader.hpp"
#include "disk/posix_env.hpp"

namespace {

using namespace cdp;

class Timer {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

void remove_store(Env& env, const std::string& path) {
  for (const std::string& directory : {path + "/wal", path})
    if (env.exists(directory))
      for (const std::string& name : env.list(directory))
        if (name != "wal") env.remove(directory + "/" + name);
}

void measure_frame(std::span<const Payload> payloads, std::size_t bytes) {
  std::vector<std::byte> buffer;
  Digest128 digest;
  static_cast<void>(frame_group({}, payloads, buffer));
  const std::size_t rounds = (256u << 20) / bytes;
  const Timer timer;
  for (std::size_t i = 0; i < rounds; ++i) {
    GroupHeader header;
    header.number = i;
    header.previous = digest;
    digest = frame_group(header, payloads, buffer).digest;
  }
  std::printf("  frame and digest      %8.3f ns/byte\n", timer.seconds() * 1e9 / static_cast<double>(rounds * bytes));
}

void measure(const std::string& path, std::size_t group_bytes, std::size_t total_bytes) {
  PosixEnv env;
  remove_store(env, path);
  std::string text(group_bytes - 4096, '\0');
  std::mt19937_64 random(1);
  for (std::size_t i = 0; i + 8 <= text.size(); i += 8) {
    const std::uint64_t word = random();
    std::memcpy(text.data() + i, &word, 8);
  }
  const Payload payloads[] = {bytes_of(text)};
  const std::size_t groups = total_bytes / group_bytes;
  std::printf("groups of %zu KiB\n", group_bytes >> 10);
  measure_frame(payloads, group_bytes);
  const auto directory = DataDirectory::open(env, path, 0);
  const auto ignore = [](std::uint64_t, Payload) {};
  auto writer = LogWriter::open(*directory, LogReader(*directory).read(0, ignore));
  writer->reserve_for(total_bytes / 4);  // the doubling is over: steady state
  writer->append_group(payloads);
  double append_seconds = 0, reserve_seconds = 0, longest = 0;
  for (std::size_t i = 0; i < groups; ++i) {
    const Timer reserving;
    while (writer->reserve_step()) {
    }
    reserve_seconds += reserving.seconds();
    const Timer appending;
    writer->append_group(payloads);
    append_seconds += appending.seconds();
    longest = std::max(longest, appending.seconds());
  }
  const double bytes = static_cast<double>(groups * group_bytes);
  std::printf("  append_group          %8.3f ns/byte  %8.0f groups/s  %6.0f MB/s  longest %.1f ms\n",
              append_seconds * 1e9 / bytes, static_cast<double>(groups) / append_seconds, bytes / append_seconds / 1e6,
              longest * 1e3);
  std::printf("  reserving (worker)    %8.3f ns/byte\n", reserve_seconds * 1e9 / bytes);
  writer->close();
  std::size_t read = 0;
  const Timer timer;
  const LogEnd end = LogReader(*directory).read(0, [&](std::uint64_t, Payload payload) {
    read += payload.size() == text.size() && payload.back() == std::byte(text.back()) ? 1 : 0;
  });
  std::printf("  read back, warm       %8.3f ns/byte\n", timer.seconds() * 1e9 / bytes);
  if (read != groups + 1 || !end.is_clean)
    std::printf("WRONG: %zu of %zu groups read\n", read, groups + 1), std::exit(1);
  remove_store(env, path);
}

}  // namespace

int main(int argument_count, char** arguments) {
  const std::string path = std::string(argument_count > 1 ? arguments[1] : ".") + "/bench-log";
  const std::size_t total_bytes = (argument_count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 256) << 20;
  for (const std::size_t group_bytes : {8u << 10, 64u << 10, 1u << 20, 4u << 20})
    measure(path, group_bytes, group_bytes < (1u << 20) ? total_bytes / 8 : total_bytes);
  return 0;
}
