// Rows out to whoever speaks Arrow's C stream interface: duckdb, polars, pandas, pyarrow. No other library is needed here.
//
// A capsule named "arrow_array_stream" owns the stream until a consumer moves it out. Streams take no GIL: a consumer reads, and
// releases, on any thread.
#include <cerrno>
#include <string>
#include <utility>

#include "bindings/convert.hpp"
#include "codec/arrow_abi.hpp"
#include "engine/load.hpp"
#include "query/export.hpp"

namespace cdp::bindings {
namespace {

constexpr const char* kStreamCapsule = "arrow_array_stream";
constexpr const char* kSchemaCapsule = "arrow_schema";

struct SharedExport {
  std::shared_ptr<const Engine> engine;  // first: what the rows lie in ends last
  std::shared_ptr<const Export> rows;
};

// One reading of an export. Whoever reads gets errors as text; the first one ends the stream.
struct Reading {
  explicit Reading(const SharedExport& given) : of(given), reader(of.rows->open()) {}
  SharedExport of;
  std::unique_ptr<ExportReader> reader;
  std::string error;
  int failed = 0;
};

template <class Work>
int guarded(ArrowArrayStream* stream, Work&& work) noexcept {
  auto& reading = *static_cast<Reading*>(stream->private_data);
  if (reading.failed != 0) return reading.failed;
  try {
    work(reading);
    return 0;
  } catch (const Error& error) {
    reading.failed = error.family() == Family::kTimeout ? ECANCELED : EINVAL;
    reading.error.assign(error.code()).append(": ").append(error.what());
  } catch (const std::bad_alloc&) {
    reading.failed = ENOMEM;
  } catch (const std::exception& error) {
    reading.failed = EIO;
    reading.error = error.what();
  }
  return reading.failed;
}

int get_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  return guarded(stream, [out](Reading& reading) { give_schema(reading.of.rows->fields(), *out); });
}

int get_next(ArrowArrayStream* stream, ArrowArray* out) {
  return guarded(stream, [out](Reading& reading) {
    *out = {};  // released: the end
    ExportBatch batch;
    if (reading.reader->next(batch)) give_batch(std::move(batch.columns), batch.row_count, *out);
  });
}

const char* get_last_error(ArrowArrayStream* stream) {
  const auto& reading = *static_cast<const Reading*>(stream->private_data);
  if (reading.failed == 0) return nullptr;
  return reading.error.empty() ? "there was no memory for the next rows" : reading.error.c_str();
}

void release_stream(ArrowArrayStream* stream) {
  delete static_cast<Reading*>(stream->private_data);
  stream->private_data = nullptr;
  stream->release = nullptr;
}

template <class Struct>
void free_capsule(PyObject* capsule, const char* name) {
  auto* given = static_cast<Struct*>(PyCapsule_GetPointer(capsule, name));
  if (given == nullptr) return PyErr_Clear();
  if (given->release != nullptr) given->release(given);
  delete given;
}

template <class Struct>
py::object capsule_of(std::unique_ptr<Struct> given, const char* name, PyCapsule_Destructor destructor) {
  PyObject* capsule = PyCapsule_New(given.get(), name, destructor);
  if (capsule == nullptr) {
    given->release(given.get());
    throw py::error_already_set();
  }
  given.release();  // the capsule's now
  return py::reinterpret_steal<py::object>(capsule);
}

py::object stream_of(const SharedExport& rows, [[maybe_unused]] const py::object& requested_schema) {
  auto stream = std::make_unique<ArrowArrayStream>();
  *stream = {get_schema, get_next, get_last_error, release_stream, new Reading(rows)};
  return capsule_of(std::move(stream), kStreamCapsule,
                    [](PyObject* capsule) { free_capsule<ArrowArrayStream>(capsule, kStreamCapsule); });
}

py::object schema_of(const SharedExport& rows) {
  auto schema = std::make_unique<ArrowSchema>();
  give_schema(rows.rows->fields(), *schema);
  return capsule_of(std::move(schema), kSchemaCapsule,
                    [](PyObject* capsule) { free_capsule<ArrowSchema>(capsule, kSchemaCapsule); });
}

std::shared_ptr<SharedExport> bind_rows(const std::shared_ptr<Engine>& engine, const py::bytes& spec,
                                        std::int64_t now_ms) {
  const auto bytes = span_of<std::uint8_t>(view(spec));
  const py::gil_scoped_release released;
  return std::make_shared<SharedExport>(SharedExport{engine, engine->bind_export(bytes, now_ms)});
}

// ---- rows in

// Moves the stream out of its capsule; whoever made it may have come with an older or a foreign one.
std::shared_ptr<ArrowLoad> open_load(const py::object& capsule, const py::bytes& spec) {
  auto* const stream = static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule.ptr(), kStreamCapsule));
  if (stream == nullptr) {
    PyErr_Clear();
    throw Error(Family::kInvalidRequest, code::kArrowInvalid, "expected a capsule with a stream", "rows");
  }
  const auto bytes = span_of<std::uint8_t>(view(spec));
  const py::gil_scoped_release released;
  return std::make_shared<ArrowLoad>(*stream, bytes);
}

py::object submit_rows(Engine& engine, ArrowLoad& load, std::int64_t received_ms,
                       const std::optional<ProducerTuple>& producer, const std::string& source) {
  Submission submission;
  submission.received_ms = received_ms;
  submission.producer = producer_of(producer);
  submission.source_id = source;
  std::optional<Engine::LoadTicket> taken;
  {
    const py::gil_scoped_release released;
    taken = engine.submit_rows(load, submission);
  }
  if (!taken) return py::none();
  return py::make_tuple(taken->ticket, taken->first_row, taken->row_count);
}

}  // namespace

void bind_arrow(py::module_& module, EngineClass& engine) {
  py::class_<SharedExport, std::shared_ptr<SharedExport>>(module, "Export")
      .def("__arrow_c_stream__", &stream_of, py::arg("requested_schema") = py::none())
      .def("__arrow_c_schema__", &schema_of)
      .def_property_readonly("names",
                             [](const SharedExport& rows) {
                               py::list out;
                               for (const ArrowField& field : rows.rows->fields()) out.append(field.name);
                               return out;
                             })
      .def_property_readonly("watermark", [](const SharedExport& rows) { return rows.rows->watermark(); })
      .def_property_readonly("now_ms", [](const SharedExport& rows) { return rows.rows->now_ms(); });
  py::class_<ArrowLoad, std::shared_ptr<ArrowLoad>>(module, "Load")
      .def(py::init(&open_load), py::arg("capsule"), py::arg("spec"))
      .def("skip", &ArrowLoad::skip, py::call_guard<py::gil_scoped_release>());
  engine.def("submit_rows", &submit_rows, py::arg("load"), py::arg("received_ms"), py::kw_only(),
             py::arg("producer") = py::none(), py::arg("source") = "");
  engine.def("bind_export", &bind_rows, py::arg("spec"), py::arg("now_ms"));
}

}  // namespace cdp::bindings
