#include "data/array.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "base/error.h"
#include "data/source_digest.h"

namespace trainctl {
namespace {

Shape sample_shape(const ArrayInfo& info) {
  return Shape(std::span(info.dims).subspan(1));
}

Field input_field(const ArrayPair& pair) {
  const ArrayInfo& info = pair.input->info();
  Field field{.name = "input", .dtype = info.dtype, .shape = sample_shape(info)};
  if (pair.input_shape.empty()) return field;
  const Shape shape{std::span(pair.input_shape)};
  if (std::ranges::any_of(shape, [](std::int64_t extent) { return extent < 1; }) ||
      shape.elements() != field.shape.elements()) {
    fail(ErrorKind::config, "{}: its samples have the shape {}; 'shape' {} does not hold as many elements",
         pair.input->origin(), field.shape.text(), shape.text());
  }
  field.shape = shape;
  return field;
}

void check_same_samples(const ArrayPair& pair) {
  if (!pair.target) return;
  const std::int64_t inputs = pair.input->info().samples();
  const std::int64_t targets = pair.target->info().samples();
  if (inputs != targets) {
    fail(ErrorKind::data, "{} holds {} samples but {} holds {}: they do not belong together", pair.input->origin(),
         inputs, pair.target->origin(), targets);
  }
}

bool is_integer(DType dtype) {
  return dtype == DType::u8 || dtype == DType::i32 || dtype == DType::i64;
}

template <typename From>
void widen(const Column& from, std::int64_t* to, std::size_t count) {
  std::transform(from.as<From>(), from.as<From>() + count, to, [](From v) { return static_cast<std::int64_t>(v); });
}

// Integers as class indices: i64, each in [0, classes), or with classes = 0 in [0, largest].
Column class_indices(Column raw, std::int64_t samples, std::int64_t classes, const std::string& origin) {
  const auto count = static_cast<std::size_t>(samples * raw.field.shape.elements());
  Column out{.field = raw.field, .storage = HostBytes(count * sizeof(std::int64_t))};
  auto* labels = reinterpret_cast<std::int64_t*>(out.data());
  if (raw.field.dtype == DType::u8) widen<std::uint8_t>(raw, labels, count);
  if (raw.field.dtype == DType::i32) widen<std::int32_t>(raw, labels, count);
  if (raw.field.dtype == DType::i64) std::memcpy(labels, raw.data(), count * sizeof(std::int64_t));

  constexpr std::int64_t most_classes = std::numeric_limits<std::int32_t>::max();
  const std::int64_t limit = classes > 0 ? classes : most_classes;
  const auto* bad = std::find_if(labels, labels + count, [&](std::int64_t v) { return v < 0 || v >= limit; });
  if (bad != labels + count) {
    const std::int64_t sample = (bad - labels) / raw.field.shape.elements();
    fail(ErrorKind::data, "{}: sample {} has the label {}, outside of [0, {})", origin, sample, *bad, limit);
  }
  out.field.dtype = DType::i64;
  out.field.classes = classes > 0 ? classes : *std::max_element(labels, labels + count) + 1;
  return out;
}

Column load_input(const ArrayPair& pair) {
  Column column = pair.input->load();
  column.field = input_field(pair);
  return column;
}

Column load_target(const ArrayPair& pair) {
  Column column = pair.target->load();
  const ArrayInfo& info = pair.target->info();
  if (is_integer(info.dtype)) {
    column = class_indices(std::move(column), info.samples(), pair.classes, pair.target->origin());
  } else if (pair.classes > 0) {
    fail(ErrorKind::config, "{}: holds {} values; 'classes' needs integers", pair.target->origin(), name(info.dtype));
  } else if (column.field.shape.rank() == 0) {
    column.field.shape = Shape{1};  // as a regression's output: (batch, 1)
  }
  column.field.name = "target";
  return column;
}

void check_other(const ArrayPair& pair, const NamedArray& other) {
  const ArrayInfo& info = other.file->info();
  if (info.samples() != pair.input->info().samples()) {
    fail(ErrorKind::data, "{} holds {} samples but {} holds {}: they do not belong together", pair.input->origin(),
         pair.input->info().samples(), other.file->origin(), info.samples());
  }
  if (other.classes > 0 && !is_integer(info.dtype))
    fail(ErrorKind::config, "{}: holds {} values; 'classes' needs integers", other.file->origin(), name(info.dtype));
}

Field other_field(const NamedArray& other) {
  const ArrayInfo& info = other.file->info();
  return {.name = other.name,
          .dtype = other.classes > 0 ? DType::i64 : info.dtype,
          .shape = sample_shape(info),
          .classes = other.classes};
}

Column load_other(const ArrayPair& pair, const NamedArray& other) {
  check_other(pair, other);
  Column column = other.file->load();
  if (other.classes > 0)
    column = class_indices(std::move(column), other.file->info().samples(), other.classes, other.file->origin());
  column.field = other_field(other);
  return column;
}

// Inputs read from their file when asked for; all else in memory.
class StoredPair final : public SampleSource {
 public:
  explicit StoredPair(ArrayPair pair) : pair_(std::move(pair)) {
    check_same_samples(pair_);
    info_.samples = pair_.input->info().samples();
    info_.fields.push_back(input_field(pair_));
    std::vector<Column> columns;
    if (pair_.target) columns.push_back(load_target(pair_));
    for (const NamedArray& other : pair_.others) columns.push_back(load_other(pair_, other));
    for (const Column& column : columns) info_.fields.push_back(column.field);
    others_.emplace(info_.samples, std::move(columns));
  }

  const DatasetInfo& info() const override { return info_; }

  void read(std::size_t field, std::span<const std::int32_t> ids, std::byte* out) const override {
    if (field > 0) return others_->read(field - 1, ids, out);
    const std::size_t bytes = info_.fields[0].sample_bytes();
    for (std::size_t i = 0; i < ids.size();) {  // one read for each run of consecutive samples
      std::size_t run = 1;
      while (i + run < ids.size() && ids[i + run] == ids[i] + static_cast<std::int32_t>(run)) ++run;
      pair_.input->read(ids[i], static_cast<std::int64_t>(run), out);
      out += run * bytes;
      i += run;
    }
  }

  std::string digest() const override { return whole_digest(*this); }

 private:
  ArrayPair pair_;
  DatasetInfo info_;
  std::optional<Table> others_;
};

}  // namespace

std::size_t ArrayFile::sample_bytes() const {
  return TensorType{info_.dtype, sample_shape(info_)}.bytes();
}

void ArrayFile::read(std::int64_t first, std::int64_t count, std::byte* out) const {
  const std::optional<StoredArray> stored = this->stored();
  require(stored.has_value(), "this array is read as a whole");
  const std::size_t bytes = sample_bytes();
  stored->file->read(stored->offset + static_cast<std::uint64_t>(first) * bytes,
                     {out, static_cast<std::size_t>(count) * bytes});
}

std::uint64_t checked_bytes(const std::vector<std::int64_t>& dims, std::size_t element_bytes,
                            const std::string& origin) {
  constexpr std::uint64_t most_bytes = std::uint64_t{1} << 47;
  if (dims.empty()) fail(ErrorKind::data, "{}: holds a scalar, not an array of samples", origin);
  if (dims.size() > Shape::max_rank) {
    fail(ErrorKind::data, "{}: has {} axes; at most {} are handled", origin, dims.size(), Shape::max_rank);
  }
  std::uint64_t bytes = element_bytes;
  if (dims.front() == 0) throw NoSamples(fmt::format("{}: extent 0 of axis 0: no samples", origin));
  for (std::size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] < 1) fail(ErrorKind::data, "{}: extent {} of axis {}: no samples", origin, dims[axis], axis);
    if (static_cast<std::uint64_t>(dims[axis]) > most_bytes / bytes) {
      fail(ErrorKind::data, "{}: damaged: extent {} of axis {} makes the array impossibly large", origin, dims[axis],
           axis);
    }
    bytes *= static_cast<std::uint64_t>(dims[axis]);
  }
  if (dims.front() > std::numeric_limits<std::int32_t>::max()) {
    fail(ErrorKind::data, "{}: holds {} samples; at most 2^31 - 1 are handled", origin, dims.front());
  }
  return bytes;
}

DatasetInfo ArrayPair::describe() const {
  check_same_samples(*this);
  DatasetInfo info{.samples = input->info().samples(), .fields = {input_field(*this)}};
  if (target && (classes == 0 || !is_integer(target->info().dtype))) {
    info.fields.push_back(load_target(*this).field);
  } else if (target) {
    info.fields.push_back(
        {.name = "target", .dtype = DType::i64, .shape = sample_shape(target->info()), .classes = classes});
  }
  for (const NamedArray& other : others) {
    check_other(*this, other);
    info.fields.push_back(other_field(other));
  }
  return info;
}

Table ArrayPair::load() const {
  check_same_samples(*this);
  std::vector<Column> columns;
  columns.push_back(load_input(*this));
  if (target) columns.push_back(load_target(*this));
  for (const NamedArray& other : others) columns.push_back(load_other(*this, other));
  return {input->info().samples(), std::move(columns)};
}

Column ArrayPair::load_field(std::string_view name) const {
  check_same_samples(*this);
  if (target && name == "target") return load_target(*this);
  for (const NamedArray& other : others)
    if (other.name == name) return load_other(*this, other);
  return load().take(name);
}

std::unique_ptr<SampleSource> ArrayPair::open(ArrayPair pair) {
  if (!pair.input->reads_parts()) return std::make_unique<Table>(pair.load());
  return std::make_unique<StoredPair>(std::move(pair));
}

}  // namespace trainctl
