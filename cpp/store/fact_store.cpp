#include "store/fact_store.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "column/dictionary.hpp"
#include "store/group_store.hpp"
#include "store/version.hpp"

namespace cdp {

namespace {

constexpr std::uint32_t kWalkMax = 64;  // entries walked back before a chain gets a set

// The state of a subject among the entries of some chains, walked back from `newest(member)` each.
template <class Newest>
FactView::Seen find_state(const FactHistory& history, std::span<const Origin> members, std::uint64_t subject,
                          std::int64_t until_ms, const Newest& newest) {
  FactView::Seen seen;
  std::pair<std::int64_t, std::uint64_t> best{INT64_MIN, 0};  // (time, order)
  for (const Origin member : members) {
    for (std::uint32_t place = newest(member); place != 0;) {
      const FactEntry entry = history.read(place);
      if (entry.latest_ms < best.first) break;  // and so is all before it
      place = entry.before;
      if (entry.subject != subject) continue;
      if (entry.time_ms > until_ms) {
        seen.next_ms = std::min(seen.next_ms, entry.time_ms);
      } else if (std::pair(entry.time_ms, entry.order) >= best) {
        best = {entry.time_ms, entry.order};
        seen.state = entry.state;
      }
    }
  }
  return seen;
}

}  // namespace

std::vector<StoredFact> FactView::history(std::span<const Origin> members, std::int64_t until_ms,
                                          std::int64_t* next_ms) const {
  std::vector<StoredFact> out;
  for (const Origin member : members) {
    for (std::uint32_t place = newest(member); place != 0;) {
      const FactEntry entry = history_->read(place);
      place = entry.before;
      if (entry.time_ms > until_ms) {
        if (next_ms != nullptr) *next_ms = std::min(*next_ms, entry.time_ms);
        continue;
      }
      StoredFact& fact = out.emplace_back();
      fact.origin = member;
      fact.subject = entry.subject;
      fact.state = entry.state;
      fact.time_ms = entry.time_ms;
      fact.order = entry.order;
      read_texts(entry, fact.texts);
    }
  }
  std::ranges::sort(out, {}, [](const StoredFact& each) { return std::pair(each.time_ms, each.order); });
  return out;
}

std::vector<Fact> FactView::facts(std::span<const Origin> members, std::int64_t until_ms, std::int64_t* next_ms) const {
  return fold_facts(type_, history(members, until_ms, next_ms));
}

FactView::Seen FactView::state_at(std::span<const Origin> members, std::uint64_t subject, std::int64_t until_ms) const {
  return find_state(*history_, members, subject, until_ms, [this](Origin origin) { return newest(origin); });
}

std::array<std::string_view, 2> subject_texts(const Version& version, FactType type, std::uint64_t subject) {
  if (type == FactType::kSuppress) return {};
  if (type == FactType::kMembership) {
    const Origin group{first_of(subject)};
    return {version.strings->at(version.groups->kind(group)), version.strings->at(version.groups->id(group))};
  }
  const std::uint32_t second = second_of(subject);
  return {version.strings->at(first_of(subject)), second == kNone ? std::string_view() : version.strings->at(second)};
}

std::vector<Fact> fold_facts(FactType type, std::span<const StoredFact> operations) {
  const std::span<const FactTextSpec> texts = spec_of(type).texts;
  std::vector<Fact> out;
  std::unordered_map<std::uint64_t, std::size_t> places;  // only where there are many
  constexpr std::size_t kFew = 16;
  const auto find = [&](std::uint64_t subject) {
    if (out.size() <= kFew) {
      return static_cast<std::size_t>(std::ranges::find(out, subject, &Fact::subject) - out.begin());
    }
    if (places.empty()) {
      for (std::size_t at = 0; at < out.size(); ++at) places.emplace(out[at].subject, at);
    }
    return places.try_emplace(subject, out.size()).first->second;
  };
  for (const StoredFact& operation : operations) {
    const std::size_t at = find(operation.subject);
    const bool is_new = at == out.size();
    if (is_new) out.emplace_back();
    Fact& fact = out[at];
    fact.subject = operation.subject;
    if (is_new) fact.first_ms = operation.time_ms;
    if (is_new || fact.state != operation.state) fact.since_ms = operation.time_ms;
    fact.state = operation.state;
    fact.last_ms[operation.state] = operation.time_ms;
    for (std::size_t text = 0; text < texts.size(); ++text) {
      if (!texts[text].stays) fact.texts[text] = {};
    }
    for (const FactText& text : operation.texts) fact.texts[text.field] = text.value;
  }
  return out;
}

std::uint32_t FactStore::newest(Origin origin) const noexcept {
  const FactPage* page = pages_.find(raw(origin) / FactPage::kOrigins);
  return page == nullptr ? 0 : page->newest[raw(origin) % FactPage::kOrigins];
}

bool FactStore::is_repeat(const StoredFact& fact, std::uint32_t newest, const FactEntry& last, std::string_view body) {
  if (fact.time_ms > last.latest_ms) return false;
  if (const auto known = long_chains_.find(raw(fact.origin)); known != long_chains_.end()) {
    return known->second.contains(std::string(body));
  }
  std::uint32_t place = newest;
  for (std::uint32_t walked = 0; place != 0 && walked < kWalkMax; ++walked) {
    const FactEntry entry = history_->read(place);
    if (entry.body == body) return true;
    if (entry.latest_ms < fact.time_ms) return false;  // and so is all before it
    place = entry.before;
  }
  if (place == 0) return false;
  Bodies& bodies = long_chains_[raw(fact.origin)];
  for (place = newest; place != 0;) {
    const FactEntry entry = history_->read(place);
    bodies.emplace(entry.body);
    place = entry.before;
  }
  return bodies.contains(std::string(body));
}

bool FactStore::accepts(const StoredFact& fact) {
  if (history_->full()) return false;
  const std::uint32_t before = newest(fact.origin);
  if (before == 0) return true;
  const FactEntry last = history_->read(before);
  if (last.count < limits::kFactsPerOrigin) return true;
  std::array<char, kFactBodyMax> buffer;
  return is_repeat(fact, before, last, fact_body(fact, buffer));
}

void FactStore::apply(const StoredFact& fact) {
  std::array<char, kFactBodyMax> buffer;
  const std::string_view body = fact_body(fact, buffer);
  const std::uint32_t before = newest(fact.origin);
  std::uint32_t count = 1;
  std::int64_t latest_ms = fact.time_ms;
  if (before != 0) {
    const FactEntry last = history_->read(before);
    if (is_repeat(fact, before, last, body)) return;
    count = last.count + 1;
    latest_ms = std::max(last.latest_ms, fact.time_ms);
  }
  if (const auto known = long_chains_.find(raw(fact.origin)); known != long_chains_.end()) known->second.emplace(body);
  const std::uint32_t page = raw(fact.origin) / FactPage::kOrigins;
  if (pages_.find(page) == nullptr) ++page_count_;
  pages_.edit(page).newest[raw(fact.origin) % FactPage::kOrigins] =
      history_->append(count, before, latest_ms, fact.time_ms, fact.order, body);
  ++count_;
  pinned_ = nullptr;
  if (keeps_subjects_) keep_subject(fact.subject);
}

void FactStore::keep_subject(std::uint64_t subject) {
  if (!subjects_.insert(subject).second) return;
  subjects_view_ = nullptr;
  if (subjects_.size() <= limits::kFactSubjectsKept) return;
  keeps_subjects_ = false;
  subjects_ = {};
}

FactView::Seen FactStore::state_at(std::span<const Origin> members, std::uint64_t subject, std::int64_t until_ms) {
  return find_state(*history_, members, subject, until_ms, [this](Origin origin) { return newest(origin); });
}

std::shared_ptr<const FactView> FactStore::view() {
  long_chains_.clear();
  if (keeps_subjects_ && subjects_view_ == nullptr) {
    auto subjects = std::make_shared<std::vector<std::uint64_t>>(subjects_.begin(), subjects_.end());
    std::ranges::sort(*subjects);
    subjects_view_ = std::move(subjects);
  }
  if (pinned_ == nullptr)
    pinned_ = std::make_shared<FactView>(type_, pages_.picture(), history_, keeps_subjects_ ? subjects_view_ : nullptr);
  return pinned_;
}

}  // namespace cdp
