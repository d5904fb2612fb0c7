#include "bindings/convert.hpp"

namespace cdp::bindings {
namespace {

py::object& core_error() {
  static py::gil_safe_call_once_and_store<py::object> stored;
  return stored.call_once_and_store_result([] { return py::object(); }).get_stored();
}

}  // namespace

std::string_view family_name(Family family) noexcept {
  switch (family) {
    case Family::kBadQuery: return "BadQuery";
    case Family::kBadEvent: return "BadEvent";
    case Family::kBadFrame: return "BadFrame";
    case Family::kInvalidRequest: return "InvalidRequest";
    case Family::kNotFound: return "NotFound";
    case Family::kConflict: return "Conflict";
    case Family::kLimitExceeded: return "LimitExceeded";
    case Family::kUnavailable: return "Unavailable";
    case Family::kTimeout: return "Timeout";
    case Family::kCorruption: return "Corruption";
    case Family::kInternal: return "InternalError";
  }
  return "InternalError";
}

py::tuple error_tuple(const Error& error) {
  return py::make_tuple(family_name(error.family()), error.code(), error.what(), error.path());
}

// The core raises one exception whose args are (family, code, message, path); Python makes the family's class of it.
void bind_errors(py::module_& module) {
  core_error() = py::exception<Error>(module, "CoreError");
  py::register_local_exception_translator([](std::exception_ptr raised) {
    try {
      if (raised) std::rethrow_exception(raised);
    } catch (const Error& error) {
      PyErr_SetObject(core_error().ptr(), error_tuple(error).ptr());
    } catch (const std::bad_alloc&) {
      const Error error(Family::kUnavailable, code::kNoMemory, "there was no memory for it");
      PyErr_SetObject(core_error().ptr(), error_tuple(error).ptr());
    }
  });
}

}  // namespace cdp::bindings
