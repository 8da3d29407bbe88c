#include "data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <variant>

#include "base/error.h"
#include "base/text.h"
#include "data/dataset.h"
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

/// A text file of numbers, one sample per row. Fields: input f32 (features), target i64 () of a class or f32 (targets).
struct Csv final : Dataset {
  Path path;
  bool header = true;
  std::string delimiter = ",";
  std::vector<ColumnName> target = {std::int64_t{-1}};
  std::vector<ColumnName> features;
  CsvTask task = CsvTask::classification;
  std::vector<std::string> classes;
  std::vector<std::int64_t> shape;

  static Schema<Csv> schema() {
    return Schema<Csv>("A CSV file: one sample per row, numbers as features, one or more columns as target.")
        .required("path", &Csv::path, "The file.")
        .field("header", &Csv::header, "Whether the first row holds the columns' names.")
        .field("delimiter", &Csv::delimiter, "One character between cells.")
        .field("target", &Csv::target,
               "Column(s) of the target, by name or by index from 0 (negative: from the end); [] for none.")
        .field("features", &Csv::features, "Columns of the input; if left out, all that are not the target.")
        .field("task", &Csv::task, "Whether the target is a class (a name or an index) or numbers.")
        .field("classes", &Csv::classes,
               "Names of the classes in their order. If left out: whole numbers are indices, other texts are sorted.")
        .field("shape", &Csv::shape, at_least(1), "Shape of one input sample; if left out, (number of features).")
        .example("{type: csv, path: iris.csv, target: species}")
        .example("{type: csv, path: housing.csv, target: price, task: regression}");
  }

  void check(Diagnostics& diagnostics, const Node& node) const {
    if (delimiter.size() != 1 || delimiter.find_first_of("\"\r\n") != std::string::npos) {
      diagnostics.error(node, "delimiter must be one character, neither a quote nor a line end");
    }
    if (task == CsvTask::classification && target.size() > 1) {
      diagnostics.error(node, "a classification has one target column");
    }
  }

  DatasetInfo describe() const override { return load().info(); }
  Table load() const override;
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

Table Csv::load() const {
  CsvReader reader(path, delimiter.front());
  std::vector<CsvCell> row;
  bool more = reader.next(row);
  std::vector<std::string> names;
  if (header && more) {
    for (const CsvCell& cell : row) names.emplace_back(trimmed(cell.text));
    more = reader.next(row);
  }
  if (!more) fail(ErrorKind::data, "{}: holds no samples", path.string());

  const std::vector<std::size_t> targets = find_columns(path, target, names, row.size());
  std::vector<std::size_t> inputs = find_columns(path, features, names, row.size());
  if (features.empty()) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (std::ranges::find(targets, i) == targets.end()) inputs.push_back(i);
    }
  }
  if (inputs.empty()) fail(ErrorKind::config, "{}: no column is left for the input", path.string());

  std::vector<float> input_values;
  std::vector<float> target_values;
  ClassColumn labels(classes);
  std::int64_t samples = 0;
  for (; more; more = reader.next(row), ++samples) {
    for (const std::size_t i : inputs) input_values.push_back(number(reader, row[i]));
    for (const std::size_t i : targets) {
      if (task == CsvTask::classification) {
        labels.add(reader, row[i]);
      } else {
        target_values.push_back(number(reader, row[i]));
      }
    }
  }

  std::vector<Column> columns;
  columns.push_back(make_column({.name = "input", .shape = input_shape(*this, inputs.size())}, input_values));
  if (!targets.empty() && task == CsvTask::classification) {
    Field field{.name = "target", .dtype = DType::i64};
    const std::vector<std::int64_t> indices = labels.finish(field);
    columns.push_back(make_column(field, indices));
  } else if (!targets.empty()) {
    const Shape target_shape{static_cast<std::int64_t>(targets.size())};
    columns.push_back(make_column({.name = "target", .shape = target_shape}, target_values));
  }
  return {samples, std::move(columns)};
}

const Register<Dataset, Csv> registered{"csv"};

}  // namespace
}  // namespace trainctl
