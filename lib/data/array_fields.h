// The `fields` of data sets that consist of arrays: arrays beside input and target.
#pragma once

#include <cstdint>

#include "data/array.h"
#include "schema/schema.h"

namespace trainctl {

inline constexpr const char* further_fields_doc =
    "Further arrays by name: other inputs and targets of a step, groups of a subset, weights of a sampler.";

/// An array in a file of its own.
struct FileField {
  Path path;
  std::int64_t classes = 0;

  static Schema<FileField> schema() {
    return Schema<FileField>("A file as a field of its own.")
        .required("path", &FileField::path, "File of the array, its first axis the samples.")
        .field("classes", &FileField::classes, at_least(0),
               "Number of classes, if its integers are class indices; 0: it holds values.")
        .example("{path: metadata.npy}");
  }
};

/// Notes an error for a field that has a key of its own.
template <typename F>
void check_field_names(const OrderedMap<F>& fields, Diagnostics& diagnostics, const Node& node) {
  for (const auto& [name, field] : fields) {
    if (name == "input" || name == "target")
      diagnostics.error(node, fmt::format("the field '{}' has a key of its own; give it there", name));
  }
}

}  // namespace trainctl
