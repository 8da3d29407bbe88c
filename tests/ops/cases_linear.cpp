#include "ops/linear.h"

#include "ops/op_case.h"

namespace trainctl::test {
namespace {

AttributesPtr linear(bool bias, Activation activation = {}) {
  LinearAttributes attributes;
  attributes.bias = bias;
  attributes.activation = activation;
  return shared(attributes);
}

OpCase forward(std::string name, Shape x, std::int64_t n, bool bias) {
  const std::int64_t k = x.dim(-1);
  return {"linear", std::move(name), linear(bias), {wanted(x), wanted({n, k}), bias ? wanted({n}) : left_out()}};
}

OpCase fused(std::string name, Shape x, std::int64_t n, Activation::Kind kind) {
  const std::int64_t k = x.dim(-1);
  return {"linear", std::move(name), linear(true, {kind, 0.1}), {f32(x), f32({n, k}), f32({n})}, Match::close,
          4.0};  // an approximated curve
}

OpCase backward_data(std::string name, Shape dy, std::int64_t k) {
  const std::int64_t n = dy.dim(-1);
  return {"linear_backward_data", std::move(name), linear(true), {f32(dy), f32({n, k})}};
}
/// With the slope of an activation at `saved`.
OpCase masked(OpCase op_case, Activation::Kind kind, Shape dx) {
  auto attributes = std::make_shared<LinearAttributes>();
  attributes->activation = {kind, 0.1};
  op_case.attributes = attributes;
  op_case.name += " masked";
  op_case.inputs.push_back(f32(dx, Domain::away_from_zero()));
  op_case.fused = true;
  return op_case;
}

OpCase backward_weights(std::string name, Shape x, std::int64_t n, bool bias) {
  Shape dy = x;
  dy.set_dim(-1, n);
  return {"linear_backward_weights", std::move(name), linear(bias), {f32(x), f32(dy)}};
}

const RegisterCases cases({
    forward("square", {8, 16}, 16, true),
    forward("odd", {5, 7}, 3, true),
    forward("batch of one", {1, 13}, 10, true),
    forward("no bias", {6, 9}, 4, false),
    forward("rows of two axes", {2, 3, 5}, 4, true),
    forward("one by one", {1, 1}, 1, true),
    forward("mnist", {32, 784}, 10, true),
    forward("wide", {33, 65}, 129, true),
    forward("tall", {128, 100}, 84, true),
    fused("relu", {17, 31}, 33, Activation::Kind::relu),
    with_nan(fused("relu keeps nan", {17, 32}, 40, Activation::Kind::relu)),
    with_nan(fused("leaky relu keeps nan", {17, 32}, 40, Activation::Kind::leaky_relu)),
    with_nan(fused("elu keeps nan", {17, 32}, 40, Activation::Kind::elu)),
    with_nan(fused("gelu keeps nan", {17, 32}, 40, Activation::Kind::gelu)),
    with_nan(fused("gelu tanh keeps nan", {17, 32}, 40, Activation::Kind::gelu_tanh)),
    with_nan(fused("silu keeps nan", {17, 32}, 40, Activation::Kind::silu)),
    with_nan(fused("sigmoid keeps nan", {17, 32}, 40, Activation::Kind::sigmoid)),
    with_nan(fused("tanh keeps nan", {17, 32}, 40, Activation::Kind::tanh)),
    with_nan(fused("hardswish keeps nan", {17, 32}, 40, Activation::Kind::hardswish)),
    with_nan(fused("softplus keeps nan", {17, 32}, 40, Activation::Kind::softplus)),
    fused("leaky relu", {8, 12}, 20, Activation::Kind::leaky_relu),
    fused("elu", {8, 12}, 20, Activation::Kind::elu),
    fused("gelu", {8, 12}, 20, Activation::Kind::gelu),
    fused("gelu tanh", {8, 12}, 20, Activation::Kind::gelu_tanh),
    fused("silu", {8, 12}, 20, Activation::Kind::silu),
    fused("sigmoid", {8, 12}, 20, Activation::Kind::sigmoid),
    fused("tanh", {8, 12}, 20, Activation::Kind::tanh),
    fused("hardswish", {8, 12}, 20, Activation::Kind::hardswish),
    fused("softplus", {8, 12}, 20, Activation::Kind::softplus),
    backward_data("square", {8, 16}, 16),
    backward_data("odd", {5, 3}, 7),
    backward_data("batch of one", {1, 10}, 13),
    backward_data("rows of two axes", {2, 3, 4}, 5),
    backward_data("tall", {128, 84}, 100),
    backward_data("wide", {33, 129}, 65),
    masked(backward_data("relu", {128, 84}, 100), Activation::Kind::relu, {128, 100}),
    masked(backward_data("gelu", {5, 3}, 7), Activation::Kind::gelu, {5, 7}),
    backward_weights("square", {8, 16}, 16, true),
    backward_weights("odd", {5, 7}, 3, true),
    backward_weights("batch of one", {1, 13}, 10, true),
    backward_weights("no bias", {6, 9}, 4, false),
    backward_weights("rows of two axes", {2, 3, 5}, 4, true),
    backward_weights("tall", {128, 100}, 84, true),
    backward_weights("mnist", {32, 784}, 10, true),
    backward_weights("wide", {33, 65}, 129, true),
});

}  // namespace
}  // namespace trainctl::test
