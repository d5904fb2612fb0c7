// Tables cross without a copy of their numbers: a numpy array views the column and keeps the table alive.
#include "bindings/convert.hpp"

namespace cdp::bindings {
namespace {

using SharedTable = std::shared_ptr<Table>;

template <class T>
py::array words_view(const TableColumn& column, const py::object& owner) {
  py::array_t<T> out({column.size()}, {sizeof(T)}, reinterpret_cast<const T*>(column.words().data()), owner);
  py::detail::array_proxy(out.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return py::array(out);
}

py::object cell(const TableColumn& column, std::size_t row) {
  if (column.is_null(row)) return py::none();
  switch (column.type_at(row)) {
    case ColumnType::kInt64: return py::int_(column.int_at(row));
    case ColumnType::kDatetime: return datetime_of(column.int_at(row));
    case ColumnType::kUint64: return py::int_(column.uint_at(row));
    case ColumnType::kFloat64: return py::float_(column.float_at(row));
    case ColumnType::kBool: return py::bool_(column.bool_at(row));
    case ColumnType::kString: return py::str(column.string_at(row).data(), column.string_at(row).size());
    case ColumnType::kList: return list_of(column.string_at(row));
    case ColumnType::kDecimal:  // exact integers beyond 64 bits are Python's own
      return py::reinterpret_steal<py::object>(
          PyLong_FromString(std::string(column.string_at(row)).c_str(), nullptr, 10));
    case ColumnType::kMixed: break;  // no cell says so of itself
  }
  return py::none();
}

py::array objects(const TableColumn& column) {
  py::array_t<py::object> out(static_cast<py::ssize_t>(column.size()));
  auto cells = out.mutable_unchecked<1>();
  for (std::size_t row = 0; row < column.size(); ++row) cells(static_cast<py::ssize_t>(row)) = cell(column, row);
  return py::array(out);
}

py::array to_numpy(const TableColumn& column, const py::object& owner) {
  if (!column.has_nulls()) {
    switch (column.type()) {
      case ColumnType::kInt64: return words_view<std::int64_t>(column, owner);
      case ColumnType::kUint64: return words_view<std::uint64_t>(column, owner);
      case ColumnType::kFloat64: return words_view<double>(column, owner);
      default: break;
    }
  }
  return objects(column);
}

std::string_view type_name(ColumnType type) {
  switch (type) {
    case ColumnType::kInt64: return "int64";
    case ColumnType::kUint64: return "uint64";
    case ColumnType::kFloat64: return "float64";
    case ColumnType::kBool: return "bool";
    case ColumnType::kString: return "string";
    case ColumnType::kDecimal: return "decimal";
    case ColumnType::kDatetime: return "datetime";
    case ColumnType::kList: return "list";
    case ColumnType::kMixed: return "mixed";
  }
  return "";
}

}  // namespace

void bind_table(py::module_& module) {
  py::class_<Table, SharedTable>(module, "Table")
      .def_property_readonly("names",
                             [](const Table& table) {
                               py::list out;
                               for (const TableColumn& column : table.columns) out.append(column.name());
                               return out;
                             })
      .def_property_readonly("types",
                             [](const Table& table) {
                               py::list out;
                               for (const TableColumn& column : table.columns) out.append(type_name(column.type()));
                               return out;
                             })
      .def("column",
           [](const py::object& self, std::size_t index) {
             const auto& table = self.cast<const Table&>();
             return to_numpy(table.columns.at(index), self);
           })
      .def_property_readonly("watermark", [](const Table& table) { return table.watermark; })
      .def_property_readonly("now_ms", [](const Table& table) { return table.now_ms; })
      .def_property_readonly("notes", [](const Table& table) {
        py::dict out;
        for (const auto& [name, note] : table.notes) out[py::str(name)] = note;
        return out;
      });
}

}  // namespace cdp::bindings
