// The engine's face in Python: one crossing a batch, the GIL released around each.
#include "engine/engine.hpp"

#include <array>
#include <cstring>

#include "bindings/convert.hpp"
#include "query/zone_names.hpp"

namespace cdp::bindings {

std::optional<Producer> producer_of(const std::optional<ProducerTuple>& given) {
  if (!given) return std::nullopt;
  Producer producer;
  const std::string_view id = view(std::get<0>(*given));
  if (id.size() != producer.id.size()) {
    throw Error(Family::kInvalidRequest, code::kRecordFieldType, "a producer has 16 bytes", "producer");
  }
  std::memcpy(producer.id.data(), id.data(), id.size());
  producer.epoch = std::get<1>(*given);
  producer.number = std::get<2>(*given);
  return producer;
}

namespace {

py::tuple ack_tuple(const Ack& ack) {
  py::list rejects;
  for (const OwnedReject& reject : ack.rejects) {
    // `value` is cut at a byte limit: it may end inside a character.
    const py::str value = py::reinterpret_steal<py::str>(
        PyUnicode_DecodeUTF8(reject.value.data(), static_cast<Py_ssize_t>(reject.value.size()), "replace"));
    const py::str path = py::reinterpret_steal<py::str>(
        PyUnicode_DecodeUTF8(reject.path.data(), static_cast<Py_ssize_t>(reject.path.size()), "replace"));
    rejects.append(py::make_tuple(reject.index, reject.code, path, value, reject.expected));
  }
  return py::make_tuple(ack.sequence, ack.accepted, ack.duplicates, rejects);
}

std::shared_ptr<Engine> open(const std::string& path, std::uint32_t shards, std::uint32_t workers,
                             std::uint64_t hash_key, std::int64_t now_ms, bool background) {
  const py::gil_scoped_release released;
  OpenOptions options;
  options.path = path;
  options.shard_count = shards;
  options.worker_count = workers;
  options.hash_key = hash_key;
  options.now_ms = now_ms;
  options.background = background;
  return Engine::open(options);
}

Ticket submit(Engine& engine, const py::bytes& batch, std::int64_t received_ms,
              const std::optional<ProducerTuple>& producer, const std::string& source, bool system, bool wanted) {
  Submission submission;
  submission.bytes = span_of<std::byte>(view(batch));
  submission.received_ms = received_ms;
  submission.producer = producer_of(producer);
  submission.source_id = source;
  submission.system = system;
  submission.wanted = wanted;
  const py::gil_scoped_release released;
  return engine.submit(submission);
}

py::tuple wait(Engine& engine, Ticket ticket) {
  Outcome outcome;
  {
    const py::gil_scoped_release released;
    outcome = engine.wait(ticket);
  }
  if (outcome.error) throw *outcome.error;
  return ack_tuple(outcome.ack);
}

py::list poll(Engine& engine) {
  py::list out;
  for (const auto& [ticket, outcome] : engine.poll()) {
    const py::object error = outcome.error ? py::object(error_tuple(*outcome.error)) : py::none();
    out.append(py::make_tuple(ticket, ack_tuple(outcome.ack), error));
  }
  return out;
}

std::shared_ptr<Table> query(const Engine& engine, const py::bytes& spec, std::int64_t now_ms, std::uint32_t threads,
                             bool force_rows) {
  const auto bytes = span_of<std::uint8_t>(view(spec));
  const py::gil_scoped_release released;
  QueryOptions options;
  options.now_ms = now_ms;
  options.threads = threads;
  options.force_rows = force_rows;
  return std::make_shared<Table>(engine.query(bytes, options));
}

py::list transitions(const Engine& engine, std::uint64_t cursor, std::size_t limit) {
  py::list out;
  for (const Transition& transition : engine.transitions(cursor, limit)) {
    out.append(py::make_tuple(transition.cursor, transition.name, transition.profile_id, transition.entered,
                              transition.sequence, transition.time_ms, cause_name(transition.cause)));
  }
  return out;
}

py::list definitions(const Engine& engine) {
  py::list out;
  for (const Definition& definition : engine.definitions()) {
    out.append(py::make_tuple(definition.kind, definition.name, py::bytes(definition.body)));
  }
  return out;
}

py::list type_counts(const std::vector<TypeCount>& counts) {
  py::list out;
  for (const TypeCount& count : counts) {
    out.append(py::make_tuple(count.key, static_cast<unsigned>(count.type), count.count));
  }
  return out;
}

py::tuple schema(const Engine& engine) {
  SchemaView found;
  {
    const py::gil_scoped_release released;
    found = engine.schema();
  }
  py::list events, blocked;
  for (const SchemaView::Event& event : found.events) {
    events.append(
        py::make_tuple(event.name, event.first_ms, event.last_ms, event.count, type_counts(event.properties)));
  }
  for (const SchemaView::Blocked& name : found.blocked) {
    blocked.append(py::make_tuple(name.name, name.rejected, name.blocked));
  }
  return py::make_tuple(events, type_counts(found.traits), blocked, found.watermark);
}

py::list memory(const Engine& engine) {
  py::list out;
  for (const MemoryPart& part : engine.memory()) {
    out.append(py::make_tuple(part.part, part.size_bytes, part.count));
  }
  return out;
}

py::dict stages(const Engine& engine) {
  py::dict out;
  for (const StageTime& time : engine.stages()) out[py::str(time.stage)] = py::make_tuple(time.count, time.total_ns);
  return out;
}

py::array members(const Engine& engine, const std::string& name) {
  const std::vector<std::uint64_t> ids = engine.members(name);
  return py::array_t<std::uint64_t>(static_cast<py::ssize_t>(ids.size()), ids.data());
}

}  // namespace

void bind_engine(py::module_& module) {
  using released = py::call_guard<py::gil_scoped_release>;
  EngineClass engine_class(module, "Engine");
  engine_class
      .def(py::init(&open), py::kw_only(), py::arg("path"), py::arg("shards"), py::arg("workers"), py::arg("hash_key"),
           py::arg("now_ms"), py::arg("background"))
      .def("close", &Engine::close, released())
      .def("submit", &submit, py::arg("batch"), py::arg("received_ms"), py::kw_only(), py::arg("producer") = py::none(),
           py::arg("source") = "", py::arg("system") = false, py::arg("wanted") = true)
      .def("submit_define", [](Engine& engine, std::int64_t now_ms, const std::string& kind, const std::string& name,
                               const py::bytes& body) { return engine.submit_define(now_ms, kind, name, view(body)); })
      .def("submit_tick", &Engine::submit_tick)
      .def("wait", &wait)
      .def("poll", &poll)
      .def("event_fd", &Engine::event_fd)
      .def("flush", &Engine::flush, released())
      .def("query", &query, py::arg("spec"), py::arg("now_ms"), py::arg("threads") = 0, py::arg("force_rows") = false)
      .def("cancel_queries", &Engine::cancel_queries)
      .def("transitions", &transitions)
      .def("definitions", &definitions)
      .def("members", &members)
      .def("schema", &schema)
      .def("seal_now", &Engine::seal_now, released())
      .def("compact", &Engine::compact, released())
      .def("digest", &Engine::digest, released())
      .def("memory", &memory)
      .def("stages", &stages)
      .def("verify", &Engine::verify, released())
      .def("engine_ms", [](const Engine& engine) { return engine.pin()->tick_ms; })
      .def("watermark", [](const Engine& engine) { return engine.pin()->watermark; })
      .def("add_zone", [](Engine& engine, const std::string& name,
                          const std::vector<std::pair<std::int64_t, std::int64_t>>& transitions,
                          const std::string& table) { engine.add_zone(name, transitions, table); });
  module.def("set_zone_names", &set_zone_names);
  bind_profile(module, engine_class);
  bind_arrow(module, engine_class);
}

}  // namespace cdp::bindings
