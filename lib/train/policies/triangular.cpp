#include <cmath>

#include "train/value_policy.h"

namespace trainctl {
namespace {

/// Cyclical values (Smith, 2017), as PyTorch's CyclicLR: up from min to max in step_size_up, down in step_size_down. At
/// count n, where the triangle of height 1 stands at h and c (from 0) is the cycle:
///   min + (max - min) h gamma^n          triangular (with gamma < 1 also known as exp_range)
///   min + (max - min) h gamma^n / 2^c    triangular2
template <bool halving>
struct Triangular final : ValuePolicy {
  double max = 0.0;
  Progress step_size_up{2000.0, Progress::Unit::steps};
  std::optional<Progress> step_size_down;
  double gamma = 1.0;

  static constexpr const char* start_name = "min";
  static constexpr const char* start_doc = "The value at the foot; by default the parameter's own.";
  static Schema<Triangular> schema() {
    return Schema<Triangular>(halving ? "Move a parameter up and down along triangles, each half as high as the last."
                                      : "Move a parameter up and down along triangles.")
        .required("max", &Triangular::max, "The value at the top of the first triangle.")
        .field("step_size_up", &Triangular::step_size_up, "Length of the way up.")
        .field("step_size_down", &Triangular::step_size_down, "Length of the way down; by default that of the way up.")
        .field("gamma", &Triangular::gamma, above(0.0), "Factor of the height with each step, or epoch by interval.")
        .example(halving ? "{type: triangular2, target: optimizer.lr, min: 1e-3, max: 0.1, step_size_up: 4 epochs}"
                         : "{type: triangular, target: optimizer.lr, min: 1e-3, max: 0.1, step_size_up: 4 epochs}")
        .check([](const Triangular& self, Diagnostics& diagnostics, const Node& node) {
          refuse_zero(self.step_size_up, "step_size_up", diagnostics, node);
        });
  }

 protected:
  double curve(const Moment& now, double min) const override {
    const double up = now.count(step_size_up), total = up + now.count(step_size_down.value_or(step_size_up));
    const double cycle = std::floor(now.at / total), way = now.at / total - cycle, top = up / total;
    const double height = way <= top ? way / top : (1.0 - way) / (1.0 - top);
    return min + (max - min) * height * std::pow(gamma, now.at) * (halving ? std::pow(0.5, cycle) : 1.0);
  }
};
const Register<Policy, Triangular<false>> triangular{"triangular"};
const Register<Policy, Triangular<true>> triangular2{"triangular2"};

}  // namespace
}  // namespace trainctl
