#include "query/export_columns.hpp"

#include <bit>
#include <set>

#include "column/dictionary.hpp"
#include "query/list_json.hpp"

namespace cdp {
namespace {

constexpr std::uint32_t kNullBit = 1u << static_cast<unsigned>(ValueType::kNull);

ArrowType arrow_type(ValueType type) noexcept {
  switch (type) {
    case ValueType::kNull: return ArrowType::kNull;
    case ValueType::kBool: return ArrowType::kBool;
    case ValueType::kInt: return ArrowType::kInt;
    case ValueType::kFloat: return ArrowType::kFloat;
    case ValueType::kString: return ArrowType::kText;
    case ValueType::kDatetime: return ArrowType::kTime;
    case ValueType::kList:
    case ValueType::kItems: return ArrowType::kText;  // as JSON
  }
  return ArrowType::kNull;
}

class Chooser {
 public:
  Chooser(std::string_view prefix, std::vector<ArrowField>& fields) : prefix_(prefix), fields_(fields) {
    for (const ArrowField& field : fields) taken_.insert(field.name);
  }

  void reserve(const std::string& name, const Path& path) {
    if (taken_.insert(name).second) return;
    throw Error(Family::kBadQuery, code::kQueryInvalid, "two columns would be named \"" + name + "\"", path.text());
  }

  // `as`: reserved before; empty: the rule's.
  void add(std::string_view key, const SeenKey* seen, std::optional<ValueType> only, const std::string& as) {
    const std::optional<KeyId> id = seen == nullptr ? std::nullopt : std::optional(seen->key);
    if (only) {
      ValueColumn column{id, *only, *only == ValueType::kNull};
      return add_column(column, as.empty() ? typed_name(key, *only) : as, as.empty());
    }
    const std::uint32_t types = seen == nullptr ? 0 : seen->types & ~kNullBit;
    if (types == 0) return add_column({id, ValueType::kNull, false}, as.empty() ? std::string(key) : as, as.empty());
    const bool one = std::has_single_bit(types);
    for (std::uint32_t left = types; left != 0; left &= left - 1) {
      const auto type = static_cast<ValueType>(std::countr_zero(left));
      std::string name = as.empty() ? std::string(key) : as;
      if (!one) name = typed_name(name, type);
      add_column({id, type, false}, std::move(name), as.empty() || !one);
    }
  }

  std::vector<ValueColumn> take() { return std::move(columns_); }

 private:
  static std::string typed_name(std::string_view key, ValueType type) {
    return std::string(key).append(":").append(value_type_name(type));
  }

  void add_column(const ValueColumn& column, std::string name, bool make_free) {
    while (make_free && !taken_.insert(name).second) name = std::string(prefix_).append(":").append(name);
    fields_.push_back({std::move(name), column.as_flag ? ArrowType::kBool : arrow_type(column.type), true});
    columns_.push_back(column);
  }

  std::string_view prefix_;
  std::vector<ArrowField>& fields_;
  std::set<std::string> taken_;
  std::vector<ValueColumn> columns_;
};

}  // namespace

std::vector<ValueColumn> choose_columns(const SeenKeys& seen, const std::optional<std::vector<ExportColumnSpec>>& asked,
                                        std::string_view prefix, std::vector<ArrowField>& fields) {
  Chooser chooser(prefix, fields);
  if (!asked) {
    for (const auto& [key, types] : seen) chooser.add(key, &types, std::nullopt, {});
    return chooser.take();
  }
  const Path root;
  const Path path = root.field("columns");
  for (std::size_t at = 0; at < asked->size(); ++at) {
    if (!(*asked)[at].as.empty()) chooser.reserve((*asked)[at].as, path.item(at));
  }
  for (const ExportColumnSpec& column : *asked) {
    const auto found = seen.find(column.key);
    chooser.add(column.key, found == seen.end() ? nullptr : &found->second, column.type, column.as);
  }
  return chooser.take();
}

void add_missing(ArrowColumn& column, const ValueColumn& of) {
  if (of.as_flag) return column.add_bool(false);
  column.add_null();
}

void add_value(ArrowColumn& column, ValueType type, std::uint64_t bits, const Version& version, std::string& scratch) {
  switch (type) {
    case ValueType::kNull: return column.add_bool(true);
    case ValueType::kBool: return column.add_bool(bits != 0);
    case ValueType::kString: return column.add_text(version.strings->at(static_cast<std::uint32_t>(bits)));
    case ValueType::kList:
    case ValueType::kItems:
      scratch.clear();
      append_list_json(version.strings->at(static_cast<std::uint32_t>(bits)), scratch);
      return column.add_text(scratch);
    default: return column.add_word(bits);
  }
}

}  // namespace cdp
