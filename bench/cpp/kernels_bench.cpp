// Trend, funnel and retention on a store shaped like the workload's: sessions of a heavy-tailed crowd, 30 names, platform on
// every event, category, price and product_id on the shop's, 90 days in partitions of one main layer and a few fresh runs.
// Each answer is checked against plain rows on a small store before anything is timed.
//
//     bench_kernels_bench [events, default 20000000] [profiles, default 1000000] [level] [only questions whose name has this]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <random>
#include <string>

#include "base/pool.hpp"
#include "column/dictionary.hpp"
#include "query/query.hpp"
#include "query/scan_plan.hpp"
#include "simd/level.hpp"
#include "store/event_store.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"

namespace {

using namespace cdp;

constexpr std::int64_t kStartMs = 1'704'067'200'000, kDayMs = 86'400'000, kDays = 90;
constexpr std::int64_t kEndMs = kStartMs + kDays * kDayMs;
constexpr std::uint32_t kBatchEvents = 1'000;
constexpr const char* kNames[] = {"App Launched",     "Product Viewed", "Added To Cart",
                                  "Checkout Started", "Charged",        "Item Removed"};
constexpr std::uint32_t kNameCount = 30, kCommerceNames = 6;
constexpr std::uint32_t kCountries = 30;

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

class Countries : public ProfileView {
 public:
  explicit Countries(std::uint32_t profiles) : values_(profiles) {
    for (std::uint32_t i = 0; i < profiles; ++i) {
      const std::uint32_t mixed = i * 2654435761u >> 8;
      values_[i] = {ValueType::kString, std::min(mixed % kCountries, (mixed >> 7) % kCountries)};
    }
  }
  [[nodiscard]] Value trait(Origin home, KeyId) const noexcept override { return values_[raw(home)]; }
  void traits(Origin first, KeyId, std::span<Value> out) const noexcept override {
    std::copy_n(values_.begin() + raw(first), out.size(), out.begin());
  }
  [[nodiscard]] std::vector<KeyId> keys() const override { return {KeyId{4}}; }
  [[nodiscard]] std::vector<StoredOperation> history(std::span<const Origin>) const override { return {}; }
  [[nodiscard]] Value trait_as_of(Origin, KeyId, std::int64_t, const LinkView&) const override { return {}; }
  [[nodiscard]] std::int64_t created_ms(Origin, const LinkView&) const override { return 0; }

 private:
  std::vector<Value> values_;
};

// Events in order of arrival: a pool of open sessions, each with a mean of six events.
class Workload {
 public:
  Workload(std::uint32_t profiles, double events)
      : step_ms_(static_cast<double>(kDays * kDayMs) / events), weights_(profiles) {
    std::lognormal_distribution<double> weight(0, 1.5);
    double sum = 0;
    for (double& each : weights_) each = sum += weight(random_);
    for (std::uint32_t name = 1; name < kNameCount; ++name)
      names_.push_back(std::pow(name, -0.8) + (names_.empty() ? 0 : names_.back()));
    open_.resize(400);
    for (Session& session : open_) session = fresh();
  }

  std::shared_ptr<const TailBatch> batch() {
    auto batch = std::make_shared<CanonicalBatch>();
    auto tail = std::make_shared<TailBatch>();
    EventColumns& events = batch->events;
    for (std::uint32_t name = 0; name < kNameCount; ++name) {
      const bool commerce = name >= 1 && name < kCommerceNames;
      events.shapes.push_back({0, static_cast<std::uint32_t>(events.fields.size()), commerce ? 4u : 1u});
      tail->shape_name.push_back(name);
      constexpr ValueType kTypes[] = {ValueType::kString, ValueType::kString, ValueType::kInt, ValueType::kInt};
      for (std::uint32_t field = 0; field < (commerce ? 4u : 1u); ++field) {
        events.fields.push_back({0, kTypes[field]});
        tail->field_key.push_back(field);
      }
    }
    for (std::uint32_t string = 0; string < 64; ++string) tail->string_id.push_back(string);
    tail->first_order = order_;
    for (std::uint32_t event = 0; event < kBatchEvents; ++event) add(*tail, events, event);
    order_ += kBatchEvents;
    tail->batch = std::move(batch);
    return tail;
  }
  [[nodiscard]] double time_ms() const noexcept { return time_ms_; }

 private:
  struct Session {
    std::uint32_t profile = 0, platform = 0, done = 0, depth = 0;
  };

  Session fresh() {
    const double at = real() * weights_.back();
    Session session;
    session.profile =
        static_cast<std::uint32_t>(std::lower_bound(weights_.begin(), weights_.end(), at) - weights_.begin());
    const double platform = real();
    session.platform = platform < .55 ? 0 : platform < .8 ? 1 : platform < .98 ? 2 : 3;
    session.depth = real() < .18 ? 1 + below(4) : 0;
    return session;
  }

  void add(TailBatch& tail, EventColumns& events, std::uint32_t event) {
    time_ms_ += step_ms_;
    Session& session = open_[below(static_cast<std::uint32_t>(open_.size()))];
    std::uint32_t name = 0;
    if (session.done == 0 ? real() >= .9 : session.done > session.depth) {
      const double at = real() * names_.back();
      name = 1 + static_cast<std::uint32_t>(std::lower_bound(names_.begin(), names_.end(), at) - names_.begin());
      name = 1 + (name + 4) % (kNameCount - 1);  // the most frequent is no step of the funnel
    } else if (session.done != 0) {
      name = session.done;
    }
    const std::int64_t late = below(100) == 0 ? below(48 * 3'600'000) : below(120'000);
    events.time_ms.push_back(std::max(kStartMs, kStartMs + static_cast<std::int64_t>(time_ms_) - late));
    events.shape.push_back(name);
    events.first_value.push_back(static_cast<std::uint32_t>(events.values.size()));
    events.values.push_back(session.platform);
    if (name >= 1 && name < kCommerceNames) {
      const auto product = static_cast<std::uint32_t>(std::exp(real() * std::log(200'000.0)));
      events.values.push_back(8 + product % 20);
      events.values.push_back(below(50) == 0 ? below(2'000'000) : below(60'000));
      events.values.push_back(product);
    }
    tail.event.push_back(event);
    tail.origin.push_back(Origin{session.profile});
    ++session.done;
    if (below(6) == 0) session = fresh();
  }

  double real() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((std::uint64_t{static_cast<std::uint32_t>(random_() >> 32)} * bound) >> 32);
  }

  std::mt19937_64 random_{1};
  double time_ms_ = 0, step_ms_;
  std::vector<double> weights_, names_;
  std::vector<Session> open_;
  std::uint64_t order_ = 0;
};

struct Store {
  Dictionary names{1}, keys{2}, strings{3};
  std::shared_ptr<Version> version = std::make_shared<Version>();
};

// Sealed in runs of a million; all runs of a partition become one layer, but for the last 300,000 events: three runs.
void fill(Store& store, std::uint32_t events, std::uint32_t profiles) {
  for (std::uint32_t i = 0; i < kNameCount; ++i)
    store.names.intern(i < kCommerceNames ? kNames[i] : "Other " + std::to_string(i));
  for (const char* key : {"platform", "category", "price", "product_id", "country"}) store.keys.intern(key);
  for (std::uint32_t i = 0; i < 64; ++i) store.strings.intern("s" + std::to_string(i));
  Version& version = *store.version;
  version.shards.resize(1);
  version.origin_count = profiles;
  version.links = std::make_shared<NoLinks>();
  version.profiles = std::make_shared<Countries>(profiles);
  version.names = &store.names, version.keys = &store.keys, version.strings = &store.strings;
  Workload workload(profiles, events);
  std::map<std::int32_t, std::vector<std::shared_ptr<const Layer>>> layers;
  std::vector<std::shared_ptr<const TailBatch>> tail;
  const std::uint32_t fresh = std::min(events / 4, 300'000u);
  const auto seal_tail = [&] {
    for (const SealedLayer& sealed : seal(tail, version.placement, *version.links))
      layers[sealed.layer->partition].push_back(sealed.layer);
    tail.clear();
  };
  for (std::uint32_t made = 0; made < events - fresh; made += kBatchEvents) {
    tail.push_back(workload.batch());
    if (tail.size() == 1'000) seal_tail();
  }
  seal_tail();
  for (auto& [partition, runs] : layers) {
    std::vector<Tier> tiers;
    for (const auto& layer : runs) tiers.push_back({{layer}});
    runs = {merge_tiers(tiers, version.placement, *version.links).shards.front()};
  }
  for (int run = 0; run < 3; ++run) {
    for (std::uint32_t made = 0; made < fresh / 3; made += kBatchEvents) tail.push_back(workload.batch());
    seal_tail();
  }
  for (auto& [partition, runs] : layers)
    version.shards[0].layers.insert(version.shards[0].layers.end(), runs.begin(), runs.end());
  for (const auto& layer : version.shards[0].layers) version.event_count += layer->row_count;
}

// --- specs in msgpack: {a: b} as text with single quotes is enough here
void pack_text(std::string& out, std::string_view text) {
  out += static_cast<char>(0xD9);
  out += static_cast<char>(text.size());
  out += text;
}

// JSON without escapes, fractions or blanks -> msgpack.
std::string pack(std::string_view& json) {
  std::string out;
  const char first = json.front();
  if (first == '{' || first == '[') {
    json.remove_prefix(1);
    std::string body;
    std::uint32_t count = 0;
    while (json.front() != '}' && json.front() != ']') {
      body += pack(json);
      if (first == '{') json.remove_prefix(1), body += pack(json);
      ++count;
      if (json.front() == ',') json.remove_prefix(1);
    }
    json.remove_prefix(1);
    out += static_cast<char>(first == '{' ? 0xDE : 0xDC);
    out += static_cast<char>(count >> 8);
    out += static_cast<char>(count);
    return out + body;
  }
  if (first == '"') {
    const std::size_t end = json.find('"', 1);
    pack_text(out, json.substr(1, end - 1));
    json.remove_prefix(end + 1);
    return out;
  }
  if (json.starts_with("null")) {
    json.remove_prefix(4);
    return "\xC0";
  }
  std::size_t end = 0;
  const std::int64_t value = std::stoll(std::string(json.substr(0, 24)), &end);
  json.remove_prefix(end);
  out += static_cast<char>(0xD3);
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

struct Question {
  const char* name;
  std::string json;
};

std::vector<Question> questions() {
  const std::string now = R"(,"now_ms":)" + std::to_string(kEndMs + 2 * kDayMs);
  const std::string range =
      R"(,"range":{"start_ms":)" + std::to_string(kStartMs) + R"(,"end_ms":)" + std::to_string(kEndMs) + "}";
  const std::string last60 = R"(,"range":{"start_ms":)" + std::to_string(kEndMs - 60 * kDayMs) + R"(,"end_ms":)" +
                             std::to_string(kEndMs) + "}";
  return {
      {"q2 unique day, week, 30 d",
       R"({"kind":"trend","event":{"event":null},"measures":["unique"],"interval":["day","week",{"days":30}])" + range +
           now + "}"},
      {"q5 funnel of 3 by country",
       R"({"kind":"funnel","steps":["Product Viewed","Added To Cart","Charged"],"window":"7d","breakdown":[{"trait":"country"}])" +
           range + now + "}"},
      {"q6 funnel of 5",
       R"({"kind":"funnel","steps":["App Launched","Product Viewed","Added To Cart","Checkout Started","Charged"],"window":"7d")" +
           range + now + "}"},
      {"q7 weekly retention", R"({"kind":"retention","start":"App Launched","interval":"week")" + range + now + "}"},
      {"   daily retention",
       R"({"kind":"retention","start":"App Launched","return":"Product Viewed","interval":"day")" + range + now + "}"},
      {"q9 top products",
       R"({"kind":"trend","event":{"event":"Charged","where":[{"property":"platform","op":"eq","value":"s0"},{"property":"category","op":"in","value":["s8","s9","s11","s12"]}]},"measures":[{"sum":"price"},"total"],"breakdown":[{"property":"product_id"}],"limit":20)" +
           last60 + now + "}"},
      {"   total by day and name",
       R"({"kind":"trend","event":"App Launched","measures":["total","unique"],"interval":"day")" + range + now + "}"},
      {"   unique by hour",
       R"({"kind":"trend","event":{"event":null},"measures":["unique"],"interval":"hour")" + range + now + "}"},
      {"   revenue by day",
       R"({"kind":"trend","event":"Charged","measures":[{"sum":"price"},"unique"],"interval":"day","breakdown":[{"trait":"country"}])" +
           range + now + "}"},
  };
}

std::string packed(const Question& question) {
  std::string_view json = question.json;
  return pack(json);
}

Table ask(const Store& store, const std::string& spec, Pool* pool, unsigned threads, bool force_rows = false) {
  QueryOptions options;
  options.pool = pool;
  options.threads = threads;
  options.force_rows = force_rows;
  return run_query(store.version, std::span(reinterpret_cast<const std::uint8_t*>(spec.data()), spec.size()), options);
}

std::uint64_t digest(const Table& table) {
  std::uint64_t sum = table.row_count();
  for (const TableColumn& column : table.columns) {
    for (const std::uint64_t word : column.words()) sum = sum * 1'000'003 + word;
    sum = sum * 1'000'003 + std::hash<std::string>{}(column.bytes());
  }
  return sum;
}

bool check_small() {
  Store small;
  fill(small, 60'000, 3'000);
  bool equal = true;
  for (const Question& question : questions()) {
    const std::string spec = packed(question);
    const bool same = digest(ask(small, spec, nullptr, 1)) == digest(ask(small, spec, nullptr, 1, true));
    if (!same) std::printf("WRONG  %s\n", question.name);
    equal &= same;
  }
  return equal;
}

void time_question(const Store& store, const Question& question, Pool& pool) {
  const std::string spec = packed(question);
  std::printf("%-28s", question.name);
  std::uint64_t answer = 0;
  for (const unsigned threads : {1u, 2u}) {
    constexpr int rounds = 25;
    std::vector<double> times, processor;
    for (int round = 0; round < rounds; ++round) {
      const std::clock_t clock = std::clock();
      const auto start = std::chrono::steady_clock::now();
      answer = digest(ask(store, spec, &pool, threads));
      processor.push_back(static_cast<double>(std::clock() - clock) * 1e3 / CLOCKS_PER_SEC);
      times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    if (threads == 1) std::printf("  processor %7.3f", *std::min_element(processor.begin(), processor.end()));
    std::printf("  %u thread%s min %7.3f median %7.3f ms", threads, threads == 1 ? " " : "s", times.front(),
                times[times.size() / 2]);
  }
  std::printf("  answer %016llx\n", static_cast<unsigned long long>(answer));
  std::fflush(stdout);
}

}  // namespace

int main(int argument_count, char** arguments) {
  const auto number = [&](int index, std::uint32_t otherwise) {
    return argument_count > index ? static_cast<std::uint32_t>(std::strtoul(arguments[index], nullptr, 10)) : otherwise;
  };
  const std::uint32_t events = number(1, 20'000'000), profiles = number(2, 1'000'000);
  if (argument_count <= 4 && !check_small()) return 1;
  if (argument_count > 3) {
    if (const auto level = simd::parse_level(arguments[3])) simd::set_level(*level);
  }
  Store store;
  const auto start = std::chrono::steady_clock::now();
  fill(store, events, profiles);
  std::size_t chunks = 0, bytes = 0;
  for (const auto& layer : store.version->shards[0].layers) {
    chunks += layer->chunks.size();
    for (const auto& chunk : layer->chunks) bytes += chunk->size_bytes();
  }
  std::printf("%llu events, %zu layers, %zu chunks, %.1f bytes/event, built in %.1f s, %s\n",
              static_cast<unsigned long long>(store.version->event_count), store.version->shards[0].layers.size(),
              chunks, static_cast<double>(bytes) / static_cast<double>(store.version->event_count),
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
              std::string(simd::level_name(simd::current_level())).c_str());
  Pool pool(1);
  for (const Question& question : questions()) {
    if (argument_count <= 4 || std::string_view(question.name).find(arguments[4]) != std::string_view::npos)
      time_question(store, question, pool);
  }
  return 0;
}
