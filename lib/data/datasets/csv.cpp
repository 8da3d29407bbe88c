#include "data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <unordered_map>
#include <variant>

#include "base/error.h"
#include "base/text.h"
#include "data/dataset.h"
#include "data/input_file.h"
#include "schema/schema.h"

namespace trainctl {

enum class CsvTask { classification, regression };
template <>
struct EnumNames<CsvTask> {
  static constexpr EnumName<CsvTask> names[] = {{CsvTask::classification, "classification"},
                                                {CsvTask::regression, "regression"}};
};

namespace {

using ColumnName = std::variant<std::int64_t, std::string>;

/// Columns of the file that are a field beside input and target: numbers f32 (columns), or classes i64 ().
struct CsvField {
  std::vector<ColumnName> columns;
  CsvTask task = CsvTask::regression;
  std::vector<std::string> classes;

  static Schema<CsvField> schema() {
    return Schema<CsvField>("Columns as a field of their own.")
        .required("columns", &CsvField::columns, non_empty(), "Column(s), by name or by index from 0.")
        .field("task", &CsvField::task, "Whether the columns hold numbers (regression), or one column classes.")
        .field("classes", &CsvField::classes,
               "Names of the classes in their order. If left out: whole numbers are indices, other texts are sorted.")
        .example("{columns: patient, task: classification}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (task == CsvTask::classification && columns.size() > 1)
      diagnostics.error(node, "classes stand in one column; give each its own field");
  }
};

/// A text file, one sample per row. Fields: input f32 (features), target i64 () of a class or f32 (targets), and others
/// as named.
struct Csv final : Dataset {
  Path path;
  bool header = true;
  std::string delimiter = ",";
  std::vector<ColumnName> target = {std::int64_t{-1}};
  std::vector<ColumnName> features;
  CsvTask task = CsvTask::classification;
  std::vector<std::string> classes;
  std::vector<std::int64_t> shape;
  OrderedMap<CsvField> fields;

  static Schema<Csv> schema() {
    return Schema<Csv>("A CSV file: one sample per row, numbers as features, one or more columns as target.")
        .required("path", &Csv::path, "The file.")
        .field("header", &Csv::header, "Whether the first row holds the columns' names.")
        .field("delimiter", &Csv::delimiter, "One character between cells.")
        .field("target", &Csv::target,
               "Column(s) of the target, by name or by index from 0 (negative: from the end); [] for none.")
        .field("features", &Csv::features,
               "Columns of the input; if left out, all that are neither the target nor in 'fields'.")
        .field("task", &Csv::task, "Whether the target is a class (a name or an index) or numbers.")
        .field("classes", &Csv::classes,
               "Names of the classes in their order. If left out: whole numbers are indices, other texts are sorted.")
        .field("shape", &Csv::shape, at_least(1), "Shape of one input sample; if left out, (number of features).")
        .field("fields", &Csv::fields,
               "Further columns by name: other inputs and targets of a step, groups of a subset, weights of a sampler.")
        .example("{type: csv, path: iris.csv, target: species}")
        .example("{type: csv, path: visits.csv, target: ill, fields: {patient: {columns: id, task: classification}}}")
        .example("{type: csv, path: housing.csv, target: price, task: regression}");
  }

  void check(Diagnostics& diagnostics, const Node& node) const {
    if (delimiter.size() != 1 || delimiter.find_first_of("\"\r\n") != std::string::npos) {
      diagnostics.error(node, "delimiter must be one character, neither a quote nor a line end");
    }
    if (task == CsvTask::classification && target.size() > 1) {
      diagnostics.error(node, "a classification has one target column");
    }
    for (const auto& [name, field] : fields) {
      if (name == "input" || name == "target")
        diagnostics.error(node, fmt::format("the field '{}' is told by 'features' or 'target'", name));
    }
  }

  DatasetInfo describe() const override { return load().info(); }
  Table load() const override;
  Component<Dataset> inputs_at(const std::filesystem::path& place, const std::vector<Field>& inputs) const override;
  /// Sets where `other`, a file without a header, has the input's columns and those of its fields: at the places of the
  /// training data or, if it has no others, in the same order.
  void place_columns(Csv& other, std::size_t inputs) const;
};

// Gives numbers to the class labels of a column as they come.
class ClassColumn {
 public:
  explicit ClassColumn(const std::vector<std::string>& names) : names_(names), fixed_(!names.empty()) {
    for (std::size_t i = 0; i < names.size(); ++i) numbers_.emplace(names[i], static_cast<std::int64_t>(i));
  }

  void add(const CsvReader& reader, const CsvCell& cell) {
    const std::string text(trimmed(cell.text));
    if (text.empty()) reader.fail_at(cell, "an empty cell where the class should be");
    auto found = numbers_.find(text);
    if (found == numbers_.end()) {
      if (fixed_) {
        reader.fail_at(cell,
                       fmt::format("'{}' is none of the 'classes'.{}", printable(text), suggestion(text, names_)));
      }
      if (names_.size() == most_classes) {
        reader.fail_at(cell, fmt::format("more than {} classes: is this column a regression target?", most_classes));
      }
      found = numbers_.emplace(text, static_cast<std::int64_t>(names_.size())).first;
      names_.push_back(text);
    }
    labels_.push_back(found->second);
  }

  // The labels as class indices; sets the field's classes and their names.
  std::vector<std::int64_t> finish(Field& field) {
    std::vector<std::int64_t> indices(names_.size());
    if (fixed_ || !as_numbers(indices)) {
      std::vector<std::string> order = names_;
      if (!fixed_) std::ranges::sort(order);
      for (std::size_t i = 0; i < names_.size(); ++i) {
        indices[i] = std::ranges::find(order, names_[i]) - order.begin();
      }
      field.classes = static_cast<std::int64_t>(order.size());
      field.class_names = order;
    } else {
      field.classes = *std::ranges::max_element(indices) + 1;
    }
    for (std::int64_t& label : labels_) label = indices[static_cast<std::size_t>(label)];
    return std::move(labels_);
  }

 private:
  static constexpr std::size_t most_classes = 100000;

  // Whether every name is a whole number that can be an index as it is.
  bool as_numbers(std::vector<std::int64_t>& indices) const {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const char* end = names_[i].data() + names_[i].size();
      const auto [stop, error] = std::from_chars(names_[i].data(), end, indices[i]);
      if (error != std::errc() || stop != end || indices[i] < 0) return false;
      if (indices[i] >= static_cast<std::int64_t>(most_classes)) return false;
    }
    return true;
  }

  std::vector<std::string> names_;
  bool fixed_;
  std::unordered_map<std::string, std::int64_t> numbers_;
  std::vector<std::int64_t> labels_;
};

float number(const CsvReader& reader, const CsvCell& cell) {
  const std::string_view text = trimmed(cell.text);
  if (text.empty()) reader.fail_at(cell, "an empty cell where a number should be");
  const char* begin = text.data() + (text.front() == '+' && text.size() > 1 ? 1 : 0);
  const char* end = text.data() + text.size();
  float value = 0.0F;
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error == std::errc::invalid_argument || stop != end) {
    reader.fail_at(cell, fmt::format("'{}' is not a number; 'features' can leave this column out", printable(text)));
  }
  if (error != std::errc() || !std::isfinite(value)) {
    reader.fail_at(cell, fmt::format("'{}' is not a finite number that fits a float", printable(text)));
  }
  return value;
}

// Positions of the columns that a spec names.
std::vector<std::size_t> find_columns(const Path& path, const std::vector<ColumnName>& wanted,
                                      const std::vector<std::string>& names, std::size_t width) {
  std::vector<std::size_t> out;
  for (const ColumnName& column : wanted) {
    if (const auto* name = std::get_if<std::string>(&column)) {
      const auto found = std::ranges::find(names, *name);
      if (found == names.end()) {
        fail(ErrorKind::config, "{}: has no column '{}'.{}", path.string(), *name,
             names.empty() ? " It has no header; use indices from 0." : suggestion(*name, names));
      }
      out.push_back(static_cast<std::size_t>(found - names.begin()));
    } else {
      const std::int64_t given = std::get<std::int64_t>(column);
      const std::int64_t index = given < 0 ? given + static_cast<std::int64_t>(width) : given;
      if (index < 0 || index >= static_cast<std::int64_t>(width)) {
        fail(ErrorKind::config, "{}: has no column {}; it has {}, counted from 0", path.string(), given, width);
      }
      out.push_back(static_cast<std::size_t>(index));
    }
  }
  return out;
}

template <typename T>
Column make_column(Field field, const std::vector<T>& values) {
  Column column{.field = std::move(field), .storage = HostBytes(values.size() * sizeof(T))};
  std::memcpy(column.data(), values.data(), values.size() * sizeof(T));
  return column;
}

Shape input_shape(const Csv& csv, std::size_t features) {
  const auto count = static_cast<std::int64_t>(features);
  if (csv.shape.empty()) return Shape{count};
  const Shape shape{std::span(csv.shape)};
  if (shape.elements() == count) return shape;
  fail(ErrorKind::config, "{}: has {} feature columns; 'shape' {} does not hold as many elements", csv.path.string(),
       count, shape.text());
}

/// One field of the table as its rows come.
class ColumnReader {
 public:
  /// `names` are those of the file's columns; empty where it has no header.
  ColumnReader(std::string name, std::vector<std::size_t> columns, CsvTask task,
               const std::vector<std::string>& classes, const std::vector<std::string>& names)
      : name_(std::move(name)),
        columns_(std::move(columns)),
        classes_(task == CsvTask::classification),
        labels_(classes) {
    if (names.empty()) return;
    for (const std::size_t i : columns_) names_.push_back(names[i]);
  }

  void add(const CsvReader& reader, const std::vector<CsvCell>& row) {
    for (const std::size_t i : columns_) {
      if (classes_)
        labels_.add(reader, row[i]);
      else
        values_.push_back(number(reader, row[i]));
    }
  }

  Column finish() {
    Field field{.name = name_, .columns = names_};
    if (!classes_) {
      field.shape = {static_cast<std::int64_t>(columns_.size())};
      return make_column(field, values_);
    }
    field.dtype = DType::i64;
    const std::vector<std::int64_t> indices = labels_.finish(field);
    return make_column(field, indices);
  }

 private:
  std::string name_;
  std::vector<std::size_t> columns_;
  std::vector<std::string> names_;
  bool classes_;
  std::vector<float> values_;
  ClassColumn labels_;
};

/// The columns of the input: `features`, or all that nothing else names.
std::vector<std::size_t> input_columns(const Csv& csv, const std::vector<std::string>& names, std::size_t width) {
  std::vector<std::size_t> inputs = find_columns(csv.path, csv.features, names, width);
  if (inputs.empty()) {
    std::vector<bool> used(width, false);
    for (const std::size_t i : find_columns(csv.path, csv.target, names, width)) used[i] = true;
    for (const auto& [name, field] : csv.fields)
      for (const std::size_t i : find_columns(csv.path, field.columns, names, width)) used[i] = true;
    for (std::size_t i = 0; i < width; ++i)
      if (!used[i]) inputs.push_back(i);
  }
  if (inputs.empty()) fail(ErrorKind::config, "{}: no column is left for the input", csv.path.string());
  return inputs;
}

/// Input, target and the others, for a file whose columns have these names.
std::vector<ColumnReader> field_readers(const Csv& csv, const std::vector<std::string>& names, std::size_t width) {
  std::vector<ColumnReader> readers;
  const auto find = [&](const std::vector<ColumnName>& wanted) { return find_columns(csv.path, wanted, names, width); };
  readers.emplace_back("input", input_columns(csv, names, width), CsvTask::regression, std::vector<std::string>{},
                       names);
  if (!csv.target.empty()) readers.emplace_back("target", find(csv.target), csv.task, csv.classes, names);
  for (const auto& [name, field] : csv.fields)
    readers.emplace_back(name, find(field.columns), field.task, field.classes, names);
  return readers;
}

Table Csv::load() const {
  CsvReader reader(path, delimiter.front());
  std::vector<CsvCell> row;
  bool more = reader.next(row);
  std::vector<std::string> names;
  if (header && more) {
    for (const CsvCell& cell : row) names.emplace_back(trimmed(cell.text));
    more = reader.next(row);
  }
  if (!more) throw NoSamples(fmt::format("{}: holds no samples", path.string()));

  std::vector<ColumnReader> readers = field_readers(*this, names, row.size());
  std::int64_t samples = 0;
  for (; more; more = reader.next(row), ++samples) {
    for (ColumnReader& field : readers) field.add(reader, row);
  }
  std::vector<Column> columns;
  for (ColumnReader& field : readers) columns.push_back(field.finish());
  columns.front().field.shape = input_shape(*this, static_cast<std::size_t>(columns.front().field.shape[0]));
  return {samples, std::move(columns)};
}

/// Columns of the training data, of which `inputs` are named neither by `target` nor by `fields`.
std::size_t width_of(const Csv& csv, std::size_t inputs) {
  std::vector<ColumnName> named = csv.target;
  for (const auto& [name, field] : csv.fields) named.insert(named.end(), field.columns.begin(), field.columns.end());
  // A column may be named several times, and counted from either end.
  for (std::size_t others = named.size(); others > 0; --others) {
    const auto found = find_columns(csv.path, named, {}, inputs + others);
    if (std::set(found.begin(), found.end()).size() == others) return inputs + others;
  }
  return inputs + named.size();
}

void Csv::place_columns(Csv& other, std::size_t inputs) const {
  std::vector<CsvCell> row;
  if (!CsvReader(other.path, delimiter.front()).next(row)) return;  // load() tells that
  const std::size_t whole = width_of(*this, inputs);
  std::vector<std::vector<std::size_t>> columns{input_columns(*this, {}, whole)};
  for (const auto& [name, field] : other.fields) columns.push_back(find_columns(path, field.columns, {}, whole));
  std::set<std::size_t> given;
  for (const auto& of_field : columns) given.insert(of_field.begin(), of_field.end());
  if (row.size() != whole && row.size() != given.size()) {
    fail(ErrorKind::data,
         "{}: has {} columns and no header; give it the {} that the model is given, or all {} of the training data",
         other.path.string(), row.size(), given.size(), whole);
  }
  const auto placed = [&](const std::vector<std::size_t>& of_field) {
    std::vector<ColumnName> out;
    for (const std::size_t i : of_field)
      out.emplace_back(row.size() == whole ? static_cast<std::int64_t>(i)
                                           : std::distance(given.begin(), given.find(i)));
    return out;
  };
  other.features = placed(columns.front());
  for (std::size_t i = 0; i < other.fields.items.size(); ++i)
    other.fields.items[i].second.columns = placed(columns[i + 1]);
}

Component<Dataset> Csv::inputs_at(const std::filesystem::path& place, const std::vector<Field>& inputs) const {
  auto other = std::make_unique<Csv>(*this);
  other->path.value = place;
  other->target.clear();
  other->fields = {};
  for (const Field& field : inputs) {
    if (const CsvField* own = fields.find(field.name)) other->fields.items.emplace_back(field.name, *own);
  }
  const auto input = std::ranges::find(inputs, "input", &Field::name);
  if (input != inputs.end() && !input->columns.empty())
    other->features = {input->columns.begin(), input->columns.end()};
  else if (input != inputs.end() && !header && features.empty())
    place_columns(*other, static_cast<std::size_t>(input->shape.elements()));
  return {"csv", std::move(other)};
}

const Register<Dataset, Csv> registered{"csv"};

}  // namespace
}  // namespace trainctl
