#include "ops/loss.h"

#include <cmath>

#include "ops/metric.h"
#include "ops/op_case.h"

namespace trainctl::test {
namespace {

struct Geometry {
  std::string name;
  Shape scores;
  Shape target;
  double smoothing = 0.0;
  bool weights = false;
  DType label = DType::i64;
  double range = 2.0;
};

std::vector<Geometry> geometries() {
  return {{"rows", {8, 10}, {8}},
          {"batch of one", {1, 3}, {1}},
          {"smoothing", {8, 10}, {8}, 0.1},
          {"weights", {8, 10}, {8}, 0.0, true},
          {"smoothing and weights", {7, 5}, {7}, 0.2, true},
          {"i32 labels", {7, 5}, {7}, 0.1, false, DType::i32},
          {"images", {2, 5, 3, 4}, {2, 3, 4}, 0.1, true},
          {"large scores", {8, 10}, {8}, 0.1, false, DType::i64, 60.0},
          {"many rows", {130, 100}, {130}, 0.1, true}};
}

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

std::vector<OpCase> class_cases() {
  std::vector<OpCase> cases;
  for (const Geometry& g : geometries()) {
    const Operand logits = f32(g.scores, Domain::uniform(-g.range, g.range)),
                  target = integers(g.label, g.target, 0, g.scores[1]);
    const Operand weights = g.weights ? f32({g.scores[1]}, Domain::uniform(0.5, 2.0)) : left_out();
    const Operand log_p = f32(g.scores, Domain::uniform(-4.0, -0.1));
    Operand wanted_logits = logits, wanted_log_p = log_p;
    wanted_logits.differentiable = wanted_log_p.differentiable = true;
    cases.push_back({"softmax_cross_entropy",
                     g.name,
                     nullptr,
                     {wanted_logits, target, scalar(g.smoothing), weights},
                     Match::close,
                     4.0});
    cases.push_back({"softmax_cross_entropy_backward",
                     g.name,
                     nullptr,
                     {logits, target, scalar(g.smoothing), weights, f32(g.target), scalar(0.7)},
                     Match::close,
                     4.0 * std::max(1.0, g.range),
                     own_lse});
    OpCase alone{"softmax_cross_entropy_backward",
                 g.name + " without lse",
                 nullptr,
                 {logits, target, scalar(g.smoothing), weights, left_out(), scalar(0.7)},
                 Match::close,
                 4.0 * std::max(1.0, g.range)};
    alone.fused = true;
    cases.push_back(std::move(alone));
    cases.push_back({"nll", g.name, nullptr, {wanted_log_p, target, weights}, Match::close, 2.0});
    cases.push_back({"nll_backward", g.name, nullptr, {log_p, target, weights, scalar(0.7)}, Match::zeros, 2.0});
  }
  return cases;
}

AttributesPtr pointwise(PointwiseLossAttributes::Kind kind, double delta = 1.0) {
  PointwiseLossAttributes attributes;
  attributes.kind = kind;
  attributes.delta = delta;
  return shared(attributes);
}

AttributesPtr focal(double gamma, double alpha) {
  PointwiseLossAttributes attributes;
  attributes.kind = PointwiseLossAttributes::Kind::focal;
  attributes.gamma = gamma;
  attributes.alpha = alpha;
  return shared(attributes);
}

std::vector<OpCase> pointwise_cases() {
  using Kind = PointwiseLossAttributes::Kind;
  std::vector<OpCase> cases;
  for (const auto& attributes :
       {pointwise(Kind::squared), pointwise(Kind::absolute), pointwise(Kind::huber), pointwise(Kind::huber, 0.25),
        pointwise(Kind::bce_with_logits), focal(2.0, 0.25), focal(0.0, -1.0), focal(1.5, -1.0), pointwise(Kind::kl_div),
        pointwise(Kind::kl_div_log)}) {
    const auto kind = as<PointwiseLossAttributes>(*attributes).kind;
    const bool logits = kind >= Kind::bce_with_logits;  // the prediction alone has a gradient
    const Domain prediction = Domain::uniform(-3.0, 3.0),
                 target =
                     logits ? Domain::uniform(kind == Kind::kl_div_log ? -3.0 : 0.0, 1.0) : Domain::uniform(-3.0, 3.0);
    for (const Shape& shape : {Shape{9}, Shape{5, 7}, Shape{130, 33}}) {
      const std::string name = attributes->text() + " " + shape.text();
      cases.push_back({"pointwise_loss",
                       name,
                       attributes,
                       {wanted(shape, prediction), logits ? f32(shape, target) : wanted(shape, target)}});
      cases.push_back({"pointwise_loss_backward",
                       name,
                       attributes,
                       {f32(shape, prediction), f32(shape, target), scalar(0.7)},
                       Match::close,
                       2.0});
    }
  }
  cases.push_back({"pointwise_loss_backward",
                   "equal, absolute",
                   pointwise(Kind::absolute),
                   {f32({5}, Domain::constant(1.0)), f32({5}, Domain::constant(1.0)), scalar(1.0)},
                   Match::exact});
  return cases;
}

OpCase without_mass(OpCase op_case) {
  op_case.prepare = [](std::vector<RefTensor>& inputs) {
    for (std::int64_t i = 0; i < inputs[1].size(); i += 2) inputs[1][i] = 0.0;
  };
  return op_case;
}

OpCase correct(std::string name, Shape scores, Shape target, std::int64_t k, DType label = DType::i64,
               Domain domain = {}) {
  const std::int64_t classes = scores[1];
  return {"count_correct",
          std::move(name),
          shared(CountCorrectAttributes(k)),
          {f32(scores, domain), integers(label, target, 0, classes)},
          Match::exact};
}

OpCase with_nans(OpCase op_case) {
  op_case.prepare = [](std::vector<RefTensor>& inputs) {
    for (std::int64_t i = 0; i < inputs[0].size(); i += 15) inputs[0][i] = NAN;
  };
  return op_case;
}

AttributesPtr accumulate(std::vector<double> factors) {
  AccumulateAttributes attributes(1.0);
  attributes.factors = std::move(factors);
  return shared(attributes);
}

const RegisterCases classes(class_cases());
const RegisterCases losses(pointwise_cases());
const RegisterCases divergence({without_mass({"pointwise_loss",
                                              "kl_div, zeros",
                                              pointwise(PointwiseLossAttributes::Kind::kl_div),
                                              {wanted({5, 7}), f32({5, 7}, Domain::uniform(0.0, 1.0))}})});
const RegisterCases metrics({
    correct("rows", {33, 10}, {33}, 1),
    correct("top 3", {33, 10}, {33}, 3, DType::i32),
    correct("all", {5, 4}, {5}, 4),
    correct("ties", {60, 10}, {60}, 1, DType::i64, Domain::integers(0, 3)),
    correct("ties, top 3", {60, 10}, {60}, 3, DType::i64, Domain::integers(0, 3)),
    correct("images", {2, 5, 3, 4}, {2, 3, 4}, 1),
    with_nans(correct("nan", {60, 10}, {60}, 5)),
    {"absolute_error_sum", "vector", nullptr, {f32({37}), f32({37})}},
    {"absolute_error_sum", "large", nullptr, {f32({130, 33}), f32({130, 33})}},
    {"accumulate", "f32", accumulate({128.0}), {scalar(1e6, DType::f64), scalar(0.3)}},
    {"accumulate", "f64", accumulate({1.0}), {scalar(1e6, DType::f64), scalar(0.3, DType::f64)}},
    {"accumulate",
     "counts",
     accumulate({1.0}),
     {{TensorType{DType::f64, {3, 70}}}, integers(DType::i64, {3, 70}, 0, 9)}},
    {"accumulate", "i32", accumulate({1.0}), {scalar(1e6, DType::f64), scalar(5, DType::i32)}, Match::exact},
    {"accumulate", "i64", accumulate({1.0}), {scalar(1e6, DType::f64), scalar(5, DType::i64)}, Match::exact},
    {"accumulate",
     "several",
     accumulate({128.0, 1.0, -0.5}),
     {scalar(1e6, DType::f64), scalar(7, DType::f64), scalar(0.1, DType::f64), scalar(0.3), scalar(5, DType::i64),
      scalar(0.7, DType::f64)}},
    {"accumulate", "more than go together", accumulate(std::vector<double>(150, 3.0)),
     joined({std::vector<Operand>(150, scalar(1e6, DType::f64)), std::vector<Operand>(150, scalar(5, DType::i32))}),
     Match::exact},
});

}  // namespace
}  // namespace trainctl::test
