// Which origins make up a profile. Links are kept for ever with the times at which they lived; a profile is the component
// of the links alive. `Links` is apply's; `LinkView` is the immutable picture that a version pins.
//
// Invariants: a component has ≤ kOriginsPerProfile origins and exactly one winner, its home, whose number is the profile
// id; members ascend. Unmerge kills one link and recomputes its component from the links that remain (no path compression).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.hpp"

namespace cdp {

struct Link {
  Origin winner{};  // the home of its side when the link was made
  Origin loser{};
  std::uint64_t sequence = 0;  // of the record that made it
  std::int64_t time_ms = 0;
  std::uint64_t dead_sequence = 0;  // of the unmerge, 0 while alive
  std::int64_t dead_from_ms = 0;
};

class LinkView {
 public:
  virtual ~LinkView() = default;
  [[nodiscard]] virtual Origin home(Origin origin) const noexcept = 0;  // itself when never linked; O(1), ~2 ns
  // Origins of the profile whose home this is, ascending; one origin (itself) when unlinked. REQUIRES: home(home) == home.
  // The span lives as long as the view; that of one origin is the argument, so no temporary may be given.
  [[nodiscard]] virtual std::span<const Origin> members(const Origin& home) const noexcept = 0;
  std::span<const Origin> members(const Origin&& home) const = delete;
  // Every origin that any link, alive or dead, ever connected with this one, directly or through others, itself included,
  // ascending: where rows of the profile can lie in layers built under earlier links. One origin when never linked.
  [[nodiscard]] virtual std::span<const Origin> relatives(const Origin& origin) const noexcept = 0;
  std::span<const Origin> relatives(const Origin&& origin) const = delete;
  // Live links of a component in sequence order (for traits at a join, and for `as_of`).
  [[nodiscard]] virtual std::vector<Link> links_of(Origin home) const = 0;
  // The relatives of every origin touched by a link or unlink after `sequence`, ascending, each once. Rows of layers built
  // at homed_sequence h can be misplaced only for origins in changed_since(h). O(answer).
  [[nodiscard]] virtual std::vector<Origin> changed_since(std::uint64_t sequence) const = 0;
  [[nodiscard]] virtual std::uint64_t last_change() const noexcept = 0;  // sequence; 0 = none
  [[nodiscard]] virtual std::vector<Link> all() const = 0;               // dead ones too, by sequence: for digest
  // Every link, alive or dead, between relatives of this origin, by sequence: for `as_of`. O(answer).
  [[nodiscard]] virtual std::vector<Link> history_of(Origin origin) const {
    std::vector<Link> links = all();
    std::erase_if(links, [&](const Link& link) {
      const std::span<const Origin> among = relatives(origin);
      return std::find(among.begin(), among.end(), link.winner) == among.end();
    });
    return links;
  }
};

class Links {
 public:
  Links();
  ~Links();
  // Joins loser's component under winner's home. False when they are one already or the result is over the limit (see
  // `too_large`). REQUIRES: sequence above all before.
  enum class Result { kJoined, kSame, kTooLarge };
  Result join(Origin winner, Origin loser, std::uint64_t sequence, std::int64_t time_ms);
  // Kills the link made by the record `sequence`; false when there is none alive.
  bool unjoin(std::uint64_t link_sequence, std::uint64_t sequence, std::int64_t time_ms);
  [[nodiscard]] Origin home(Origin origin) const noexcept;
  // As in LinkView, of this moment; the span lives until the next join or unjoin.
  [[nodiscard]] std::span<const Origin> members(const Origin& home) const noexcept;
  std::span<const Origin> members(const Origin&& home) const = delete;
  // The link made by the record `sequence`, alive or dead.
  [[nodiscard]] std::optional<Link> made_by(std::uint64_t sequence) const;
  // The picture for the next version; shares all that did not change. O(touched).
  [[nodiscard]] std::shared_ptr<const LinkView> view() const;
  [[nodiscard]] std::uint64_t size() const noexcept;  // links ever made
  [[nodiscard]] std::size_t size_bytes() const;       // a walk over all pages

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cdp
