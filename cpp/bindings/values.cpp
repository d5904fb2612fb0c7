// Values that C++ has no type for, as Python's own.
#include "bindings/convert.hpp"

namespace cdp::bindings {
namespace {

// Python's own classes for what C++ has none for. Looked up once, kept for the life of the interpreter.
struct PythonTypes {
  py::object epoch;  // 1970-01-01 UTC
  py::object timedelta;
  py::object unpackb;
};

const PythonTypes& python_types() {
  static py::gil_safe_call_once_and_store<PythonTypes> stored;
  return stored
      .call_once_and_store_result([] {
        const py::module_ datetime = py::module_::import("datetime");
        const py::object utc = datetime.attr("timezone").attr("utc");
        return PythonTypes{datetime.attr("datetime")(1970, 1, 1, py::arg("tzinfo") = utc), datetime.attr("timedelta"),
                           py::module_::import("msgpack").attr("unpackb")};
      })
      .get_stored();
}

}  // namespace

py::object datetime_of(std::int64_t time_ms) {
  return python_types().epoch + python_types().timedelta(py::arg("milliseconds") = time_ms);
}

py::object list_of(std::string_view msgpack) {
  return python_types().unpackb(py::bytes(msgpack.data(), msgpack.size()), py::arg("timestamp") = 3);
}

}  // namespace cdp::bindings
