#include "data/dataset.h"

#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "schema/registry.h"

namespace trainctl {

Table::Table(std::int64_t samples, std::vector<Column> columns) : columns_(std::move(columns)) {
  info_.samples = samples;
  for (const Column& column : columns_) {
    require(column.offset + static_cast<std::size_t>(samples) * column.field.sample_bytes() <= column.storage.size(),
            "a column is shorter than its samples");
    info_.fields.push_back(column.field);
  }
}

void Table::read(std::size_t field, std::span<const std::int32_t> ids, std::byte* out) const {
  const Column& column = columns_[field];
  const std::size_t bytes = column.field.sample_bytes();
  const std::byte* base = column.data();
  for (const std::int32_t id : ids) {
    std::memcpy(out, base + static_cast<std::size_t>(id) * bytes, bytes);
    out += bytes;
  }
}

void Table::add_to(Sha256& digest) const {
  for (const Column& column : columns_) {
    trainctl::add_to(digest, column.field, samples());
    digest.update({column.data(), static_cast<std::size_t>(samples()) * column.field.sample_bytes()});
  }
}

std::string Table::digest() const {
  Sha256 digest;
  add_to(digest);
  return digest.finish_hex();
}

Column Dataset::load_field(std::string_view name) const {
  return load().take(name);
}

Component<Dataset> Dataset::inputs_at(const std::filesystem::path& place, const std::vector<Field>&) const {
  fail(ErrorKind::config,
       "{}: the experiment's kind of data set does not lie at one place; say how the samples are read, as in '{{type: "
       "npy, input: {}}}'",
       place.string(), place.string());
}

void expect_input_alone(const std::vector<Field>& inputs, std::string_view type) {
  std::string names, keys;
  for (const Field& field : inputs) {
    names += (names.empty() ? "" : ", ") + field.name;
    if (field.name != "input") keys += fmt::format("{}{}: {{path: ...}}", keys.empty() ? "" : ", ", field.name);
  }
  if (keys.empty()) return;
  fail(ErrorKind::config,
       "the model is given the fields {}, which do not lie in one file; say where each is, as in '{{type: {}, input: "
       "..., fields: {{{}}}}}'",
       names, type, keys);
}

std::unique_ptr<SampleSource> Dataset::open() const {
  return std::make_unique<Table>(load());
}

}  // namespace trainctl
