#include <algorithm>
#include <cmath>
#include <limits>

#include "train/value_policy.h"

namespace trainctl {
namespace {

/// Growth or decay by a factor m per interval e, from the initial value v on, within bounds. At count n:
///   v m^floor(n / e), or v m^(n / e) if it is continuous
/// so the first interval has v itself, the second v m.
struct Exponential final : ValuePolicy {
  double multiplier = 0.9;
  Progress every{1.0, Progress::Unit::epochs};
  bool continuous = false;
  std::optional<double> min;
  std::optional<double> max;

  static constexpr const char* start_name = "initial";
  static constexpr const char* start_doc = "v: the value of the first interval; by default the parameter's own.";
  static Schema<Exponential> schema() {
    return Schema<Exponential>("Multiply a parameter by a factor, interval by interval.")
        .required("multiplier", &Exponential::multiplier, above(0.0), "m: the factor.")
        .field("every", &Exponential::every, "e: the interval.")
        .field("continuous", &Exponential::continuous, "Whether the value changes within an interval too.")
        .field("min", &Exponential::min, "Lower bound of the value.")
        .field("max", &Exponential::max, "Upper bound of the value.")
        .example("{type: exponential, target: optimizer.lr, initial: 0.1, multiplier: 0.5, every: 5 epochs, min: 1e-4}")
        .check([](const Exponential& self, Diagnostics& diagnostics, const Node& node) {
          refuse_zero(self.every, "every", diagnostics, node);
          if (self.min && self.max && *self.min > *self.max)
            diagnostics.error(node, fmt::format("'min' ({}) is above 'max' ({}); swap them.", *self.min, *self.max));
        });
  }

 protected:
  double curve(const Moment& now, double from) const override {
    const double power = now.at / now.count(every);
    const double value = from * std::pow(multiplier, continuous ? power : std::floor(power));
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return std::clamp(value, min.value_or(-infinity), max.value_or(infinity));
  }
  double first(double from) const override {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return std::clamp(from, min.value_or(-infinity), max.value_or(infinity));
  }
};
const Register<Policy, Exponential> registered{"exponential"};

}  // namespace
}  // namespace trainctl
