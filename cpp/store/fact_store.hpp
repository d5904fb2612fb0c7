// What holds of profiles from a time on, about a subject: devices, consents, suppressions, memberships, lists
// (docs/architecture.md, "Facts"). One `FactStore` a type is apply's; `FactView` is the immutable picture a version pins:
// copy-on-write pages of 256 origins, each the place of its newest entry, over one history that only grows.
//
// Nothing is kept folded. A profile's facts are those of its origins, put in order of (time, log) when they are read: so a
// link moves nothing, and an unlink gives back exactly what was. Memory: 4 bytes an origin where any of its 256 neighbours
// has a fact of the type, 25 to 35 an entry, and the texts, each once in the store's dictionary.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/value.hpp"
#include "codec/fact_spec.hpp"
#include "store/cow_pages.hpp"
#include "store/fact_history.hpp"

namespace cdp {

struct Version;

namespace limits {
inline constexpr std::size_t kFactSubjectsKept = 65'536;  // of a type, to tell names that nobody has: sorted a view
}  // namespace limits

// Two numbers of the store (StringIds) as one subject; kNone where the second is left out. What a membership's subject is:
// the group's number.
[[nodiscard]] constexpr std::uint64_t subject_of(std::uint32_t first, std::uint32_t second = kNone) noexcept {
  return static_cast<std::uint64_t>(second + 1u) << 32 | first;  // a subject without a second one stays short
}
[[nodiscard]] constexpr std::uint32_t first_of(std::uint64_t subject) noexcept {
  return static_cast<std::uint32_t>(subject);
}
[[nodiscard]] constexpr std::uint32_t second_of(std::uint64_t subject) noexcept {
  return static_cast<std::uint32_t>(subject >> 32) - 1u;
}

// What the operations on one subject come to.
struct Fact {
  std::uint64_t subject = 0;
  std::uint8_t state = 0;
  std::int64_t first_ms = 0;                        // of the first operation
  std::int64_t since_ms = 0;                        // when it came into this state
  std::array<std::int64_t, kFactStates> last_ms{};  // of the last operation of each state; 0 = none
  std::array<Value, kFactTexts> texts{};            // null: unknown
  [[nodiscard]] std::int64_t time_ms() const noexcept { return last_ms[state]; }
};

struct FactPage {
  static constexpr std::uint32_t kOrigins = 256;
  std::array<std::uint32_t, kOrigins> newest{};  // place in the history, 0 = none
};

// Subjects that anybody was ever told of, ascending: channels with topics, lists. Null where they are not kept: of types whose
// subjects are as many as profiles, and over limits::kFactSubjectsKept.
using FactSubjects = std::shared_ptr<const std::vector<std::uint64_t>>;

class FactView {
 public:
  FactView(FactType type, CowPages<FactPage>::Picture pages, std::shared_ptr<const FactHistory> history,
           FactSubjects subjects)
      : type_(type), pages_(std::move(pages)), history_(std::move(history)), subjects_(std::move(subjects)) {}

  // Whether somebody was ever told of such a subject; true where subjects are not kept. Cost: one pass over them.
  template <class Is>
  [[nodiscard]] bool knows(Is&& is) const {
    return subjects_ == nullptr || std::ranges::any_of(*subjects_, is);
  }

  // Whether the origin ever had one. ~2 ns.
  [[nodiscard]] bool has(Origin origin) const noexcept { return newest(origin) != 0; }
  // Every operation of the origins timed until `until_ms`, by (time, log). `next_ms`: of the first one later.
  [[nodiscard]] std::vector<StoredFact> history(std::span<const Origin> members, std::int64_t until_ms,
                                                std::int64_t* next_ms = nullptr) const;
  // What they come to, by the first operation on each.
  [[nodiscard]] std::vector<Fact> facts(std::span<const Origin> members, std::int64_t until_ms,
                                        std::int64_t* next_ms = nullptr) const;
  // The state of one subject at `until_ms`; kNoState when nothing was told of it. Cost ~20 ns where the newest entry
  // decides.
  static constexpr std::uint8_t kNoState = 0xFF;
  struct Seen {
    std::uint8_t state = kNoState;
    std::int64_t next_ms = INT64_MAX;  // when a later operation becomes visible
  };
  [[nodiscard]] Seen state_at(std::span<const Origin> members, std::uint64_t subject, std::int64_t until_ms) const;

 private:
  [[nodiscard]] std::uint32_t newest(Origin origin) const noexcept {
    const FactPage* page = pages_.find(raw(origin) / FactPage::kOrigins);
    return page == nullptr ? 0 : page->newest[raw(origin) % FactPage::kOrigins];
  }

  FactType type_;
  CowPages<FactPage>::Picture pages_;
  std::shared_ptr<const FactHistory> history_;
  FactSubjects subjects_;
};

// What a subject is called: its texts, empty where there is none. Views into the version's dictionaries.
[[nodiscard]] std::array<std::string_view, 2> subject_texts(const Version& version, FactType type,
                                                            std::uint64_t subject);

// REQUIRES: operations by (time, order).
[[nodiscard]] std::vector<Fact> fold_facts(FactType type, std::span<const StoredFact> operations);

class FactStore {
 public:
  explicit FactStore(FactType type)
      : type_(type), keeps_subjects_(type == FactType::kConsent || type == FactType::kList) {}

  // Whether `apply` would take it.
  [[nodiscard]] bool accepts(const StoredFact& fact);
  // Keeps it unless an equal one is kept. REQUIRES: accepts(fact), an order above all before.
  void apply(const StoredFact& fact);
  // The latest state of the subject until `until_ms`, of this moment.
  [[nodiscard]] FactView::Seen state_at(std::span<const Origin> members, std::uint64_t subject, std::int64_t until_ms);
  // The picture for the next version.
  [[nodiscard]] std::shared_ptr<const FactView> view();
  [[nodiscard]] std::size_t size_bytes() const noexcept {
    constexpr std::size_t kSubjectBytes = 40;  // a node of the set, and its place in the view
    return page_count_ * sizeof(FactPage) + history_->size_bytes() + subjects_.size() * kSubjectBytes;
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return count_; }

 private:
  using Bodies = std::unordered_set<std::string>;

  [[nodiscard]] std::uint32_t newest(Origin origin) const noexcept;
  [[nodiscard]] bool is_repeat(const StoredFact& fact, std::uint32_t newest, const FactEntry& last,
                               std::string_view body);
  void keep_subject(std::uint64_t subject);

  FactType type_;
  bool keeps_subjects_;
  std::unordered_set<std::uint64_t> subjects_;
  FactSubjects subjects_view_;  // null: some have come since, or they are not kept
  CowPages<FactPage> pages_;
  std::shared_ptr<FactHistory> history_ = std::make_shared<FactHistory>();
  std::unordered_map<std::uint32_t, Bodies> long_chains_;  // by origin: chains that were walked far since the last view
  std::shared_ptr<const FactView> pinned_;
  std::uint64_t page_count_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace cdp
