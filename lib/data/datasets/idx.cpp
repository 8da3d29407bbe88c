#include "data/idx.h"

#include <optional>

#include "schema/schema.h"

namespace trainctl {
namespace {

/// Two IDX files. Fields: input, u8, i32 or f32 (C, H, W) or as in the file; target, i64 class indices for integers,
/// f32 for floats.
struct Idx final : ArrayDataset {
  Path input;
  std::optional<Path> target;
  std::int64_t classes = 0;
  std::vector<std::int64_t> shape;

  static Schema<Idx> schema() {
    return Schema<Idx>("IDX files (MNIST's format) of inputs and targets, gzip or raw.")
        .required("input", &Idx::input, "File of the inputs; images (N, H, W) become (1, H, W).")
        .field("target", &Idx::target, "File of the targets: class indices if integers, values if floats.")
        .field("classes", &Idx::classes, at_least(0), "Number of classes; 0: one more than the largest label.")
        .field("shape", &Idx::shape, at_least(1), "Shape of one input sample, if not the file's own.")
        .example("{type: idx, input: images-idx3-ubyte.gz, target: labels-idx1-ubyte.gz, classes: 10}");
  }

  ArrayPair arrays() const override {
    return {.input = open_idx(input),
            .target = target ? open_idx(*target) : nullptr,
            .input_shape = shape,
            .classes = classes};
  }
};

const Register<Dataset, Idx> registered{"idx"};

}  // namespace
}  // namespace trainctl
