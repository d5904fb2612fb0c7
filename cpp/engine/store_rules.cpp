#include "engine/store_rules.hpp"

#include "base/error.hpp"
#include "codec/normalise.hpp"
#include "query/document.hpp"
#include "query/spec.hpp"

namespace cdp {
namespace {

constexpr std::string_view kOthers = "*";

[[noreturn]] void fail(std::string message, std::string path) {
  throw Error(Family::kInvalidRequest, code::kDefinitionInvalid, std::move(message), std::move(path));
}

}  // namespace

RetentionRules parse_retention(std::string_view body) {
  RetentionRules rules;
  if (body.empty()) return rules;
  const Node node = parse_document({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()});
  const Path root;
  for (const auto& [name, window] : node.fields) {
    const Path path = root.field(name);
    const std::int64_t window_ms = parse_duration(window, path);
    if (name == kOthers) {
      rules.others = window_ms;
    } else {
      if (name.empty() || name.size() > limits::kNameBytes) fail_invalid(path, "an event name has 1 to 256 bytes");
      rules.of_name.emplace(name, window_ms);
    }
  }
  return rules;
}

void check_store_rule(std::string_view kind, std::string_view name, std::string_view body) {
  if (kind == kRetentionKind) {
    if (name != kRetentionName) fail("a store has one set of retention rules, named \"events\"", "name");
    try {
      static_cast<void>(parse_retention(body));
    } catch (const Error& error) {
      if (error.family() != Family::kBadQuery) throw;
      fail(error.what(), error.path().empty() ? "body" : "body." + error.path());
    }
  }
  if (kind == kBlockedKind && is_system_name(name)) fail("the store's own events cannot be blocked", "name");
}

}  // namespace cdp
