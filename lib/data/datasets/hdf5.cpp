#include <optional>
#include <string>

#include "data/hdf5_array.h"
#include "schema/schema.h"

namespace trainctl {
namespace {

/// Two datasets of one HDF5 file, their first axis the samples. Fields: input, u8, i32, i64 or f32; target, i64 class
/// indices for integers, f32 for floats.
struct Hdf5 final : ArrayDataset {
  Path path;
  std::string input = "input";
  std::optional<std::string> target = "target";
  std::int64_t classes = 0;
  std::vector<std::int64_t> shape;

  static Schema<Hdf5> schema() {
    return Schema<Hdf5>("Arrays of inputs and targets in an HDF5 file, plain or compressed with gzip.")
        .required("path", &Hdf5::path, "The file.")
        .field("input", &Hdf5::input, non_empty(), "Name of the inputs in the file, as in `group/x`.")
        .field("target", &Hdf5::target, non_empty(),
               "Name of the targets: class indices if integers, values if floats; null for none.")
        .field("classes", &Hdf5::classes, at_least(0), "Number of classes; 0: one more than the largest label.")
        .field("shape", &Hdf5::shape, at_least(1), "Shape of one input sample, if not the file's own.")
        .example("{type: hdf5, path: digits.h5, input: train/x, target: train/y}");
  }

  ArrayPair arrays() const override {
    return {.input = open_hdf5(path, input),
            .target = target ? open_hdf5(path, *target) : nullptr,
            .input_shape = shape,
            .classes = classes};
  }
};

const Register<Dataset, Hdf5> registered{"hdf5"};

}  // namespace
}  // namespace trainctl
