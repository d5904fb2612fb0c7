// The list of kinds. To add one: its file here (struct of its spec, parse, bind, Kind), and one line in kinds.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "query/kernel.hpp"
#include "query/moment.hpp"
#include "query/spec.hpp"

namespace cdp {

class Zone;

// What a spec is bound to: a pinned version and the instant of the query. Lives as long as the Kind it makes.
struct Binding {
  const Version& version;
  const CommonSpec& common;
  TimeRange range;  // resolved, end ≤ now + 1
  std::int64_t now_ms = 0;
  const Zone& zone;              // of common.zone
  Mentions* mentions = nullptr;  // as in Moment
  Budget* budget = nullptr;
  // Notes a property that the question reads, when the store has never seen it.
  void note_property(const std::string& key) const;
  [[nodiscard]] Moment moment() const noexcept { return {now_ms, &zone, mentions, budget}; }
};

// A question whose answer has, beside the breakdown, the numbers of `column`.
struct CountedKind {
  std::unique_ptr<KindSpec> kind;
  std::string column;
};

// A kind's own fields, parsed and validated without any store.
struct KindSpec {
  virtual ~KindSpec() = default;
  // Resolves names and keys against the version. Names the store has never seen select nothing.
  [[nodiscard]] virtual std::unique_ptr<Kind> bind(const Binding& binding) const = 0;
  // How often each group of a breakdown is counted, over the whole range. REQUIRES: a kind that takes breakdowns.
  [[nodiscard]] virtual CountedKind counted() const { return {}; }
  // The same by the kind that answers one profile's rows and nothing else: what it costs grows with those alone.
  [[nodiscard]] virtual std::unique_ptr<Kind> bind_for_rows(const Binding& binding) const { return bind(binding); }
  // Why its cells can not be clauses of a live segment, where each event asks anew, for ever; empty when they can.
  [[nodiscard]] virtual std::string_view needs_question([[maybe_unused]] const CommonSpec& common) const {
    return "of questions, cells of a funnel or retention alone are kept up by a live segment";
  }
  // Whether it is about events of any name, those that nobody has sent yet among them.
  [[nodiscard]] virtual bool reads_any_event() const { return true; }
  // Throws BadQuery under the question's path when its cells are no counts of profiles.
  virtual void check_cells([[maybe_unused]] const Path& question) const {}
};

struct KindEntry {
  std::string_view name;
  // Takes the kind's own fields (the common ones are taken already; the caller calls done()). May refuse common fields
  // that mean nothing to it (query.unsupported, with their path).
  std::unique_ptr<KindSpec> (*parse)(Fields& fields, const CommonSpec& common);
};
[[nodiscard]] std::span<const KindEntry> kinds() noexcept;

// In the kinds' own files.
std::unique_ptr<KindSpec> parse_explain(Fields& fields, const CommonSpec& common);
std::unique_ptr<KindSpec> parse_overlap(Fields& fields, const CommonSpec& common);
std::unique_ptr<KindSpec> parse_trend(Fields& fields, const CommonSpec& common);
std::unique_ptr<KindSpec> parse_funnel(Fields& fields, const CommonSpec& common);
std::unique_ptr<KindSpec> parse_retention(Fields& fields, const CommonSpec& common);
std::unique_ptr<KindSpec> parse_profiles(Fields& fields, const CommonSpec& common);

}  // namespace cdp
