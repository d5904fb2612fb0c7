// Maps of identities, {kind: value}: normalised, generic ones left out, each distinct one once in the batch.
//
// A value that was seen before needs one hash and one comparison: what is in the table was checked and has its normal
// form, and a value without white space at its ends has that of every kind but email and phone.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "codec/decode_context.hpp"
#include "codec/index_table.hpp"

namespace cdp {

// The identities of one record, highest rank first.
struct IdentityList {
  struct Entry {
    std::uint64_t order = 0;     // rank, then place among the rules
    std::uint32_t identity = 0;  // into CanonicalBatch::identities
  };
  std::array<Entry, limits::kIdentitiesPerRecord> entries;
  std::uint32_t count = 0;

  void insert(Entry entry) noexcept {
    std::uint32_t at = count++;
    for (; at > 0 && entries[at - 1].order > entry.order; --at) entries[at] = entries[at - 1];
    entries[at] = entry;
  }
};

class IdentityField {
 public:
  // Throws kInvalidRequest when the options hold more than kKindsMax kinds.
  explicit IdentityField(DecodeContext& context);

  // Reads the map named `field`. False when refused; an empty result is not (see `refuse_none`).
  bool read(std::string_view field, IdentityList& out);
  // One identity of the kind at this place among the rules; `identity` stays kNone when the text names nobody.
  bool take(std::uint32_t kind, std::string_view text, std::uint32_t& identity);
  // The place of a kind among the rules, kNone when there is no such kind.
  [[nodiscard]] std::uint32_t place_of(std::string_view kind) const noexcept { return find_kind(kind, 0); }
  // The reject of a record whose field named nobody.
  bool refuse_none(std::string_view field);
  // Reads a map of exactly one identity; `kind` is its place among the rules.
  bool read_one(std::string_view field, std::uint32_t& identity, std::uint32_t& kind);
  [[nodiscard]] const KindRule& rule(std::uint32_t kind) const noexcept { return kinds_[kind].rule; }

  // Forgets the identities from `count` on, and kinds whose name lies beyond `string_count`: those of a refused record.
  // REQUIRES: the strings are still there.
  void truncate(std::uint32_t count, std::uint32_t string_count);

 private:
  struct Kind {
    KindRule rule;
    std::uint64_t hash_key = 0;    // hash_identity's key of this kind
    std::uint32_t string = kNone;  // its name in the batch's dictionary
    bool trims_only = true;        // its normal form only drops white space at the ends
  };

  std::uint32_t find_kind(std::string_view kind, std::uint32_t guess) const noexcept;
  bool read_value(Kind& kind, std::uint32_t& identity);
  bool normalise_value(Kind& kind, const Token& token, std::string_view text, std::uint32_t& identity);
  bool find_or_add(Kind& kind, const Token& token, std::string_view value, std::uint32_t& identity);
  [[nodiscard]] std::uint32_t find(const Kind& kind, std::string_view value, std::uint64_t hash) const;

  DecodeContext& context_;
  std::vector<Kind> kinds_;
  IndexTable table_;
  std::string scratch_;
};

}  // namespace cdp
