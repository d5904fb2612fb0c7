// What this build is: shown by Python, by `cdpstore doctor` and in bug reports.
#pragma once

#include <string_view>

namespace cdp {

// Version of the project, from CMakeLists.txt; pyproject.toml reads the same line.
[[nodiscard]] std::string_view version() noexcept;

}  // namespace cdp
