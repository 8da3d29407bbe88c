#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "data/dataset.h"
#include "schema/schema.h"

namespace trainctl {
namespace {

/// Data sets one after another: the samples of the first, then those of the second, and so on.
/// Fields: those that the data sets have in common in name, type and shape, which must be all of them.
struct Concat final : Dataset {
  std::vector<Component<Dataset>> datasets;

  static Schema<Concat> schema() {
    return Schema<Concat>("Data sets one after another, as one.")
        .required("datasets", &Concat::datasets, non_empty(), "Data sets of the same fields.")
        .example("{type: concat, datasets: [{type: mnist, root: a}, {type: mnist, root: b}]}");
  }

  DatasetInfo describe() const override {
    DatasetInfo all = datasets.front()->describe();
    for (std::size_t i = 1; i < datasets.size(); ++i) add(all, datasets[i]->describe(), i);
    return all;
  }

  Table load() const override {
    const DatasetInfo all = describe();
    std::vector<Column> columns;
    for (const Field& field : all.fields) {
      columns.push_back(
          {.field = field, .storage = HostBytes(static_cast<std::size_t>(all.samples) * field.sample_bytes())});
    }
    std::int64_t at = 0;
    for (const auto& dataset : datasets) {
      const Table part = dataset->load();
      if (part.samples() > all.samples - at) fail(ErrorKind::data, "concat: a data set grew while it was read");
      for (Column& column : columns) append(part.column(column.field.name), part.samples(), column, at);
      at += part.samples();
    }
    if (at != all.samples) fail(ErrorKind::data, "concat: a data set shrank while it was read");
    return {all.samples, std::move(columns)};
  }

  Column load_field(std::string_view name) const override {
    const DatasetInfo all = describe();
    const Field& field = all.field(name);
    Column column{.field = field, .storage = HostBytes(static_cast<std::size_t>(all.samples) * field.sample_bytes())};
    std::int64_t at = 0;
    for (const auto& dataset : datasets) {
      const std::int64_t samples = dataset->describe().samples;
      if (samples > all.samples - at) fail(ErrorKind::data, "concat: a data set grew while it was read");
      append(dataset->load_field(name), samples, column, at);
      at += samples;
    }
    return column;
  }

 private:
  static void append(const Column& part, std::int64_t samples, Column& column, std::int64_t at) {
    const std::size_t bytes = column.field.sample_bytes();
    std::memcpy(column.data() + static_cast<std::size_t>(at) * bytes, part.data(),
                static_cast<std::size_t>(samples) * bytes);
  }

  // Adds the samples of data set number `index`; its fields must be those of the ones before it.
  static void add(DatasetInfo& all, const DatasetInfo& part, std::size_t index) {
    if (part.samples > INT32_MAX - all.samples) fail(ErrorKind::config, "concat: more than 2^31 - 1 samples");
    all.samples += part.samples;
    for (const Field& field : part.fields) {
      if (!all.has(field.name)) {
        fail(ErrorKind::config, "concat: datasets.{} has a field '{}' that datasets.0 has not", index, field.name);
      }
    }
    for (Field& field : all.fields) {
      const Field& other = part.field(field.name);
      if (other.dtype != field.dtype || other.shape != field.shape) {
        fail(ErrorKind::config, "concat: the field '{}' is {} {} in datasets.{} and {} {} in those before", field.name,
             name(other.dtype), other.shape.text(), index, name(field.dtype), field.shape.text());
      }
      if (other.class_names != field.class_names || (other.classes > 0) != (field.classes > 0)) {
        fail(ErrorKind::config,
             "concat: the classes of '{}' are named otherwise in datasets.{} than in those before; list the same "
             "'classes' in each",
             field.name, index);
      }
      field.classes = std::max(field.classes, other.classes);  // unnamed: by the largest label
    }
  }
};

const Register<Dataset, Concat> registered{"concat"};

}  // namespace
}  // namespace trainctl
