// Fused graphs give what unfused ones give: outputs, state and gradients.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "graph/builder.h"
#include "graph/rewrite.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/image.h"
#include "ops/linear.h"
#include "ops/loss.h"
#include "ops/metric.h"
#include "ops/norm.h"
#include "ops/pool2d.h"
#include "ops/random_bindings.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

bool accept_all(const GraphNode&, const Graph&) {
  return true;
}

/// A small network under construction, with the layers that fusions look for.
struct Net {
  StateSpec state;
  Graph graph{state};
  BuildContext context;
  Builder builder{graph, context, true};
  Values parameters;

  Value parameter(const std::string& name, Shape shape) {
    parameters.push_back(builder.parameter(name, shape, Init::zeros()));
    return parameters.back();
  }
  Value linear(const std::string& name, Value x, std::int64_t n) {
    const Value w = parameter(name + ".w", {n, x.dim(-1)}), b = parameter(name + ".b", {n});
    return builder.apply1("linear", std::make_shared<LinearAttributes>(), {x, w, b});
  }
  Value conv(const std::string& name, Value x, std::int64_t channels) {
    auto attributes = std::make_shared<Conv2dAttributes>();
    attributes->padding = {1, 1, 1, 1};
    const Value w = parameter(name + ".w", {channels, x.dim(1), 3, 3}), b = parameter(name + ".b", {channels});
    return builder.apply1("conv2d", attributes, {x, w, b});
  }
  /// With its running mean, updated right behind it as a layer does.
  Value batch_norm(const std::string& name, Value x) {
    const Value gamma = parameter(name + ".gamma", {x.dim(1)}), beta = parameter(name + ".beta", {x.dim(1)});
    const Values results = builder.apply("batch_norm", std::make_shared<BatchNormAttributes>(), {x, gamma, beta});
    const int mean = builder.buffer(name + ".mean", {DType::f32, {x.dim(1)}}, Init::zeros());
    graph.update(mean, builder.apply1("moving_average", std::make_shared<MovingAverageAttributes>(),
                                      {graph.latest(mean), results[1]}));
    return results[0];
  }
  Value activation(Value x, Activation::Kind kind = Activation::Kind::relu) {
    return builder.apply1("activation", std::make_shared<ActivationAttributes>(Activation{kind, 0.1}), {x});
  }
  Value add(Value a, Value b) { return builder.apply1("add", nullptr, {a, b}); }
  /// Outputs y, a loss and the loss's gradients.
  void train(Value y) {
    graph.output("y", y);
    const Value loss = builder.apply1("pointwise_loss", std::make_shared<PointwiseLossAttributes>(),
                                      {y, graph.input("target", y.type())});
    graph.output("loss", loss);
    const Values gradients = builder.gradients(loss, parameters);
    for (std::size_t i = 0; i < gradients.size(); ++i) graph.output("gradient" + std::to_string(i), gradients[i]);
  }
};

int count(const Graph& graph, std::string_view op) {
  return static_cast<int>(
      std::ranges::count_if(graph.nodes(), [&](const GraphNode& node) { return node.op->name() == op; }));
}

void check_order(const Graph& graph) {
  for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
    for (const int input : graph.nodes()[i].inputs) {
      if (input >= 0 && graph.info(input).kind == ValueInfo::Kind::result) CHECK(graph.info(input).node < i);
    }
    for (const int output : graph.nodes()[i].outputs) CHECK(graph.info(output).node == i);
    CHECK(graph.nodes()[i].forward < i);
  }
}

/// Fuses and compares with before; returns how many rules applied.
int check_fusion(Graph& graph) {
  graph.remove_dead_nodes();
  const Bindings bindings = random_bindings(graph);
  const Interpretation before = interpret(graph, bindings);
  const int applied = run_rewrites(graph, accept_all);
  check_order(graph);
  const Interpretation after = interpret(graph, bindings);
  CHECK(before.outputs.size() > 0);
  CHECK(distance(before.outputs, after.outputs) < 1e-12);
  CHECK(distance(before.new_state, after.new_state) < 1e-12);
  return applied;
}

}  // namespace

TEST_CASE("linear takes its activation") {
  Net net;
  const Value x = net.graph.input("x", {DType::f32, {4, 5}});
  net.train(net.linear("b", net.activation(net.linear("a", x, 6)), 3));
  CHECK(check_fusion(net.graph) == 2);
  CHECK(count(net.graph, "activation") == 0);
  CHECK(count(net.graph, "activation_backward") == 0);
  CHECK(net.graph.text().find("linear[bias relu]") != std::string::npos);
}

TEST_CASE("pooling's gradient takes the slope of the activation before it") {
  Net net;
  const Value x = net.activation(net.conv("a", net.graph.input("x", {DType::f32, {2, 3, 6, 6}}), 4));
  net.train(net.builder.apply("max_pool2d", std::make_shared<Pool2dAttributes>(), {x})[0]);
  CHECK(check_fusion(net.graph) == 2);
  CHECK(count(net.graph, "activation_backward") == 0);
  CHECK(net.graph.text().find("max_pool2d_backward[kernel=2x2 stride=2x2 padding=0x0 input=(2, 4, 6, 6) relu]") !=
        std::string::npos);
}

TEST_CASE("an activation whose gradient needs its input stays in training and goes in inference") {
  for (const bool training : {true, false}) {
    Net net;
    const Value y =
        net.activation(net.linear("a", net.graph.input("x", {DType::f32, {4, 5}}), 6), Activation::Kind::gelu);
    training ? net.train(y) : net.graph.output("y", y);
    CHECK(check_fusion(net.graph) == (training ? 0 : 1));
  }
}

TEST_CASE("a value that is an output too is not swallowed") {
  Net net;
  const Value hidden = net.linear("a", net.graph.input("x", {DType::f32, {4, 5}}), 6);
  net.graph.output("hidden", hidden);
  net.train(net.activation(hidden));
  CHECK(check_fusion(net.graph) == 0);
}

TEST_CASE("nothing changes where the caller refuses") {
  Net net;
  net.train(net.activation(net.linear("a", net.graph.input("x", {DType::f32, {4, 5}}), 6)));
  net.graph.remove_dead_nodes();
  const std::string before = net.graph.text();
  CHECK(run_rewrites(net.graph, [](const GraphNode&, const Graph&) { return false; }) == 0);
  CHECK(net.graph.text() == before);
}

TEST_CASE("conv2d takes activation and sum") {
  for (const bool sum : {false, true}) {
    Net net;
    const Value x = net.graph.input("x", {DType::f32, {2, 3, 5, 5}});
    Value y = net.conv("a", x, 3);
    if (sum) y = net.add(y, x);
    net.train(net.conv("b", net.activation(y, Activation::Kind::tanh), 2));
    CHECK(check_fusion(net.graph) == (sum ? 3 : 2));
    CHECK(count(net.graph, "activation") == 0);
    CHECK(count(net.graph, "add") == 0);
  }
}

TEST_CASE("conv2d takes a sum without an activation") {
  Net net;
  const Value x = net.graph.input("x", {DType::f32, {2, 3, 5, 5}});
  net.train(net.add(x, net.conv("a", x, 3)));
  CHECK(check_fusion(net.graph) == 1);
  CHECK(count(net.graph, "add") == 0);
}

TEST_CASE("batch_norm and its gradient take relu") {
  Net net;
  const Value x = net.graph.input("x", {DType::f32, {2, 3, 5, 5}});
  net.train(net.conv("b", net.activation(net.batch_norm("n", net.conv("a", x, 4))), 2));
  CHECK(check_fusion(net.graph) == 2);
  CHECK(count(net.graph, "activation") == 0);
  CHECK(count(net.graph, "activation_backward") == 0);
}

TEST_CASE("batch_norm takes relu only") {
  Net net;
  net.train(net.activation(net.batch_norm("n", net.graph.input("x", {DType::f32, {4, 3}})), Activation::Kind::tanh));
  CHECK(check_fusion(net.graph) == 0);
}

TEST_CASE("residual blocks fuse forward and backward") {
  for (const bool projection : {false, true}) {
    CAPTURE(projection);
    Net net;
    const Value x = net.activation(net.conv("stem", net.graph.input("x", {DType::f32, {2, 2, 5, 5}}), 3));
    const Value inner = net.activation(net.batch_norm("n1", net.conv("c1", x, 3)));
    const Value main = net.batch_norm("n2", net.conv("c2", inner, 3));
    const Value side = projection ? net.batch_norm("n3", net.conv("c3", x, 3)) : x;
    net.train(net.conv("head", net.activation(net.add(main, side)), 2));
    check_fusion(net.graph);
    CHECK(count(net.graph, "activation") == 0);
    CHECK(count(net.graph, "activation_backward") == 1);  // the stem's, which has no norm
    CHECK(net.graph.text().find("batch_norm_backward[eps=1e-05 gives_sum relu]") != std::string::npos);
    // The backward of the sum belongs to the norm that computes it.
    for (const GraphNode& node : net.graph.nodes()) {
      if (node.op->name() != "batch_norm_backward") continue;
      const bool fused = node.attributes->text().find("relu") != std::string::npos;
      CHECK(fused == (net.graph.nodes()[node.forward].attributes->text().find("relu") != std::string::npos));
    }
  }
}

TEST_CASE("a sum that depends on the norm's own statistics is left alone") {
  Net net;
  const Value x = net.graph.input("x", {DType::f32, {4, 3}});
  const Value gamma = net.parameter("gamma", {3}), beta = net.parameter("beta", {3});
  const Values norm = net.builder.apply("batch_norm", std::make_shared<BatchNormAttributes>(), {x, gamma, beta});
  const Value affine = net.builder.apply1("channel_affine", nullptr, {x, norm[1], beta});
  net.graph.output("y", net.add(norm[0], affine));
  CHECK(check_fusion(net.graph) == 0);
}

TEST_CASE("batch_norm_inference takes sum and relu") {
  Net net;
  const Value x = net.graph.input("x", {DType::f32, {2, 3, 5, 5}});
  Values operands{x};
  for (const char* name : {"gamma", "beta", "mean", "variance"}) operands.push_back(net.parameter(name, {3}));
  const Value y = net.builder.apply1("batch_norm_inference", std::make_shared<BatchNormAttributes>(), operands);
  net.graph.output("y", net.activation(net.add(y, x)));
  CHECK(check_fusion(net.graph) == 2);
  CHECK(net.graph.nodes().size() == 1);
}

TEST_CASE("add takes an activation") {
  Net net;
  const Value a = net.graph.input("a", {DType::f32, {4, 3}}), b = net.graph.input("b", {DType::f32, {4, 3}});
  net.graph.output("y", net.activation(net.add(a, b), Activation::Kind::silu));
  CHECK(check_fusion(net.graph) == 1);
  CHECK(net.graph.nodes().size() == 1);
}

namespace {

/// gather and the transforms behind it; returns the images.
Value load(Builder& builder, Value step_of_flip) {
  Graph& graph = builder.graph();
  const Value data = graph.input("data", {DType::u8, {6, 2, 7, 6}}), order = graph.input("order", {DType::i32, {40}});
  RandomCropAttributes crop;
  crop.height = 7, crop.width = 6, crop.padding_height = crop.padding_width = 2, crop.stream = 1;
  NormalizeAttributes normalize;
  normalize.mean = {0.2, 0.3}, normalize.deviation = {0.5};
  Value x = builder.apply1("gather", std::make_shared<GatherAttributes>(5),
                           {data, order, graph.scalar("position", DType::i64)});
  x = builder.apply1("convert", std::make_shared<ConvertAttributes>(255.0), {x});
  x = builder.apply1("normalize", std::make_shared<NormalizeAttributes>(normalize), {x});
  x = builder.apply1("random_crop", std::make_shared<RandomCropAttributes>(crop), {x, builder.step()});
  x = builder.apply1("random_flip", std::make_shared<RandomFlipAttributes>(), {x, step_of_flip});
  return builder.apply1("cutout", std::make_shared<CutoutAttributes>(), {x, step_of_flip});
}

}  // namespace

TEST_CASE("the gradient of cross-entropy does not wait for the loss") {
  Net net;
  const Value y = net.linear("a", net.graph.input("x", {DType::f32, {4, 5}}), 6);
  const Value loss = net.builder.apply("softmax_cross_entropy", nullptr,
                                       {y, net.graph.input("target", {DType::i64, {4}}), net.graph.constant(0.1)})[0];
  net.graph.output("loss", loss);
  const Values gradients = net.builder.gradients(loss, net.parameters);
  for (std::size_t i = 0; i < gradients.size(); ++i) net.graph.output("gradient" + std::to_string(i), gradients[i]);
  CHECK(check_fusion(net.graph) == 1);
  CHECK(net.graph.reader_counts()[net.graph.nodes()[1].outputs[1]] == 0);  // lse
}

TEST_CASE("a batch of images is loaded in one pass") {
  Net net;
  net.graph.output("x", load(net.builder, net.builder.step()));
  CHECK(check_fusion(net.graph) == 1);
  CHECK(net.graph.nodes().size() == 1);
  CHECK(net.graph.nodes()[0].op->name() == "load_images");
}

TEST_CASE("a batch of images is loaded as bf16 where it is read so") {
  Net net;
  const Value x = load(net.builder, net.builder.step());
  SUBCASE("alone") {
    net.graph.output("x", net.builder.apply1("cast", std::make_shared<CastAttributes>(DType::bf16), {x}));
    CHECK(check_fusion(net.graph) == 1);
    REQUIRE(net.graph.nodes().size() == 1);
    CHECK(as<LoadImagesAttributes>(*net.graph.nodes()[0].attributes).dtype == DType::bf16);
  }
  SUBCASE("but not where it is read as f32, too") {
    net.graph.output("x", net.builder.apply1("cast", std::make_shared<CastAttributes>(DType::bf16), {x}));
    net.graph.output("same", x);
    check_fusion(net.graph);
    CHECK(net.graph.nodes().size() == 2);
  }
}

TEST_CASE("stages that draw by another step are not loaded with the batch") {
  Net net;
  net.graph.output("x", load(net.builder, net.graph.scalar("other step", DType::i64)));
  check_fusion(net.graph);
  CHECK(net.graph.nodes().size() == 3);
}

TEST_CASE("the longest chain that the caller takes is fused") {
  Net net;
  net.graph.output("x", load(net.builder, net.builder.step()));
  const auto at_most_two = [](const GraphNode& fused, const Graph&) {
    return as<LoadImagesAttributes>(*fused.attributes).stages.size() <= 2;
  };
  CHECK(run_rewrites(net.graph, at_most_two) == 1);
  CHECK(net.graph.nodes().size() == 4);
}

TEST_CASE("labels are gathered as they are") {
  Net net;
  const Value labels = net.graph.input("labels", {DType::i32, {6}}),
              order = net.graph.input("order", {DType::i32, {40}});
  const Value batch = net.builder.apply1("gather", std::make_shared<GatherAttributes>(5),
                                         {labels, order, net.graph.scalar("position", DType::i64)});
  net.graph.output("y", net.builder.apply1("convert", std::make_shared<ConvertAttributes>(1.0), {batch}));
  CHECK(check_fusion(net.graph) == 0);
}

TEST_CASE("running statistics that do not wait for each other are updated at once") {
  Net net;
  const auto average = [&](Value old, Value fresh, double rate, double scale, Value given = {}) {
    MovingAverageAttributes attributes;
    attributes.rate = rate;
    attributes.scales = {scale};
    Values operands{old, fresh};
    if (given) operands.push_back(given);
    return net.builder.apply1("moving_average", std::make_shared<MovingAverageAttributes>(attributes), operands);
  };
  const auto statistic = [&](const std::string& name, Shape shape) {
    return net.builder.buffer(name, {DType::f32, shape}, Init::zeros());
  };
  const auto track = [&](int running, Value fresh, double rate, double scale, Value given = {}) {
    net.graph.update(running, average(net.graph.latest(running), fresh, rate, scale, given));
  };
  const auto count_batch = [&](int batches) {
    net.graph.update(batches, net.builder.apply1("increment", nullptr, {net.graph.latest(batches)}));
  };
  const Value a = net.graph.input("a", {DType::f32, {5}}), b = net.graph.input("b", {DType::f32, {2, 3}});
  const int mean = statistic("mean", {5}), variance = statistic("variance", {2, 3});
  const int batches = net.builder.buffer("batches", {DType::i64, {}}, Init::zeros());
  const int others = net.builder.buffer("others", {DType::i64, {}}, Init::zeros());
  net.graph.output("a", a);

  SUBCASE("at one rate, whatever their shapes and scales") {
    track(mean, a, 0.1, 1.0);
    count_batch(batches);
    track(variance, b, 0.1, 1.25);
    track(statistic("third", {5}), net.activation(a), 0.1, 2.0);
    count_batch(others);
    CHECK(check_fusion(net.graph) == 3);
    CHECK(count(net.graph, "moving_average") == 1);
    CHECK(count(net.graph, "increment") == 1);
    CHECK(net.graph.text().find("moving_average[rate=0.1 scale=1,1.25,2]") != std::string::npos);
  }
  SUBCASE("but not at different ones") {
    const Value rate = net.graph.scalar("rate");
    track(mean, a, 0.1, 1.0);
    track(variance, b, 0.2, 1.0);
    track(statistic("third", {5}), a, 0.1, 1.0, rate);
    track(statistic("fourth", {5}), a, 0.1, 1.0, net.graph.scalar("other rate"));
    CHECK(check_fusion(net.graph) == 0);
    track(statistic("fifth", {2, 3}), b, 0.1, 3.0, rate);
    CHECK(check_fusion(net.graph) == 1);
    CHECK(count(net.graph, "moving_average") == 4);
  }
  SUBCASE("nor where one builds on the other") {
    track(mean, a, 0.1, 1.0);
    track(mean, net.activation(a), 0.1, 1.0);
    count_batch(batches);
    count_batch(batches);
    CHECK(check_fusion(net.graph) == 0);
  }
  SUBCASE("and none that an operand of the other depends on") {
    track(mean, a, 0.1, 1.0);
    track(statistic("third", {5}), net.activation(net.graph.latest(mean)), 0.1, 1.0);
    track(variance, b, 0.1, 1.0);
    CHECK(check_fusion(net.graph) == 1);
    CHECK(count(net.graph, "moving_average") == 2);
  }
}

TEST_CASE("what a step keeps or drops by one flag, and its sums, are each done at once") {
  Net net;
  const auto flag = [&](double value) { return net.builder.apply1("is_finite", nullptr, {net.graph.constant(value)}); };
  const auto choose = [&](const std::string& name, const TensorType& type, Value finite) {
    const int state = net.builder.buffer(name, type, Init::zeros());
    const Value next = net.graph.input("next " + name, type);
    net.graph.update(state, net.builder.apply1("select", nullptr, {finite, next, net.graph.state(state)}));
  };
  const auto add_up = [&](const std::string& name, const TensorType& value, double factor) {
    const int state = net.builder.buffer(name, {DType::f64, value.shape}, Init::zeros());
    net.graph.update(state, net.builder.apply1("accumulate", std::make_shared<AccumulateAttributes>(factor),
                                               {net.graph.latest(state), net.graph.input("of " + name, value)}));
  };
  net.graph.output("x", net.graph.input("x", {DType::f32, {2}}));

  SUBCASE("the first") {
    const Value finite = flag(1.0);
    choose("mean", {DType::f32, {5}}, finite);
    choose("batches", {DType::i64, {}}, finite);
    choose("table", {DType::f32, {2, 3}}, finite);
    CHECK(check_fusion(net.graph) == 2);
    CHECK(count(net.graph, "select") == 1);
  }
  SUBCASE("the second") {
    const Value finite = flag(HUGE_VAL);
    choose("mean", {DType::f32, {5}}, finite);
    choose("table", {DType::f32, {2, 3}}, finite);
    CHECK(check_fusion(net.graph) == 1);
  }
  SUBCASE("not by different flags") {
    choose("mean", {DType::f32, {5}}, flag(1.0));
    choose("table", {DType::f32, {2, 3}}, flag(HUGE_VAL));
    CHECK(check_fusion(net.graph) == 0);
  }
  SUBCASE("sums, each with its factor") {
    add_up("loss", {DType::f32, {}}, 128.0);
    add_up("counts", {DType::i64, {2, 3}}, 1.0);
    add_up("correct", {DType::i64, {}}, -0.5);
    CHECK(check_fusion(net.graph) == 2);
    CHECK(net.graph.text().find("accumulate[factor=128,1,-0.5]") != std::string::npos);
  }
}

TEST_CASE("scores are read, and their gradients given, in bf16") {
  Net net;
  const auto cast = [&](Value x, DType to) {
    return net.builder.apply1("cast", std::make_shared<CastAttributes>(to), {x});
  };
  const Value x = net.parameter("x", {6, 4});
  const Value target = net.graph.input("target", {DType::i64, {6}});
  const Value scores = cast(cast(x, DType::bf16), DType::f32);
  const auto learn = [&](Value loss) {
    net.graph.output("loss", loss);
    net.graph.output("gradient", net.builder.gradients(loss, net.parameters)[0]);
  };

  SUBCASE("by the cross-entropy and the accuracy") {
    net.graph.output(
        "correct", net.builder.apply1("count_correct", std::make_shared<CountCorrectAttributes>(1), {scores, target}));
    learn(net.builder.apply("softmax_cross_entropy", nullptr, {scores, target, net.graph.constant(0.1)})[0]);
    CHECK(check_fusion(net.graph) == 4);   // the loss, its gradient twice (without lse), the accuracy
    CHECK(count(net.graph, "cast") == 2);  // of x, and of its gradient
  }
  SUBCASE("by the negative log-likelihood") {
    learn(net.builder.apply1("nll", nullptr, {scores, target}));
    CHECK(check_fusion(net.graph) == 2);
    CHECK(count(net.graph, "cast") == 2);
  }
  SUBCASE("but a gradient that others read stays") {
    net.graph.output("scores", scores);
    const Value loss = net.builder.apply1("nll", nullptr, {scores, target});
    net.graph.output("loss", loss);
    net.graph.output("of scores", net.builder.gradients(loss, Values{scores})[0]);
    CHECK(check_fusion(net.graph) == 1);
    CHECK(count(net.graph, "nll_backward") == 1);
    CHECK(count(net.graph, "cast") == 2);
  }
}
