// The Python module `cdpstore._core`. Bindings convert, release the lock of the interpreter and delegate.
#include <cstdlib>

#include "base/build_info.hpp"
#include "bindings/convert.hpp"
#include "simd/level.hpp"

namespace {

// CDPSTORE_SIMD=scalar|avx2|avx512 takes a lower level than the processor's best; other values are an error of import.
void choose_level() {
  const char* wanted = std::getenv("CDPSTORE_SIMD");
  if (wanted == nullptr || *wanted == '\0') return;
  const auto level = cdp::simd::parse_level(wanted);
  if (!level) throw pybind11::import_error("CDPSTORE_SIMD: expected scalar, avx2 or avx512");
  cdp::simd::set_level(*level);
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  module.doc() = "The engine of cdpstore.";
  choose_level();
  module.attr("simd") = std::string(cdp::simd::level_name(cdp::simd::current_level()));
  module.attr("__version__") = std::string(cdp::version());
  cdp::bindings::bind_errors(module);
  cdp::bindings::bind_table(module);
  cdp::bindings::bind_engine(module);
}
