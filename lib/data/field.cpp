#include "data/field.h"

#include <algorithm>

#include "base/error.h"
#include "base/sha256.h"

namespace trainctl {

TensorType Field::batch_type(std::int64_t count) const {
  TensorType type{dtype, {count}};
  for (const std::int64_t extent : shape) type.shape.push_back(extent);
  return type;
}

bool DatasetInfo::has(std::string_view name) const {
  return std::ranges::any_of(fields, [&](const Field& field) { return field.name == name; });
}

std::size_t DatasetInfo::index_of(std::string_view name) const {
  std::string known;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == name) return i;
    known += (i > 0 ? ", " : "") + fields[i].name;
  }
  fail(ErrorKind::config, "the dataset has no field '{}'; it has: {}", name, known);
}

std::size_t DatasetInfo::bytes() const {
  std::size_t sum = 0;
  for (const Field& field : fields) sum += static_cast<std::size_t>(samples) * field.sample_bytes();
  return sum;
}

void add_to(Sha256& digest, const Field& field, std::int64_t samples) {
  digest.update(
      fmt::format("{} {} {}{} {}\n", field.name, samples, name(field.dtype), field.shape.text(), field.classes));
  for (const std::string& class_name : field.class_names) digest.update(class_name + '\n');
}

}  // namespace trainctl
