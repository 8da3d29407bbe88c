#include "ops/norm.h"

#include <cmath>

#include "ops/op_case.h"

namespace trainctl::test {
namespace {

const Domain positive = Domain::uniform(0.5, 2.0);

AttributesPtr batch_norm(double eps = 1e-5, Activation activation = {}, bool gives_sum = false) {
  BatchNormAttributes attributes;
  attributes.eps = eps;
  attributes.activation = activation;
  attributes.gives_sum = gives_sum;
  return shared(attributes);
}

const Activation relu{Activation::Kind::relu};

OpCase forward(std::string name, Shape x) {
  return {"batch_norm", std::move(name),
          batch_norm(), {wanted(x), wanted({x[1]}, positive), wanted({x[1]})},
          Match::close, 4.0};
}

/// The mean loses what its size takes from its digits; a variance by E[x^2] - E[x]^2 in f32 would lose a hundred times
/// more.
OpCase far_from_zero(Shape x) {
  OpCase op_case = forward("far from zero", x);
  op_case.inputs[0].domain = Domain::uniform(99.0, 101.0);
  op_case.tolerance = 80.0;
  return op_case;
}

OpCase fused(std::string name, Shape x, bool sum, bool activation) {
  return {"batch_norm",
          std::move(name),
          batch_norm(1e-5, activation ? relu : Activation{}),
          {f32(x), f32({x[1]}, positive), f32({x[1]}), sum ? f32(x) : left_out()},
          Match::close,
          4.0};
}

/// Mean and variance become those of x, as in training.
void own_statistics(std::vector<RefTensor>& inputs) {
  const RefTensor& x = inputs[0];
  const std::int64_t channels = x.shape[1], inner = x.shape.slice(2).elements();
  const double count = static_cast<double>(x.size() / channels);
  RefTensor &mean = inputs[2], &variance = inputs[3];
  mean = variance = RefTensor({channels});
  for (std::int64_t i = 0; i < x.size(); ++i) mean[i / inner % channels] += x[i] / count;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double deviation = x[i] - mean[i / inner % channels];
    variance[i / inner % channels] += deviation * deviation / count;
  }
}

OpCase backward(std::string name, Shape x, bool activation = false, bool gives_sum = false) {
  return {"batch_norm_backward",
          std::move(name),
          batch_norm(1e-5, activation ? relu : Activation{}, gives_sum),
          {f32(x), f32(x), f32({x[1]}), f32({x[1]}, positive), f32({x[1]}, positive), activation ? f32(x) : left_out()},
          Match::close,
          4.0,
          own_statistics};
}

OpCase inference(std::string name, Shape x) {
  return {"batch_norm_inference",
          std::move(name),
          batch_norm(1e-3),
          {wanted(x), wanted({x[1]}, positive), wanted({x[1]}), f32({x[1]}), f32({x[1]}, positive)}};
}

OpCase inference_fused(std::string name, Shape x, bool sum) {
  return {"batch_norm_inference",
          std::move(name),
          batch_norm(1e-3, relu),
          {f32(x), f32({x[1]}, positive), f32({x[1]}), f32({x[1]}), f32({x[1]}, positive), sum ? f32(x) : left_out()}};
}

OpCase channel_sums() {  // as the vjp of channel_affine asks for
  OpCase op_case = backward("mean 0, variance 1, eps 0", {3, 5, 4, 4});
  op_case.attributes = batch_norm(0.0);
  op_case.inputs[2] = f32({5}, Domain::constant(0.0));
  op_case.inputs[3] = f32({5}, Domain::constant(1.0));
  op_case.prepare = nullptr;
  return op_case;
}

AttributesPtr layer_norm(int axes, bool affine = true) {
  LayerNormAttributes attributes;
  attributes.axes = axes;
  attributes.affine = affine;
  return shared(attributes);
}

OpCase layer(std::string name, Shape x, int axes, bool gamma, bool beta) {
  const Shape last = x.slice(x.rank() - axes);
  return {"layer_norm",
          std::move(name),
          layer_norm(axes, gamma || beta),
          {wanted(x), gamma ? wanted(last, positive) : left_out(), beta ? wanted(last) : left_out()},
          Match::close,
          4.0};
}

OpCase layer_backward(std::string name, Shape x, int axes, bool gamma, bool affine) {
  const Shape rows = x.slice(0, x.rank() - axes), last = x.slice(x.rank() - axes);
  return {"layer_norm_backward",
          std::move(name),
          layer_norm(axes, affine),
          {f32(x), f32(x), f32(rows, Domain::uniform(-0.1, 0.1)), f32(rows, Domain::uniform(1.0, 2.0)),
           gamma ? f32(last, positive) : left_out()},
          Match::close,
          4.0};
}

std::vector<Operand> many(int count, const Operand& operand) {
  return std::vector<Operand>(count, operand);
}

std::vector<double> rising(int count) {
  std::vector<double> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(0.5 + 0.01 * i);
  return numbers;
}

AttributesPtr average(double rate, std::vector<double> scales) {
  MovingAverageAttributes attributes;
  attributes.rate = rate;
  attributes.scales = std::move(scales);
  return shared(attributes);
}

const RegisterCases cases({
    forward("image", {4, 3, 5, 6}),
    forward("vector", {9, 7}),
    forward("batch of one", {1, 4, 3, 3}),
    forward("sequence", {3, 5, 11}),
    forward("channels of 16", {3, 32, 7, 5}),
    forward("odd channels", {17, 19, 3, 3}),
    far_from_zero({8, 4, 6, 6}),
    fused("relu", {3, 17, 5, 5}, false, true),
    with_nan(fused("relu keeps nan", {3, 17, 5, 5}, false, true)),
    fused("sum", {3, 16, 5, 5}, true, false),
    fused("sum and relu", {3, 16, 5, 5}, true, true),
    fused("sum and relu, odd", {2, 5, 3, 7}, true, true),
    backward("image", {4, 3, 5, 6}),
    backward("vector", {9, 7}),
    backward("batch of one", {1, 4, 3, 3}),
    backward("channels of 16", {3, 32, 7, 5}),
    backward("relu", {3, 17, 5, 5}, true),
    backward("relu of a vector", {9, 7}, true),
    backward("gives sum", {3, 16, 5, 5}, true, true),
    backward("gives sum, odd", {2, 5, 3, 7}, true, true),
    channel_sums(),
    inference("image", {4, 3, 5, 6}),
    inference("vector", {9, 7}),
    inference("channels of 16", {3, 32, 7, 5}),
    inference_fused("relu", {3, 17, 5, 5}, false),
    with_nan(inference_fused("relu keeps nan", {3, 17, 5, 5}, false)),
    inference_fused("sum and relu", {3, 16, 5, 5}, true),
    layer("rows", {5, 13}, 1, true, true),
    layer("no shift", {5, 13}, 1, true, false),
    layer("no scale", {5, 13}, 1, false, true),
    layer("plain", {5, 13}, 1, false, false),
    layer("two axes", {4, 3, 5}, 2, true, true),
    layer("all axes", {4, 5}, 2, true, true),
    layer("many rows", {130, 64}, 1, true, true),
    layer_backward("rows", {5, 13}, 1, true, true),
    layer_backward("no scale", {5, 13}, 1, false, true),
    layer_backward("plain", {5, 13}, 1, false, false),
    layer_backward("two axes", {4, 3, 5}, 2, true, true),
    layer_backward("many rows", {130, 64}, 1, true, true),
    {"moving_average", "vector", average(0.1, {1.0}), {f32({37}), f32({37})}},
    {"moving_average", "unbiased", average(0.1, {128.0 / 127.0}), {f32({64}), f32({64})}},
    {"moving_average", "at a given rate", average(0.1, {1.0}), {f32({3, 130}), f32({3, 130}), scalar(0.25)}},
    {"moving_average", "at a large rate", average(0.1, {1.5}), {f32({37}), f32({37}), scalar(0.75)}},
    {"moving_average", "at rate 0", average(0.1, {1.5}), {f32({37}), f32({37}), scalar(0.0)}, Match::exact},
    {"moving_average", "at rate 1", average(0.1, {1.0}), {f32({37}), f32({37}), scalar(1.0)}, Match::exact},
    {"moving_average",
     "several",
     average(0.1, {1.0, 128.0 / 127.0, 1.5}),
     {f32({64}), f32({64}), f32({700}), f32({64}), f32({64}), f32({700})}},
    {"moving_average",
     "several at a given rate",
     average(0.1, {1.0, 2.0}),
     {f32({3, 130}), f32({5}), f32({3, 130}), f32({5}), scalar(0.75)}},
    {"moving_average", "more than go together", average(0.1, rising(70)), many(140, f32({3}))},
});

}  // namespace
}  // namespace trainctl::test
