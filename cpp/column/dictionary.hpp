// Append-only strings <-> dense numbers. One writer (apply); any number of readers while it grows: `at` and `size` never
// block, `find` takes a shared lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace cdp {

class Dictionary {
 public:
  explicit Dictionary(std::uint64_t hash_key);
  ~Dictionary();
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  // The number of `text`, new if unseen. Writer only.
  std::uint32_t intern(std::string_view text);
  // Interns many at once behind prefetches. Writer only. REQUIRES: out.size() == texts.size().
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view text) const;
  [[nodiscard]] std::string_view at(std::uint32_t id) const noexcept;  // REQUIRES: id < size()
  [[nodiscard]] std::uint32_t size() const noexcept;
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cdp
