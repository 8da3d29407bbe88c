#include <doctest/doctest.h>

#include <algorithm>

#include "nn/fixture.h"
#include "schema/resolve.h"
#include "source_dir.h"

using namespace trainctl;
using namespace trainctl::test;
using Names = std::vector<std::string>;

namespace {

const std::string blocks =
    "type: sequential\n"
    "blocks:\n"
    "  dense:\n"
    "    parameters: {width: null, after: relu}\n"
    "    type: sequential\n"
    "    layers: [{type: linear, out_features: \"${arg.width}\"}, \"${arg.after}\"]\n"
    "  pair:\n"
    "    parameters: {width: 4}\n"
    "    type: sequential\n"
    "    layers: [{type: dense, width: \"${arg.width}\", repeat: 2}, identity]\n"
    "layers:\n";

std::string refused(const std::string& yaml) {
  return refusal([&] { from_yaml<Model>(yaml, "model"); });
}

Model shipped(const std::string& name) {
  const Node spec = load_spec(test::source_dir() / "configs/models" / (std::string(name) + ".yaml"));
  Model model;
  Diagnostics diagnostics;
  diagnostics.set_path("model");
  read(model, *spec.find("model"), diagnostics);
  diagnostics.throw_if_any();
  return model;
}

}  // namespace

TEST_CASE("blocks stand for layers wherever a layer may stand") {
  const Model model = from_yaml<Model>(
      blocks +
          "  - {type: dense, width: 5, name: first}\n  - pair\n  - {type: residual, layers: [{type: dense, width: 4}], "
          "activation: {type: dense, width: 2, after: {type: dropout, p: 0.25}}}\noutput: softmax\n",
      "model");
  Bench bench;
  const Values outputs = model.build(bench.builder, {bench.input({2, 3})});
  CHECK(outputs.at(0).shape() == Shape{2, 2});
  CHECK(parameter_names(bench.state) == Names{"first.0.weight", "first.0.bias", "1.0.0.weight", "1.0.0.bias",
                                              "1.1.0.weight", "1.1.0.bias", "2.body.0.0.weight", "2.body.0.0.bias",
                                              "2.activation.0.weight", "2.activation.0.bias"});
}

TEST_CASE("a model is written whole, without blocks, and reads back as itself") {
  const Model model = from_yaml<Model>(blocks + "  - {type: pair, name: body}\noutput: softmax\n", "model");
  const Node written = write(model);
  CHECK(!written.find("blocks"));
  CHECK(find_path(written, "layers.0.layers.0.layers.0.out_features")->text() == "4");
  CHECK(find_path(written, "output.type")->text() == "softmax");
  const Model again = from_yaml<Model>(to_yaml(written), "model");
  CHECK(write(again) == written);
}

TEST_CASE("wrong blocks are refused where they were written") {
  CHECK(contains(refused(blocks + "  - {type: dense}\n"),
                 "spec.yaml:12:5: model.layers.0: block 'dense' needs 'width'."));
  CHECK(contains(refused(blocks + "  - {type: dense, wdith: 3}\n"), "no parameter 'wdith'. Did you mean 'width'?"));
  CHECK(contains(refused(blocks + "  - {type: dnse, width: 3}\n"),
                 "unknown layer or block 'dnse'. Did you mean 'dense'?"));
  CHECK(contains(refused(blocks + "  - {type: dense, width: many}\n"), "expected an integer, got 'many'"));
  CHECK(contains(refused("{type: sequential, blocks: {a: {type: sequential, layers: [b]}, b: {type: sequential, "
                         "layers: [a]}}, layers: [a]}"),
                 "block 'a' uses itself: a -> b -> a."));
  CHECK(contains(refused("{type: sequential, blocks: {relu: {type: tanh}}, layers: []}"), "a layer has this name"));
  CHECK(contains(refused("{type: sequential, blocks: {a: 3}, layers: []}"), "a map with 'type'"));
  CHECK(contains(refused("{type: sequential, blocks: {a: {parameters: {name: x}, type: relu}}, layers: [a]}"),
                 "call the parameter something else"));
  CHECK(
      contains(refused("{type: sequential, blocks: {a: {type: linear, out_features: \"${arg.width}\"}}, layers: [a]}"),
               "block 'a' has no parameter 'width'"));
  const std::string twice =
      refused(blocks + "  - {type: dense, width: 3, after: rleu}\n  - {type: dense, width: 0}\n  - {type: lstm}\n");
  CHECK(contains(twice, "Did you mean 'relu'?"));
  CHECK(contains(twice, "unknown layer or block 'lstm'"));
}

TEST_CASE("an error inside of a block is told once, however often the block is used") {
  const std::string message =
      refused("{type: sequential, blocks: {a: {type: linear, out_featuers: 3}}, layers: [a, a, a]}");
  CHECK(contains(message, "Did you mean 'out_features'?"));
  CHECK(message.find("Did you mean") == message.rfind("Did you mean"));
}

TEST_CASE("blocks cannot stand for endless models") {
  std::string yaml = "type: sequential\nblocks:\n  b0: {type: identity}\n";
  for (int i = 1; i < 12; ++i) {
    yaml += fmt::format("  b{}: {{type: sequential, layers: [", i);
    for (int k = 0; k < 10; ++k) yaml += fmt::format("{}b{}", k ? ", " : "", i - 1);
    yaml += "]}\n";
  }
  CHECK(contains(refused(yaml + "layers: [b11]\n"), "nodes of YAML"));
}

TEST_CASE("the models that come with trainctl are the known ones") {
  struct Case {
    const char* name;
    Shape input;
    std::int64_t parameters;
  };
  // Counts of the same models in PyTorch (torchvision's resnets with a 3x3 stem and 10 classes).
  const Case cases[] = {{"mlp", {2, 1, 28, 28}, 535818},
                        {"lenet", {2, 1, 28, 28}, 61706},
                        {"resnet18", {2, 3, 32, 32}, 11173962},
                        {"resnet34", {2, 3, 32, 32}, 21282122}};
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Model model = shipped(c.name);
    Bench bench;
    CHECK(model.build(bench.builder, {bench.input(c.input)}).at(0).shape() == Shape{2, 10});
    CHECK(parameter_count(bench.state) == c.parameters);
    CHECK(model.output.type() == "softmax");
  }
}

TEST_CASE("a resnet's parameters are named as torchvision's") {
  const Model model = shipped("resnet18");
  Bench bench;
  model.build(bench.builder, {bench.input({2, 3, 32, 32})});
  const Names names = parameter_names(bench.state);
  for (const char* name :
       {"conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer1.1.bn2.weight", "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.bias", "layer4.1.conv2.weight", "fc.bias"}) {
    CAPTURE(name);
    CHECK(std::ranges::find(names, name) != names.end());
  }
  CHECK(names.size() == 62);
  CHECK(bench.state.find("model/layer3.0.downsample.1.num_batches_tracked") >= 0);
}
