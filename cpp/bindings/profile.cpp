// A profile's answer as the plain map that `ProfileAnswer.from_core` takes.
#include "query/kinds/profile.hpp"

#include "bindings/convert.hpp"
#include "engine/engine.hpp"

namespace cdp::bindings {
namespace {

py::object to_python(const AnswerValue& value) {
  switch (value.type) {
    case ValueType::kNull: return py::none();
    case ValueType::kBool: return py::bool_(value.bits != 0);
    case ValueType::kInt: return py::int_(static_cast<std::int64_t>(value.bits));
    case ValueType::kFloat: return py::float_(std::bit_cast<double>(value.bits));
    case ValueType::kString: return py::str(value.text.data(), value.text.size());
    case ValueType::kDatetime: return datetime_of(static_cast<std::int64_t>(value.bits));
    case ValueType::kList:
    case ValueType::kItems: return list_of(value.text);
  }
  return py::none();
}

py::dict to_dict(std::span<const std::pair<std::string_view, AnswerValue>> fields) {
  py::dict out;
  for (const auto& [key, value] : fields) out[py::str(key.data(), key.size())] = to_python(value);
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

py::dict answer_dict(const ProfileAnswer& answer) {
  py::list identities, history, events;
  for (const IdentityEntry& identity : answer.identities)
    identities.append(py::make_tuple(identity.kind, identity.value));
  for (const AnswerOperation& operation : answer.trait_history) {
    history.append(
        py::make_tuple(operation.key, kind_name(operation.kind), to_python(operation.value), operation.time_ms));
  }
  const std::span properties(answer.properties);
  for (const AnswerEvent& event : answer.events) {
    const auto fields = properties.subspan(event.first_property, event.property_count);
    events.append(py::make_tuple(event.name, event.time_ms, to_dict(fields)));
  }
  py::dict out;
  out["profile_id"] = answer.profile_id;
  out["identities"] = identities;
  out["traits"] = to_dict(answer.traits);
  out["trait_history"] = history;
  out["events"] = events;
  out["created_ms"] = answer.created_ms;
  out["watermark"] = answer.watermark;
  out["now_ms"] = answer.now_ms;
  return out;
}

}  // namespace

py::object read_profile(const Engine& engine, const py::bytes& spec, std::int64_t now_ms) {
  const auto bytes = span_of<std::uint8_t>(view(spec));
  std::optional<ProfileAnswer> answer;
  VersionPtr version = engine.pin();  // strings of the answer live in it
  {
    const py::gil_scoped_release released;
    QueryOptions options;
    options.now_ms = now_ms;
    answer = cdp::read_profile(version, bytes, options);
  }
  return answer ? py::object(answer_dict(*answer)) : py::none();
}

}  // namespace cdp::bindings
