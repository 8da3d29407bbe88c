#include <optional>

#include "data/array_fields.h"
#include "data/npy.h"

namespace trainctl {
namespace {

/// .npy files, their first axis the samples. Fields: input, u8, i32, i64 or f32; target, i64 class indices for
/// integers, f32 for floats; others as named.
struct Npy final : ArrayDataset {
  Path input;
  std::optional<Path> target;
  std::int64_t classes = 0;
  std::vector<std::int64_t> shape;
  OrderedMap<FileField> fields;

  static Schema<Npy> schema() {
    return Schema<Npy>("NumPy arrays (.npy) of inputs and targets.")
        .required("input", &Npy::input, "File of the inputs, (N, ...): u1, <i4, <i8, <f4 or <f8 in C order.")
        .field("target", &Npy::target, "File of the targets: class indices if integers, values if floats.")
        .field("classes", &Npy::classes, at_least(0), "Number of classes; 0: one more than the largest label.")
        .field("shape", &Npy::shape, at_least(1), "Shape of one input sample, if not the file's own.")
        .field("fields", &Npy::fields, further_fields_doc)
        .example("{type: npy, input: x_train.npy, target: y_train.npy, classes: 10}")
        .example("{type: npy, input: image.npy, target: ill.npy, fields: {metadata: {path: age_and_sex.npy}}}");
  }

  void check(Diagnostics& diagnostics, const Node& node) const { check_field_names(fields, diagnostics, node); }

  ArrayPair arrays() const override {
    ArrayPair pair{.input = open_npy(input),
                   .target = target ? open_npy(*target) : nullptr,
                   .input_shape = shape,
                   .classes = classes};
    for (const auto& [name, field] : fields) pair.others.push_back({name, open_npy(field.path), field.classes});
    return pair;
  }

  Component<Dataset> inputs_at(const std::filesystem::path& place, const std::vector<Field>& inputs) const override {
    expect_input_alone(inputs, "npy");
    auto other = std::make_unique<Npy>(*this);
    other->input.value = place;
    other->target.reset();
    other->fields = {};
    return {"npy", std::move(other)};
  }
};

const Register<Dataset, Npy> registered{"npy"};

}  // namespace
}  // namespace trainctl
