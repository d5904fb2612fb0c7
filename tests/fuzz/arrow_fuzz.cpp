// Random Arrow streams, most of them with lies in them, for as many rounds as asked: `arrow_fuzz [rounds] [seed]`. Meant to run
// under sanitizers (`make fuzz`): every buffer is exactly as large as its producer says. Lies are those that can be seen: what a
// pointer points to has no size in Arrow's interface. Whatever comes: an Error of the request, or batches that survive codec 1;
// every struct is released once; honest rows are the same however they are cut into batches.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "codec/canonical_codec.hpp"
#include "codec/msgpack_writer.hpp"
#include "codec_naive.hpp"
#include "codec_random.hpp"
#include "engine/load.hpp"

namespace {

using namespace cdp;
using namespace cdp::test;

using Random = std::mt19937_64;

std::uint64_t current_round = 0, current_seed = 0;

[[noreturn]] void report(const std::string& what) {
  std::printf("%s: round %llu of seed %llu\n", what.c_str(), static_cast<unsigned long long>(current_round),
              static_cast<unsigned long long>(current_seed));
  std::fflush(stdout);
  std::abort();
}

std::uint64_t below(Random& random, std::uint64_t count) { return random() % count; }
bool one_in(Random& random, std::uint64_t count) { return below(random, count) == 0; }

template <class T, std::size_t kCount>
const T& any_of(Random& random, const T (&choices)[kCount]) {
  return choices[below(random, kCount)];
}

// ---- what is told: a tree of fields

struct Field {
  std::string format, name;
  std::vector<Field> children;
  std::unique_ptr<Field> dictionary;
};

constexpr const char* kFixed[] = {
    "b",   "c",   "s", "i", "l", "C", "S", "I", "L", "f", "g", "tss:", "tsm:UTC", "tsu:", "tsn:Europe/Wien",
    "tdD", "tdm", "n"};
constexpr const char* kStrange[] = {"",   "z",       "Z",  "vz", "d:38,10", "w:16", "ttm",      "tDs",  "tiM",
                                    "+m", "+ud:0,1", "+r", "e",  "ts",      "tsx:", "\xFF\xFE", "+w:3", "uu"};
constexpr const char* kIndexes[] = {"c", "s", "i", "l", "C", "S", "I", "L"};
constexpr const char* kNames[] = {"user_id", "event", "time", "anonymous_id", "event_id", "n",
                                  "city",    "a.b",   "",     "$odd"};

Field random_value(Random& random, std::size_t depth);

Field random_field(Random& random, const char* name, std::size_t depth) {
  Field field = random_value(random, depth);
  field.name = name;
  return field;
}

Field random_value(Random& random, std::size_t depth) {
  Field field;
  const std::uint64_t kind = below(random, depth > 2 ? 6 : 10);
  if (kind < 3) {
    field.format = any_of(random, kFixed);
  } else if (kind == 3) {
    field.format = one_in(random, 2) ? "u" : "U";
  } else if (kind == 4) {
    field.format = one_in(random, 12) ? any_of(random, kStrange) : "vu";
  } else if (kind < 7) {
    field.format = any_of(random, kIndexes);
    field.dictionary = std::make_unique<Field>(random_value(random, depth + 2));
  } else if (kind < 9) {
    field.format = one_in(random, 2) ? "+l" : "+L";
    field.children.push_back(random_field(random, "item", depth + 1));
  } else {
    field.format = "+s";
    for (std::uint64_t left = below(random, 4); left > 0; --left) {
      field.children.push_back(random_field(random, any_of(random, kNames), depth + 1));
    }
  }
  return field;
}

// What a load needs is mostly there and of a type that fits.
Field random_table(Random& random) {
  Field table;
  table.format = "+s";
  const auto add = [&](const char* name, const char* format) {
    Field field;
    field.name = name;
    field.format = format;
    if (one_in(random, 4)) {
      field.format = any_of(random, kIndexes);
      field.dictionary = std::make_unique<Field>();
      field.dictionary->format = format;
    }
    table.children.push_back(std::move(field));
  };
  constexpr const char* kIds[] = {"u", "U", "vu", "l", "i", "L", "C"};
  constexpr const char* kTimes[] = {"tsm:UTC", "l", "tss:", "tsn:", "tdD", "I"};
  constexpr const char* kTexts[] = {"u", "U", "vu"};
  if (!one_in(random, 12)) add("user_id", any_of(random, kIds));
  if (!one_in(random, 12)) add("event", any_of(random, kTexts));
  if (one_in(random, 2)) add("time", any_of(random, kTimes));
  if (one_in(random, 3)) add("anonymous_id", any_of(random, kIds));
  if (one_in(random, 3)) add("event_id", any_of(random, kIds));
  for (std::uint64_t left = below(random, 6); left > 0; --left) {
    const std::string name = "p" + std::to_string(left);
    table.children.push_back(random_field(random, one_in(random, 5) ? any_of(random, kNames) : name.c_str(), 0));
  }
  return table;
}

// ---- what is handed over: structs that own what they point to, and count their releases

int held = 0;  // structs handed out, not yet released

struct OwnedSchema {
  ArrowSchema value{};
  std::string format, name;
  std::vector<std::unique_ptr<OwnedSchema>> children;
  std::vector<ArrowSchema*> pointers;
  std::unique_ptr<OwnedSchema> dictionary;
};

// Only the outermost struct is released by a consumer; those within go with it.
void release_within(ArrowSchema* schema) { schema->release = nullptr; }

void release_schema(ArrowSchema* schema) {
  if (schema->private_data == nullptr) report("a schema was released twice");
  delete static_cast<OwnedSchema*>(schema->private_data);
  schema->private_data = nullptr;
  schema->release = nullptr;
  --held;
}

std::unique_ptr<OwnedSchema> schema_of(const Field& field) {
  auto out = std::make_unique<OwnedSchema>();
  out->format = field.format;
  out->name = field.name;
  for (const Field& child : field.children) {
    out->children.push_back(schema_of(child));
    out->pointers.push_back(&out->children.back()->value);
  }
  if (field.dictionary) out->dictionary = schema_of(*field.dictionary);
  out->value.format = out->format.c_str();
  out->value.name = out->name.c_str();
  out->value.flags = ARROW_FLAG_NULLABLE;
  out->value.n_children = static_cast<std::int64_t>(out->pointers.size());
  out->value.children = out->pointers.data();
  out->value.dictionary = out->dictionary ? &out->dictionary->value : nullptr;
  out->value.release = release_within;
  return out;
}

struct OwnedArray {
  ArrowArray value{};
  std::vector<std::unique_ptr<char[]>> memory;
  std::vector<const void*> buffers;
  std::vector<std::unique_ptr<OwnedArray>> children;
  std::vector<ArrowArray*> pointers;
  std::unique_ptr<OwnedArray> dictionary;

  // A buffer of exactly so many bytes.
  char* add(std::size_t size) {
    memory.emplace_back(new char[size]());
    buffers.push_back(memory.back().get());
    return memory.back().get();
  }
};

void release_within(ArrowArray* array) { array->release = nullptr; }

void release_array(ArrowArray* array) {
  if (array->private_data == nullptr) report("an array was released twice");
  delete static_cast<OwnedArray*>(array->private_data);
  array->private_data = nullptr;
  array->release = nullptr;
  --held;
}

template <class T>
void put(char* buffer, std::int64_t at, T value) {
  std::memcpy(buffer + at * static_cast<std::int64_t>(sizeof value), &value, sizeof value);
}

std::string random_text(Random& random) {
  constexpr const char* kTexts[] = {
      "", "A", "B", "u1", "u2", " padded ", "null", "Grüße", "a text of more than twelve bytes", "\xC3", "Message Sent",
      "0"};
  if (one_in(random, 60)) return std::string(below(random, 9000), 'x');
  return any_of(random, kTexts);
}

void add_validity(Random& random, std::int64_t rows, OwnedArray& out) {
  if (one_in(random, 2)) {
    out.buffers.push_back(nullptr);
    return;
  }
  char* const bits = out.add(static_cast<std::size_t>(rows / 8 + 1));
  const bool few = one_in(random, 2);
  for (std::int64_t at = 0; at < rows / 8 + 1; ++at) bits[at] = static_cast<char>(few ? random() | random() : random());
  out.value.null_count = -1;
}

std::int64_t random_number(Random& random) {
  switch (below(random, 6)) {
    case 0: return static_cast<std::int64_t>(random());
    case 1: return static_cast<std::int64_t>(1'700'000'000'000 + below(random, 1'000'000));
    case 2: return -static_cast<std::int64_t>(below(random, 5));
    case 3: return static_cast<std::int64_t>(1'700'000'000);
    default: return static_cast<std::int64_t>(below(random, 20));
  }
}

template <class Offset>
void add_texts(Random& random, std::int64_t rows, OwnedArray& out) {
  char* const offsets = out.add(static_cast<std::size_t>(rows + 1) * sizeof(Offset));
  std::string texts;
  for (std::int64_t row = 0; row < rows; ++row) {
    texts += random_text(random);
    put(offsets, row + 1, static_cast<Offset>(texts.size()));
  }
  std::memcpy(out.add(texts.size()), texts.data(), texts.size());
}

void add_views(Random& random, std::int64_t rows, OwnedArray& out) {
  char* const views = out.add(static_cast<std::size_t>(rows) * 16);
  std::string texts;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::string text = random_text(random);
    const auto size = static_cast<std::int32_t>(text.size()), place = static_cast<std::int32_t>(texts.size());
    char* const view = views + row * 16;
    std::memcpy(view, &size, 4);
    if (size <= 12) {
      std::memcpy(view + 4, text.data(), text.size());
      continue;
    }
    std::memcpy(view + 4, text.data(), 4);
    std::memcpy(view + 12, &place, 4);
    texts += text;
  }
  std::memcpy(out.add(texts.size()), texts.data(), texts.size());
  put(out.add(8), 0, static_cast<std::int64_t>(texts.size()));
}

template <class Offset>
std::int64_t add_lists(Random& random, std::int64_t rows, OwnedArray& out) {
  char* const offsets = out.add(static_cast<std::size_t>(rows + 1) * sizeof(Offset));
  Offset total = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    total += static_cast<Offset>(below(random, one_in(random, 50) ? 3'000 : 4));
    put(offsets, row + 1, total);
  }
  return total;
}

void add_numbers(Random& random, std::int64_t rows, OwnedArray& out) {
  // As wide as any format is: a lie about the format stays within.
  char* const numbers = out.add(static_cast<std::size_t>(rows) * 8 + 8);
  for (std::int64_t row = 0; row < rows; ++row) put(numbers, row, random_number(random));
}

void fill_indexes(Random& random, const Field& field, std::int64_t rows, std::int64_t entries, OwnedArray& out) {
  const std::size_t width = field.format == "c" || field.format == "C"   ? 1
                            : field.format == "s" || field.format == "S" ? 2
                            : field.format == "i" || field.format == "I" ? 4
                                                                         : 8;
  char* const indexes = out.add(static_cast<std::size_t>(rows) * 8 + 8);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::uint64_t index =
        entries == 0 ? 0 : below(random, static_cast<std::uint64_t>(std::min<std::int64_t>(entries, 100)));
    std::memcpy(indexes + static_cast<std::size_t>(row) * width, &index, width);
  }
}

std::unique_ptr<OwnedArray> array_of(Random& random, const Field& field, std::int64_t wanted) {
  auto out = std::make_unique<OwnedArray>();
  out->value.offset = one_in(random, 3) ? static_cast<std::int64_t>(below(random, 5)) : 0;
  const std::int64_t rows = wanted + out->value.offset;
  std::int64_t child_rows = rows;
  if (field.format != "n") add_validity(random, rows, *out);
  if (field.dictionary) {
    const auto entries = static_cast<std::int64_t>(1 + below(random, 8));
    out->dictionary = array_of(random, *field.dictionary, entries);
    fill_indexes(random, field, rows, entries, *out);
  } else if (field.format == "u") {
    add_texts<std::int32_t>(random, rows, *out);
  } else if (field.format == "U") {
    add_texts<std::int64_t>(random, rows, *out);
  } else if (field.format == "vu") {
    add_views(random, rows, *out);
  } else if (field.format == "+l") {
    child_rows = add_lists<std::int32_t>(random, rows, *out);
  } else if (field.format == "+L") {
    child_rows = add_lists<std::int64_t>(random, rows, *out);
  } else if (field.format != "+s" && field.format != "n") {
    add_numbers(random, rows, *out);
  }
  for (const Field& child : field.children) {
    out->children.push_back(array_of(random, child, child_rows));
    out->pointers.push_back(&out->children.back()->value);
  }
  out->value.length = wanted;
  out->value.n_buffers = static_cast<std::int64_t>(out->buffers.size());
  out->value.buffers = out->buffers.data();
  out->value.n_children = static_cast<std::int64_t>(out->pointers.size());
  out->value.children = out->pointers.data();
  out->value.dictionary = out->dictionary ? &out->dictionary->value : nullptr;
  out->value.release = release_within;
  return out;
}

// ---- lies

template <class Owned>
Owned& any_node(Random& random, Owned& root) {
  Owned* node = &root;
  while (!one_in(random, 3)) {
    if (node->dictionary && one_in(random, 2)) {
      node = node->dictionary.get();
    } else if (!node->children.empty()) {
      node = node->children[below(random, node->children.size())].get();
    } else {
      break;
    }
  }
  return *node;
}

void lie(Random& random, OwnedSchema& root) {
  OwnedSchema& node = any_node(random, root);
  const auto is_fixed = [](const std::string& format) {
    return std::ranges::any_of(kFixed, [&](const char* known) { return format == known; });
  };
  constexpr std::int64_t kCounts[] = {-1, INT64_MIN, INT64_MAX, 100'001, 1'000'000'000};
  switch (below(random, 8)) {
    case 0:
      if (is_fixed(node.format) && !node.dictionary && node.format != "n") {
        node.format = kFixed[below(random, std::size(kFixed) - 1)];  // no other count of buffers
      } else {
        node.format = any_of(random, kStrange);
      }
      node.value.format = node.format.c_str();
      break;
    case 1: node.value.format = nullptr; break;
    case 2:
      node.name = one_in(random, 2) ? "\xF0\x9F" : std::string(below(random, 6'000), 'n');
      node.value.name = one_in(random, 4) ? nullptr : node.name.c_str();
      break;
    case 3: node.value.n_children = one_in(random, 2) ? 0 : any_of(random, kCounts); break;
    case 4: node.value.children = nullptr; break;
    case 5:
      if (!node.pointers.empty()) node.pointers[below(random, node.pointers.size())] = nullptr;
      break;
    case 6: node.value.dictionary = nullptr; break;
    default: node.value.release = nullptr; break;
  }
  if (node.value.n_children > static_cast<std::int64_t>(node.pointers.size()) && node.value.n_children <= 100'000)
    node.value.n_children = -1;
}

void lie(Random& random, OwnedArray& root) {
  OwnedArray& node = any_node(random, root);
  ArrowArray& value = node.value;
  constexpr std::int64_t kCounts[] = {-1, -2, INT64_MIN, INT64_MAX, std::int64_t{1} << 41};
  switch (below(random, 12)) {
    case 0: value.length = any_of(random, kCounts); break;
    case 1:  // fewer
      if (value.length > 0 && value.length < 10'000)
        value.length = static_cast<std::int64_t>(random() % 10'000) % value.length;
      break;
    case 2: value.offset = any_of(random, kCounts); break;
    case 3: value.null_count = one_in(random, 3) ? 0 : any_of(random, kCounts); break;
    case 4: value.n_buffers = one_in(random, 2) ? 0 : any_of(random, kCounts); break;
    case 5: value.n_children = one_in(random, 2) ? 0 : any_of(random, kCounts); break;
    case 6: value.children = nullptr; break;
    case 7:
      if (!node.pointers.empty()) node.pointers[below(random, node.pointers.size())] = nullptr;
      break;
    case 8: value.dictionary = nullptr; break;
    case 9: value.release = nullptr; break;
    case 10: value.buffers = nullptr; break;
    default:
      if (!node.buffers.empty()) node.buffers[below(random, node.buffers.size())] = nullptr;
      break;
  }
}

// Bytes of a buffer whose reader checks them: offsets of lists, indexes, views. Those of texts only backwards.
void spoil(Random& random, const Field& field, OwnedArray& array) {
  const std::int64_t rows = array.value.length + array.value.offset;
  if (field.dictionary) {
    if (one_in(random, 2)) return spoil(random, *field.dictionary, *array.dictionary);
    char* const indexes = array.memory.back().get();
    indexes[below(random, static_cast<std::uint64_t>(rows * 8 + 8))] = static_cast<char>(random());
  } else if ((field.format == "+l" || field.format == "+L") && rows > 0) {
    char* const offsets = array.memory.back().get();
    const std::size_t width = field.format == "+l" ? 4 : 8;
    offsets[below(random, static_cast<std::uint64_t>(rows + 1) * width)] = static_cast<char>(random());
  } else if (field.format == "vu" && rows > 0) {
    char* const views = array.memory[array.memory.size() - 3].get();
    views[below(random, static_cast<std::uint64_t>(rows) * 16)] = static_cast<char>(random());
  } else if ((field.format == "u" || field.format == "U") && rows > 0) {
    char* const offsets = array.memory[array.memory.size() - 2].get();
    const auto at = static_cast<std::int64_t>(below(random, static_cast<std::uint64_t>(rows)));  // not the last
    field.format == "u" ? put(offsets, at, std::int32_t{-7}) : put(offsets, at, std::int64_t{-7});
  } else if (!field.children.empty()) {
    const std::size_t child = below(random, field.children.size());
    spoil(random, field.children[child], *array.children[child]);
  }
}

// ---- the stream

struct Source {
  std::unique_ptr<OwnedSchema> schema;
  std::vector<std::unique_ptr<OwnedArray>> arrays;
  std::size_t next = 0;
  int fails_at = -1;
  bool released = false;
};

int get_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  Source& source = *static_cast<Source*>(stream->private_data);
  OwnedSchema* const schema = source.schema.release();
  *out = schema->value;
  if (out->release == nullptr) {  // released already: nothing will ask for it again
    delete schema;
    return 0;
  }
  out->release = release_schema;
  out->private_data = schema;
  ++held;
  return 0;
}

int get_next(ArrowArrayStream* stream, ArrowArray* out) {
  Source& source = *static_cast<Source*>(stream->private_data);
  *out = {};
  if (source.fails_at == static_cast<int>(source.next)) return 5;
  if (source.next == source.arrays.size()) return 0;
  OwnedArray* const array = source.arrays[source.next++].release();
  *out = array->value;
  if (out->release == nullptr) {  // the end of the stream, as it says
    delete array;
    return 0;
  }
  out->release = release_array;
  out->private_data = array;
  ++held;
  return 0;
}

void release_stream(ArrowArrayStream* stream) {
  Source& source = *static_cast<Source*>(stream->private_data);
  if (source.released) report("the stream was released twice");
  source.released = true;
  stream->release = nullptr;
}

// ---- one round

std::string random_mapping(Random& random) {
  std::string spec;
  MsgpackWriter writer(spec);
  switch (below(random, 5)) {
    case 0:
      writer.map(2);
      writer.string("type");
      writer.string("traits");
      writer.string("nan");
      writer.string("missing");
      break;
    case 1:
      writer.map(1);
      writer.string("name");
      writer.map(1);
      writer.string("value");
      writer.string("Given");
      break;
    case 2:
      writer.map(1);
      writer.string("properties");
      writer.map(2);
      writer.string("p1");
      writer.string("same");
      writer.string("p2");
      writer.string("same");
      break;
    default: writer.map(0);
  }
  return spec;
}

struct Loaded {
  std::vector<std::string> records;
  std::size_t rejects = 0;
  bool refused = false;
};

void check(const ArrowLoad::Slice& slice, const DecodeOptions& options, Loaded& out) {
  std::vector<std::byte> payload;
  encode_canonical(slice.decoded.batch, payload);
  std::vector<std::string> shown = show_batch(slice.decoded.batch);
  if (show_batch(decode_canonical(payload, options.hash_key)) != shown) report("codec 1 changed it");
  if (shown.size() + slice.decoded.rejects.size() != slice.row_count) report("rows were lost");
  for (std::size_t at = 0; at < slice.decoded.rejects.size(); ++at) {
    const Reject& reject = slice.decoded.rejects[at];
    if (reject.index >= slice.row_count || reject.code.empty()) report("a reject of no row");
    if (at > 0 && reject.index <= slice.decoded.rejects[at - 1].index) report("rejects out of order");
  }
  out.rejects += slice.decoded.rejects.size();
  out.records.insert(out.records.end(), std::make_move_iterator(shown.begin()), std::make_move_iterator(shown.end()));
}

Loaded load(Source& source, const std::string& mapping, const DecodeOptions& options) {
  ArrowArrayStream stream{get_schema, get_next, [](ArrowArrayStream*) { return "no more"; }, release_stream, &source};
  Loaded out;
  try {
    ArrowLoad rows(stream, {reinterpret_cast<const std::uint8_t*>(mapping.data()), mapping.size()});
    while (const std::optional<ArrowLoad::Slice> slice = rows.next(options)) check(*slice, options, out);
  } catch (const Error& error) {
    if (error.family() != Family::kInvalidRequest) report(error.what());
    out.refused = true;
  }
  if (!source.released) report("the stream was not released");
  if (held != 0) report("a struct was not released");
  return out;
}

// The same rows once more, from `first` on, behind a parent's offset.
std::unique_ptr<OwnedArray> rows_of(std::uint64_t seed, const Field& table, std::int64_t rows, std::int64_t first,
                                    std::int64_t count) {
  Random random(seed);
  auto out = array_of(random, table, rows);
  out->value.offset += first;
  out->value.length = count;
  out->value.null_count = out->buffers[0] == nullptr ? 0 : -1;
  return out;
}

void fuzz_honest(Random& random, const DecodeOptions& options) {
  const Field table = random_table(random);
  const std::string mapping = random_mapping(random);
  const auto rows = static_cast<std::int64_t>(below(random, 60));
  const std::uint64_t seed = random();
  const auto cut = static_cast<std::int64_t>(below(random, static_cast<std::uint64_t>(rows + 1)));
  Source whole{schema_of(table), {}}, parts{schema_of(table), {}};
  whole.arrays.push_back(rows_of(seed, table, rows, 0, rows));
  parts.arrays.push_back(rows_of(seed, table, rows, 0, cut));
  parts.arrays.push_back(rows_of(seed, table, rows, cut, rows - cut));
  const Loaded expected = load(whole, mapping, options), found = load(parts, mapping, options);
  if (found.refused != expected.refused) report("cut in two, it is refused or no longer");
  if (expected.refused) return;
  if (found.records != expected.records || found.rejects != expected.rejects) report("cut in two, rows are others");
}

void fuzz_lies(Random& random, const DecodeOptions& options) {
  const Field table = random_table(random);
  Source source{schema_of(table), {}};
  for (std::uint64_t left = below(random, 3); left > 0; --left) {
    source.arrays.push_back(array_of(random, table, static_cast<std::int64_t>(below(random, 40))));
  }
  for (std::uint64_t left = below(random, 3); left > 0; --left) lie(random, *source.schema);
  for (const auto& array : source.arrays) {
    if (one_in(random, 2)) spoil(random, table, *array);
    for (std::uint64_t left = below(random, 3); left > 0; --left) lie(random, *array);
  }
  if (one_in(random, 20)) source.fails_at = static_cast<int>(below(random, 2));
  static_cast<void>(load(source, random_mapping(random), options));
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  current_seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::printf("arrow_fuzz: %llu rounds, seed %llu\n", static_cast<unsigned long long>(rounds),
              static_cast<unsigned long long>(current_seed));
  DecodeOptions options = test_options();
  options.kinds = {};
  for (current_round = 0; current_round < rounds; ++current_round) {
    Random random(current_seed * 0x9E37'79B9'7F4A'7C15 + current_round);
    current_round % 4 == 0 ? fuzz_honest(random, options) : fuzz_lies(random, options);
  }
  std::printf("ok\n");
  return 0;
}
