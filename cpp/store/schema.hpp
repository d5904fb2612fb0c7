// What has come in so far: event names with their volume and times, keys with the types of their values. Counted by apply
// from the shapes of each batch, of every event and trait operation accepted, whether retention has dropped them since or
// not. Cost: ~2 ns an event, ~20 ns a field of each shape in a batch; 16 bytes a (name, key, type).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/value.hpp"
#include "codec/canonical_batch.hpp"
#include "column/dictionary.hpp"

namespace cdp {

// By value, as it is given out.
struct TypeCount {
  std::string key;
  ValueType type{};
  std::uint64_t count = 0;
};
struct SchemaView {
  struct Event {
    std::string name;
    std::int64_t first_ms = 0;  // the least and the greatest time of its events
    std::int64_t last_ms = 0;
    std::uint64_t count = 0;
    std::vector<TypeCount> properties;  // by key, then type
  };
  struct Blocked {
    std::string name;
    std::uint64_t rejected = 0;  // since it was first blocked
    bool blocked = false;        // now
  };
  std::vector<Event> events;  // by name
  std::vector<TypeCount> traits;
  std::vector<Blocked> blocked;
  std::uint64_t watermark = 0;
};

class SchemaCounts {
 public:
  struct Seen {
    std::uint64_t count = 0;
    std::int64_t first_ms = INT64_MAX;
    std::int64_t last_ms = INT64_MIN;
    void add(std::int64_t time_ms) noexcept {
      ++count;
      first_ms = time_ms < first_ms ? time_ms : first_ms;
      last_ms = time_ms > last_ms ? time_ms : last_ms;
    }
  };
  // Accepted events of one shape of a batch.
  void add_events(NameId name, const Seen& seen, std::span<const ShapeField> fields,
                  std::span<const std::uint32_t> keys);
  void add_trait(KeyId key, ValueType type);

  void block(std::string_view name, bool blocked);
  [[nodiscard]] bool any_blocked() const noexcept { return !blocked_.empty(); }
  [[nodiscard]] bool is_blocked(std::string_view name) const;
  void count_blocked(std::string_view name);

  [[nodiscard]] SchemaView view(const Dictionary& names, const Dictionary& keys) const;
  [[nodiscard]] std::uint64_t size_bytes() const noexcept;

 private:
  struct Column {
    std::uint32_t key = 0;
    ValueType type{};
    std::uint64_t count = 0;
  };
  struct Name {
    Seen seen;
    std::vector<Column> columns;  // by (key, type)
  };
  static void add(std::vector<Column>& columns, std::uint32_t key, ValueType type, std::uint64_t count);
  static std::vector<TypeCount> told(const std::vector<Column>& columns, const Dictionary& keys);

  std::vector<Name> names_;  // by NameId
  std::vector<Column> traits_;
  std::map<std::string, std::pair<bool, std::uint64_t>, std::less<>> blocked_;  // now, rejected
};

}  // namespace cdp
