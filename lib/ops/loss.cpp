#include "ops/loss.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "ops/support.h"

namespace trainctl {

std::string PointwiseLossAttributes::text() const {
  constexpr std::array<std::string_view, 7> names{"squared", "absolute", "huber",     "bce_with_logits",
                                                  "focal",   "kl_div",   "kl_div_log"};
  std::string text(names[static_cast<std::size_t>(kind)]);
  if (kind == Kind::huber) text += fmt::format("({})", delta);
  if (kind == Kind::focal) text += fmt::format("({}, {})", gamma, alpha);
  return text;
}

namespace {

/// Scores (N, C, ...) with one class index for each of their vectors.
void expect_classes(std::string_view op, const TensorType& scores, const TensorType& target,
                    const TensorType* weights) {
  if (scores.shape.rank() < 2) {
    fail(ErrorKind::config, "{}: the scores {} must be (batch, classes) or (batch, classes, ...)", op,
         scores.shape.text());
  }
  Shape expected{scores.shape[0]};
  for (int axis = 2; axis < scores.shape.rank(); ++axis) expected.push_back(scores.shape[axis]);
  if (target.shape != expected) {
    fail(ErrorKind::config, "{}: scores {} need class indices {} as target, not {}; check the model's last layer", op,
         scores.shape.text(), expected.text(), target.shape.text());
  }
  if (target.dtype != DType::i32 && target.dtype != DType::i64) {
    fail(ErrorKind::config, "{}: the target must hold class indices (i32 or i64), not {}", op, name(target.dtype));
  }
  if (weights && weights->shape != Shape{scores.shape[1]}) {
    fail(ErrorKind::config, "{}: the class weights {} must have one number for each of the {} classes", op,
         weights->shape.text(), scores.shape[1]);
  }
}

/// The vectors of scores along axis 1, numbered as their targets.
class Rows {
 public:
  explicit Rows(const Shape& scores) : view_(scores, 1) {}
  std::int64_t count() const { return view_.outer * view_.inner; }
  std::int64_t classes() const { return view_.extent; }
  std::int64_t at(std::int64_t row, std::int64_t c) const {
    return (row / view_.inner * view_.extent + c) * view_.inner + row % view_.inner;
  }

 private:
  AxisView view_;
};

double weight(const RefTensor* weights, std::int64_t c) {
  return weights ? (*weights)[c] : 1.0;
}

std::int64_t class_of(const RefTensor& target, std::int64_t row, std::int64_t classes) {
  const auto c = static_cast<std::int64_t>(target[row]);
  require(c >= 0 && c < classes, "a target is not the index of a class");
  return c;
}

double total_weight(const RefTensor& target, const RefTensor* weights, std::int64_t classes) {
  double total = 0.0;
  for (std::int64_t row = 0; row < target.size(); ++row) total += weight(weights, class_of(target, row, classes));
  return total;
}

/// log sum_c exp(logits_i[c])
double log_sum_exp(const RefTensor& logits, const Rows& rows, std::int64_t row) {
  double top = -HUGE_VAL, sum = 0.0;
  for (std::int64_t c = 0; c < rows.classes(); ++c) top = std::max(top, logits[rows.at(row, c)]);
  for (std::int64_t c = 0; c < rows.classes(); ++c) sum += std::exp(logits[rows.at(row, c)] - top);
  return top + std::log(sum);
}

class SoftmaxCrossEntropy final : public Op {
 public:
  std::string_view name() const override { return "softmax_cross_entropy"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 3, 4);
    expect_classes("cross_entropy", *inputs[0], *inputs[1], operand(inputs, 3));
    expect_scalar(name(), inputs[2]);
    return {{DType::f32, {}}, {DType::f32, inputs[1]->shape}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    Values gradients(arguments.inputs.size());
    if (!arguments.cotangents[0]) return gradients;
    const auto& in = arguments.inputs;
    gradients[0] = builder.apply1("softmax_cross_entropy_backward", nullptr,
                                  {in[0], in[1], in[2], operand(in, 3), arguments.outputs[1], arguments.cotangents[0]});
    return gradients;
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &logits = *inputs[0], &target = *inputs[1], *weights = operand(inputs, 3);
    const double smoothing = (*inputs[2])[0];
    const Rows rows(logits.shape);
    double loss = 0.0;
    for (std::int64_t row = 0; row < rows.count(); ++row) {
      double spread = 0.0;
      const double lse = outputs[1][row] = log_sum_exp(logits, rows, row);
      const std::int64_t t = class_of(target, row, rows.classes());
      for (std::int64_t c = 0; c < rows.classes(); ++c) spread += weight(weights, c) * (logits[rows.at(row, c)] - lse);
      loss -= (1.0 - smoothing) * weight(weights, t) * (logits[rows.at(row, t)] - lse);
      loss -= smoothing / static_cast<double>(rows.classes()) * spread;
    }
    outputs[0][0] = loss / total_weight(target, weights, rows.classes());
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(6.0 * static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

/// With a_c = (1 - s) w[t] [c = t] + s/C w[c]: dlogits_c = dloss (p_c sum_k a_k - a_c) / sum_i w[t_i]
class SoftmaxCrossEntropyBackward final : public Op {
 public:
  std::string_view name() const override { return "softmax_cross_entropy_backward"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    require(inputs.size() == 6 && inputs[0] && inputs[1] && inputs[2] && inputs[5],
            "softmax_cross_entropy_backward takes logits, target, smoothing, weights or null, lse or null, dloss");
    expect_classes(name(), *inputs[0], *inputs[1], inputs[3]);
    require(!inputs[4] || inputs[4]->shape == inputs[1]->shape, "softmax_cross_entropy_backward: lse does not fit");
    expect_scalar(name(), inputs[2]);
    expect_scalar(name(), inputs[5]);
    return {*inputs[0]};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &logits = *inputs[0], &target = *inputs[1], *weights = inputs[3];
    const double smoothing = (*inputs[2])[0];
    const Rows rows(logits.shape);
    const double factor = (*inputs[5])[0] / total_weight(target, weights, rows.classes());
    for (std::int64_t row = 0; row < rows.count(); ++row) {
      const std::int64_t t = class_of(target, row, rows.classes());
      const auto share = [&](std::int64_t c) {
        const double spread = smoothing / static_cast<double>(rows.classes()) * weight(weights, c);
        return spread + (c == t ? (1.0 - smoothing) * weight(weights, t) : 0.0);
      };
      const double lse = inputs[4] ? (*inputs[4])[row] : log_sum_exp(logits, rows, row);
      double total = 0.0;
      for (std::int64_t c = 0; c < rows.classes(); ++c) total += share(c);
      for (std::int64_t c = 0; c < rows.classes(); ++c) {
        const std::int64_t i = rows.at(row, c);
        outputs[0][i] = factor * (std::exp(logits[i] - lse) * total - share(c));
      }
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(5.0 * static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

class Nll final : public Op {
 public:
  std::string_view name() const override { return "nll"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 3);
    expect_classes(name(), *inputs[0], *inputs[1], operand(inputs, 2));
    return {{DType::f32, {}}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto& in = arguments.inputs;
    Values gradients(in.size());
    gradients[0] = builder.apply1("nll_backward", nullptr, {in[0], in[1], operand(in, 2), arguments.cotangents[0]});
    return gradients;
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &log_p = *inputs[0], &target = *inputs[1], *weights = operand(inputs, 2);
    const Rows rows(log_p.shape);
    double loss = 0.0;
    for (std::int64_t row = 0; row < rows.count(); ++row) {
      const std::int64_t t = class_of(target, row, rows.classes());
      loss -= weight(weights, t) * log_p[rows.at(row, t)];
    }
    outputs[0][0] = loss / total_weight(target, weights, rows.classes());
  }
};

class NllBackward final : public Op {
 public:
  std::string_view name() const override { return "nll_backward"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    require(inputs.size() == 4 && inputs[0] && inputs[1] && inputs[3],
            "nll_backward takes log_p, target, weights or null, dloss");
    expect_classes(name(), *inputs[0], *inputs[1], inputs[2]);
    expect_scalar(name(), inputs[3]);
    return {*inputs[0]};
  }
  void reference(const Attributes&, RefInputs inputs, RefOutputs outputs) const override {
    const RefTensor &target = *inputs[1], *weights = inputs[2];
    const Rows rows(inputs[0]->shape);
    const double factor = (*inputs[3])[0] / total_weight(target, weights, rows.classes());
    for (std::int64_t row = 0; row < rows.count(); ++row) {
      const std::int64_t t = class_of(target, row, rows.classes());
      outputs[0][rows.at(row, t)] = -factor * weight(weights, t);
    }
  }
};

double logistic(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

double binary_cross_entropy(double p, double t) {
  return std::max(p, 0.0) - p * t + std::log1p(std::exp(-std::fabs(p)));
}

/// The focal loss's factors of the cross-entropy and of its slope.
struct Focus {
  double miss;    ///< 1 - q
  double weight;  ///< a (1 - q)^gamma
  double slope;   ///< d weight / dp
  Focus(const PointwiseLossAttributes& loss, double p, double t) {
    const double s = logistic(p), rest = logistic(-p);
    const double a = loss.alpha < 0.0 ? 1.0 : loss.alpha * t + (1.0 - loss.alpha) * (1.0 - t);
    miss = s * (1.0 - t) + rest * t;
    weight = a * (loss.gamma == 0.0 ? 1.0 : std::pow(miss, loss.gamma));
    slope = loss.gamma == 0.0 || miss <= 0.0
                ? 0.0
                : a * loss.gamma * std::pow(miss, loss.gamma - 1.0) * (1.0 - 2.0 * t) * s * rest;
  }
};

double pointwise_loss(const PointwiseLossAttributes& loss, double p, double t) {
  const double d = p - t;
  switch (loss.kind) {
    case PointwiseLossAttributes::Kind::squared:
      return d * d;
    case PointwiseLossAttributes::Kind::absolute:
      return std::fabs(d);
    case PointwiseLossAttributes::Kind::huber:
      return std::fabs(d) <= loss.delta ? 0.5 * d * d : loss.delta * (std::fabs(d) - 0.5 * loss.delta);
    case PointwiseLossAttributes::Kind::bce_with_logits:
      return binary_cross_entropy(p, t);
    case PointwiseLossAttributes::Kind::focal:
      return Focus(loss, p, t).weight * binary_cross_entropy(p, t);
    case PointwiseLossAttributes::Kind::kl_div:
      return t == 0.0 ? 0.0 : t * (std::log(t) - p);
    case PointwiseLossAttributes::Kind::kl_div_log:
      return std::exp(t) * (t - p);
  }
  return 0.0;
}

double pointwise_slope(const PointwiseLossAttributes& loss, double p, double t) {
  const double d = p - t;
  switch (loss.kind) {
    case PointwiseLossAttributes::Kind::squared:
      return 2.0 * d;
    case PointwiseLossAttributes::Kind::absolute:
      return d > 0 ? 1.0 : d < 0 ? -1.0 : d;  // keeps NaN
    case PointwiseLossAttributes::Kind::huber:
      return std::fabs(d) <= loss.delta ? d : std::copysign(loss.delta, d);
    case PointwiseLossAttributes::Kind::bce_with_logits:
      return logistic(p) - t;
    case PointwiseLossAttributes::Kind::focal: {
      const Focus focus(loss, p, t);
      return focus.weight * (logistic(p) - t) + focus.slope * binary_cross_entropy(p, t);
    }
    case PointwiseLossAttributes::Kind::kl_div:
      return -t;
    case PointwiseLossAttributes::Kind::kl_div_log:
      return -std::exp(t);
  }
  return 0.0;
}

void expect_pair(const TensorType& prediction, const TensorType& target) {
  if (prediction == target) return;
  fail(ErrorKind::config,
       "loss: the prediction {} and the target {} differ; both must have the same shape and element type",
       prediction.text(), target.text());
}

class PointwiseLoss final : public Op {
 public:
  std::string_view name() const override { return "pointwise_loss"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 2, 2);
    expect_pair(*inputs[0], *inputs[1]);
    return {{DType::f32, {}}};
  }
  Values vjp(Builder& builder, const VjpArguments& arguments) const override {
    const auto attributes =
        std::make_shared<PointwiseLossAttributes>(as<PointwiseLossAttributes>(arguments.attributes));
    const Value prediction = arguments.inputs[0], target = arguments.inputs[1], dloss = arguments.cotangents[0];
    Values gradients(2);
    if (arguments.wanted[0])
      gradients[0] = builder.apply1("pointwise_loss_backward", attributes, {prediction, target, dloss});
    if (arguments.wanted[1]) {
      if (!attributes->symmetric())
        fail(ErrorKind::config, "{}: the target must not depend on trained parameters", attributes->text());
      gradients[1] = builder.apply1("pointwise_loss_backward", attributes,
                                    {target, prediction, dloss});  // the loss is even in p - t
    }
    return gradients;
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& loss = as<PointwiseLossAttributes>(attributes);
    const RefTensor &p = *inputs[0], &t = *inputs[1];
    for (std::int64_t i = 0; i < p.size(); ++i)
      outputs[0][0] += pointwise_loss(loss, p[i], t[i]) / static_cast<double>(p.size());
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(3.0 * static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

class PointwiseLossBackward final : public Op {
 public:
  std::string_view name() const override { return "pointwise_loss_backward"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_operands(name(), inputs, 3, 3);
    expect_pair(*inputs[0], *inputs[1]);
    expect_scalar(name(), inputs[2]);
    return {*inputs[0]};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const auto& loss = as<PointwiseLossAttributes>(attributes);
    const RefTensor &p = *inputs[0], &t = *inputs[1];
    const double factor = (*inputs[2])[0] / static_cast<double>(p.size());
    for (std::int64_t i = 0; i < p.size(); ++i) outputs[0][i] = factor * pointwise_slope(loss, p[i], t[i]);
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(3.0 * static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

const RegisterOp<SoftmaxCrossEntropy> softmax_cross_entropy;
const RegisterOp<SoftmaxCrossEntropyBackward> softmax_cross_entropy_backward;
const RegisterOp<Nll> nll;
const RegisterOp<NllBackward> nll_backward;
const RegisterOp<PointwiseLoss> pointwise_loss_op;
const RegisterOp<PointwiseLossBackward> pointwise_loss_backward;

}  // namespace
}  // namespace trainctl
