// What bindings share: errors out, bytes in, tables out. Bindings convert, release the GIL and delegate; nothing else.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.hpp"
#include "engine/engine.hpp"
#include "query/table.hpp"

namespace cdp::bindings {

namespace py = pybind11;

[[nodiscard]] std::string_view family_name(Family family) noexcept;
// (family, code, message, path): what errors.from_core takes.
[[nodiscard]] py::tuple error_tuple(const Error& error);
// A short text that comes again and again (a key, a name, a value out of few) as one Python string made once: the table
// keeps the last of each hash, so it is bounded and needs no lifetime. Takes other texts too.
[[nodiscard]] py::object shared_text(std::string_view text);
// An aware datetime in UTC; the list (or items) in canonical msgpack.
[[nodiscard]] py::object datetime_of(std::int64_t time_ms);
[[nodiscard]] py::object list_of(std::string_view msgpack);
// (16 bytes, epoch, number), or nothing.
using ProducerTuple = std::tuple<py::bytes, std::uint32_t, std::uint64_t>;
[[nodiscard]] std::optional<Producer> producer_of(const std::optional<ProducerTuple>& given);
void bind_errors(py::module_& module);
void bind_table(py::module_& module);
void bind_engine(py::module_& module);
// Shared: a stream of rows that another library reads keeps its engine alive.
using EngineClass = py::class_<Engine, std::shared_ptr<Engine>>;
void bind_profile(py::module_& module, EngineClass& engine);
void bind_arrow(py::module_& module, EngineClass& engine);

// REQUIRES: the bytes object outlives the span (pybind holds the argument for the call).
[[nodiscard]] inline std::string_view view(const py::bytes& bytes) {
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(bytes.ptr(), &data, &size) != 0) throw py::error_already_set();
  return {data, static_cast<std::size_t>(size)};
}
template <class Byte>
[[nodiscard]] std::span<const Byte> span_of(std::string_view text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

}  // namespace cdp::bindings
