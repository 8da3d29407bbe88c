#include "data/npy.h"

#include <optional>

#include "schema/schema.h"

namespace trainctl {
namespace {

/// Two .npy files, their first axis the samples. Fields: input, u8, i32, i64 or f32; target, i64 class indices for
/// integers, f32 for floats.
struct Npy final : ArrayDataset {
  Path input;
  std::optional<Path> target;
  std::int64_t classes = 0;
  std::vector<std::int64_t> shape;

  static Schema<Npy> schema() {
    return Schema<Npy>("NumPy arrays (.npy) of inputs and targets.")
        .required("input", &Npy::input, "File of the inputs, (N, ...): u1, <i4, <i8, <f4 or <f8 in C order.")
        .field("target", &Npy::target, "File of the targets: class indices if integers, values if floats.")
        .field("classes", &Npy::classes, at_least(0), "Number of classes; 0: one more than the largest label.")
        .field("shape", &Npy::shape, at_least(1), "Shape of one input sample, if not the file's own.")
        .example("{type: npy, input: x_train.npy, target: y_train.npy, classes: 10}");
  }

  ArrayPair arrays() const override {
    return {.input = open_npy(input),
            .target = target ? open_npy(*target) : nullptr,
            .input_shape = shape,
            .classes = classes};
  }
};

const Register<Dataset, Npy> registered{"npy"};

}  // namespace
}  // namespace trainctl
