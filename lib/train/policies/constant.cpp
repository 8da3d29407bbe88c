#include "train/policy.h"

namespace trainctl {
namespace {

/// A parameter at a fixed value.
///   value(s) = v, or v (s + 1) / w for s < w, the warm-up's steps
struct Constant final : Policy {
  std::string target_path;
  std::optional<double> fixed;
  Progress warmup{0.0, Progress::Unit::epochs};

  static Schema<Constant> schema() {
    return Schema<Constant>("Keep a parameter at one value, after a linear warm-up if one is given.")
        .required("target", &Constant::target_path, non_empty(), "Spec path of a live parameter.")
        .field("value", &Constant::fixed, "The value; by default the parameter's own.", resume(Resume::forced))
        .field("warmup", &Constant::warmup, "Length of a linear rise from zero.", resume(Resume::forced))
        .example("{type: constant, target: optimizer.lr, warmup: 1 epoch}");
  }
  std::string_view target() const override { return target_path; }
  double value(std::int64_t step, double base, const Schedule& schedule) const override {
    const double full = fixed.value_or(base);
    const std::int64_t rise = schedule.steps(warmup);
    return step < rise ? warmed_up(step, rise, full) : full;
  }
};
const Register<Policy, Constant> registered{"constant"};

}  // namespace
}  // namespace trainctl
