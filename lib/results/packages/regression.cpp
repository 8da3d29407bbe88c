#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "results/package.h"

namespace trainctl {
namespace {

/// Errors e = output - target of D values for each sample, streamed. Values are means over the D, as scikit-learn's.
class RegressionTally final : public Tally {
 public:
  explicit RegressionTally(std::size_t width) : of_(width) {}

  void add(const Predictions& some) override {
    for (std::size_t i = 0; i < static_cast<std::size_t>(some.samples); ++i) {
      ++samples_;
      for (std::size_t d = 0; d < of_.size(); ++d)
        of_[d].add(some.outputs[i * of_.size() + d], some.targets[i * of_.size() + d], samples_);
      keep(some.outputs[i * of_.size()], some.targets[i * of_.size()]);
    }
  }

  Findings finish() const override {
    Findings found;
    double mse = 0.0, rmse = 0.0, mae = 0.0, r2 = 0.0, greatest = 0.0;
    ResultTable table{"outputs", {"mse", "rmse", "mae", "r2", "max_error"}, {}, {}};
    const auto n = static_cast<double>(samples_), width = static_cast<double>(of_.size());
    for (std::size_t d = 0; d < of_.size(); ++d) {
      const Sums& sums = of_[d];
      const double own = sums.squares / n, own_r2 = sums.r2(samples_);
      table.rows.push_back(std::to_string(d));
      table.cells.insert(table.cells.end(), {own, std::sqrt(own), sums.absolute / n, own_r2, sums.greatest});
      mse += own / width;
      rmse += std::sqrt(own) / width;
      mae += sums.absolute / n / width;
      r2 += own_r2 / width;
      greatest = std::max(greatest, sums.greatest);
    }
    if (!std::isfinite(mse)) greatest = NAN;
    const auto tell = [&](const char* name, double value, const char* reason) {
      if (samples_ == 0) value = NAN, reason = "there are no samples";
      if (samples_ > 0 && !std::isfinite(mse)) value = NAN, reason = "there are values that are not finite";
      found.values.push_back({name, value, std::isnan(value) ? reason : ""});
    };
    tell("mse", mse, "");
    tell("rmse", rmse, "");
    tell("mae", mae, "");
    tell("r2", r2, "it takes two samples");
    tell("max_error", greatest, "");
    if (of_.size() > 1 && of_.size() <= most_rows) found.tables.push_back(std::move(table));
    Panel residuals{"prediction", "residual (prediction - target)", {{"samples", points_, true}}};
    std::ranges::sort(residuals.curves[0].points, {}, &Curve::Point::x);
    if (samples_ > 0) found.plots.emplace_back("residuals", std::move(residuals));
    return found;
  }

 private:
  struct Sums {
    double squares = 0.0, absolute = 0.0, greatest = 0.0;
    double mean = 0.0, spread = 0.0;  ///< of the targets: mean, and sum of squared distances from it (Welford, 1962)
    void add(double output, double target, std::int64_t n) {
      const double error = output - target;
      squares += error * error;
      absolute += std::abs(error);
      greatest = std::max(greatest, std::abs(error));
      const double from_old = target - mean;
      mean += from_old / static_cast<double>(n);
      spread += from_old * (target - mean);
    }
    /// 1 - sum e^2 / sum (target - mean)^2; where targets are all the same, 1 without errors and 0 with.
    double r2(std::int64_t n) const {
      if (n < 2) return NAN;
      if (spread == 0.0) return squares == 0.0 ? 1.0 : 0.0;
      return 1.0 - squares / spread;
    }
  };

  /// Every so many samples' first value, for the plot: twice as far apart each time that there are too many.
  void keep(double output, double target) {
    if ((samples_ - 1) % apart_ != 0) return;
    points_.push_back({output, output - target});
    if (points_.size() < most_points) return;
    for (std::size_t i = 0; i < points_.size() / 2; ++i) points_[i] = points_[2 * i];
    points_.resize(points_.size() / 2);
    apart_ *= 2;
  }

  static constexpr std::size_t most_points = 4000, most_rows = 1000;
  std::vector<Sums> of_;
  std::vector<Curve::Point> points_;
  std::int64_t samples_ = 0, apart_ = 1;
};

/// Values for each sample: what the tally above tells.
struct Regression final : ResultPackage {
  static Schema<Regression> schema() {
    return Schema<Regression>(
               "Values for each sample: MSE, RMSE, MAE, R2 and the greatest error, as means over the outputs, and of "
               "each output where there are several; a plot of residuals.")
        .example("regression");
  }
  std::unique_ptr<Tally> begin(const PredictionInfo& info) const override {
    if (info.output.elements() != info.target.elements() || info.output.elements() == 0) {
      fail(ErrorKind::config,
           "regression takes as many values as targets; here the outputs are {} and the targets {} for each sample",
           info.output.text(), info.target.text());
    }
    return std::make_unique<RegressionTally>(static_cast<std::size_t>(info.output.elements()));
  }
};

const Register<ResultPackage, Regression> registered{"regression"};

}  // namespace
}  // namespace trainctl
