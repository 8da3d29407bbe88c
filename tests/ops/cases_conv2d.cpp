#include "ops/conv2d.h"

#include "ops/op_case.h"

namespace trainctl::test {
namespace {

/// A convolution by its extents; the three ops' cases are made from it.
struct Geometry {
  std::string name;
  Shape x;
  Shape w;
  Shape y;
  Conv2dAttributes attributes;
};

Conv2dAttributes conv(std::array<std::int64_t, 2> stride = {1, 1}, std::array<std::int64_t, 4> padding = {},
                      std::int64_t groups = 1, std::array<std::int64_t, 2> dilation = {1, 1}) {
  Conv2dAttributes attributes;
  attributes.stride = stride;
  attributes.padding = padding;
  attributes.groups = groups;
  attributes.dilation = dilation;
  return attributes;
}

Conv2dAttributes without_bias(Conv2dAttributes attributes) {
  attributes.bias = false;
  return attributes;
}

std::vector<Geometry> geometries() {
  return {
      {"same 3x3", {2, 3, 8, 8}, {4, 3, 3, 3}, {2, 4, 8, 8}, conv({1, 1}, {1, 1, 1, 1})},
      {"valid 5x5", {2, 6, 14, 14}, {16, 6, 5, 5}, {2, 16, 10, 10}, conv()},
      {"one channel", {3, 1, 12, 12}, {6, 1, 5, 5}, {3, 6, 12, 12}, conv({1, 1}, {2, 2, 2, 2})},
      {"batch of one", {1, 2, 5, 7}, {3, 2, 3, 3}, {1, 3, 5, 7}, conv({1, 1}, {1, 1, 1, 1})},
      {"odd everything", {3, 5, 7, 9}, {7, 5, 3, 2}, {3, 7, 5, 8}, conv()},
      {"stride 2", {2, 4, 9, 8}, {5, 4, 3, 3}, {2, 5, 5, 4}, conv({2, 2}, {1, 1, 1, 1})},
      {"1x1 stride 2", {2, 8, 8, 8}, {16, 8, 1, 1}, {2, 16, 4, 4}, conv({2, 2})},
      {"1x1", {2, 16, 4, 4}, {16, 16, 1, 1}, {2, 16, 4, 4}, conv()},
      {"uneven stride", {2, 3, 9, 10}, {4, 3, 3, 3}, {2, 4, 4, 8}, conv({2, 1})},
      {"asymmetric padding", {2, 3, 6, 6}, {4, 3, 4, 4}, {2, 4, 6, 6}, conv({1, 1}, {1, 1, 2, 2})},
      {"uneven padding", {2, 3, 6, 7}, {4, 3, 3, 3}, {2, 4, 6, 5}, conv({1, 1}, {0, 0, 2, 0})},
      {"dilation", {2, 3, 9, 9}, {4, 3, 3, 3}, {2, 4, 5, 5}, conv({1, 1}, {}, 1, {2, 2})},
      {"uneven dilation", {1, 2, 9, 8}, {3, 2, 3, 2}, {1, 3, 3, 7}, conv({1, 1}, {}, 1, {3, 1})},
      {"groups", {2, 6, 6, 6}, {4, 3, 3, 3}, {2, 4, 6, 6}, conv({1, 1}, {1, 1, 1, 1}, 2)},
      {"depthwise", {2, 8, 6, 6}, {8, 1, 3, 3}, {2, 8, 6, 6}, conv({1, 1}, {1, 1, 1, 1}, 8)},
      {"no bias", {2, 3, 6, 6}, {4, 3, 3, 3}, {2, 4, 4, 4}, without_bias(conv())},
      {"16 channels", {2, 16, 8, 8}, {32, 16, 3, 3}, {2, 32, 8, 8}, without_bias(conv({1, 1}, {1, 1, 1, 1}))},
      {"batch of 32", {32, 1, 10, 10}, {6, 1, 5, 5}, {32, 6, 6, 6}, conv()},
      {"batch of 17, 6 channels", {17, 6, 8, 8}, {16, 6, 5, 5}, {17, 16, 4, 4}, conv()},
      {"kernel as large as the input", {2, 3, 4, 4}, {5, 3, 4, 4}, {2, 5, 1, 1}, conv()},
  };
}

std::vector<OpCase> plain_cases() {
  std::vector<OpCase> cases;
  for (const Geometry& g : geometries()) {
    const bool bias = g.attributes.bias;
    cases.push_back(
        {"conv2d", g.name, shared(g.attributes), {wanted(g.x), wanted(g.w), bias ? wanted({g.w[0]}) : left_out()}});

    Conv2dAttributes data = g.attributes;
    data.input_shape = g.x;
    cases.push_back({"conv2d_backward_data", g.name, shared(data), {wanted(g.y), wanted(g.w)}});
    data.activation = {Activation::Kind::relu};
    cases.push_back({"conv2d_backward_data",
                     g.name + " masked",
                     shared(data),
                     {f32(g.y), f32(g.w), f32(g.x, Domain::away_from_zero())}});
    cases.back().fused = true;

    Conv2dAttributes weights = g.attributes;
    weights.weight_shape = g.w;
    cases.push_back({"conv2d_backward_weights", g.name, shared(weights), {f32(g.x), f32(g.y)}});
  }
  return cases;
}

OpCase fused(std::string name, Activation activation, bool sum) {
  Conv2dAttributes attributes = conv({1, 1}, {1, 1, 1, 1});
  attributes.activation = activation;
  return {
      "conv2d",           std::move(name),
      shared(attributes), {f32({2, 16, 7, 7}), f32({32, 16, 3, 3}), f32({32}), sum ? f32({2, 32, 7, 7}) : left_out()},
      Match::close,       4.0};  // an approximated curve
}

OpCase fused_thin(std::string name, Activation activation) {
  Conv2dAttributes attributes = conv();
  attributes.activation = activation;
  return {"conv2d", std::move(name), shared(attributes), {f32({17, 1, 10, 10}), f32({6, 1, 5, 5}), f32({6})}};
}

const RegisterCases plain(plain_cases());
const RegisterCases fusions({
    fused("relu", {Activation::Kind::relu}, false),
    with_nan(fused("relu keeps nan", {Activation::Kind::relu}, false)),
    fused("sum", {}, true),
    fused("sum and relu", {Activation::Kind::relu}, true),
    fused("tanh", {Activation::Kind::tanh}, false),
    fused("silu", {Activation::Kind::silu}, false),
    fused("hardswish", {Activation::Kind::hardswish}, false),
    fused("softplus", {Activation::Kind::softplus, 1.0}, false),
    fused_thin("one channel, relu", {Activation::Kind::relu}),
    with_nan(fused_thin("one channel, relu keeps nan", {Activation::Kind::relu})),
    fused_thin("one channel, leaky relu", {Activation::Kind::leaky_relu, 0.1}),
});

}  // namespace
}  // namespace trainctl::test
