#include "ops/counting.h"

#include <algorithm>
#include <cmath>

#include "ops/support.h"

namespace trainctl {

std::string ClassCountsAttributes::text() const {
  return fmt::format("threshold={}", threshold);
}

namespace {

void expect_scores(std::string_view op, InputTypes inputs) {
  expect_operands(op, inputs, 2, 2);
  const TensorType &scores = *inputs[0], &target = *inputs[1];
  require(scores.dtype == DType::f32 && scores.shape.rank() >= 2, "counts of classes need f32 scores (N, C, ...)");
  const bool fits = scores.shape[1] == 1 ? target == scores
                                         : (target.dtype == DType::i64 || target.dtype == DType::i32) &&
                                               target.shape.elements() * scores.shape[1] == scores.shape.elements();
  require(fits, "counts of classes need a target for each vector of scores");
}

/// Rows of scores along axis 1, and their labels.
struct Rows {
  const RefTensor &scores, &target;
  AxisView view{scores.shape, 1};

  std::int64_t count() const { return view.outer * view.inner; }
  double score(std::int64_t row, std::int64_t c) const {
    return scores[(row / view.inner * view.extent + c) * view.inner + row % view.inner];
  }
  std::int64_t label(std::int64_t row) const {
    if (view.extent == 1) return target[row] > 0.5;
    const auto label = static_cast<std::int64_t>(target[row]);
    require(label >= 0 && label < view.extent, "a target is not the index of a class");
    return label;
  }
  bool has_nan(std::int64_t row) const {
    for (std::int64_t c = 0; c < view.extent; ++c) {
      if (std::isnan(score(row, c))) return true;
    }
    return false;
  }
};

class ClassCounts final : public Op {
 public:
  std::string_view name() const override { return "class_counts"; }
  Types infer(const Attributes&, InputTypes inputs) const override {
    expect_scores(name(), inputs);
    return {{DType::i64, {3, std::max<std::int64_t>(inputs[0]->shape[1], 2)}}};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const Rows rows{*inputs[0], *inputs[1]};
    const std::int64_t classes = outputs[0].shape[1];
    for (std::int64_t row = 0; row < rows.count(); ++row) {
      const std::int64_t label = rows.label(row);
      ++outputs[0][2 * classes + label];
      if (rows.has_nan(row)) continue;
      std::int64_t best = 0;
      if (rows.view.extent == 1) best = rows.score(row, 0) > as<ClassCountsAttributes>(attributes).threshold;
      for (std::int64_t c = 1; c < rows.view.extent; ++c) {
        if (rows.score(row, c) > rows.score(row, best)) best = c;
      }
      ++outputs[0][classes + best];
      if (best == label) ++outputs[0][label];
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }
};

class ScoreHistogram final : public Op {
 public:
  std::string_view name() const override { return "score_histogram"; }
  Types infer(const Attributes& attributes, InputTypes inputs) const override {
    expect_scores(name(), inputs);
    return {{DType::i64, {2, inputs[0]->shape[1], as<ScoreHistogramAttributes>(attributes).bins}}};
  }
  void reference(const Attributes& attributes, RefInputs inputs, RefOutputs outputs) const override {
    const Rows rows{*inputs[0], *inputs[1]};
    const std::int64_t classes = rows.view.extent, bins = as<ScoreHistogramAttributes>(attributes).bins;
    constexpr double limit = ScoreHistogramAttributes::limit;
    for (std::int64_t row = 0; row < rows.count(); ++row) {
      if (rows.has_nan(row)) continue;
      for (std::int64_t c = 0; c < classes; ++c) {
        const bool is = classes == 1 ? rows.label(row) == 1 : rows.label(row) == c;
        const double place = (std::clamp(log_odds(rows, row, c), -limit, limit) + limit) / (2.0 * limit);
        const std::int64_t bin = std::min(static_cast<std::int64_t>(place * static_cast<double>(bins)), bins - 1);
        ++outputs[0][((is ? classes : 0) + c) * bins + bin];
      }
    }
  }
  Cost cost(const Attributes&, InputTypes inputs, std::span<const TensorType> outputs) const override {
    return cost_with_flops(8.0 * static_cast<double>(inputs[0]->elements()), inputs, outputs);
  }

 private:
  static double log_odds(const Rows& rows, std::int64_t row, std::int64_t c) {
    if (rows.view.extent == 1) return rows.score(row, 0);
    double greatest = -HUGE_VAL;
    for (std::int64_t k = 0; k < rows.view.extent; ++k) {
      if (k != c) greatest = std::max(greatest, rows.score(row, k));
    }
    if (std::isinf(greatest)) return greatest > 0 ? -HUGE_VAL : HUGE_VAL;
    double others = 0.0;
    for (std::int64_t k = 0; k < rows.view.extent; ++k) {
      if (k != c) others += std::exp(rows.score(row, k) - greatest);
    }
    return rows.score(row, c) - greatest - std::log(others);
  }
};

const RegisterOp<ClassCounts> class_counts;
const RegisterOp<ScoreHistogram> score_histogram;

}  // namespace
}  // namespace trainctl
