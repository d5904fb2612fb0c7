// Append-only strings <-> dense numbers. Interning takes a mutex (apply is the writer; a query may intern the list it
// folded); any number of readers while it grows: `at`, `size` and `find` never block. ~19 bytes a string over its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace cdp {

class Dictionary {
 public:
  explicit Dictionary(std::uint64_t hash_key);
  ~Dictionary();
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  // The number of `text`, new if unseen.
  std::uint32_t intern(std::string_view text);
  // Interns many at once, in their order, behind prefetches. REQUIRES: out.size() == texts.size().
  void intern_all(std::span<const std::string_view> texts, std::span<std::uint32_t> out);
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view text) const;
  [[nodiscard]] std::string_view at(std::uint32_t id) const noexcept;  // REQUIRES: id < size()
  // Fetches what `at` will look at, in two steps (0, 1) of which the second relies on the first having arrived.
  void prefetch(std::uint32_t id, int step) const noexcept;
  [[nodiscard]] std::uint32_t size() const noexcept;
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cdp
