// References against numbers worked out by hand or by another road, and what ops say about operands that do not fit.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <optional>

#include "base/error.h"
#include "ops/conv2d.h"
#include "ops/image.h"
#include "ops/linear.h"
#include "ops/loss.h"
#include "ops/metric.h"
#include "ops/norm.h"
#include "ops/op_case.h"
#include "ops/optimizer.h"
#include "ops/pool2d.h"
#include "ops/random.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

using Numbers = std::vector<double>;

struct Given {
  std::optional<TensorType> type;
  Numbers numbers;
};
Given given(Shape shape, Numbers numbers, DType dtype = DType::f32) {
  return {TensorType{dtype, shape}, std::move(numbers)};
}
Given number(double value, DType dtype = DType::f32) {
  return given({}, {value}, dtype);
}
const Given absent{};

std::vector<RefTensor> run(const char* op, AttributesPtr attributes, const std::vector<Given>& operands) {
  static const AttributesPtr none = std::make_shared<Attributes>();
  OpInstance instance;
  instance.op = &OpRegistry::instance().get(op);
  instance.attributes = attributes ? std::move(attributes) : none;
  for (const Given& operand : operands) {
    instance.input_types.push_back(operand.type);
    instance.inputs.emplace_back();
    if (!operand.type) continue;
    instance.inputs.back() = RefTensor(operand.type->shape);
    instance.inputs.back().data = operand.numbers;
  }
  instance.output_types = instance.op->infer(*instance.attributes, instance.type_pointers());
  return run_reference(instance, instance.inputs);
}

void check_near(const RefTensor& got, const Numbers& expected) {
  REQUIRE(got.data.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(got.data[i] == doctest::Approx(expected[i]).epsilon(1e-12));
}

Numbers counting(std::int64_t count) {
  Numbers numbers;
  for (std::int64_t i = 0; i < count; ++i) numbers.push_back(static_cast<double>(i));
  return numbers;
}

std::string message(const char* op, AttributesPtr attributes, const std::vector<Shape>& shapes) {
  std::vector<Given> operands;
  for (const Shape& shape : shapes) operands.push_back(given(shape, Numbers(shape.elements())));
  try {
    run(op, std::move(attributes), operands);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::config);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("conv2d places padding, stride and dilation on the right sides") {
  Conv2dAttributes conv;
  conv.padding = {1, 0, 0, 2};  // top 1, right 2
  conv.stride = {2, 1};
  conv.dilation = {1, 2};
  // One 2x2 kernel whose taps tell which element they saw: 1, 10 in the upper row and 100, 1000 in the lower one, two
  // columns apart.
  const auto y = run(
      "conv2d", shared(conv),
      {given({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}), given({1, 1, 2, 2}, {1, 10, 100, 1000}), given({1}, {0.5})});
  CHECK(y[0].shape == Shape{1, 1, 2, 3});
  // Row 0 sees the padding above and x's row 0; row 1 sees rows 1 and 2. Columns are j and j + 2.
  check_near(y[0], {3100.5, 200.5, 300.5, 9764.5, 805.5, 906.5});
}

TEST_CASE("conv2d keeps groups apart") {
  Conv2dAttributes conv;
  conv.groups = 2;
  const auto y =
      run("conv2d", shared(conv), {given({1, 2, 1, 1}, {3, 5}), given({4, 1, 1, 1}, {1, 10, 100, 1000}), absent});
  check_near(y[0], {3, 30, 500, 5000});
}

TEST_CASE("pooling with ceil_mode follows the cut windows") {
  Pool2dAttributes pool;
  pool.kernel = {3, 3};
  pool.stride = {2, 2};
  pool.padding = {1, 1};
  pool.ceil_mode = true;
  const std::vector<Given> x{given({1, 1, 4, 4}, counting(16))};
  const auto best = run("max_pool2d", shared(pool), x);
  CHECK(best[0].shape == Shape{1, 1, 3, 3});
  check_near(best[0], {5, 7, 7, 13, 15, 15, 13, 15, 15});
  check_near(best[1], {8, 8, 6, 8, 8, 6, 2, 2, 0});
  // The last windows reach one beyond the padding, which never counts: 6 or 4 elements instead of 9.
  check_near(run("avg_pool2d", shared(pool), x)[0],
             {(0 + 1 + 4 + 5) / 9.0, (1 + 2 + 3 + 5 + 6 + 7) / 9.0, (3 + 7) / 6.0,                                   //
              (4 + 5 + 8 + 9 + 12 + 13) / 9.0, (5 + 6 + 7 + 9 + 10 + 11 + 13 + 14 + 15) / 9.0, (7 + 11 + 15) / 6.0,  //
              (12 + 13) / 6.0, (13 + 14 + 15) / 6.0, 15 / 4.0});
  pool.count_include_pad = false;
  check_near(run("avg_pool2d", shared(pool), x)[0], {2.5, 4, 5, 8.5, 10, 11, 12.5, 14, 15});
}

TEST_CASE("a window that would begin in the padding is dropped") {
  Pool2dAttributes pool;
  pool.kernel = {2, 2};
  pool.stride = {2, 2};
  pool.padding = {1, 1};
  pool.ceil_mode = true;
  CHECK(run("avg_pool2d", shared(pool), {given({1, 1, 3, 3}, counting(9))})[0].shape == Shape{1, 1, 2, 2});
}

TEST_CASE("cross entropy of even scores is log C, whatever the smoothing") {
  const auto loss = run("softmax_cross_entropy", nullptr,
                        {given({2, 4}, Numbers(8, 3.0)), given({2}, {1, 2}, DType::i64), number(0.3), absent});
  check_near(loss[0], {std::log(4.0)});
  check_near(loss[1], {3 + std::log(4.0), 3 + std::log(4.0)});
}

TEST_CASE("cross entropy weighs as PyTorch does") {
  // p = (1/3, 2/3) in both rows; weights 1 and 3; the mean divides by the targets' weights, 1 + 3.
  const Numbers logits{0.0, std::log(2.0), 0.0, std::log(2.0)};
  const double a = -std::log(1.0 / 3), b = -std::log(2.0 / 3), s = 0.1;
  const auto loss = run("softmax_cross_entropy", nullptr,
                        {given({2, 2}, logits), given({2}, {0, 1}, DType::i32), number(s), given({2}, {1, 3})});
  check_near(loss[0], {((1 - s) * (a + 3 * b) + 2 * s / 2 * (a + 3 * b)) / 4});
  check_near(
      run("nll", nullptr, {given({2, 2}, {-a, -b, -a, -b}), given({2}, {0, 1}, DType::i32), given({2}, {1, 3})})[0],
      {(a + 3 * b) / 4});
}

TEST_CASE("batch_norm gives biased statistics") {
  const auto results = run("batch_norm", shared(BatchNormAttributes{}),
                           {given({2, 2}, {1, 10, 3, 10}), given({2}, {2, 1}), given({2}, {5, 7})});
  const double z = 1 / std::sqrt(1 + 1e-5);
  check_near(results[0], {5 - 2 * z, 7, 5 + 2 * z, 7});
  check_near(results[1], {2, 10});
  check_near(results[2], {1, 0});
}

TEST_CASE("optimizers take one step by the equations") {
  const Given p = given({1}, {2.0}), g = given({1}, {0.5});
  const auto sgd =
      run("sgd", shared(SgdAttributes{}), {p, g, given({1}, {1.0}), number(0.1), number(0.01), number(0.9)});
  check_near(sgd[1], {0.9 + 0.52});
  check_near(sgd[0], {2.0 - 0.1 * 1.42});
  SgdAttributes nesterov;
  nesterov.nesterov = true;
  check_near(run("sgd", shared(nesterov), {p, g, given({1}, {1.0}), number(0.1), number(0.01), number(0.9)})[0],
             {2.0 - 0.1 * (0.52 + 0.9 * 1.42)});

  // The first step of Adam moves by lr, whatever the gradient's size.
  const auto adam = run("adam", shared(AdamAttributes{}),
                        {p, g, given({1}, {0.0}), given({1}, {0.0}), number(0, DType::i64), number(0.1), number(0.0)});
  check_near(adam[0], {2.0 - 0.1 * 0.5 / (0.5 + 1e-8)});
  check_near(adam[3], {1.0});

  RmsPropAttributes rms;
  const auto rmsprop =
      run("rmsprop", shared(rms), {p, g, given({1}, {1.0}), absent, absent, number(0.1), number(0.0), number(0.0)});
  check_near(rmsprop[1], {0.99 + 0.01 * 0.25});
  check_near(rmsprop[0], {2.0 - 0.1 * 0.5 / (std::sqrt(0.9925) + 1e-8)});
}

TEST_CASE("a step that is not finite leaves everything as it was") {
  const auto adam = run("adam", shared(AdamAttributes{}),
                        {given({1}, {2.0}), given({1}, {NAN}), given({1}, {0.3}), given({1}, {0.4}),
                         number(5, DType::i64), number(0.1), number(0.0), absent, number(0, DType::i32)});
  check_near(adam[0], {2.0});
  check_near(adam[1], {0.3});
  check_near(adam[2], {0.4});
  check_near(adam[3], {5.0});
}

TEST_CASE("random numbers are the words that the docs promise") {
  // Philox4x32-10 on the counter {low32(step), high32(step), low32(index), high32(index)}.
  const std::uint64_t stream = 0x0123456789ABCDEFull;
  const std::int64_t step = 0x500000007;
  const Words4 words = philox4x32({{7, 5, 3, 2}}, stream);
  const Words4 drawn = op_random(stream, step, 0x200000003);
  for (int i = 0; i < 4; ++i) CHECK(drawn.word[i] == words.word[i]);
  CHECK(dropout_uniform(stream, step, 4 * 0x200000003ull + 2) == static_cast<float>(words.word[2] >> 8) * 0x1p-24f);
  const RandomPlace place = random_place(stream, step, 0x200000003, 9, 5);
  CHECK(place.row == static_cast<std::int64_t>((std::uint64_t{words.word[0]} * 9) >> 32));
  CHECK(place.column == static_cast<std::int64_t>((std::uint64_t{words.word[1]} * 5) >> 32));
}

TEST_CASE("crops reach every place about equally often") {
  int counts[25] = {};
  for (std::uint64_t sample = 0; sample < 25000; ++sample) {
    const RandomPlace place = random_place(11, 3, sample, 5, 5);
    ++counts[place.row * 5 + place.column];
  }
  for (const int count : counts) CHECK(std::abs(count - 1000) < 160);  // five standard deviations
}

TEST_CASE("ops say which shapes do not fit, and what to do") {
  CHECK(message("linear", shared(LinearAttributes{}), {{128, 6, 14, 14}, {10, 400}}) ==
        "linear: the input (128, 6, 14, 14) has 14 features in its last axis but the weight (10, 400) takes 400; put a "
        "flatten layer before it");
  CHECK(
      message("conv2d", shared(Conv2dAttributes{}), {{2, 1, 3, 3}, {4, 1, 5, 5}}) ==
      "conv2d: a 5x5 kernel with dilation 1x1 does not fit the padded input 3x3; use a smaller kernel or more padding");
  CHECK(message("conv2d", shared(Conv2dAttributes{}), {{2, 784}, {4, 1, 5, 5}}).find("must have four axes") !=
        std::string::npos);
  CHECK(message("conv2d", shared(Conv2dAttributes{}), {{2, 3, 9, 9}, {4, 1, 5, 5}}).find("has 3 channels") !=
        std::string::npos);
  CHECK(message("add", nullptr, {{2, 3}, {3, 2}}).find("f32(2, 3) and f32(3, 2) differ") != std::string::npos);
  CHECK(message("max_pool2d", shared(Pool2dAttributes{}), {{2, 3, 1, 1}}).find("does not fit the padded input 1x1") !=
        std::string::npos);
  Pool2dAttributes padded;
  padded.padding = {2, 0};
  CHECK(message("max_pool2d", shared(padded), {{2, 3, 8, 8}}).find("at most half") != std::string::npos);
  CHECK(message("batch_norm", shared(BatchNormAttributes{}), {{8}, {8}, {8}}).find("no channel axis") !=
        std::string::npos);
  CHECK(message("batch_norm", shared(BatchNormAttributes{}), {{4, 8}, {7}, {8}}).find("each of the 8 channels") !=
        std::string::npos);
  CHECK(message("softmax_cross_entropy", nullptr, {{4, 10}, {4, 10}, {}}).find("need class indices (4)") !=
        std::string::npos);
  CHECK(message("pointwise_loss", shared(PointwiseLossAttributes{}), {{4, 1}, {4}})
            .find("f32(4, 1) and the target f32(4) differ") != std::string::npos);
  CHECK(message("count_correct", shared(CountCorrectAttributes(11)), {{4, 10}, {4}}).find("k=11") != std::string::npos);
  RandomCropAttributes crop;
  crop.height = crop.width = 9;
  const std::vector<Given> image{given({1, 1, 8, 8}, counting(64)), number(0, DType::i64)};
  CHECK_THROWS_WITH_AS(
      run("random_crop", shared(crop), image),
      "random_crop: a window of 9x9 does not fit the padded image 8x8; use a smaller size or more padding", Error);
  NormalizeAttributes normalize;
  normalize.mean = {0.1, 0.2};
  CHECK(message("normalize", shared(normalize), {{4, 3, 8, 8}}).find("2 are given") != std::string::npos);
}

TEST_CASE("attributes tell all that changes an op's meaning") {
  Conv2dAttributes a, b;
  CHECK(a.text() == b.text());
  b.dilation = {1, 2};
  CHECK(a.text() != b.text());
  CHECK(Activation{Activation::Kind::elu, 0.1}.text() == "elu(0.1)");
  CHECK(Activation{Activation::Kind::relu}.text() == "relu");
  AdamAttributes adam;
  CHECK(adam.text() == "betas=0.9,0.999 eps=1e-08");
  adam.decoupled = true;
  CHECK(adam.text() == "betas=0.9,0.999 eps=1e-08 decoupled");
}
