// Regular expressions of the query spec (docs/architecture.md, "Values"): whether one matches anywhere in a text.
//
// A live segment tests what strangers send, on the thread that applies the log: a matcher that tracks back could be made to
// take seconds there, and giving up is no answer. So the syntax is what a finite automaton can do, and all its states are
// walked at once: time is at most text · states, whatever the expression. (Boost.Regex, which bounds its way back by an
// error, was rejected for that.)
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "query/document.hpp"

namespace cdp {

namespace limits {
inline constexpr std::size_t kRegexBytes = 1'024;   // of an expression
inline constexpr std::size_t kRegexStates = 5'000;  // a text of 4 KiB takes at most ~0.1 s
inline constexpr std::size_t kRegexDepth = 64;      // groups in groups
inline constexpr std::size_t kRegexRepeats = 1'000;
}  // namespace limits

class Regex {
 public:
  // Throws BadQuery at `path`. REQUIRES: UTF-8.
  Regex(std::string_view expression, bool ignore_case, const Path& path);
  // Threads: any. Cost: ~10 ns a character for few states; no allocation but the two sets of states.
  [[nodiscard]] bool search(std::string_view text) const;
  [[nodiscard]] std::size_t state_count() const noexcept { return states_.size(); }

 private:
  friend class RegexParser;
  friend class RegexSearch;

  // Characters: those below 128 as bits, the others as closed ranges.
  struct Set {
    std::array<std::uint64_t, 2> ascii{};
    std::vector<std::pair<char32_t, char32_t>> ranges;
    bool negated = false;
    [[nodiscard]] bool has(char32_t letter) const noexcept;
  };
  enum class Kind : std::uint8_t { kSet, kSplit, kStart, kEnd, kWordBorder, kMatch };
  struct State {
    Kind kind{};
    std::uint32_t next = 0;
    std::uint32_t other = 0;  // kSplit
    std::uint32_t set = 0;    // kSet
  };

  std::vector<State> states_;
  std::vector<Set> sets_;
  std::uint32_t start_ = 0;
  bool ignore_case_;
};

}  // namespace cdp
