#include "nn/target.h"

#include "base/error.h"
#include "nn/functional.h"

namespace trainctl {
namespace {

// The shape without axes of one element at its end, the batch axis aside.
Shape stripped(const Shape& shape) {
  int rank = shape.rank();
  while (rank > 1 && shape[rank - 1] == 1) --rank;
  return shape.slice(0, rank);
}

}  // namespace

void expect_classes(std::string_view who, Value scores, Value target) {
  const DType dtype = target.type().dtype;
  if (dtype != DType::i64 && dtype != DType::i32) {
    fail(ErrorKind::config,
         "{} needs class numbers (integers) as targets, got {}; for targets that are numbers use a "
         "loss such as mse, or a metric such as mean_absolute_error",
         who, target.type().text());
  }
  const Shape& shape = scores.shape();
  if (shape.rank() < 2) {
    fail(ErrorKind::config,
         "{} needs outputs (batch, classes, ...), got {}; end the model with a linear layer of as "
         "many features as there are classes",
         who, shape.text());
  }
  Shape expected{shape[0]};
  for (int axis = 2; axis < shape.rank(); ++axis) expected.push_back(shape[axis]);
  if (target.shape() == expected) return;
  const char* advice = shape.rank() > 2 && target.shape().rank() == 1
                           ? "; put flatten or global_avg_pool and a linear layer at the model's end"
                           : "";
  fail(ErrorKind::config, "{} of outputs {} needs targets {}, got {}{}", who, shape.text(), expected.text(),
       target.shape().text(), advice);
}

Value like_output(Builder& builder, std::string_view who, Value output, Value target) {
  if (stripped(output.shape()) != stripped(target.shape())) {
    fail(ErrorKind::config,
         "{} needs outputs and targets of one shape, got {} and {}; the model's last layer must give "
         "as many values as a target has",
         who, output.shape().text(), target.shape().text());
  }
  const Shape shape = output.shape();  // a copy: applying an op moves what shape() refers to
  return nn::reshape(builder, nn::to_f32(builder, target), shape);
}

}  // namespace trainctl
