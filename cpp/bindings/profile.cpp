// A point read in one crossing: plain arguments in, the model's own structs out, the GIL held throughout.
//
// The GIL is kept because giving it up and taking it again costs as much as the read, and a thread that waits for it may
// wait for milliseconds. Only a read without a bound on its events gives it up while it gathers them.
#include "query/kinds/profile.hpp"

#include <array>
#include <bit>
#include <optional>
#include <span>
#include <utility>

#include "base/limits.hpp"
#include "bindings/convert.hpp"
#include "codec/fact_spec.hpp"
#include "engine/engine.hpp"
#include "query/as_of.hpp"
#include "query/kinds/group.hpp"
#include "query/segment_tests.hpp"
#include "query/segments.hpp"
#include "query/spec.hpp"
#include "store/links.hpp"

namespace cdp::bindings {
namespace {

constexpr std::uint64_t kInlineEvents = 1'000;  // read with the GIL held: ~0.2 ms

// The classes of an answer, given once by `cdpstore.store`.
struct Model {
  py::object answer, identity, operation, event, device, consent, change, membership, listed, suppression, group;
};

Model& model() {
  static py::gil_safe_call_once_and_store<Model> stored;
  return stored.call_once_and_store_result([] { return Model{}; }).get_stored();
}

// ---- arguments. Nothing is decided here that the spec's validator decides: what is not plain goes to it.

std::optional<std::string_view> plain_text(PyObject* object, std::size_t bytes_max) {
  if (!PyUnicode_CheckExact(object)) return std::nullopt;
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (text == nullptr) PyErr_Clear();  // a lone surrogate
  if (text == nullptr || static_cast<std::size_t>(size) > bytes_max) return std::nullopt;
  return std::string_view(text, static_cast<std::size_t>(size));
}

std::optional<std::int64_t> plain_int(PyObject* object) {
  if (!PyLong_CheckExact(object)) return std::nullopt;
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow != 0) return std::nullopt;
  return value;
}

bool read_ids(PyObject* ids, ProfileSpec& out) {
  if (const std::optional<std::int64_t> id = plain_int(ids)) {
    if (*id < 0) return false;
    out.profile = static_cast<std::uint64_t>(*id);
    return true;
  }
  if (!PyDict_CheckExact(ids) || PyDict_GET_SIZE(ids) == 0) return false;
  if (static_cast<std::size_t>(PyDict_GET_SIZE(ids)) > limits::kIdentitiesPerRecord) return false;
  PyObject *kind = nullptr, *value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(ids, &at, &kind, &value) != 0;) {
    const auto kind_text = plain_text(kind, limits::kNameBytes);
    const auto value_text = plain_text(value, limits::kStringBytes);
    if (!kind_text || !value_text) return false;
    out.ids.emplace_back(*kind_text, *value_text);
  }
  settle_ids(out);
  return true;
}

bool read_names(PyObject* names, ProfileSpec& out) {
  if (!PyList_CheckExact(names) || static_cast<std::size_t>(PyList_GET_SIZE(names)) > limits::kQueryNames) return false;
  for (Py_ssize_t at = 0; at < PyList_GET_SIZE(names); ++at) {
    const auto name = plain_text(PyList_GET_ITEM(names, at), limits::kNameBytes);
    if (!name || name->empty()) return false;
    out.names.emplace_back(*name);
  }
  return true;
}

bool read_option(std::string_view name, PyObject* value, ProfileSpec& out) {
  if (name == "limit") {
    const std::optional<std::int64_t> limit = plain_int(value);
    if (!limit || *limit < 0 || *limit > limits::kQueryRows) return false;
    out.limit = static_cast<std::uint64_t>(*limit);
    return true;
  }
  if (name == "newest_first") {
    out.newest_first = value == Py_True;
    return PyBool_Check(value);
  }
  return name == "names" && read_names(value, out);
}

bool read_events(PyObject* events, ProfileSpec& out) {
  out.with_events = true;
  if (events == Py_None) return true;
  if (!PyDict_CheckExact(events)) return false;
  PyObject *key = nullptr, *value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(events, &at, &key, &value) != 0;) {
    const auto name = plain_text(key, limits::kNameBytes);
    if (!name || !read_option(*name, value, out)) return false;
  }
  return true;
}

// ---- the answer

PyObject* steal(PyObject* object) {
  if (object == nullptr) throw py::error_already_set();
  return object;
}

py::object int_of(std::int64_t value) { return py::reinterpret_steal<py::object>(steal(PyLong_FromLongLong(value))); }

py::object to_python(const AnswerValue& value) {
  switch (value.type) {
    case ValueType::kNull: return py::none();
    case ValueType::kBool: return py::bool_(value.bits != 0);
    case ValueType::kInt: return int_of(static_cast<std::int64_t>(value.bits));
    case ValueType::kFloat: return py::float_(std::bit_cast<double>(value.bits));
    case ValueType::kString: return shared_text(value.text);
    case ValueType::kDatetime: return datetime_of(static_cast<std::int64_t>(value.bits));
    case ValueType::kList:
    case ValueType::kItems: return list_of(value.text);
  }
  return py::none();
}

py::object to_dict(std::span<const std::pair<std::string_view, AnswerValue>> fields) {
  auto out = py::reinterpret_steal<py::object>(steal(PyDict_New()));
  for (const auto& [key, value] : fields) {
    if (PyDict_SetItem(out.ptr(), shared_text(key).ptr(), to_python(value).ptr()) != 0) throw py::error_already_set();
  }
  return out;
}

std::string_view kind_name(TraitKind kind) {
  switch (kind) {
    case TraitKind::kSet: return "set";
    case TraitKind::kSetOnce: return "set_once";
    case TraitKind::kUnset: return "unset";
    case TraitKind::kIncrement: return "increment";
    case TraitKind::kAppend: return "append";
    case TraitKind::kRemove: return "remove";
  }
  return "";
}

template <class... Fields>
PyObject* make(const py::object& type, const Fields&... fields) {
  // One free place before the arguments: what a call would else copy them for.
  std::array<PyObject*, sizeof...(Fields) + 1> arguments{nullptr, fields.ptr()...};
  return steal(PyObject_Vectorcall(type.ptr(), arguments.data() + 1, sizeof...(Fields) | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                   nullptr));
}

// A tuple of what `make_one` gives for each.
template <class Items, class MakeOne>
py::object tuple_of(const Items& items, MakeOne&& make_one) {
  auto out = py::reinterpret_steal<py::object>(steal(PyTuple_New(static_cast<Py_ssize_t>(items.size()))));
  Py_ssize_t at = 0;
  for (const auto& item : items) PyTuple_SET_ITEM(out.ptr(), at++, make_one(item));
  return out;
}

py::object history_of(std::span<const AnswerOperation> operations) {
  return tuple_of(operations, [](const AnswerOperation& operation) {
    return make(model().operation, shared_text(operation.key), shared_text(kind_name(operation.kind)),
                to_python(operation.value), int_of(operation.time_ms));
  });
}

// ---- facts

py::object text_of(const std::optional<std::string_view>& text) {
  return text ? shared_text(*text) : py::object(py::none());
}

py::object subject_text(std::string_view text) { return text.empty() ? py::object(py::none()) : shared_text(text); }

// Milliseconds, None for 0.
py::object time_of(std::int64_t time_ms) { return time_ms == 0 ? py::object(py::none()) : int_of(time_ms); }

const std::vector<AnswerFact>& facts_of(const ProfileAnswer& answer, FactType type) {
  return answer.facts[static_cast<std::size_t>(type)];
}

py::object devices_of(const ProfileAnswer& answer) {
  return tuple_of(facts_of(answer, FactType::kDevice), [](const AnswerFact& device) {
    const Fact& fact = device.fact;
    const bool is_dead = fact.state == fact::kDead;
    return make(model().device, shared_text(device.subject[0]), text_of(device.texts[fact::kPlatform]),
                text_of(device.texts[fact::kToken]), text_of(device.texts[fact::kAppVersion]),
                text_of(device.texts[fact::kZone]), int_of(fact.first_ms), time_of(fact.last_ms[fact::kSeen]),
                is_dead ? int_of(fact.since_ms) : py::object(py::none()), text_of(device.texts[fact::kReason]));
  });
}

py::object consents_of(const ProfileAnswer& answer) {
  const FactSpec& spec = spec_of(FactType::kConsent);
  return tuple_of(facts_of(answer, FactType::kConsent), [&](const AnswerFact& consent) {
    return make(model().consent, shared_text(consent.subject[0]), subject_text(consent.subject[1]),
                shared_text(spec.states[consent.fact.state]), text_of(consent.texts[0]),
                int_of(consent.fact.time_ms()));
  });
}

// Those that are so now: the first state of their type.
std::vector<const AnswerFact*> present(const ProfileAnswer& answer, FactType type) {
  std::vector<const AnswerFact*> out;
  for (const AnswerFact& each : facts_of(answer, type)) {
    if (each.fact.state == 0) out.push_back(&each);
  }
  return out;
}

py::object groups_of(const ProfileAnswer& answer) {
  return tuple_of(present(answer, FactType::kMembership), [](const AnswerFact* membership) {
    return make(model().membership, shared_text(membership->subject[0]), shared_text(membership->subject[1]),
                text_of(membership->texts[0]), int_of(membership->fact.since_ms), to_dict(membership->traits));
  });
}

py::object lists_of(const ProfileAnswer& answer) {
  return tuple_of(present(answer, FactType::kList), [](const AnswerFact* list) {
    return make(model().listed, shared_text(list->subject[0]), int_of(list->fact.since_ms));
  });
}

py::object suppression_of(const ProfileAnswer& answer) {
  const std::vector<const AnswerFact*> found = present(answer, FactType::kSuppress);
  if (found.empty()) return py::none();
  return py::reinterpret_steal<py::object>(
      make(model().suppression, int_of(found.front()->fact.since_ms), text_of(found.front()->texts[0])));
}

py::object changes_of(const ProfileAnswer& answer) {
  return tuple_of(answer.changes, [](const AnswerChange& change) {
    const FactSpec& spec = spec_of(change.type);
    const auto subject = py::reinterpret_steal<py::dict>(steal(PyDict_New()));
    for (std::size_t place = 0; place < spec.subjects.size(); ++place) {
      if (!change.subject[place].empty()) {
        subject[shared_text(spec.subjects[place].name)] = shared_text(change.subject[place]);
      }
    }
    const auto fields = py::reinterpret_steal<py::dict>(steal(PyDict_New()));
    for (const auto& [field, text] : change.texts) fields[shared_text(spec.texts[field].name)] = text_of(text);
    return make(model().change, shared_text(spec.name), subject, shared_text(spec.states[change.state]), fields,
                int_of(change.time_ms));
  });
}

py::object answer_of(const ProfileAnswer& answer) {
  const Model& types = model();
  const auto identities = tuple_of(answer.identities, [&](const IdentityEntry& identity) {
    return make(types.identity, shared_text(identity.kind),
                py::reinterpret_steal<py::object>(steal(PyUnicode_FromStringAndSize(
                    identity.value.data(), static_cast<Py_ssize_t>(identity.value.size())))));
  });
  const py::object history = history_of(answer.trait_history);
  const std::span properties(answer.properties);
  const auto events = tuple_of(answer.events, [&](const AnswerEvent& event) {
    return make(types.event, shared_text(event.name), int_of(event.time_ms),
                to_dict(properties.subspan(event.first_property, event.property_count)));
  });
  const py::object created = answer.created_ms ? int_of(*answer.created_ms) : py::none();
  return py::reinterpret_steal<py::object>(make(
      types.answer, int_of(static_cast<std::int64_t>(answer.profile_id)), identities, to_dict(answer.traits), history,
      events, created, int_of(static_cast<std::int64_t>(answer.watermark)), int_of(answer.now_ms), devices_of(answer),
      consents_of(answer), changes_of(answer), groups_of(answer), lists_of(answer), suppression_of(answer)));
}

py::object read(const Engine& engine, const ProfileSpec& spec, std::int64_t now_ms) {
  if (!model().answer) throw Error(Family::kInternal, code::kInternal, "no classes were given for answers");
  std::optional<ProfileAnswer> answer;
  VersionPtr version = engine.pin();  // strings of the answer live in it
  {
    std::optional<py::gil_scoped_release> released;
    if (spec.as_of_ms || (spec.with_events && spec.limit > kInlineEvents)) released.emplace();
    if (spec.as_of_ms) version = version_as_of(version, *spec.as_of_ms);
    answer = cdp::read_profile(*version, spec, now_ms);
  }
  return answer ? answer_of(*answer) : py::none();
}

// NotImplemented when the arguments are not plain: then the spec's validator must see them.
py::object profile(const Engine& engine, const py::object& ids, const py::object& events, std::int64_t now_ms) {
  ProfileSpec spec;
  if (!read_ids(ids.ptr(), spec) || !read_events(events.ptr(), spec)) {
    return py::reinterpret_borrow<py::object>(Py_NotImplemented);
  }
  return read(engine, spec, now_ms);
}

py::object profile_by_spec(const Engine& engine, const py::bytes& bytes, std::int64_t now_ms) {
  const ProfileSpec spec = parse_profile_spec(span_of<std::uint8_t>(view(bytes)));
  return read(engine, spec, spec.now_ms.value_or(now_ms));
}

// Names of the live segments that the profile is in; none where nobody has those ids. Under the GIL: a read of microseconds.
py::object segments_of(const Engine& engine, const py::object& ids, std::int64_t now_ms) {
  ProfileSpec spec;
  if (!read_ids(ids.ptr(), spec)) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
  const VersionPtr version = engine.pin();
  const Origin origin = find_origin(*version, spec);
  if (origin == kNoOrigin) return py::none();
  if (version->segments == nullptr) return py::tuple();
  const std::vector<std::string_view> names =
      version->segments->tests->holding(*version, version->links->home(origin), now_ms);
  py::tuple out(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) out[i] = py::str(names[i].data(), names[i].size());
  return out;
}

// None when there is no such group. Under the GIL: a read of microseconds.
py::object group(const Engine& engine, std::string_view kind, std::string_view id, std::int64_t now_ms) {
  const VersionPtr version = engine.pin();  // strings of the answer live in it
  const std::optional<GroupAnswer> found = read_group(*version, kind, id, now_ms);
  if (!found) return py::none();
  const py::object created = found->created_ms ? int_of(*found->created_ms) : py::none();
  return py::reinterpret_steal<py::object>(make(model().group, shared_text(found->kind), shared_text(found->id),
                                                to_dict(found->traits), history_of(found->trait_history), created,
                                                int_of(static_cast<std::int64_t>(found->watermark)),
                                                int_of(found->now_ms)));
}

}  // namespace

void bind_profile(py::module_& module, EngineClass& engine) {
  // The classes by their places in Model.
  module.def("use_model", [](const std::array<py::object, 11>& types) {
    model() = {types[0], types[1], types[2], types[3], types[4], types[5],
               types[6], types[7], types[8], types[9], types[10]};
  });
  engine.def("profile", &profile, py::arg("ids"), py::arg("events"), py::arg("now_ms"))
      .def("segments_of", &segments_of, py::arg("ids"), py::arg("now_ms"))
      .def("group", &group, py::arg("kind"), py::arg("id"), py::arg("now_ms"))
      .def("profile_by_spec", &profile_by_spec, py::arg("spec"), py::arg("now_ms"));
}

}  // namespace cdp::bindings
