// Convolutions by each kernel that takes them, against the float64 reference.
#include <doctest/doctest.h>

#include <string>

#include "kernels/cpu/dispatch.h"
#include "kernels_cpu/run_kernel.h"
#include "ops/conv2d.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

struct Convolution {
  std::string name;
  Shape x, w;
  Conv2dAttributes attributes;
  bool few_channels;  ///< whether the batch-blocked kernel must take it

  Shape y() const {
    Shape shape{x[0], w[0], 0, 0};
    for (int axis = 0; axis < 2; ++axis) {
      const std::int64_t padded = x[2 + axis] + attributes.padding[axis] + attributes.padding[2 + axis];
      shape.set_dim(2 + axis,
                    (padded - attributes.dilation[axis] * (w[2 + axis] - 1) - 1) / attributes.stride[axis] + 1);
    }
    return shape;
  }
};

Conv2dAttributes padded(std::array<std::int64_t, 4> padding) {
  Conv2dAttributes attributes;
  attributes.padding = padding;
  return attributes;
}

Conv2dAttributes strided(std::int64_t stride, std::int64_t dilation, std::int64_t groups) {
  Conv2dAttributes attributes = padded({1, 1, 1, 1});
  attributes.stride = {stride, stride};
  attributes.dilation = {dilation, dilation};
  attributes.groups = groups;
  return attributes;
}

std::vector<Convolution> convolutions() {
  return {
      {"lenet 1", {16, 1, 28, 28}, {6, 1, 5, 5}, padded({2, 2, 2, 2}), true},
      {"lenet 2", {32, 6, 14, 14}, {16, 6, 5, 5}, padded({}), true},
      {"ragged batch", {29, 3, 9, 7}, {5, 3, 3, 3}, padded({1, 1, 1, 1}), true},
      {"one side padded", {16, 2, 6, 9}, {11, 2, 4, 3}, padded({3, 0, 1, 2}), true},
      {"kernel as large as the image", {16, 4, 3, 3}, {9, 4, 3, 3}, padded({}), true},
      {"1x1", {13, 7, 5, 5}, {3, 7, 1, 1}, padded({}), true},
      {"wide kernel", {16, 1, 4, 20}, {2, 1, 1, 11}, padded({0, 5, 0, 5}), true},
      {"small batch", {3, 3, 8, 8}, {16, 3, 3, 3}, padded({1, 1, 1, 1}), false},
      {"many channels", {4, 32, 8, 8}, {48, 32, 3, 3}, padded({1, 1, 1, 1}), false},
      {"odd channels", {4, 19, 6, 6}, {37, 19, 3, 3}, padded({1, 1, 1, 1}), false},
      {"stride", {4, 32, 9, 9}, {32, 32, 3, 3}, strided(2, 1, 1), false},
      {"dilation", {4, 16, 9, 9}, {32, 16, 3, 3}, strided(1, 2, 1), false},
      {"two groups", {4, 32, 8, 8}, {64, 16, 3, 3}, strided(1, 1, 2), false},
      {"groups that fill no block", {4, 12, 8, 8}, {24, 3, 3, 3}, strided(1, 1, 4), false},
      {"depthwise", {4, 32, 8, 8}, {32, 1, 3, 3}, strided(1, 1, 32), false},
      {"depthwise, odd", {4, 6, 8, 8}, {6, 1, 3, 3}, strided(2, 1, 6), false},
  };
}

std::optional<TensorType> f32(const Shape& shape) {
  return TensorType{DType::f32, shape};
}

std::vector<Application> applications(const Convolution& c, Activation activation = {}) {
  Conv2dAttributes attributes = c.attributes;
  attributes.input_shape = c.x;
  attributes.weight_shape = c.w;
  const auto backward = std::make_shared<Conv2dAttributes>(attributes);
  attributes.activation = activation;
  return {{"conv2d", std::make_shared<Conv2dAttributes>(attributes), {f32(c.x), f32(c.w), f32({c.w[0]})}},
          {"conv2d_backward_data", backward, {f32(c.y()), f32(c.w)}},
          {"conv2d_backward_weights", backward, {f32(c.x), f32(c.y())}}};
}

/// Float32 loses with the length of the sums; the longest here is some ten thousand products.
constexpr double tolerance = 1e-5;

void check(const Application& application, const KernelRegistry::Entry& entry, int threads) {
  PreparedKernel prepared(application, entry, threads);
  REQUIRE(prepared.planned());
  CAPTURE(prepared.plan().implementation);
  CHECK(prepared.plan().implementation.find("ref") == std::string::npos);
  const auto values = application.values();
  const auto expected = reference(application, values);
  prepared.set_inputs(values);
  prepared.run();
  std::vector<std::vector<float>> first;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    first.push_back(prepared.output(static_cast<int>(i)));
    CHECK(distance(first.back(), expected[i]) < tolerance);
    CHECK(prepared.padding_is_zero(static_cast<int>(i)));
  }
  prepared.run();
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(prepared.output(static_cast<int>(i)) == first[i]);
}

}  // namespace

TEST_CASE("oneDNN takes every convolution without its reference implementations") {
  for (const Convolution& convolution : convolutions()) {
    for (const Application& application : applications(convolution)) {
      CAPTURE(convolution.name);
      CAPTURE(application.op);
      check(application, kernel(application.op, "onednn"), 2);
    }
  }
}

TEST_CASE("batch-blocked convolutions at every instruction set and number of threads") {
  for (const cpu::Isa level : {cpu::Isa::v2, cpu::Isa::v3, cpu::Isa::v4}) {
    const cpu::Isa before = cpu::set_isa(level);
    for (const Convolution& convolution : convolutions()) {
      if (!convolution.few_channels) continue;
      for (const Application& application : applications(convolution)) {
        for (const int threads : {1, 2, 5}) {
          CAPTURE(cpu::name(cpu::isa()));
          CAPTURE(convolution.name);
          CAPTURE(application.op);
          CAPTURE(threads);
          check(application, kernel(application.op, "direct_batch16"), threads);
        }
      }
    }
    cpu::set_isa(before);
  }
}

TEST_CASE("batch-blocked convolutions leave alone what they do not compute or not well") {
  for (const Convolution& convolution : convolutions()) {
    if (convolution.few_channels) continue;
    for (const Application& application : applications(convolution)) {
      CAPTURE(convolution.name);
      CHECK_FALSE(PreparedKernel(application, kernel(application.op, "direct_batch16"), 1).planned());
    }
  }
}

TEST_CASE("activations are fused") {
  for (const Activation& activation :
       {Activation{Activation::Kind::relu, 0.0}, Activation{Activation::Kind::leaky_relu, 0.1},
        Activation{Activation::Kind::elu, 0.7}, Activation{Activation::Kind::gelu, 0.0},
        Activation{Activation::Kind::gelu_tanh, 0.0}, Activation{Activation::Kind::silu, 0.0},
        Activation{Activation::Kind::sigmoid, 0.0}, Activation{Activation::Kind::tanh, 0.0},
        Activation{Activation::Kind::hardswish, 0.0}, Activation{Activation::Kind::softplus, 1.0}}) {
    for (const int index : {2, 8}) {
      const Application application = applications(convolutions()[index], activation)[0];
      CAPTURE(activation.text());
      check(application, kernel("conv2d", "onednn"), 2);
      const bool simple = activation.kind == Activation::Kind::relu || activation.kind == Activation::Kind::leaky_relu;
      if (simple && index == 2) check(application, kernel("conv2d", "direct_batch16"), 2);
    }
  }
}

TEST_CASE("a convolution's three operations agree on how its activations lie") {
  for (const Convolution& convolution : convolutions()) {
    if (convolution.w[0] < 16 || convolution.w[1] < 16) continue;
    CAPTURE(convolution.name);
    const auto all = applications(convolution);
    const PreparedKernel forward(all[0], kernel(all[0].op, "onednn"), 2);
    const PreparedKernel data(all[1], kernel(all[1].op, "onednn"), 2);
    const PreparedKernel weights(all[2], kernel(all[2].op, "onednn"), 2);
    CHECK(data.plan().outputs[0] == forward.plan().inputs[0]);
    CHECK(data.plan().inputs[0] == forward.plan().outputs[0]);
    CHECK(weights.plan().inputs[0] == forward.plan().inputs[0]);
    CHECK(weights.plan().inputs[1] == forward.plan().outputs[0]);
  }
}

TEST_CASE("a sum is added in place or from other memory") {
  const Convolution convolution = convolutions()[8];
  Application application = applications(convolution, {Activation::Kind::relu, 0.0})[0];
  application.inputs.push_back(f32(convolution.y()));
  const auto values = application.values();
  const auto expected = reference(application, values);
  for (const bool in_place : {false, true}) {
    PreparedKernel prepared(application, kernel("conv2d", "onednn"), 2);
    REQUIRE(prepared.planned());
    REQUIRE(prepared.plan().in_place == std::vector<std::pair<int, int>>{{0, 3}});
    CHECK(prepared.plan().inputs[3] == prepared.plan().outputs[0]);
    if (in_place) prepared.share(0, 3);
    prepared.set_inputs(values);
    prepared.run();
    CHECK(distance(prepared.output(0), expected[0]) < tolerance);
  }
}

TEST_CASE("Winograd is used only where fast math is asked for, and is right within its larger errors") {
  const Convolution convolution{"3x3", {2, 32, 12, 12}, {32, 32, 3, 3}, padded({1, 1, 1, 1}), false};
  if (cpu::isa() != cpu::Isa::v4) return;  // oneDNN has it for AVX-512
  for (Application application : applications(convolution)) {
    CAPTURE(application.op);
    const auto& entry = kernel(application.op, "onednn");
    CHECK(PreparedKernel(application, entry, 2).plan().implementation.find("wino") == std::string::npos);
    application.fast_math = true;
    PreparedKernel prepared(application, entry, 2);
    CHECK(prepared.plan().implementation.find("wino") != std::string::npos);
    const auto values = application.values();
    prepared.set_inputs(values);
    prepared.run();
    CHECK(distance(prepared.output(0), reference(application, values)[0]) < 1e-4);
  }
}
