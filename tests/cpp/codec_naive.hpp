// A second decoder, slow and plain, written from docs/architecture.md over a tree: what decode_batch must agree with.
// Both results are compared as text, one line a record, every index resolved.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "codec/event_id.hpp"
#include "codec/event_record.hpp"
#include "codec/fact_spec.hpp"
#include "codec/msgpack_writer.hpp"
#include "codec_tree.hpp"

namespace cdp::test {

struct NaiveReject {
  std::uint32_t index;
  std::string code;
  std::string path;
};

struct NaiveResult {
  std::vector<std::string> records;
  std::vector<NaiveReject> rejects;
};

inline std::string hex(std::uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

inline std::string show_value(ValueType type, std::uint64_t bits, std::string_view text) {
  const std::string prefix = std::to_string(static_cast<int>(type)) + ":";
  return prefix + (is_dictionary_type(type) ? std::string(text) : hex(bits));
}

// --- what decode_batch made

inline std::string show_value(const CanonicalBatch& batch, ValueType type, std::uint64_t bits) {
  return show_value(type, bits, is_dictionary_type(type) ? batch.strings.at(static_cast<std::uint32_t>(bits)) : "");
}

inline std::string show_identity(const CanonicalBatch& batch, std::uint32_t index) {
  const BatchIdentity& identity = batch.identities[index];
  return std::string(batch.strings.at(identity.kind)) + "=" + std::string(batch.strings.at(identity.value)) + "," +
         hex(identity.hash) + ";";
}

inline std::string show_event(const CanonicalBatch& batch, std::uint32_t event) {
  const EventColumns& events = batch.events;
  const Shape& shape = events.shapes[events.shape[event]];
  std::string line =
      "event " + std::string(batch.strings.at(shape.name)) + " " + std::to_string(events.time_ms[event]) + " ";
  for (std::uint32_t at = events.first_identity[event]; at < events.first_identity[event + 1]; ++at) {
    line += show_identity(batch, events.identity_refs[at]);
  }
  const EventKey key = events.event_id.empty() ? EventKey{} : events.event_id[event];
  line += " " + hex(key.high) + hex(key.low);
  for (std::uint32_t index = 0; index < shape.field_count; ++index) {
    const ShapeField& field = events.fields[shape.first_field + index];
    line += " " + std::string(batch.strings.at(field.key)) + "=" +
            show_value(batch, field.type, events.values[events.first_value[event] + index]);
  }
  return line;
}

inline std::string show_traits(const CanonicalBatch& batch, const TraitsRecord& record) {
  std::string line = "traits " + std::to_string(record.time_ms) + " ";
  for (std::uint32_t at = 0; at < record.identity_count; ++at) {
    line += show_identity(batch, batch.trait_identity_refs[record.first_identity + at]);
  }
  for (std::uint32_t at = 0; at < record.operation_count; ++at) {
    const TraitOperation& operation = batch.trait_operations[record.first_operation + at];
    line += " " + std::to_string(static_cast<int>(operation.kind)) + "/" +
            std::string(batch.strings.at(operation.key)) + "=" +
            show_value(batch, operation.value.type, operation.value.bits);
  }
  return line;
}

inline std::string show_fact(const CanonicalBatch& batch, FactType type, std::uint32_t index) {
  const FactColumns& columns = batch.facts[static_cast<std::size_t>(type)];
  const FactRecord& record = columns.records[index];
  std::string line = std::string(spec_of(type).name) + " " + std::to_string(record.time_ms) + " ";
  for (std::uint32_t at = 0; at < record.identity_count; ++at) {
    line += show_identity(batch, columns.identity_refs[record.first_identity + at]);
  }
  for (const std::uint32_t subject : record.subject) {
    line += " " + (subject == kNone ? std::string("-") : std::string(batch.strings.at(subject)));
  }
  line += " " + std::string(spec_of(type).states[record.state]);
  for (std::uint32_t at = 0; at < record.text_count; ++at) {
    const FactText& text = columns.texts[record.first_text + at];
    line += " " + std::string(spec_of(type).texts[text.field].name) + "=" +
            show_value(batch, text.value.type, text.value.bits);
  }
  return line;
}

inline std::string show_group(const CanonicalBatch& batch, const GroupRecord& record) {
  std::string line = "group " + std::to_string(record.time_ms) + " " + std::string(batch.strings.at(record.kind)) +
                     " " + std::string(batch.strings.at(record.id));
  for (std::uint32_t at = 0; at < record.operation_count; ++at) {
    const TraitOperation& operation = batch.group_operations[record.first_operation + at];
    line += " " + std::to_string(static_cast<int>(operation.kind)) + "/" +
            std::string(batch.strings.at(operation.key)) + "=" +
            show_value(batch, operation.value.type, operation.value.bits);
  }
  return line;
}

inline std::string show_record(const CanonicalBatch& batch, RecordType type, std::uint32_t index) {
  const auto show_pair = [&](const char* name, const PairRecord& pair) {
    return name + std::to_string(pair.time_ms) + " " + show_identity(batch, pair.from) + show_identity(batch, pair.to);
  };
  switch (type) {
    case RecordType::kEvent: return show_event(batch, index);
    case RecordType::kTraits: return show_traits(batch, batch.traits[index]);
    case RecordType::kIdentify: return show_pair("identify ", batch.identifies[index]);
    case RecordType::kMerge: return show_pair("merge ", batch.merges[index]);
    case RecordType::kUnmerge:
      return "unmerge " + std::to_string(batch.unmerges[index].time_ms) + " " +
             std::to_string(batch.unmerges[index].link_sequence);
    case RecordType::kGroup: return show_group(batch, batch.groups[index]);
    default: return show_fact(batch, *fact_type(type), index);
  }
}

inline std::vector<std::string> show_batch(const CanonicalBatch& batch) {
  std::vector<std::string> lines;
  for (const RecordRun& run : batch.runs) {
    for (std::uint32_t index = 0; index < run.count; ++index)
      lines.push_back(show_record(batch, run.type, run.first + index));
  }
  return lines;
}

// --- what it should have made

class NaiveDecoder {
 public:
  explicit NaiveDecoder(const DecodeOptions& options) : options_(options) {}

  NaiveResult decode(const Tree& batch) {
    NaiveResult result;
    for (std::uint32_t index = 0; index < batch.items.size(); ++index) {
      try {
        if (batch.items[index].size > limits::kRecordBytes) refuse(code::kRecordTooLarge, "");
        result.records.push_back(record(batch.items[index]));
      } catch (const Refused& refused) {
        result.rejects.push_back({index, std::string(refused.code), refused.path});
      }
    }
    return result;
  }

 private:
  struct Refused {
    std::string_view code;
    std::string path;
  };
  using Fields = std::vector<std::pair<std::string, const Tree*>>;

  [[noreturn]] static void refuse(std::string_view code, const std::string& path) { throw Refused{code, path}; }
  static std::string join(const std::string& path, const std::string& name) {
    return path.empty() ? name : name.empty() ? path : name.front() == '[' ? path + name : path + "." + name;
  }

  std::string record(const Tree& tree) {
    if (tree.kind != Tree::kMap) refuse(code::kRecordNotAMap, "");
    const Tree* type = nullptr;
    for (std::size_t at = 0; at < tree.items.size() && type == nullptr; at += 2) {
      const Tree& key = tree.items[at];
      if (key.kind == Tree::kString && key.text == "type") type = &tree.items[at + 1];
      if (key.kind == Tree::kArray || key.kind == Tree::kMap) refuse(code::kKeyNotString, "");
    }
    if (type == nullptr) refuse(code::kRecordTypeMissing, "type");
    if (type->kind != Tree::kString) refuse(code::kRecordFieldType, "type");
    static const std::set<std::string> kUnsupported{"erase"};
    if (kUnsupported.contains(type->text)) refuse(code::kRecordTypeUnsupported, "type");
    if (type->text == "event") return event(tree);
    if (type->text == "traits") return traits(tree);
    if (type->text == "identify") return pair(tree, "identify", "anonymous", "known");
    if (type->text == "merge") return pair(tree, "merge", "loser", "winner");
    if (type->text == "unmerge") return unmerge(tree);
    if (type->text == "group") return group(tree);
    const auto known = fact_forms().find(type->text);
    if (known != fact_forms().end()) return fact(tree, type->text, known->second);
    refuse(code::kRecordTypeUnknown, "type");
  }

  // A fact's fields: subjects (with how long they may be, and whether they must be), states, texts.
  struct FactForm {
    std::vector<std::tuple<std::string, std::size_t, bool>> subjects;
    std::vector<std::string> states;
    bool needs_state;
    std::vector<std::tuple<std::string, std::size_t, bool>> texts;  // name, most bytes, stays
  };
  static const std::map<std::string, FactForm>& fact_forms() {
    static const std::map<std::string, FactForm> forms{
        {"device",
         {{{"id", 512, true}},
          {"seen", "dead"},
          false,
          {{"platform", 256, true},
           {"token", 4096, true},
           {"app_version", 256, true},
           {"zone", 256, true},
           {"reason", 256, false}}}},
        {"consent",
         {{{"channel", 256, true}, {"topic", 256, false}},
          {"unsubscribed", "pending", "subscribed", "opted_in"},
          true,
          {{"source", 256, false}}}},
        {"suppress", {{}, {"suppressed", "lifted"}, false, {{"reason", 256, false}}}},
        {"membership", {{{"kind", 256, true}, {"id", 512, true}}, {"joined", "left"}, false, {{"role", 256, false}}}},
        {"list", {{{"name", 256, true}}, {"added", "removed"}, false, {}}}};
    return forms;
  }
  static const std::string& label(const Tree& value, const std::string& field, std::size_t most) {
    if (value.kind != Tree::kString) refuse(code::kRecordFieldType, field);
    if (value.text.empty() || value.text.size() > most) refuse(code::kRecordFieldLength, field);
    if (!is_utf8(value.text)) refuse(code::kValueStringUtf8, field);
    return value.text;
  }
  std::string fact(const Tree& tree, const std::string& type, const FactForm& form) {
    std::set<std::string> known{"type", "ids", "state", "time_ms"};
    for (const auto& subject : form.subjects) known.insert(std::get<0>(subject));
    for (const auto& text : form.texts) known.insert(std::get<0>(text));
    std::optional<std::int64_t> given;
    std::map<std::pair<std::uint32_t, std::size_t>, std::string> ids;
    std::string state = form.states.front();
    std::map<std::string, std::optional<std::string>> texts;
    const auto on_field = [&](const std::string& field, const Tree& value, const std::set<std::string>&) {
      if (field == "ids") ids = identities(value, "ids");
      if (field == "time_ms") given = time(value, "time_ms");
      if (field == "state") {
        if (value.kind != Tree::kString) refuse(code::kRecordFieldType, "state");
        if (std::ranges::find(form.states, value.text) == form.states.end()) refuse(code::kRecordFieldValue, "state");
        state = value.text;
      }
      for (const auto& [name, most, must] : form.subjects) {
        if (field == name) texts[name] = label(value, name, most);
      }
      for (const auto& [name, most, stays] : form.texts) {
        if (field != name) continue;
        if (value.kind == Tree::kNil) {
          texts[name] = std::nullopt;
        } else {
          texts[name] = label(value, name, most);
        }
      }
    };
    const auto seen = fields(tree, known, on_field);
    if (!seen.contains("ids")) refuse(code::kRecordFieldMissing, "ids");
    for (const auto& [name, most, must] : form.subjects) {
      if (must && !seen.contains(name)) refuse(code::kRecordFieldMissing, name);
    }
    if (form.needs_state && !seen.contains("state")) refuse(code::kRecordFieldMissing, "state");
    if (ids.empty()) refuse(code::kIdentityNone, "ids");
    std::string line = type + " " + std::to_string(effective(given)) + " ";
    for (const auto& [order, text] : ids) line += text;
    for (std::size_t place = 0; place < 2; ++place) {
      const bool is_there = place < form.subjects.size() && seen.contains(std::get<0>(form.subjects[place]));
      line += " " + (is_there ? *texts[std::get<0>(form.subjects[place])] : "-");
    }
    line += " " + state;
    for (const auto& [name, most, stays] : form.texts) {
      if (!seen.contains(name) || (!texts[name] && !stays)) continue;
      line += " " + name + "=" +
              (texts[name] ? show_value(ValueType::kString, 0, *texts[name]) : show_value(ValueType::kNull, 0, ""));
    }
    return line;
  }

  template <class OnField>
  static std::set<std::string> fields(const Tree& tree, const std::set<std::string>& known, const OnField& on_field) {
    std::set<std::string> seen;
    for (std::size_t at = 0; at < tree.items.size(); at += 2) {
      const Tree& key = tree.items[at];
      if (key.kind != Tree::kString) refuse(code::kKeyNotString, "");
      if (!known.contains(key.text)) refuse(code::kRecordFieldUnknown, "?");
      if (!seen.insert(key.text).second) refuse(code::kKeyDuplicate, "");
      on_field(key.text, tree.items[at + 1], seen);
    }
    return seen;
  }

  static std::int64_t time(const Tree& tree, const std::string& path) {
    if (tree.kind != Tree::kInt && tree.kind != Tree::kUint) refuse(code::kRecordFieldType, path);
    if (tree.kind == Tree::kUint || tree.as_int() < limits::kTimeMinMs || tree.as_int() > limits::kTimeMaxMs) {
      refuse(code::kTimeOutOfRange, path);
    }
    return tree.as_int();
  }
  [[nodiscard]] bool snaps(std::optional<std::int64_t> given) const {
    return given && *given > options_.received_ms && *given <= options_.received_ms + limits::kFutureSnapMs;
  }
  [[nodiscard]] std::int64_t effective(std::optional<std::int64_t> given) const {
    return !given || snaps(given) ? options_.received_ms : *given;
  }

  std::string event(const Tree& tree) {
    std::string name, values;
    std::optional<std::int64_t> given;
    std::map<std::pair<std::uint32_t, std::size_t>, std::string> ids;
    EventKey id;
    const Tree* waiting = nullptr;
    const auto on_field = [&](const std::string& field, const Tree& value, const std::set<std::string>& seen) {
      if (field == "name") {
        name = event_name(value);
        if (waiting != nullptr) values = properties(*waiting);
      } else if (field == "time_ms") {
        given = time(value, "time_ms");
      } else if (field == "ids") {
        ids = identities(value, "ids");
      } else if (field == "event_id") {
        id = event_id(value);
      } else if (field == "properties") {
        if (seen.contains("name"))
          values = properties(value);
        else
          waiting = &value;
      }
    };
    const auto seen = fields(tree, {"type", "name", "time_ms", "ids", "properties", "event_id"}, on_field);
    if (!seen.contains("name")) refuse(code::kRecordFieldMissing, "name");
    if (!seen.contains("ids")) refuse(code::kRecordFieldMissing, "ids");
    if (ids.empty()) refuse(code::kIdentityNone, "ids");
    std::string line = "event " + name + " " + std::to_string(effective(given)) + " ";
    for (const auto& [order, text] : ids) line += text;
    line += " " + hex(id.high) + hex(id.low) + values;
    if (snaps(given))
      line += " $client_time_ms=" + show_value(ValueType::kDatetime, static_cast<std::uint64_t>(*given), "");
    return line;
  }
  std::string event_name(const Tree& value) {
    if (value.kind != Tree::kString) refuse(code::kRecordFieldType, "name");
    if (value.text.empty() || value.text.size() > limits::kNameBytes) refuse(code::kNameLength, "name");
    if (!is_utf8(value.text)) refuse(code::kValueStringUtf8, "name");
    const bool reserved = value.text.rfind("Message ", 0) == 0 || value.text.rfind("Segment ", 0) == 0;
    if (reserved && !options_.allow_system) refuse(code::kNameReserved, "name");
    return value.text;
  }
  EventKey event_id(const Tree& value) {
    if (value.kind != Tree::kString) refuse(code::kRecordFieldType, "event_id");
    if (value.text.empty() || value.text.size() > 256) refuse(code::kEventIdLength, "event_id");
    if (!is_utf8(value.text)) refuse(code::kValueStringUtf8, "event_id");
    return event_key(value.text, options_.hash_key);
  }

  std::map<std::pair<std::uint32_t, std::size_t>, std::string> identities(const Tree& tree, const std::string& field) {
    if (tree.kind != Tree::kMap) refuse(code::kRecordFieldType, field);
    if (tree.items.size() / 2 > limits::kIdentitiesPerRecord) refuse(code::kIdentityTooMany, field);
    std::map<std::pair<std::uint32_t, std::size_t>, std::string> out;
    std::set<std::string> seen;
    for (std::size_t at = 0; at < tree.items.size(); at += 2) {
      const Tree& key = tree.items[at];
      if (key.kind != Tree::kString) refuse(code::kKeyNotString, field);
      const auto rule = std::ranges::find(options_.kinds, key.text, &KindRule::kind);
      if (rule == options_.kinds.end()) refuse(code::kIdentityKindUnknown, field);
      if (!rule->identifies) refuse(code::kIdentityKindNotIdentifying, field);
      if (!seen.insert(key.text).second) refuse(code::kKeyDuplicate, field);
      const std::string value = identity_value(key.text, tree.items[at + 1], join(field, key.text));
      if (is_generic_identity(value)) continue;
      const auto place = static_cast<std::size_t>(rule - options_.kinds.begin());
      out[{rule->rank, place}] =
          key.text + "=" + value + "," + hex(hash_identity(key.text, value, options_.hash_key)) + ";";
    }
    return out;
  }
  static std::string identity_value(const std::string& kind, const Tree& value, const std::string& path) {
    if (value.kind == Tree::kUint) refuse(code::kValueIntRange, path);
    if (value.kind != Tree::kString && value.kind != Tree::kInt) refuse(code::kRecordFieldType, path);
    const std::string text = value.kind == Tree::kInt ? std::to_string(value.as_int()) : value.text;
    std::string scratch;
    std::string normal(normalise_identity(kind, text, scratch));
    if (normal.size() > limits::kIdentityBytes) refuse(code::kIdentityLength, path);
    if (!is_utf8(normal)) refuse(code::kValueStringUtf8, path);
    return normal;
  }

  static bool is_time_map(const Tree& tree) {
    return tree.kind == Tree::kMap && tree.items.size() == 2 && tree.items[0].kind == Tree::kString &&
           tree.items[0].text == "$time";
  }
  static void check_key(const Tree& key, const std::string& path) {
    if (key.kind != Tree::kString) refuse(code::kKeyNotString, path);
    if (key.text.empty() || key.text.size() > limits::kNameBytes) refuse(code::kKeyLength, path);
    if (!is_utf8(key.text)) refuse(code::kKeyUtf8, path);
    if (key.text[0] == '$') refuse(code::kKeyReserved, path);
    if (key.text.find('.') != std::string::npos) refuse(code::kKeyDot, path);
  }
  // Calls on_leaf(dotted key, value, path, depth) in the order sent.
  template <class OnLeaf>
  static void flatten(const Tree& tree, const std::string& path, const std::string& prefix, std::size_t depth,
                      const OnLeaf& on_leaf) {
    if (depth > limits::kDepth) refuse(code::kRecordTooDeep, path);
    std::set<std::string> seen;
    for (std::size_t at = 0; at < tree.items.size(); at += 2) {
      check_key(tree.items[at], path);
      const std::string& key = tree.items[at].text;
      if (!seen.insert(key).second) refuse(code::kKeyDuplicate, path);
      const std::string dotted = join(prefix, key);
      if (dotted.size() > limits::kNameBytes) refuse(code::kKeyLength, path);
      const Tree& value = tree.items[at + 1];
      if (value.kind == Tree::kMap && !is_time_map(value)) {
        flatten(value, join(path, key), dotted, depth + 1, on_leaf);
      } else {
        on_leaf(dotted, value, join(path, key), depth);
      }
    }
  }

  static std::int64_t timestamp(const Tree& tree, const std::string& path) {
    if (tree.kind == Tree::kMap) {
      const Tree& value = tree.items[1];
      if (value.kind != Tree::kInt && value.kind != Tree::kUint) refuse(code::kValueDatetime, path);
      return time(value, path);
    }
    if (tree.ext != -1) refuse(code::kValueExt, path);
    const auto number = [&](std::size_t at, std::size_t size) {
      std::uint64_t value = 0;
      for (std::size_t index = 0; index < size; ++index)
        value = value * 256 + static_cast<unsigned char>(tree.text[at + index]);
      return value;
    };
    __int128 seconds = 0, nanoseconds = 0;
    switch (tree.text.size()) {
      case 4: seconds = number(0, 4); break;
      case 8: seconds = number(0, 8) % (1ull << 34), nanoseconds = number(0, 8) >> 34; break;
      case 12: nanoseconds = number(0, 4), seconds = static_cast<std::int64_t>(number(4, 8)); break;
      default: refuse(code::kValueDatetime, path);
    }
    if (nanoseconds > 999'999'999) refuse(code::kValueDatetime, path);
    const __int128 ms = seconds * 1000 + nanoseconds / 1'000'000;
    if (ms < limits::kTimeMinMs || ms > limits::kTimeMaxMs) refuse(code::kTimeOutOfRange, path);
    return static_cast<std::int64_t>(ms);
  }

  static double finite(const Tree& tree, const std::string& path) {
    const auto value = std::bit_cast<double>(tree.bits);
    if (std::isnan(value) || std::isinf(value)) refuse(code::kValueFloatNotFinite, path);
    return value == 0 ? 0.0 : value;
  }
  static const std::string& string_value(const Tree& tree, const std::string& path) {
    if (tree.text.size() > limits::kStringBytes) refuse(code::kValueStringLength, path);
    if (!is_utf8(tree.text)) refuse(code::kValueStringUtf8, path);
    return tree.text;
  }

  static ValueType write(std::string& out, const Tree& tree, const std::string& path, std::size_t depth) {
    MsgpackWriter writer(out);
    switch (tree.kind) {
      case Tree::kNil: writer.nil(); return ValueType::kNull;
      case Tree::kBool: writer.boolean(tree.bits != 0); return ValueType::kBool;
      case Tree::kInt: writer.integer(tree.as_int()); return ValueType::kInt;
      case Tree::kUint: refuse(code::kValueIntRange, path);
      case Tree::kFloat: writer.float_bits(std::bit_cast<std::uint64_t>(finite(tree, path))); return ValueType::kFloat;
      case Tree::kString: writer.string(string_value(tree, path)); return ValueType::kString;
      case Tree::kBinary: refuse(code::kValueBinary, path);
      case Tree::kExt: writer.datetime(timestamp(tree, path)); return ValueType::kDatetime;
      case Tree::kMap:
        if (is_time_map(tree)) return writer.datetime(timestamp(tree, path)), ValueType::kDatetime;
        return write_item(out, tree, path, depth);
      case Tree::kArray: return write_list(out, tree, path, depth);
    }
    return ValueType::kNull;
  }
  static ValueType write_item(std::string& out, const Tree& tree, const std::string& path, std::size_t depth) {
    std::map<std::string, std::string> entries;
    std::size_t size = 0;
    flatten(tree, path, "", depth + 1,
            [&](const std::string& key, const Tree& value, const std::string& at, std::size_t level) {
              write(entries[key], value, at, level);
              size += key.size() + entries[key].size();
              if (size > 2 * limits::kRecordBytes) refuse(code::kRecordTooLarge, at);
            });
    MsgpackWriter writer(out);
    writer.map(static_cast<std::uint32_t>(entries.size()));
    for (const auto& [key, bytes] : entries) writer.string(key), out += bytes;
    return ValueType::kItems;
  }
  static ValueType write_list(std::string& out, const Tree& tree, const std::string& path, std::size_t depth) {
    if (depth + 1 > limits::kDepth) refuse(code::kRecordTooDeep, path);
    MsgpackWriter(out).array(static_cast<std::uint32_t>(tree.items.size()));
    const auto is_item = [](const Tree& value) { return value.kind == Tree::kMap && !is_time_map(value); };
    const bool items = !tree.items.empty() && is_item(tree.items[0]);
    for (std::size_t index = 0; index < tree.items.size(); ++index) {
      const std::string at = path + "[" + std::to_string(index) + "]";
      if (tree.items[index].kind == Tree::kArray || is_item(tree.items[index]) != items)
        refuse(code::kValueListMixed, at);
      write(out, tree.items[index], at, depth + 1);
      if (out.size() > 2 * limits::kRecordBytes) refuse(code::kRecordTooLarge, at);
    }
    return items ? ValueType::kItems : ValueType::kList;
  }

  struct Shown {
    ValueType type;
    std::string text;
  };
  static Shown value(const Tree& tree, const std::string& path, std::size_t depth) {
    std::string bytes;
    const ValueType type = write(bytes, tree, path, depth);
    switch (type) {
      case ValueType::kString: return {type, show_value(type, 0, tree.text)};
      case ValueType::kList:
      case ValueType::kItems: return {type, show_value(type, 0, bytes)};
      case ValueType::kFloat: return {type, show_value(type, std::bit_cast<std::uint64_t>(finite(tree, path)), "")};
      case ValueType::kDatetime: return {type, show_value(type, static_cast<std::uint64_t>(timestamp(tree, path)), "")};
      default: return {type, show_value(type, tree.bits, "")};
    }
  }

  static std::string properties(const Tree& tree) {
    if (tree.kind != Tree::kMap) refuse(code::kRecordFieldType, "properties");
    std::string out;
    std::size_t count = 0;
    flatten(tree, "properties", "", 1,
            [&](const std::string& key, const Tree& leaf, const std::string& path, std::size_t depth) {
              out += " " + key + "=" + value(leaf, path, depth).text;
              if (++count > limits::kProperties) refuse(code::kPropertiesTooMany, "properties");
            });
    return out;
  }

  static const std::map<std::string, int>& operation_kinds() {
    static const std::map<std::string, int> kinds{{"set", 1},       {"set_once", 2}, {"unset", 3},
                                                  {"increment", 4}, {"append", 5},   {"remove", 6}};
    return kinds;
  }
  std::string group(const Tree& tree) {
    std::optional<std::int64_t> given;
    std::string kind, id, operations;
    std::size_t count = 0;
    const auto on_field = [&](const std::string& field, const Tree& value, const std::set<std::string>&) {
      if (field == "kind") kind = label(value, "kind", 256);
      if (field == "id") id = label(value, "id", 512);
      if (field == "time_ms") given = time(value, "time_ms");
      if (operation_kinds().contains(field))
        operations += operations_of(operation_kinds().at(field), field, value, count);
    };
    const auto seen = fields(
        tree, {"type", "kind", "id", "time_ms", "set", "set_once", "unset", "increment", "append", "remove"}, on_field);
    if (!seen.contains("kind")) refuse(code::kRecordFieldMissing, "kind");
    if (!seen.contains("id")) refuse(code::kRecordFieldMissing, "id");
    return "group " + std::to_string(effective(given)) + " " + kind + " " + id + operations;
  }

  std::string traits(const Tree& tree) {
    const std::map<std::string, int>& kOperations = operation_kinds();
    std::optional<std::int64_t> given;
    std::map<std::pair<std::uint32_t, std::size_t>, std::string> ids;
    std::string operations;
    std::size_t count = 0;
    const auto on_field = [&](const std::string& field, const Tree& value, const std::set<std::string>&) {
      if (field == "ids") ids = identities(value, "ids");
      if (field == "time_ms") given = time(value, "time_ms");
      if (kOperations.contains(field)) operations += operations_of(kOperations.at(field), field, value, count);
    };
    auto seen =
        fields(tree, {"type", "ids", "time_ms", "set", "set_once", "unset", "increment", "append", "remove"}, on_field);
    if (!seen.contains("ids")) refuse(code::kRecordFieldMissing, "ids");
    seen.erase("ids"), seen.erase("time_ms"), seen.erase("type");
    if (seen.empty()) refuse(code::kRecordFieldMissing, "set");
    if (ids.empty()) refuse(code::kIdentityNone, "ids");
    std::string line = "traits " + std::to_string(effective(given)) + " ";
    for (const auto& [order, text] : ids) line += text;
    return line + operations;
  }
  static std::string operations_of(int kind, const std::string& field, const Tree& tree, std::size_t& count) {
    std::string out;
    const auto add = [&](const std::string& key, const std::string& text, const std::string& path) {
      if (++count > limits::kProperties) refuse(code::kTraitOperationsTooMany, path);
      out += " " + std::to_string(kind) + "/" + key + "=" + text;
    };
    if (kind == 3) {
      if (tree.kind != Tree::kArray) refuse(code::kRecordFieldType, field);
      std::set<std::string> seen;
      for (std::size_t index = 0; index < tree.items.size(); ++index) {
        const Tree& key = tree.items[index];
        const std::string path = field + "[" + std::to_string(index) + "]";
        if (key.kind != Tree::kString) refuse(code::kRecordFieldType, path);
        if (key.text.empty() || key.text.size() > limits::kNameBytes) refuse(code::kKeyLength, path);
        for (std::size_t begin = 0; begin <= key.text.size();) {
          const std::size_t end = std::min(key.text.find('.', begin), key.text.size());
          check_key(Tree(key.text.substr(begin, end - begin)), path);
          begin = end + 1;
        }
        if (!seen.insert(key.text).second) refuse(code::kKeyDuplicate, path);
        add(key.text, show_value(ValueType::kNull, 0, ""), path);
      }
      return out;
    }
    if (tree.kind != Tree::kMap) refuse(code::kRecordFieldType, field);
    flatten(tree, field, "", 1,
            [&](const std::string& key, const Tree& leaf, const std::string& path, std::size_t depth) {
              const Shown shown = value(leaf, path, depth);
              const bool number = shown.type == ValueType::kInt || shown.type == ValueType::kFloat;
              const bool is_list = shown.type == ValueType::kList || shown.type == ValueType::kItems;
              if ((kind == 4 && !number) || (kind >= 5 && is_list)) refuse(code::kTraitOperation, path);
              add(key, shown.text, path);
            });
    return out;
  }

  std::string pair(const Tree& tree, const std::string& type, const std::string& from, const std::string& to) {
    std::optional<std::int64_t> given;
    std::map<std::string, std::string> shown;
    std::map<std::string, const KindRule*> kinds;
    const auto on_field = [&](const std::string& field, const Tree& value, const std::set<std::string>&) {
      if (field == "time_ms") given = time(value, "time_ms");
      if (field != from && field != to) return;
      if (value.kind != Tree::kMap || value.items.size() != 2) refuse(code::kRecordFieldType, field);
      const auto ids = identities(value, field);
      if (ids.empty()) refuse(code::kIdentityNone, field);
      shown[field] = ids.begin()->second;
      kinds[field] = &options_.kinds[ids.begin()->first.second];
    };
    const auto seen = fields(tree, {"type", "time_ms", from, to}, on_field);
    if (!seen.contains(from)) refuse(code::kRecordFieldMissing, from);
    if (!seen.contains(to)) refuse(code::kRecordFieldMissing, to);
    if (type == "identify" && kinds[from]->unique) refuse(code::kIdentifyKinds, from);
    if (type == "identify" && kinds[to]->rank >= kinds[from]->rank) refuse(code::kIdentifyKinds, to);
    return type + " " + std::to_string(effective(given)) + " " + shown[from] + shown[to];
  }

  std::string unmerge(const Tree& tree) {
    std::optional<std::int64_t> given;
    std::int64_t sequence = 0;
    const auto on_field = [&](const std::string& field, const Tree& value, const std::set<std::string>&) {
      if (field == "time_ms") given = time(value, "time_ms");
      if (field != "sequence") return;
      if (value.kind != Tree::kInt || value.as_int() < 0) refuse(code::kRecordFieldType, "sequence");
      sequence = value.as_int();
    };
    const auto seen = fields(tree, {"type", "time_ms", "sequence"}, on_field);
    if (!seen.contains("sequence")) refuse(code::kRecordFieldMissing, "sequence");
    return "unmerge " + std::to_string(effective(given)) + " " + std::to_string(sequence);
  }

  const DecodeOptions& options_;
};

}  // namespace cdp::test
