// Seal, merge and point reads on events like the workload's: 30 names, currency (5), platform (4) and session_id on every
// event, category (20), price (mostly below 64 k) and product_id (200 k) on 29.6 %, one million profiles, in order of arrival.
//
//     bench_layout_bench [profiles]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>

#include "store/event_store.hpp"
#include "store/links.hpp"

namespace {

using namespace cdp;

// Processor time of this process: a busy neighbour does not count.
struct Clock {
  static double now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }
};
using Tail = std::vector<std::shared_ptr<const TailBatch>>;

constexpr std::uint32_t kBatchEvents = 1'000;
constexpr std::uint32_t kNames = 30, kCommerceNames = 9;

class NoLinks : public LinkView {
 public:
  [[nodiscard]] Origin home(Origin origin) const noexcept override { return origin; }
  [[nodiscard]] std::span<const Origin> members(const Origin& home) const noexcept override { return {&home, 1}; }
  [[nodiscard]] std::span<const Origin> relatives(const Origin& origin) const noexcept override { return {&origin, 1}; }
  [[nodiscard]] std::vector<Link> links_of(Origin) const override { return {}; }
  [[nodiscard]] std::vector<Origin> changed_since(std::uint64_t) const override { return {}; }
  [[nodiscard]] std::uint64_t last_change() const noexcept override { return 0; }
  [[nodiscard]] std::vector<Link> all() const override { return {}; }
};

double seconds_since(double start) { return Clock::now() - start; }

class Workload {
 public:
  explicit Workload(std::uint32_t profiles) : profiles_(profiles) {}

  // Batches in order of arrival; `events_per_partition` sets how fast time passes.
  Tail batches(std::uint32_t events, double events_per_partition) {
    Tail out;
    for (std::uint32_t made = 0; made < events; made += kBatchEvents) {
      out.push_back(batch(std::min(kBatchEvents, events - made), limits::kPartitionMs / events_per_partition));
    }
    return out;
  }

 private:
  std::shared_ptr<const TailBatch> batch(std::uint32_t count, double step_ms) {
    auto batch = std::make_shared<CanonicalBatch>();
    auto tail = std::make_shared<TailBatch>();
    EventColumns& events = batch->events;
    for (std::uint32_t name = 0; name < kNames; ++name) {
      const std::uint32_t fields = name < kCommerceNames ? 6 : 3;
      events.shapes.push_back({0, static_cast<std::uint32_t>(events.fields.size()), fields});
      tail->shape_name.push_back(name);
      constexpr ValueType kTypes[] = {ValueType::kString, ValueType::kString, ValueType::kInt,
                                      ValueType::kString, ValueType::kInt,    ValueType::kInt};
      for (std::uint32_t field = 0; field < fields; ++field) {
        events.fields.push_back({0, kTypes[field]});
        tail->field_key.push_back(field);
      }
    }
    for (std::uint32_t string = 0; string < 29; ++string) tail->string_id.push_back(string * 977 % 5'003);
    tail->first_order = order_;
    for (std::uint32_t event = 0; event < count; ++event) add_event(*tail, events, event, step_ms);
    order_ += count;
    tail->batch = std::move(batch);
    return tail;
  }

  void add_event(TailBatch& tail, EventColumns& events, std::uint32_t event, double step_ms) {
    time_ms_ += step_ms;
    const std::int64_t late = below(100) == 0 ? below(48 * 3'600'000) : below(120'000);
    const std::int64_t time_ms = std::max(start_ms_, start_ms_ + static_cast<std::int64_t>(time_ms_) - late);
    const bool commerce = below(1'000) < 296;
    const std::uint32_t name = commerce ? std::min(below(kCommerceNames), below(kCommerceNames))
                                        : kCommerceNames + std::min(below(21), below(21));
    events.time_ms.push_back(time_ms);
    events.shape.push_back(name);
    events.first_value.push_back(static_cast<std::uint32_t>(events.values.size()));
    for (const std::uint64_t value : {below(5), 5 + below(4)}) events.values.push_back(value);
    events.values.push_back(static_cast<std::uint64_t>(time_ms / 1'000 - below(600)));
    if (commerce) {
      const std::uint32_t price = below(50) == 0 ? below(2'000'000) : below(60'000);
      for (const std::uint32_t value : {9 + below(20), price, below(200'000)}) events.values.push_back(value);
    }
    tail.event.push_back(event);
    tail.origin.push_back(Origin{below(profiles_)});
  }

  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((std::uint64_t{static_cast<std::uint32_t>(random_() >> 32)} * bound) >> 32);
  }

  std::mt19937_64 random_{1};
  std::uint32_t profiles_;
  std::int64_t start_ms_ = partition_start_ms(700);
  double time_ms_ = 0;
  std::uint64_t order_ = 0;
};

void report_size(const char* what, std::span<const std::shared_ptr<const Layer>> layers) {
  std::size_t bytes = 0, rows = 0, chunks = 0;
  for (const auto& layer : layers) {
    for (const auto& chunk : layer->chunks) bytes += chunk->size_bytes();
    rows += layer->row_count;
    chunks += layer->chunks.size();
  }
  std::printf("  %-28s %8zu rows in %4zu layers, %5zu chunks: %6.2f bytes/event\n", what, rows, layers.size(), chunks,
              static_cast<double>(bytes) / static_cast<double>(rows));
}

std::vector<std::shared_ptr<const Layer>> seal_all(const Tail& tail, std::uint32_t run_rows, const char* what) {
  const NoLinks links;
  std::vector<std::shared_ptr<const Layer>> layers;
  double best_ns = 1e9;
  for (std::size_t first = 0; first < tail.size(); first += run_rows / kBatchEvents) {
    const std::size_t count = std::min<std::size_t>(run_rows / kBatchEvents, tail.size() - first);
    for (int round = 0; round < 2; ++round) {  // again with the batches in cache, as apply leaves them
      const auto start = Clock::now();
      const auto sealed = seal(std::span{tail}.subspan(first, count), Placement{}, links);
      const double ns = seconds_since(start) * 1e9 / (static_cast<double>(count) * kBatchEvents);
      best_ns = std::min(best_ns, ns);
      if (round == 0) layers.push_back(sealed.front().layer);
    }
  }
  std::printf("seal %-23s %38.1f ns/row (best run)\n", what, best_ns);
  report_size("", layers);
  return layers;
}

std::shared_ptr<const Layer> merge_all(std::span<const std::shared_ptr<const Layer>> layers, const char* what) {
  const NoLinks links;
  std::shared_ptr<const Layer> merged;
  std::vector<Tier> tiers;
  for (const auto& layer : layers) tiers.push_back({{layer}});
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    const auto start = Clock::now();
    merged = merge_tiers(tiers, Placement{}, links).shards.front();
    best = std::min(best, seconds_since(start));
  }
  std::printf("merge %-22s %38.1f ns/row\n", what, best * 1e9 / static_cast<double>(merged->row_count));
  report_size("", std::span{&merged, 1});
  return merged;
}

void read_profiles(Version& version, std::uint32_t profiles, const char* what) {
  std::vector<Row> rows;
  std::uint64_t found = 0;
  constexpr std::uint32_t kReads = 20'000;
  const auto start = Clock::now();
  for (std::uint32_t read = 0; read < kReads; ++read) {
    rows_of(version, Origin{static_cast<std::uint32_t>(read * 2'654'435'761ull % profiles)}, {}, rows);
    found += rows.size();
  }
  std::printf("rows_of %-20s %38.0f ns/profile, %.1f rows each\n", what, seconds_since(start) * 1e9 / kReads,
              static_cast<double>(found) / kReads);
}

}  // namespace

int main(int argument_count, char** arguments) {
  const auto profiles = static_cast<std::uint32_t>(argument_count > 1 ? std::atoi(arguments[1]) : 1'000'000);
  Workload workload(profiles);
  const Tail tail = workload.batches(4'000'000, 4'000'000);
  const auto small = seal_all(Tail(tail.begin(), tail.begin() + 512), 16'000, "16 k rows");
  const auto runs = seal_all(tail, 64'000, "64 k rows");
  merge_all(std::span{runs}.first(8), "8 runs of 64 k");
  const auto main_layer = merge_all(runs, "all runs, 4 M rows");
  merge_all(std::vector{main_layer, runs[0], runs[1], runs[2]}, "4 M rows and 3 runs");

  Version version;
  version.links = std::make_shared<NoLinks>();
  version.shards.resize(1);
  version.shards[0].layers.push_back(main_layer);
  read_profiles(version, profiles, "1 layer");
  for (int run = 0; run < 3; ++run) version.shards[0].layers.push_back(runs[run]);
  read_profiles(version, profiles, "4 layers");
  version.tail.assign(tail.begin(), tail.begin() + 16);
  read_profiles(version, profiles, "4 layers, tail of 16 k");
}
