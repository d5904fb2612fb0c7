#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "base/limits.hpp"
#include "check.hpp"
#include "store/links.hpp"

namespace {

using cdp::Link;
using cdp::Links;
using cdp::LinkView;
using cdp::Origin;
using cdp::raw;

// Every question answered by walking the whole list of links.
struct NaiveLinks {
  std::vector<Link> links;

  [[nodiscard]] std::set<Origin> connected(Origin origin, bool dead_too) const {
    std::set<Origin> found{origin};
    for (std::size_t before = 0; before != found.size();) {
      before = found.size();
      for (const Link& link : links) {
        if (link.dead_sequence != 0 && !dead_too) continue;
        if (found.contains(link.winner) || found.contains(link.loser)) found.insert({link.winner, link.loser});
      }
    }
    return found;
  }
  [[nodiscard]] Origin home(Origin origin) const {
    for (bool moved = true; moved;) {
      moved = false;
      for (const Link& link : links) {
        if (link.dead_sequence == 0 && link.loser == origin) origin = link.winner, moved = true;
      }
    }
    return origin;
  }
  [[nodiscard]] std::vector<Origin> changed_since(std::uint64_t sequence) const {
    std::set<Origin> changed;
    for (const Link& link : links) {
      if (std::max(link.sequence, link.dead_sequence) > sequence) changed.merge(connected(link.winner, true));
    }
    return {changed.begin(), changed.end()};
  }
};

bool same(const std::vector<Link>& left, const std::vector<Link>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const Link& a, const Link& b) {
    return a.winner == b.winner && a.loser == b.loser && a.sequence == b.sequence && a.time_ms == b.time_ms &&
           a.dead_sequence == b.dead_sequence && a.dead_from_ms == b.dead_from_ms;
  });
}

void compare(const LinkView& view, const NaiveLinks& naive, std::uint32_t origins) {
  for (std::uint32_t number = 0; number < origins; ++number) {
    const Origin origin{number * 300};  // spread over pages
    CHECK_EQ(view.home(origin), naive.home(origin));
    const std::set<Origin> relatives = naive.connected(origin, true);
    CHECK(std::ranges::equal(view.relatives(origin), relatives));
    if (view.home(origin) != origin) continue;
    CHECK(std::ranges::equal(view.members(origin), naive.connected(origin, false)));
    std::vector<Link> live, ever;
    for (const Link& link : naive.links) {
      if (link.dead_sequence == 0 && naive.home(link.winner) == origin) live.push_back(link);
      if (relatives.contains(link.winner)) ever.push_back(link);
    }
    CHECK(same(view.links_of(origin), live));
    CHECK(same(view.history_of(origin), ever));
    CHECK(same(view.LinkView::history_of(origin), ever));
  }
  CHECK(same(view.all(), naive.links));
}

}  // namespace

TEST("joins and unjoins in any order agree with a walk over all links, and old views do not change") {
  std::mt19937_64 random(cdp::test::seed());
  for (int story = 0; story < 30; ++story) {
    const auto origins = static_cast<std::uint32_t>(2 + random() % 30);
    Links links;
    NaiveLinks naive;
    std::vector<std::pair<std::shared_ptr<const LinkView>, NaiveLinks>> pinned;
    std::uint64_t sequence = 0;
    for (int step = 0; step < 120; ++step) {
      sequence += 1 + random() % 3;
      const auto time_ms = static_cast<std::int64_t>(random() % 1'000);
      if (random() % 3 != 0) {
        const Origin winner{static_cast<std::uint32_t>(random() % origins) * 300};
        const Origin loser{static_cast<std::uint32_t>(random() % origins) * 300};
        const Link made{naive.home(winner), naive.home(loser), sequence, time_ms};
        const bool joins = made.winner != made.loser;
        CHECK_EQ(links.join(winner, loser, sequence, time_ms), joins ? Links::Result::kJoined : Links::Result::kSame);
        if (joins) naive.links.push_back(made);
        CHECK_EQ(links.made_by(sequence).has_value(), joins);
      } else {
        const bool real = !naive.links.empty() && random() % 8 != 0;
        const std::uint64_t target = real ? naive.links[random() % naive.links.size()].sequence : sequence;
        const auto found = std::ranges::find_if(
            naive.links, [&](const Link& link) { return link.sequence == target && link.dead_sequence == 0; });
        CHECK_EQ(links.unjoin(target, sequence, time_ms), found != naive.links.end());
        if (found != naive.links.end()) found->dead_sequence = sequence, found->dead_from_ms = time_ms;
      }
      if (random() % 10 == 0) pinned.emplace_back(links.view(), naive);
    }
    pinned.emplace_back(links.view(), naive);
    for (const auto& [view, then] : pinned) {
      compare(*view, then, origins);
      const std::uint64_t since = random() % (sequence + 1);
      CHECK(view->changed_since(since) == then.changed_since(since));
      std::uint64_t last = 0;
      for (const Link& link : then.links) last = std::max({last, link.sequence, link.dead_sequence});
      CHECK_EQ(view->last_change(), last);
    }
  }
}

TEST("a profile never has more than its limit of origins, and a refused join changes nothing") {
  Links links;
  const Origin first{0};
  const auto limit = static_cast<std::uint32_t>(cdp::limits::kOriginsPerProfile);
  for (std::uint32_t loser = 1; loser < limit; ++loser) {
    CHECK_EQ(links.join(Origin{0}, Origin{loser}, loser, 0), Links::Result::kJoined);
  }
  CHECK_EQ(links.members(first).size(), limit);
  CHECK_EQ(links.join(Origin{limit}, Origin{5}, limit, 0), Links::Result::kTooLarge);
  CHECK_EQ(links.home(Origin{limit}), Origin{limit});
  CHECK_EQ(links.view()->last_change(), limit - 1);
  CHECK(links.unjoin(7, limit + 1, 0));
  CHECK_EQ(links.members(first).size(), limit - 1);
  CHECK_EQ(links.home(Origin{7}), Origin{7});
  CHECK(!links.unjoin(7, limit + 2, 0));
}

TEST("an origin that was never linked is its own home, member and relative") {
  Links links;
  const auto view = links.view();
  const Origin alone{123'456'789};
  CHECK_EQ(view->home(alone), alone);
  CHECK_EQ(view->members(alone).size(), 1u);
  CHECK_EQ(view->relatives(alone)[0], alone);
  CHECK(view->links_of(alone).empty());
  CHECK(view->changed_since(0).empty());
}

TEST_MAIN()
