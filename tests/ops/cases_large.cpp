// Operands so large, or of such extents, that kernels divide the work otherwise than in the other files' cases: sums in
// several launches, loops over what a grid leaves, tiles that are not full. Mostly for kernels/cuda.
#include <cmath>
#include <limits>

#include "graph/builtin.h"
#include "ops/conv2d.h"
#include "ops/linear.h"
#include "ops/loss.h"
#include "ops/metric.h"
#include "ops/norm.h"
#include "ops/op_case.h"
#include "ops/optimizer.h"
#include "ops/pool2d.h"
#include "ops/softmax.h"

namespace trainctl::test {
namespace {

const Domain positive = Domain::uniform(0.5, 2.0);
const Activation relu{Activation::Kind::relu};

// ---- reorder ------------------------------------------------------------------------------------------------------

std::vector<OpCase> reorders() {
  std::vector<OpCase> cases;
  for (const DType dtype : {DType::f32, DType::u8, DType::i64}) {
    for (const Shape& shape : {Shape{2, 3, 5, 7}, Shape{1, 1, 4, 4}, Shape{2, 70, 9, 11}, Shape{3, 3, 71, 37}}) {
      const auto reorder = [&](std::string_view from, std::string_view to) {
        cases.push_back({"reorder",
                         fmt::format("{} {}->{} {}", shape.text(), from, to, name(dtype)),
                         shared(ReorderAttributes(Layout(from), Layout(to))),
                         {integers(dtype, shape, 0, 200)},
                         Match::exact});
      };
      reorder("", "acdb");
      reorder("acdb", "");
    }
  }
  return cases;
}

// ---- linear -------------------------------------------------------------------------------------------------------

std::vector<OpCase> products() {
  struct Extents {
    std::int64_t rows, in, out;
  };
  std::vector<OpCase> cases;
  for (const auto& [rows, in, out] : {Extents{1100, 5, 20}, Extents{500, 72, 520}, Extents{513, 30, 514},
                                      Extents{72, 512, 512}, Extents{70, 2, 4100}, Extents{4100, 3, 2}}) {
    LinearAttributes attributes;
    const std::string name = fmt::format("{} x {} x {}", rows, in, out);
    cases.push_back({"linear_backward_data", name, shared(attributes), {f32({rows, out}), f32({out, in})}});
    cases.push_back({"linear_backward_weights", name, shared(attributes), {f32({rows, in}), f32({rows, out})}});
    attributes.activation = relu;
    cases.push_back({"linear", name, shared(attributes), {f32({rows, in}), f32({out, in}), f32({out})}});
  }
  // Of ones, that no term may be missing from a sum which is split or whose end fills no tile.
  for (const std::int64_t rows : {1025, 4099, 8200}) {
    const Domain one = Domain::constant(1.0);
    cases.push_back({"linear_backward_weights",
                     fmt::format("{} ones", rows),
                     shared(LinearAttributes()),
                     {f32({rows, 24}, one), f32({rows, 40}, one)},
                     Match::exact});
  }
  return cases;
}

// ---- conv2d -------------------------------------------------------------------------------------------------------

std::vector<OpCase> convolutions() {
  const auto conv = [](std::array<std::int64_t, 2> stride, std::array<std::int64_t, 4> padding,
                       std::array<std::int64_t, 2> dilation = {1, 1}, std::int64_t groups = 1) {
    Conv2dAttributes attributes;
    attributes.stride = stride;
    attributes.padding = padding;
    attributes.dilation = dilation;
    attributes.groups = groups;
    return attributes;
  };
  struct Geometry {
    const char* name;
    Shape x, w;
    Conv2dAttributes attributes;
  };
  const Geometry geometries[] = {
      {"many pixels", {3, 3, 14, 14}, {18, 3, 3, 3}, conv({1, 1}, {1, 1, 1, 1})},
      {"many pixels, 5x5", {2, 2, 17, 15}, {32, 2, 5, 5}, conv({1, 1}, {2, 2, 2, 2})},
      {"many positions", {8, 3, 40, 40}, {6, 3, 3, 3}, conv({1, 1}, {1, 1, 1, 1})},
      {"many positions, odd", {9, 4, 41, 37}, {12, 2, 3, 2}, conv({2, 3}, {2, 0, 1, 3}, {2, 1}, 2)},
      {"many samples", {600, 1, 4, 4}, {2, 1, 3, 3}, conv({1, 1}, {})},
      {"many taps", {2, 20, 9, 9}, {16, 20, 5, 5}, conv({1, 1}, {})},
      {"a large kernel", {1, 2, 14, 14}, {3, 2, 11, 11}, conv({1, 1}, {})},
  };
  std::vector<OpCase> cases;
  for (const auto& [name, x, w, attributes] : geometries) {
    const TensorType types[]{{DType::f32, x}, {DType::f32, w}, {DType::f32, {w[0]}}};
    const TensorType* inputs[]{&types[0], &types[1], &types[2]};
    const Shape y = OpRegistry::instance().get("conv2d").infer(attributes, inputs)[0].shape;
    Conv2dAttributes own = attributes;
    own.activation = relu;
    cases.push_back({"conv2d", name, shared(own), {f32(x), f32(w), f32({w[0]}), f32(y)}});
    own = attributes;
    own.input_shape = x;
    cases.push_back({"conv2d_backward_data", name, shared(own), {f32(y), f32(w)}});
    own = attributes;
    own.weight_shape = w;
    cases.push_back({"conv2d_backward_weights", name, shared(own), {f32(x), f32(y)}});
  }
  return cases;
}

// ---- norms and softmax --------------------------------------------------------------------------------------------

/// Mean and variance become those of x.
void own_statistics(std::vector<RefTensor>& inputs) {
  const RefTensor& x = inputs[0];
  const std::int64_t channels = x.shape[1], inner = x.shape.slice(2).elements();
  const double count = static_cast<double>(x.size() / channels);
  RefTensor &mean = inputs[2], &variance = inputs[3];
  mean = variance = RefTensor({channels});
  for (std::int64_t i = 0; i < x.size(); ++i) mean[i / inner % channels] += x[i] / count;
  for (std::int64_t i = 0; i < x.size(); ++i)
    variance[i / inner % channels] += std::pow(x[i] - mean[i / inner % channels], 2) / count;
}

std::vector<OpCase> batch_norms() {
  std::vector<OpCase> cases;
  for (const Shape& x :
       {Shape{17, 1, 64, 64}, Shape{10, 1, 61, 61}, Shape{600, 33}, Shape{2, 70, 11, 11}, Shape{2, 72, 20, 20}}) {
    BatchNormAttributes plain, fused;
    fused.activation = relu;
    fused.gives_sum = true;
    const Operand gamma = f32({x[1]}, positive), beta = f32({x[1]});
    cases.push_back({"batch_norm", x.text(), shared(plain), {f32(x), gamma, beta}, Match::close, 4.0});
    cases.push_back({"batch_norm",
                     x.text() + " far from zero",
                     shared(plain),
                     {f32(x, Domain::uniform(99.0, 101.0)), gamma, beta},
                     Match::close,
                     80.0});
    cases.push_back({"batch_norm_backward",
                     x.text(),
                     shared(plain),
                     {f32(x), f32(x), f32({x[1]}), f32({x[1]}, positive), gamma, left_out()},
                     Match::close,
                     4.0,
                     own_statistics});
    cases.push_back({"batch_norm_backward",
                     x.text() + " fused",
                     shared(fused),
                     {f32(x), f32(x), f32({x[1]}), f32({x[1]}, positive), gamma, f32(x)},
                     Match::close,
                     4.0,
                     own_statistics});
    fused.gives_sum = false;
    cases.push_back(
        {"batch_norm", x.text() + " fused", shared(fused), {f32(x), gamma, beta, f32(x)}, Match::close, 4.0});
  }
  return cases;
}

std::vector<OpCase> rows() {
  std::vector<OpCase> cases;
  for (const Shape& x : {Shape{3, 6000}, Shape{600, 24}, Shape{500, 7}, Shape{9, 1}, Shape{2, 1025}}) {
    LayerNormAttributes attributes;
    attributes.axes = 1;
    const Shape rows = x.slice(0, 1), last = x.slice(1);
    const Operand gamma = f32(last, positive), mean = f32(rows, Domain::uniform(-0.1, 0.1)),
                  rstd = f32(rows, Domain::uniform(1.0, 2.0));
    cases.push_back({"layer_norm", x.text(), shared(attributes), {f32(x), gamma, f32(last)}, Match::close, 4.0});
    cases.push_back(
        {"layer_norm_backward", x.text(), shared(attributes), {f32(x), f32(x), mean, rstd, gamma}, Match::close, 4.0});
    const AttributesPtr last_axis = shared(SoftmaxAttributes(-1));
    const Domain scores = Domain::uniform(-4.0, 4.0);
    cases.push_back({"softmax", x.text(), last_axis, {f32(x, scores)}, Match::close, 4.0});
    cases.push_back({"log_softmax", x.text(), last_axis, {f32(x, scores)}, Match::close, 4.0});
    cases.push_back(
        {"softmax_backward", x.text(), last_axis, {f32(x), f32(x, Domain::uniform(0.0, 0.3))}, Match::close, 4.0});
    cases.push_back({"log_softmax_backward",
                     x.text(),
                     last_axis,
                     {f32(x), f32(x, Domain::uniform(-4.0, -0.5))},
                     Match::close,
                     4.0});
  }
  return cases;
}

// ---- losses and metrics -------------------------------------------------------------------------------------------

/// lse becomes that of the logits.
void own_lse(std::vector<RefTensor>& inputs) {
  const RefTensor& logits = inputs[0];
  const std::int64_t classes = logits.shape[1], inner = logits.shape.slice(2).elements();
  for (std::int64_t row = 0; row < inputs[4].size(); ++row) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < classes; ++c)
      sum += std::exp(logits[(row / inner * classes + c) * inner + row % inner]);
    inputs[4][row] = std::log(sum);
  }
}

std::vector<OpCase> class_losses() {
  struct Geometry {
    Shape scores, target;
    double smoothing;
    bool weights;
    DType label;
  };
  std::vector<OpCase> cases;
  for (const auto& [shape, target, smoothing, weighted, label] :
       {Geometry{{4200, 10}, {4200}, 0.1, true, DType::i64}, Geometry{{700, 100}, {700}, 0.0, false, DType::i32},
        Geometry{{3, 2500}, {3}, 0.1, true, DType::i64}, Geometry{{1, 9001}, {1}, 0.0, false, DType::i64},
        Geometry{{2, 21, 30, 41}, {2, 30, 41}, 0.1, true, DType::i64},
        Geometry{{3, 3, 1500}, {3, 1500}, 0.0, true, DType::i64}, Geometry{{5000, 1}, {5000}, 0.0, true, DType::i64},
        Geometry{{37, 31}, {37}, 0.3, true, DType::i32}}) {
    const Operand scores = f32(shape, Domain::uniform(-2.0, 2.0)), log_p = f32(shape, Domain::uniform(-4.0, -0.1));
    const Operand labels = integers(label, target, 0, shape[1]);
    const Operand weights = weighted ? f32({shape[1]}, positive) : left_out();
    const std::string name = shape.text();
    cases.push_back(
        {"softmax_cross_entropy", name, nullptr, {scores, labels, scalar(smoothing), weights}, Match::close, 4.0});
    cases.push_back({"softmax_cross_entropy_backward",
                     name,
                     nullptr,
                     {scores, labels, scalar(smoothing), weights, f32(target), scalar(0.7)},
                     Match::close,
                     8.0,
                     own_lse});
    OpCase alone{"softmax_cross_entropy_backward",
                 name + " without lse",
                 nullptr,
                 {scores, labels, scalar(smoothing), weights, left_out(), scalar(0.7)},
                 Match::close,
                 8.0};
    alone.fused = true;
    cases.push_back(std::move(alone));
    cases.push_back({"nll", name, nullptr, {log_p, labels, weights}, Match::close, 2.0});
    cases.push_back({"nll_backward", name, nullptr, {log_p, labels, weights, scalar(0.7)}, Match::zeros, 2.0});
    cases.push_back({"count_correct", name, shared(CountCorrectAttributes(1)), {scores, labels}, Match::exact});
  }
  return cases;
}

std::vector<OpCase> sums() {
  std::vector<OpCase> cases;
  PointwiseLossAttributes huber;
  huber.kind = PointwiseLossAttributes::Kind::huber;
  for (const Shape& shape : {Shape{32769}, Shape{5, 3, 50, 51}, Shape{70001}}) {
    const std::string name = shape.text();
    cases.push_back({"absolute_error_sum", name, nullptr, {f32(shape), f32(shape)}});
    cases.push_back({"pointwise_loss", name, shared(huber), {f32(shape), f32(shape)}});
    cases.push_back(
        {"pointwise_loss_backward", name, shared(huber), {f32(shape), f32(shape), scalar(0.7)}, Match::close, 2.0});
    cases.push_back({"global_norm", name, nullptr, {f32(shape)}});
  }
  OpCase many{"global_norm", "many tensors", nullptr, {}};
  for (int k = 0; k < 150; ++k) many.inputs.push_back(f32({1 + 37 * (k % 7)}));
  cases.push_back(many);
  many.name = "many tensors, one large";
  many.inputs[70] = f32({100000});
  cases.push_back(many);
  return cases;
}

// ---- pooling ------------------------------------------------------------------------------------------------------

std::vector<OpCase> pools() {
  const auto pool = [](std::array<std::int64_t, 2> kernel, std::array<std::int64_t, 2> stride,
                       std::array<std::int64_t, 2> padding = {}, bool ceil_mode = false) {
    Pool2dAttributes attributes;
    attributes.kernel = kernel;
    attributes.stride = stride;
    attributes.padding = padding;
    attributes.ceil_mode = ceil_mode;
    attributes.count_include_pad = !ceil_mode;
    return attributes;
  };
  struct Geometry {
    Shape x;
    Pool2dAttributes attributes;
  };
  const Geometry geometries[] = {
      {{2, 40, 9, 9}, pool({3, 3}, {2, 2}, {1, 1})},
      {{2, 24, 20, 11}, pool({9, 8}, {2, 3}, {4, 3}, true)},
      {{2, 264, 8, 8}, pool({8, 8}, {8, 8})},
      {{2, 16, 18, 17}, pool({17, 16}, {1, 1}, {3, 2}, true)},
      {{2, 8, 11, 13}, pool({2, 3}, {3, 3}, {1, 1}, true)},
      {{13, 9, 20, 22}, pool({2, 2}, {2, 2})},
      {{1, 1, 64, 64}, pool({64, 64}, {64, 64})},
      {{2, 9, 7, 7}, pool({1, 1}, {2, 2})},
  };
  std::vector<OpCase> cases;
  for (const auto& [x, attributes] : geometries) {
    const std::string name = fmt::format("{} {}", x.text(), attributes.text());
    const TensorType type{DType::f32, x};
    const TensorType* types[] = {&type};
    const Shape y = OpRegistry::instance().get("avg_pool2d").infer(attributes, types)[0].shape;
    const Operand ties{type, Domain::integers(-2, 3)};
    Pool2dAttributes backward = attributes;
    backward.input_shape = x;
    cases.push_back({"avg_pool2d", name, shared(attributes), {f32(x)}});
    cases.push_back({"avg_pool2d_backward", name, shared(backward), {f32(y)}});
    const OpCase forward{"max_pool2d", name, shared(attributes), {ties}, Match::exact};
    OpCase hard = forward;
    hard.name += " nan";
    hard.prepare = [](std::vector<RefTensor>& inputs) {
      for (std::int64_t i = 3; i < inputs[0].size(); i += 7) inputs[0][i] = i % 2 ? NAN : -HUGE_VAL;
    };
    const DType index = attributes.kernel[0] * attributes.kernel[1] <= 256 ? DType::u8 : DType::i32;
    cases.push_back({"max_pool2d_backward",
                     name,
                     shared(backward),
                     {f32(y), integers(index, y, 0, 1)},
                     Match::close,
                     4.0,
                     [forward](std::vector<RefTensor>& inputs) { inputs[1] = instantiate(forward).outputs[1]; }});
    cases.push_back(forward);
    cases.push_back(hard);
  }
  return cases;
}

// ---- optimizers ---------------------------------------------------------------------------------------------------

std::vector<OpCase> updates() {
  const Operand x = f32({30003}), square = f32({30003}, Domain::uniform(0.01, 1.0));
  return {{"adam",
           "large",
           shared(AdamAttributes{}),
           {x, x, x, square, scalar(3, DType::i64), scalar(1e-3), scalar(0.01), scalar(0.5)}},
          {"sgd", "large", shared(SgdAttributes{}), {x, x, x, scalar(0.1), scalar(0.01), scalar(0.9)}}};
}

const RegisterCases cases[] = {RegisterCases(reorders()),    RegisterCases(products()), RegisterCases(convolutions()),
                               RegisterCases(batch_norms()), RegisterCases(rows()),     RegisterCases(class_losses()),
                               RegisterCases(sums()),        RegisterCases(pools()),    RegisterCases(updates())};

}  // namespace
}  // namespace trainctl::test
