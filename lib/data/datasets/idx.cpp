#include <optional>

#include "data/array_fields.h"
#include "data/idx.h"

namespace trainctl {
namespace {

/// IDX files. Fields: input, u8, i32 or f32 (C, H, W) or as in the file; target, i64 class indices for integers,
/// f32 for floats; others as named.
struct Idx final : ArrayDataset {
  Path input;
  std::optional<Path> target;
  std::int64_t classes = 0;
  std::vector<std::int64_t> shape;
  OrderedMap<FileField> fields;

  static Schema<Idx> schema() {
    return Schema<Idx>("IDX files (MNIST's format) of inputs and targets, gzip or raw.")
        .required("input", &Idx::input, "File of the inputs; images (N, H, W) become (1, H, W).")
        .field("target", &Idx::target, "File of the targets: class indices if integers, values if floats.")
        .field("classes", &Idx::classes, at_least(0), "Number of classes; 0: one more than the largest label.")
        .field("shape", &Idx::shape, at_least(1), "Shape of one input sample, if not the file's own.")
        .field("fields", &Idx::fields, further_fields_doc)
        .example("{type: idx, input: images-idx3-ubyte.gz, target: labels-idx1-ubyte.gz, classes: 10}");
  }

  void check(Diagnostics& diagnostics, const Node& node) const { check_field_names(fields, diagnostics, node); }

  ArrayPair arrays() const override {
    ArrayPair pair{.input = open_idx(input),
                   .target = target ? open_idx(*target) : nullptr,
                   .input_shape = shape,
                   .classes = classes};
    for (const auto& [name, field] : fields) pair.others.push_back({name, open_idx(field.path), field.classes});
    return pair;
  }

  Component<Dataset> inputs_at(const std::filesystem::path& place, const std::vector<Field>& inputs) const override {
    expect_input_alone(inputs, "idx");
    auto other = std::make_unique<Idx>(*this);
    other->input.value = place;
    other->target.reset();
    other->fields = {};
    return {"idx", std::move(other)};
  }
};

const Register<Dataset, Idx> registered{"idx"};

}  // namespace
}  // namespace trainctl
