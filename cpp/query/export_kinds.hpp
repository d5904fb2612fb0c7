// The list of exports: one file each.
#pragma once

#include <memory>

#include "query/export.hpp"
#include "query/export_spec.hpp"

namespace cdp {

[[nodiscard]] std::shared_ptr<const Export> export_events(const VersionPtr& version, const ExportSpec& spec,
                                                          std::int64_t now_ms, const ExportOptions& options);
[[nodiscard]] std::shared_ptr<const Export> export_profiles(const VersionPtr& version, const ExportSpec& spec,
                                                            std::int64_t now_ms, const ExportOptions& options);
[[nodiscard]] std::shared_ptr<const Export> export_facts(const VersionPtr& version, const ExportSpec& spec,
                                                         std::int64_t now_ms, const ExportOptions& options);
[[nodiscard]] std::shared_ptr<const Export> export_groups(const VersionPtr& version, const ExportSpec& spec,
                                                          std::int64_t now_ms, const ExportOptions& options);

}  // namespace cdp
