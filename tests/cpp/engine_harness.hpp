// Engines as tests use them: records written as JSON, one line a question.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "engine/engine.hpp"
#include "json_msgpack.hpp"

namespace cdp::test {

inline constexpr std::int64_t kNow = 1'700'000'000'000;

// A directory of its own, gone with the test.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "cdpstore-engine-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string store() const { return path_ + "/store"; }

 private:
  std::string path_;
};

inline OpenOptions options_of(std::string path, bool background = true) {
  OpenOptions options;
  options.path = std::move(path);
  options.hash_key = 7;
  options.now_ms = kNow;
  options.worker_count = 2;
  options.background = background;
  return options;
}

inline Ticket submit(Engine& engine, std::string_view json, std::int64_t received_ms = kNow) {
  const std::vector<std::uint8_t> bytes = pack_json(json);
  Submission submission;
  submission.bytes = std::as_bytes(std::span(bytes));
  submission.received_ms = received_ms;
  return engine.submit(submission);
}
inline Outcome append(Engine& engine, std::string_view json, std::int64_t received_ms = kNow) {
  return engine.wait(submit(engine, json, received_ms));
}

inline std::string event_json(std::string_view user, std::string_view name, std::int64_t time_ms, int price) {
  return "{\"type\":\"event\",\"name\":\"" + std::string(name) + "\",\"time_ms\":" + std::to_string(time_ms) +
         ",\"ids\":{\"user_id\":\"" + std::string(user) + "\"},\"properties\":{\"price\":" + std::to_string(price) +
         ",\"color\":\"" + (price % 3 == 0 ? "red" : "blue") + "\"}}";
}

inline Table ask(const Engine& engine, std::string_view json, std::int64_t now_ms = kNow) {
  const std::vector<std::uint8_t> spec = pack_json(json);
  QueryOptions options;
  options.now_ms = now_ms;
  return engine.query(spec, options);
}

// A table as text that compares: numbers only.
inline std::string show(const Table& table) {
  std::string out;
  for (const TableColumn& column : table.columns) {
    out += column.name() + ":";
    for (std::size_t row = 0; row < table.row_count(); ++row) {
      if (column.is_null(row)) {
        out += " null";
        continue;
      }
      switch (column.type_at(row)) {
        case ColumnType::kInt64:
        case ColumnType::kDatetime: out += " " + std::to_string(column.int_at(row)); break;
        case ColumnType::kUint64: out += " " + std::to_string(column.uint_at(row)); break;
        case ColumnType::kFloat64: out += " " + std::to_string(column.float_at(row)); break;
        case ColumnType::kString:
        case ColumnType::kDecimal: out += " " + std::string(column.string_at(row)); break;
        default: out += " ?"; break;
      }
    }
    out += "\n";
  }
  return out;
}

inline const std::vector<std::string_view>& questions() {
  static const std::vector<std::string_view> all = {
      R"({"kind":"trend","event":"Viewed","measures":["total","unique",{"sum":"price"}],"interval":"day"})",
      R"({"kind":"trend","event":{"event":null},"measures":["total"],"interval":null,"breakdown":[{"property":"color"}]})",
      R"({"kind":"trend","event":"Charged","measures":["total"],"interval":null,"breakdown":[{"trait":"plan"}]})",
      R"({"kind":"funnel","steps":["Viewed","Charged"],"window":"7d"})",
      R"({"kind":"funnel","steps":["Viewed",{"event":null},"Charged"],"window":null,"same_time":"later"})",
      R"({"kind":"retention","start":"Viewed","return":"Charged","interval":"week"})",
      R"({"kind":"profiles","where":{"and":[{"did":"Charged","count":{"op":"ge","value":2}},{"not":{"trait":"plan","op":"eq","value":"free"}}]}})",
      R"({"kind":"profiles","where":{"did":"Viewed","sum":{"property":"price","op":"gt","value":100},"window":{"last":"30d"}}})",
  };
  return all;
}

inline std::string show_all(const Engine& engine, std::int64_t now_ms = kNow) {
  std::string out;
  for (const std::string_view question : questions()) out += show(ask(engine, question, now_ms));
  return out;
}

}  // namespace cdp::test
