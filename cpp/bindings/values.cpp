// Values that C++ has no type for, as Python's own.
#include "bindings/convert.hpp"

// Behind Python.h, which convert.hpp brings:
#include <datetime.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/hash.hpp"

namespace cdp::bindings {
namespace {

// Python's own classes for what C++ has none for. Looked up once, kept for the life of the interpreter.
struct PythonTypes {
  py::object epoch;  // 1970-01-01 UTC
  py::object unpackb;
};

const PythonTypes& python_types() {
  static py::gil_safe_call_once_and_store<PythonTypes> stored;
  return stored
      .call_once_and_store_result([] {
        PyDateTime_IMPORT;
        if (PyDateTimeAPI == nullptr) throw py::error_already_set();
        const py::module_ datetime = py::module_::import("datetime");
        const py::object utc = datetime.attr("timezone").attr("utc");
        return PythonTypes{datetime.attr("datetime")(1970, 1, 1, py::arg("tzinfo") = utc),
                           py::module_::import("msgpack").attr("unpackb")};
      })
      .get_stored();
}

}  // namespace

py::object shared_text(std::string_view text) {
  constexpr std::size_t kEntries = 4'096, kBytes = 32;
  static std::array<PyObject*, kEntries> entries{};  // of ASCII only; under the GIL, for the life of the process
  const auto make = [text] { return PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())); };
  if (text.size() > kBytes) {
    PyObject* object = make();
    if (object == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
  }
  PyObject*& entry = entries[hash_bytes(text, 0) % kEntries];
  if (entry != nullptr && static_cast<std::size_t>(PyUnicode_GET_LENGTH(entry)) == text.size() &&
      std::memcmp(PyUnicode_1BYTE_DATA(entry), text.data(), text.size()) == 0) {
    return py::reinterpret_borrow<py::object>(entry);
  }
  PyObject* object = make();
  if (object == nullptr) throw py::error_already_set();
  if (PyUnicode_IS_ASCII(object)) {
    PyObject* const before = entry;
    entry = Py_NewRef(object);
    Py_XDECREF(before);
  }
  return py::reinterpret_steal<py::object>(object);
}

py::object datetime_of(std::int64_t time_ms) {
  constexpr std::int64_t kDayMs = 86'400'000;
  const py::object& epoch = python_types().epoch;
  const std::int64_t ms = (time_ms % kDayMs + kDayMs) % kDayMs, day = (time_ms - ms) / kDayMs;
  // Days beyond a timedelta's are beyond a datetime's all the more.
  const auto days = static_cast<int>(std::clamp<std::int64_t>(day, -999'999'999, 999'999'999));
  const auto since = py::reinterpret_steal<py::object>(
      PyDelta_FromDSU(days, static_cast<int>(ms / 1'000), static_cast<int>(ms % 1'000 * 1'000)));
  if (!since) throw py::error_already_set();
  return epoch + since;
}

py::object list_of(std::string_view msgpack) {
  return python_types().unpackb(py::bytes(msgpack.data(), msgpack.size()), py::arg("timestamp") = 3);
}

}  // namespace cdp::bindings
