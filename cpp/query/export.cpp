#include "query/export.hpp"

#include "query/export_kinds.hpp"

namespace cdp {

std::shared_ptr<const Export> Export::bind(const VersionPtr& version, std::span<const std::uint8_t> spec,
                                           const ExportOptions& options) {
  const ExportSpec parsed = parse_export_spec(spec);
  const std::int64_t now_ms = parsed.now_ms.value_or(options.now_ms);
  require_zones(*version, parsed.zones, now_ms);
  switch (parsed.what) {
    case ExportSpec::What::kEvents: return export_events(version, parsed, now_ms, options);
    case ExportSpec::What::kProfiles: return export_profiles(version, parsed, now_ms, options);
    case ExportSpec::What::kFacts: return export_facts(version, parsed, now_ms, options);
    case ExportSpec::What::kGroups: break;
  }
  return export_groups(version, parsed, now_ms, options);
}

}  // namespace cdp
