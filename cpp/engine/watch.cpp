#include "engine/watch.hpp"

#include <algorithm>
#include <mutex>

#include "base/error.hpp"
#include "base/pool.hpp"
#include "base/utf8.hpp"
#include "engine/store_rules.hpp"
#include "query/document.hpp"
#include "query/segment_tests.hpp"
#include "query/spec.hpp"

namespace cdp {
namespace {

constexpr std::string_view kWatchKind = "watch";
constexpr std::size_t kDefinitionBytes = 64u << 10;
constexpr std::size_t kDefinitionKindBytes = 32;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// `parse_predicate` of owned bytes: the spec it gives owns its strings.
std::shared_ptr<const PredicateSpec> parse_body(std::string_view body) { return parse_predicate(bytes_of(body)); }

bool is_kind(std::string_view kind) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; };
  return !kind.empty() && kind.size() <= kDefinitionKindBytes && letter(kind.front()) &&
         std::ranges::all_of(kind, inner);
}

// A watch's predicate must be one; any other body must be readable when it is given back: a map, sound to its leaves.
void check_body(std::string_view kind, std::string_view name, std::string_view body, const NamedSegments* segments) {
  if (kind == kWatchKind) {
    static const NamedSegments none;
    check_references(name, *parse_body(body), segments == nullptr ? none : *segments);
    return;
  }
  try {
    const Node node = parse_document(bytes_of(body));
    if (node.type == Node::Type::kMap) return;
    throw Error(Family::kInvalidRequest, code::kDefinitionInvalid, "expected a map, got " + describe(node), "body");
  } catch (const Error& error) {
    if (error.family() != Family::kBadQuery) throw;
    throw Error(Family::kInvalidRequest, code::kDefinitionInvalid, error.what(), "body");
  }
}

}  // namespace

std::string_view cause_name(Cause cause) noexcept {
  switch (cause) {
    case Cause::kEvent: return "event";
    case Cause::kTime: return "time";
    case Cause::kMerge: return "merge";
  }
  return "";
}

void check_definition(std::string_view kind, std::string_view name, std::string_view body,
                      const NamedSegments* segments) {
  if (!is_kind(kind)) {
    throw Error(Family::kInvalidRequest, code::kDefinitionInvalid,
                "a kind is a word of 1 to 32 of a-z, 0-9, _ that begins with a letter", "kind");
  }
  if (name.empty() || name.size() > limits::kNameBytes || !is_utf8(name)) {
    throw Error(Family::kInvalidRequest, code::kDefinitionInvalid, "a name has 1 to 256 bytes of UTF-8", "name");
  }
  if (body.size() > kDefinitionBytes) {
    throw Error(Family::kLimitExceeded, code::kDefinitionInvalid, "a definition has at most 64 KiB", "body");
  }
  if (!body.empty()) check_body(kind, name, body, segments);
  check_store_rule(kind, name, body);
}

WatchSet::Watch WatchSet::make_watch(std::shared_ptr<const PredicateSpec> spec, const Version& version) const {
  std::vector<std::string> references = references_of(*spec);
  if (!references.empty()) spec = write_out(std::move(spec), *segments());
  auto predicate = std::make_shared<const Predicate>(*spec, version);
  return Watch{std::move(spec), std::move(references), std::move(predicate), {}, {}, {}};
}

std::shared_ptr<const NamedSegments> WatchSet::segments() const {
  auto out = std::make_shared<NamedSegments>();
  std::vector<SegmentTests::Segment> tests;
  for (const auto& [name, watch] : watches_) {
    out->specs.emplace(name, watch.spec);
    if (!watch.references.empty()) out->references.emplace(name, watch.references);
    tests.push_back({name, watch.spec, watch.predicate});
  }
  out->tests = std::make_shared<const SegmentTests>(std::move(tests));
  return out;
}

// A name or string that the store had not seen when the predicate was bound may be there by now.
void WatchSet::bind_again(Watch& watch, const Version& version) {
  if (watch.predicate->resolved()) return;
  watch.predicate = std::make_shared<const Predicate>(*watch.spec, version);
  bound_anew_ |= watch.predicate->resolved();
}

bool WatchSet::define(const DefineRecord& record, const VersionPtr& version, std::int64_t tick_ms, Pool* pool) {
  if (record.body.empty()) {
    definitions_.erase({record.kind, record.name});
    return record.kind == kWatchKind && watches_.erase(record.name) == 1;
  }
  definitions_[{record.kind, record.name}] = record.body;
  if (record.kind != kWatchKind) return false;
  std::shared_ptr<const PredicateSpec> spec;
  try {
    spec = parse_body(record.body);
  } catch (const Error& error) {
    // Logged before the language refused it. A store must open: the definition stays to be read, and nobody is in it.
    if (error.family() != Family::kBadQuery) throw;
    return watches_.erase(record.name) == 1;
  }
  Watch watch = make_watch(std::move(spec), *version);
  mark_present(watch, version, tick_ms, *pool);
  watches_.insert_or_assign(record.name, std::move(watch));
  return true;
}

void WatchSet::mark_present(Watch& watch, const VersionPtr& version, std::int64_t now_ms, Pool& pool) {
  constexpr std::uint32_t kSpan = 4'096;
  std::mutex found_mutex;
  const std::uint32_t spans = (version->origin_count + kSpan - 1) / kSpan;
  pool.run(spans, pool.helpers() + 1, [&](std::size_t span, unsigned) {
    std::vector<std::pair<std::uint32_t, Truth>> found;
    const auto first = static_cast<std::uint32_t>(span) * kSpan;
    for (std::uint32_t id = first; id < std::min(first + kSpan, version->origin_count); ++id) {
      if (version->links->home(Origin{id}) != Origin{id}) continue;
      const Truth truth = evaluate_profile(*version, *watch.predicate, Origin{id}, now_ms);
      if (truth.value || truth.valid_until_ms != INT64_MAX) found.emplace_back(id, truth);
    }
    const std::lock_guard lock(found_mutex);
    for (const auto& [id, truth] : found) {
      if (truth.value) watch.members.insert(id);
      set_deadline(watch, id, truth.valid_until_ms);
    }
  });
}

void WatchSet::set_deadline(Watch& watch, std::uint32_t home, std::int64_t valid_until_ms) {
  const auto known = watch.deadline.find(home);
  if (known != watch.deadline.end()) {
    if (known->second == valid_until_ms) return;
    watch.due.erase({known->second, home});
    watch.deadline.erase(known);
  }
  if (valid_until_ms == INT64_MAX) return;
  watch.deadline.emplace(home, valid_until_ms);
  watch.due.emplace(valid_until_ms, home);
}

void WatchSet::emit(std::string_view name, const Version& version, std::uint32_t home, bool entered,
                    std::int64_t now_ms, Cause cause) {
  ring_.push_back({++last_cursor_, std::string(name), home, entered, version.watermark, now_ms, cause});
  if (ring_.size() > kTransitionsKept) ring_.pop_front();
}

void WatchSet::test(std::string_view name, Watch& watch, const Version& version, Origin home, std::int64_t now_ms,
                    Cause cause) {
  const std::uint32_t id = raw(home);
  const Truth truth = evaluate_profile(version, *watch.predicate, home, now_ms);
  set_deadline(watch, id, truth.valid_until_ms);
  const bool changed = truth.value ? watch.members.insert(id).second : watch.members.erase(id) == 1;
  if (changed) emit(name, version, id, truth.value, now_ms, cause);
}

// An origin that is no profile of its own any more.
void WatchSet::retire(std::string_view name, Watch& watch, const Version& version, Origin origin, std::int64_t now_ms) {
  set_deadline(watch, raw(origin), INT64_MAX);
  if (watch.members.erase(raw(origin)) == 1) emit(name, version, raw(origin), false, now_ms, Cause::kMerge);
}

void WatchSet::retest(const Version& version, std::span<const Origin> touched, std::int64_t tick_ms) {
  if (watches_.empty() || touched.empty()) return;
  std::vector<Origin> origins(touched.begin(), touched.end());
  std::ranges::sort(origins);
  origins.erase(std::ranges::unique(origins).begin(), origins.end());
  std::vector<Origin> homes;
  std::vector<Origin> retired;
  for (const Origin origin : origins) {
    const Origin home = version.links->home(origin);
    homes.push_back(home);
    if (home != origin) retired.push_back(origin);
  }
  std::ranges::sort(homes);
  homes.erase(std::ranges::unique(homes).begin(), homes.end());
  for (auto& [name, watch] : watches_) {
    bind_again(watch, version);
    for (const Origin origin : retired) retire(name, watch, version, origin, tick_ms);
    for (const Origin home : homes) test(name, watch, version, home, tick_ms, Cause::kEvent);
  }
}

void WatchSet::retest_all(const Version& version, std::int64_t tick_ms) {
  for (auto& [name, watch] : watches_) {
    bind_again(watch, version);
    for (std::uint32_t id = 0; id < version.origin_count; ++id) {
      if (version.links->home(Origin{id}) == Origin{id}) test(name, watch, version, Origin{id}, tick_ms, Cause::kTime);
    }
  }
}

void WatchSet::settle(const Version& version, std::int64_t tick_ms) {
  for (auto& [name, watch] : watches_) {
    if (watch.due.empty() || watch.due.begin()->first > tick_ms) continue;
    bind_again(watch, version);
    std::vector<std::uint32_t> homes;
    for (auto due = watch.due.begin(); due != watch.due.end() && due->first <= tick_ms; ++due) {
      homes.push_back(due->second);
    }
    std::ranges::sort(homes);
    for (const std::uint32_t home : homes) test(name, watch, version, Origin{home}, tick_ms, Cause::kTime);
  }
}

std::vector<Transition> WatchSet::transitions(std::uint64_t after_cursor, std::size_t limit) const {
  const std::uint64_t first_kept = ring_.empty() ? last_cursor_ + 1 : ring_.front().cursor;
  if (after_cursor + 1 < first_kept) {
    throw Error(Family::kConflict, code::kCursorExpired,
                "transitions up to " + std::to_string(first_kept - 1) + " are gone: read the members again", "cursor");
  }
  std::vector<Transition> out;
  for (std::size_t at = after_cursor + 1 - first_kept; at < ring_.size() && out.size() < limit; ++at) {
    out.push_back(ring_[at]);
  }
  return out;
}

std::vector<Definition> WatchSet::definitions() const {
  std::vector<Definition> out;
  for (const auto& [key, body] : definitions_) out.push_back({key.first, key.second, body});
  return out;
}

std::vector<std::uint64_t> WatchSet::members(std::string_view name) const {
  const auto watch = watches_.find(name);
  if (watch == watches_.end()) {
    throw Error(Family::kNotFound, code::kWatchNotFound, "no live segment has this name", "name");
  }
  return {watch->second.members.begin(), watch->second.members.end()};
}

}  // namespace cdp
