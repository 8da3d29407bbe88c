#include <doctest/doctest.h>

#include <cmath>

#include "nn/fixture.h"

using namespace trainctl;
using namespace trainctl::test;
using Names = std::vector<std::string>;

namespace {

/// One layer over one image or vector batch.
struct Built {
  Bench bench;
  Component<Layer> layer;
  Values outputs;

  Built(const std::string& yaml, const Shape& input, bool training = true)
      : bench(training), layer(from_yaml<Component<Layer>>(yaml, "model")) {
    outputs = build_child(bench.builder, layer, "layer", {bench.input(input)});
  }
  Shape shape() const { return outputs.at(0).shape(); }
  RefTensor value() {
    bind_state(bench.state, bench.bindings);
    return bench.run().values.at(outputs.at(0).id());
  }
  const Init& init(const std::string& name) const { return bench.state[bench.state.find("model/" + name)].init; }
};

std::string refused(const std::string& yaml, const Shape& input, bool training = true) {
  return refusal([&] { Built(yaml, input, training); });
}

}  // namespace

TEST_CASE("layers give the shapes that PyTorch's give") {
  struct Case {
    const char* yaml;
    Shape input, output;
  };
  const Case cases[] = {
      {"{type: linear, out_features: 7}", {3, 5}, {3, 7}},
      {"{type: linear, out_features: 7}", {3, 4, 5}, {3, 4, 7}},
      {"{type: conv2d, out_channels: 8, kernel_size: 3}", {2, 3, 9, 7}, {2, 8, 7, 5}},
      {"{type: conv2d, out_channels: 8, kernel_size: [3, 5], padding: [1, 2]}", {2, 3, 9, 7}, {2, 8, 9, 7}},
      {"{type: conv2d, out_channels: 8, kernel_size: [4, 5], padding: same, dilation: [1, 2]}",
       {2, 3, 9, 7},
       {2, 8, 9, 7}},
      {"{type: conv2d, out_channels: 8, kernel_size: 4, padding: valid}", {2, 3, 9, 7}, {2, 8, 6, 4}},
      {"{type: conv2d, out_channels: 6, kernel_size: 3, stride: [2, 1], groups: 3}", {2, 3, 9, 7}, {2, 6, 4, 5}},
      {"batch_norm", {4, 3, 5, 5}, {4, 3, 5, 5}},
      {"batch_norm", {4, 3}, {4, 3}},
      {"{type: layer_norm, axes: 2}", {4, 3, 5}, {4, 3, 5}},
      {"{type: max_pool2d, kernel_size: 2}", {2, 3, 7, 6}, {2, 3, 3, 3}},
      {"{type: max_pool2d, kernel_size: 2, ceil_mode: true}", {2, 3, 7, 6}, {2, 3, 4, 3}},
      {"{type: avg_pool2d, kernel_size: 3, stride: 1, padding: 1}", {2, 3, 7, 6}, {2, 3, 7, 6}},
      {"global_avg_pool", {2, 3, 7, 6}, {2, 3, 1, 1}},
      {"{type: global_avg_pool, keepdim: false}", {2, 3, 7, 6}, {2, 3}},
      {"global_max_pool", {2, 3, 7, 6}, {2, 3, 1, 1}},
      {"flatten", {2, 3, 7, 6}, {2, 126}},
      {"{type: flatten, start_dim: 2}", {2, 3, 7, 6}, {2, 3, 42}},
      {"{type: reshape, shape: [-1, 6]}", {2, 3, 4}, {2, 2, 6}},
      {"dropout", {2, 3}, {2, 3}},
      {"identity", {2, 3}, {2, 3}},
      {"relu", {2, 3}, {2, 3}},
      {"leaky_relu", {2, 3}, {2, 3}},
      {"elu", {2, 3}, {2, 3}},
      {"{type: gelu, approximate: tanh}", {2, 3}, {2, 3}},
      {"silu", {2, 3}, {2, 3}},
      {"sigmoid", {2, 3}, {2, 3}},
      {"tanh", {2, 3}, {2, 3}},
      {"hardswish", {2, 3}, {2, 3}},
      {"softplus", {2, 3}, {2, 3}},
      {"prelu", {2, 3}, {2, 3}},
      {"{type: group_norm, num_groups: 3}", {2, 3, 4}, {2, 3, 4}},
      {"instance_norm", {2, 3, 4, 5}, {2, 3, 4, 5}},
      {"{type: conv_transpose2d, out_channels: 8, kernel_size: 4, stride: 2, padding: 1}",
       {2, 3, 9, 7},
       {2, 8, 18, 14}},
      {"{type: upsample, scale_factor: [2, 1.5]}", {2, 3, 5, 4}, {2, 3, 10, 6}},
      {"{type: adaptive_avg_pool2d, output_size: [2, 9]}", {2, 3, 7, 6}, {2, 3, 2, 9}},
      {"{type: adaptive_max_pool2d, output_size: 7}", {2, 3, 7, 7}, {2, 3, 7, 7}},
      {"pyramid_pooling", {2, 3, 9, 7}, {2, 63}},
      {"{type: softmax, dim: -1}", {2, 3, 4}, {2, 3, 4}},
      {"log_softmax", {2, 3}, {2, 3}},
      {"{type: sequential, layers: []}", {2, 3}, {2, 3}},
      {"{type: parallel, branches: [identity, {type: linear, out_features: 4}]}", {2, 3}, {2, 7}},
      {"{type: parallel, combine: add, branches: {a: identity, b: relu}}", {2, 3}, {2, 3}},
      {"{type: residual, layers: [{type: linear, out_features: 3}]}", {2, 3}, {2, 3}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.yaml);
    Built built(c.yaml, c.input);
    CHECK(built.shape() == c.output);
  }
}

TEST_CASE("linear is x w^T + b and starts as PyTorch's") {
  Built built("{type: linear, out_features: 2}", {3, 4});
  CHECK(parameter_names(built.bench.state) == Names{"layer.weight", "layer.bias"});
  CHECK(built.init("layer.weight").b == doctest::Approx(0.5));  // 1 / sqrt(4)
  CHECK(built.init("layer.bias").b == doctest::Approx(0.5));
  const RefTensor y = built.value();
  const auto& state = built.bench.bindings.state;
  const RefTensor& w = state.at("model/layer.weight");
  const RefTensor& x = built.bench.bindings.inputs.at("input");
  double expected = state.at("model/layer.bias")[1];
  for (int k = 0; k < 4; ++k) expected += x[4 + k] * w[4 + k];
  CHECK(y[1 * 2 + 1] == doctest::Approx(expected));
  CHECK(parameter_names(Built("{type: linear, out_features: 2, bias: false}", {3, 4}).bench.state) ==
        Names{"layer.weight"});
}

TEST_CASE("initialisers follow the fans") {
  const auto start = [](const std::string& init) {
    return Built("{type: conv2d, out_channels: 8, kernel_size: 3, groups: 2, weight_init: " + init + "}", {1, 4, 5, 5})
        .init("layer.weight");
  };
  const double in = 2 * 9, out = 8 * 9;
  CHECK(start("default").b == doctest::Approx(1 / std::sqrt(in)));
  CHECK(start("{type: kaiming_uniform, a: 2.23606797749979}").b == doctest::Approx(1 / std::sqrt(in)));
  CHECK(start("{type: kaiming_normal, mode: fan_out, nonlinearity: relu}").b == doctest::Approx(std::sqrt(2 / out)));
  CHECK(start("{type: kaiming_normal, mode: fan_out, nonlinearity: relu}").kind == Init::Kind::normal);
  CHECK(start("{type: xavier_uniform, gain: 2}").a == doctest::Approx(-2 * std::sqrt(6 / (in + out))));
  CHECK(start("xavier_normal").b == doctest::Approx(std::sqrt(2 / (in + out))));
  CHECK(start("zeros").a == 0.0);
  CHECK(start("ones").a == 1.0);
  CHECK(start("{type: constant, value: 0.25}").a == 0.25);
  CHECK(start("{type: normal, mean: 1, std: 0.5}").a == 1.0);
  CHECK(start("{type: uniform, low: -0.5, high: 0.25}").b == 0.25);
  CHECK(contains(refused("{type: linear, out_features: 2, weight_init: {type: uniform, low: 1, high: 0}}", {1, 4}),
                 "low"));
}

TEST_CASE("padding 'same' puts the odd row at the bottom and right") {
  Built built("{type: conv2d, out_channels: 1, kernel_size: 2, padding: same, bias: false, weight_init: ones}",
              {1, 1, 2, 2});
  const RefTensor y = built.value();
  const RefTensor& x = built.bench.bindings.inputs.at("input");
  CHECK(y[0] == doctest::Approx(x[0] + x[1] + x[2] + x[3]));
  CHECK(y[3] == doctest::Approx(x[3]));
}

TEST_CASE("batch_norm keeps PyTorch's running statistics in training and uses them in evaluation") {
  Built built("batch_norm", {2, 3, 2, 2});
  CHECK(parameter_names(built.bench.state) == Names{"layer.weight", "layer.bias"});
  built.value();
  const Interpretation after = built.bench.run();
  const RefTensor& x = built.bench.bindings.inputs.at("input");
  double mean = 0, square = 0;
  for (int n = 0; n < 2; ++n)
    for (int i = 0; i < 4; ++i) mean += x[n * 12 + 4 + i] / 8;
  for (int n = 0; n < 2; ++n)
    for (int i = 0; i < 4; ++i) square += std::pow(x[n * 12 + 4 + i] - mean, 2);
  CHECK(after.new_state.at("model/layer.running_mean")[1] == doctest::Approx(0.1 * mean));
  CHECK(after.new_state.at("model/layer.running_var")[1] == doctest::Approx(0.9 + 0.1 * square / 7));
  CHECK(after.new_state.at("model/layer.num_batches_tracked")[0] == 1.0);
  CHECK(after.values.at(built.outputs[0].id())[4] == doctest::Approx((x[4] - mean) / std::sqrt(square / 8 + 1e-5)));

  Built evaluated("batch_norm", {2, 3, 2, 2}, false);
  evaluated.bench.bindings.state["model/layer.running_mean"] = RefTensor({3}, 0.5);
  evaluated.bench.bindings.state["model/layer.running_var"] = RefTensor({3}, 4.0);
  const RefTensor y = evaluated.value();
  CHECK(y[4] == doctest::Approx((evaluated.bench.bindings.inputs.at("input")[4] - 0.5) / std::sqrt(4.0 + 1e-5)));
  CHECK(evaluated.bench.graph.updates().empty());

  CHECK(Built("{type: batch_norm, affine: false, track_running_stats: false}", {2, 3}).bench.state.size() == 0);
  CHECK(contains(refused("batch_norm", {1, 3}), "larger batches"));
  CHECK(refused("batch_norm", {1, 3}, false).empty());
}

TEST_CASE("layer_norm checks normalized_shape and leaves out what it does not learn") {
  CHECK(Built("{type: layer_norm, normalized_shape: [3, 5]}", {4, 3, 5}).shape() == Shape{4, 3, 5});
  CHECK(contains(refused("{type: layer_norm, normalized_shape: [4]}", {4, 3, 5}),
                 "normalized_shape (4) is not the input's (5)"));
  CHECK(parameter_names(Built("{type: layer_norm, bias: false}", {4, 5}).bench.state) == Names{"layer.weight"});
  CHECK(parameter_names(Built("{type: layer_norm, elementwise_affine: false}", {4, 5}).bench.state).empty());
  Built built("layer_norm", {2, 4});
  const RefTensor y = built.value();
  CHECK(y[0] + y[1] + y[2] + y[3] == doctest::Approx(0.0).epsilon(1e-9));
}

TEST_CASE("dropout works in training only and costs nothing without a probability") {
  CHECK(Built("dropout", {2, 3}, false).bench.graph.nodes().empty());
  CHECK(Built("{type: dropout, p: 0}", {2, 3}).bench.graph.nodes().empty());
  Built built("{type: dropout, p: 0.5}", {8, 100});
  built.bench.bindings.inputs["step"] = RefTensor(Shape{}, 3.0);
  const RefTensor y = built.value();
  const RefTensor& x = built.bench.bindings.inputs.at("input");
  int dropped = 0;
  for (int i = 0; i < y.size(); ++i) {
    if (y[i] == 0.0)
      ++dropped;
    else
      CHECK(y[i] == doctest::Approx(2 * x[i]));
  }
  CHECK(dropped > 300);
  CHECK(dropped < 500);
}

TEST_CASE("a live probability is a scalar of the step, found by its path in the spec") {
  const auto layer = from_yaml<Component<Layer>>("{type: sequential, layers: [relu, {type: dropout, p: 0}]}", "model");
  Bench bench;
  bench.context.live.insert("model.layers.1.p");
  build_child(bench.builder, layer, "", {bench.input({2, 3})});
  bool found = false;
  for (const ValueInfo& value : bench.graph.values())
    found |= value.kind == ValueInfo::Kind::scalar && value.name == "model.layers.1.p";
  CHECK(found);
}

TEST_CASE("multiply takes a number for each channel as a gate") {
  for (const Shape& gate : {Shape{2, 3}, Shape{2, 3, 1, 1}}) {
    Bench bench;
    const auto layer = from_yaml<Component<Layer>>("{type: multiply}", "model");
    for (const bool first : {true, false}) {
      const Value x = bench.input({2, 3, 4, 5}, "x"), g = bench.input(gate, "gate");
      const Value y = layer->build(bench.builder, first ? Values{g, x} : Values{x, g})[0];
      const RefTensor result = bench.run().values.at(y.id());
      CHECK(result.shape == Shape{2, 3, 4, 5});
      CHECK(result[25] == doctest::Approx(bench.bindings.inputs["x"][25] * bench.bindings.inputs["gate"][1]));
    }
    const Value other = bench.input({2, 4, 4, 5}, "other"), g = bench.input(gate, "gate");
    CHECK(contains(refusal([&] { layer->build(bench.builder, {other, g}); }), "a number for each channel (N, C)"));
  }
}

TEST_CASE("pyramid_pooling is global pooling at one level, and one behind the other at more") {
  Built global("{type: pyramid_pooling, levels: [1], mode: average}", {2, 3, 5, 7});
  Built pooled("{type: global_avg_pool, keepdim: false}", {2, 3, 5, 7});
  const RefTensor a = global.value(), b = pooled.value();
  for (int i = 0; i < 6; ++i) CHECK(a[i] == doctest::Approx(b[i]));
  Built several("{type: pyramid_pooling, levels: [2, 1], mode: average}", {2, 3, 5, 7});
  const RefTensor c = several.value();
  CHECK(c[12] == doctest::Approx(a[0]));  // behind 3 x 4 features of level 2
}

TEST_CASE("what does not fit the larger layers is refused with advice") {
  CHECK(contains(refused("{type: group_norm, num_groups: 2}", {2, 3, 4}), "3 channels cannot be divided into 2"));
  CHECK(contains(refused("{type: group_norm, num_groups: 3}", {2, 3}), "no variance"));
  CHECK(contains(refused("instance_norm", {2, 3}), "(N, C, L, ...)"));
  CHECK(contains(refused("{type: prelu, num_parameters: 4}", {2, 3}), "give 1 or 3"));
  CHECK(contains(refused("{type: embedding, num_embeddings: 4, embedding_dim: 2}", {2, 3}), "whole numbers"));
  CHECK(contains(refused("{type: upsample, scale_factor: 1.5}", {2, 3, 5, 4}), "give `size`"));
  CHECK(contains(refused("upsample", {2, 3, 5, 4}), "'size' or 'scale_factor'"));
  CHECK(contains(refused("{type: upsample, size: 4, align_corners: true}", {2, 3, 5, 4}), "bilinear"));
  CHECK(contains(refused("{type: conv_transpose2d, out_channels: 2, kernel_size: 3, output_padding: 1}", {2, 3, 4, 4}),
                 "'output_padding'"));
  CHECK(contains(refused("{type: conv_transpose2d, out_channels: 2, kernel_size: 1, padding: 3}", {2, 3, 4, 4}),
                 "less padding"));
  CHECK(contains(refused("{type: conv_transpose2d, out_channels: 2, kernel_size: 3, groups: 2}", {2, 3, 4, 4}),
                 "3 channels cannot be divided into 2"));
  CHECK(contains(refused("pyramid_pooling", {2, 3}), "images"));
  CHECK(contains(refused("{type: pyramid_pooling, levels: [0]}", {2, 3, 4, 4}), "at least 1"));
  CHECK(contains(refused("{type: softplus, beta: 0}", {2, 3}), "above 0"));
}

TEST_CASE("what does not fit is refused with advice") {
  CHECK(contains(refused("{type: conv2d, out_channels: 4, kernel_size: 3}", {2, 12}),
                 "images (N, C, H, W), got (2, 12)"));
  CHECK(contains(refused("{type: conv2d, out_channels: 4, kernel_size: 3, stride: 2, padding: same}", {2, 3, 8, 8}),
                 "stride 1"));
  CHECK(contains(refused("{type: conv2d, out_channels: 4, kernel_size: 3, groups: 2}", {2, 3, 8, 8}),
                 "3 channels cannot be divided into 2"));
  CHECK(
      contains(refused("{type: conv2d, out_channels: 3, kernel_size: 3, groups: 2}", {2, 4, 8, 8}), "3 out_channels"));
  CHECK(!refused("{type: conv2d, out_channels: 3, kernel_size: 9}", {2, 4, 8, 8}).empty());
  CHECK(contains(refused("{type: conv2d, out_channels: 0, kernel_size: 3}", {2, 4, 8, 8}), "at least 1"));
  CHECK(contains(refused("{type: conv2d, out_channels: 4, kernel_size: 3, padding: -1}", {2, 4, 8, 8}), "at least 0"));
  CHECK(contains(refused("{type: conv2d, out_channels: 4, kernel_size: 3, padding: sane}", {2, 4, 8, 8}), "same"));
  CHECK(contains(refused("{type: max_pool2d, kernel_size: 2, padding: 2}", {2, 4, 8, 8}), "half"));
  CHECK(contains(refused("global_avg_pool", {2, 4}), "images"));
  CHECK(contains(refused("{type: reshape, shape: [5, -1]}", {2, 12}), "12 elements, which shape (5, -1) cannot hold"));
  CHECK(contains(refused("{type: reshape, shape: [-1, -1]}", {2, 12}), "only one"));
  CHECK(contains(refused("{type: flatten, start_dim: 3}", {2, 12}), "starts at axis 3"));
  CHECK(contains(refused("softmax", {4}), "needs (N, C, ...)"));
  CHECK(contains(refused("{type: residual, layers: [{type: linear, out_features: 4}]}", {2, 3}),
                 "one shape, got (2, 4) and (2, 3)"));
  CHECK(contains(refused("{type: parallel, branches: [identity, relu], combine: sum}", {2, 3}), "concat, add"));
  CHECK(contains(refused("{type: linear, out_features: 4, naem: x}", {2, 3}), "Did you mean 'name'?"));
}

TEST_CASE("an error has its place in the file and the layer's path once") {
  const std::string yaml =
      "type: sequential\nlayers:\n  - type: sequential\n    name: stem\n    layers:\n      - relu\n      - {type: "
      "max_pool2d, kernel_size: 40}\n";
  const auto layer = from_yaml<Component<Layer>>(yaml);
  Bench bench;
  const std::string message = refusal([&] { build_child(bench.builder, layer, "", {bench.input({2, 3, 8, 8})}); });
  CHECK(contains(message, "spec.yaml:7:9: max_pool2d 'stem.1': "));
  CHECK(message.find("spec.yaml") == message.rfind("spec.yaml"));
  CHECK(!contains(message, "sequential"));
}
