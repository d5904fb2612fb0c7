// The Python module `cdpstore._core`. Bindings convert, release the lock of the interpreter and delegate.
#include "base/build_info.hpp"
#include "bindings/convert.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The engine of cdpstore.";
  module.attr("__version__") = std::string(cdp::version());
  cdp::bindings::bind_errors(module);
  cdp::bindings::bind_table(module);
  cdp::bindings::bind_engine(module);
}
