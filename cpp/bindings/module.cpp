// The Python module `cdpstore._core`. Bindings convert, release the lock of the interpreter and delegate.
#include <pybind11/pybind11.h>

#include "base/build_info.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The engine of cdpstore.";
  module.attr("__version__") = std::string(cdp::version());
}
