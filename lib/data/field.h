// What a dataset holds, known before its samples are: the fields, their types, and how many samples there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "device/types.h"

namespace trainctl {

class Sha256;

/// One named value of every sample. By convention the fields are `input` and `target`.
struct Field {
  std::string name{};
  DType dtype = DType::f32;
  Shape shape{};                           ///< of one sample, without the batch axis; images are (C, H, W), u8
  std::int64_t classes = 0;                ///< > 0: the values are class indices in [0, classes), stored as i64
  std::vector<std::string> class_names{};  ///< empty, or one per class
  std::vector<std::string> columns{};      ///< empty, or the names of a sample's elements: columns of a table

  std::size_t sample_bytes() const { return TensorType{dtype, shape}.bytes(); }
  /// The type of `count` samples together: (count, shape...).
  TensorType batch_type(std::int64_t count) const;
};

/// N samples of some fields.
struct DatasetInfo {
  std::int64_t samples = 0;
  std::vector<Field> fields;

  /// Position of a field in `fields`; throws a config Error that lists the names there are.
  std::size_t index_of(std::string_view name) const;
  const Field& field(std::string_view name) const { return fields[index_of(name)]; }
  bool has(std::string_view name) const;
  /// Bytes of all samples of all fields.
  std::size_t bytes() const;
};

/// Adds to a digest what `samples` samples of a field are: its name, type and classes. Their bytes are to follow.
void add_to(Sha256& digest, const Field& field, std::int64_t samples);

}  // namespace trainctl
