#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/error.h"
#include "data/dataset.h"
#include "data/source_digest.h"
#include "schema/schema.h"

namespace trainctl {
namespace {

/// Sources one after another, each asked for its own samples.
class JoinedSource final : public SampleSource {
 public:
  JoinedSource(DatasetInfo info, std::vector<std::unique_ptr<SampleSource>> parts)
      : info_(std::move(info)), parts_(std::move(parts)) {
    std::int64_t begin = 0;
    for (const auto& part : parts_) {
      begins_.push_back(begin);
      begin += part->info().samples;
      auto& places = places_.emplace_back();
      for (const Field& field : info_.fields) places.push_back(part->info().index_of(field.name));
    }
    if (begin != info_.samples) fail(ErrorKind::data, "concat: a data set changed while it was read");
  }

  const DatasetInfo& info() const override { return info_; }

  void read(std::size_t field, std::span<const std::int32_t> ids, std::byte* out) const override {
    thread_local std::vector<std::int32_t> own;
    for (std::size_t i = 0; i < ids.size();) {  // one read for each run of samples of one part
      const auto after = std::ranges::upper_bound(begins_, ids[i]);
      const auto part = static_cast<std::size_t>(after - begins_.begin()) - 1;
      const std::int64_t end = after == begins_.end() ? info_.samples : *after;
      own.clear();
      for (; i < ids.size() && ids[i] >= begins_[part] && ids[i] < end; ++i)
        own.push_back(static_cast<std::int32_t>(ids[i] - begins_[part]));
      parts_[part]->read(places_[part][field], own, out);
      out += own.size() * info_.fields[field].sample_bytes();
    }
  }

  std::string digest() const override { return whole_digest(*this); }

 private:
  DatasetInfo info_;
  std::vector<std::unique_ptr<SampleSource>> parts_;
  std::vector<std::int64_t> begins_;              ///< the number of each part's first sample
  std::vector<std::vector<std::size_t>> places_;  ///< of the fields in each part
};

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

  std::unique_ptr<SampleSource> open() const override {
    std::vector<std::unique_ptr<SampleSource>> parts;
    for (const auto& dataset : datasets) parts.push_back(dataset->open());
    return std::make_unique<JoinedSource>(describe(), std::move(parts));
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

  Component<Dataset> inputs_at(const std::filesystem::path& place, const std::vector<Field>& inputs) const override {
    return datasets.front()->inputs_at(place, inputs);
  }

  std::vector<std::string> files() const override {
    std::vector<std::string> all;
    for (const auto& dataset : datasets) {
      std::vector<std::string> some = dataset->files();
      if (some.empty()) return {};
      std::ranges::move(some, std::back_inserter(all));
    }
    return all;
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
