#include <algorithm>
#include <optional>
#include <string>

#include "data/array_fields.h"
#include "data/hdf5_array.h"

namespace trainctl {
namespace {

/// An array of an HDF5 file beside input and target.
struct Hdf5Field {
  std::string array;
  std::int64_t classes = 0;

  static Schema<Hdf5Field> schema() {
    return Schema<Hdf5Field>("An array of the file as a field of its own.")
        .required("array", &Hdf5Field::array, non_empty(), "Its name in the file, as in `group/x`.")
        .field("classes", &Hdf5Field::classes, at_least(0),
               "Number of classes, if its integers are class indices; 0: it holds values.")
        .example("{array: train/patient}");
  }
};

/// Datasets of one HDF5 file, their first axis the samples. Fields: input, u8, i32, i64 or f32; target, i64 class
/// indices for integers, f32 for floats; others as named.
struct Hdf5 final : ArrayDataset {
  Path path;
  std::string input = "input";
  std::optional<std::string> target = "target";
  std::int64_t classes = 0;
  std::vector<std::int64_t> shape;
  OrderedMap<Hdf5Field> fields;

  static Schema<Hdf5> schema() {
    return Schema<Hdf5>("Arrays of inputs and targets in an HDF5 file, plain or compressed with gzip.")
        .required("path", &Hdf5::path, "The file.")
        .field("input", &Hdf5::input, non_empty(), "Name of the inputs in the file, as in `group/x`.")
        .field("target", &Hdf5::target, non_empty(),
               "Name of the targets: class indices if integers, values if floats; null for none.")
        .field("classes", &Hdf5::classes, at_least(0), "Number of classes; 0: one more than the largest label.")
        .field("shape", &Hdf5::shape, at_least(1), "Shape of one input sample, if not the file's own.")
        .field("fields", &Hdf5::fields, further_fields_doc)
        .example("{type: hdf5, path: digits.h5, input: train/x, target: train/y}")
        .example("{type: hdf5, path: scans.h5, fields: {patient: {array: patient}}}");
  }

  void check(Diagnostics& diagnostics, const Node& node) const { check_field_names(fields, diagnostics, node); }

  ArrayPair arrays() const override {
    ArrayPair pair{.input = open_hdf5(path, input),
                   .target = target ? open_hdf5(path, *target) : nullptr,
                   .input_shape = shape,
                   .classes = classes};
    for (const auto& [name, field] : fields) pair.others.push_back({name, open_hdf5(path, field.array), field.classes});
    return pair;
  }

  Component<Dataset> inputs_at(const std::filesystem::path& place, const std::vector<Field>& inputs) const override {
    auto other = std::make_unique<Hdf5>(*this);
    other->path.value = place;
    other->target.reset();
    std::erase_if(other->fields.items, [&](const auto& item) {
      return std::ranges::find(inputs, item.first, &Field::name) == inputs.end();
    });
    return {"hdf5", std::move(other)};
  }
};

const Register<Dataset, Hdf5> registered{"hdf5"};

}  // namespace
}  // namespace trainctl
