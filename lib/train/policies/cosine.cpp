#include <algorithm>
#include <cmath>
#include <numbers>

#include "train/policy.h"

namespace trainctl {
namespace {

/// Cosine annealing (Loshchilov & Hutter, 2017) after a linear warm-up. With w warm-up steps, T steps in all and base
/// value v:
///   value(s) = v (s + 1) / w                                                 for s < w
///   value(s) = final + (v - final) (1 + cos(pi (s - w) / (T - w))) / 2       for w <= s < T
///   value(s) = final                                                         for s >= T
struct Cosine final : Policy {
  std::string target_path;
  Progress warmup{0.0, Progress::Unit::epochs};
  double final_value = 0.0;
  std::optional<Progress> over;

  static Schema<Cosine> schema() {
    return Schema<Cosine>("Lower a parameter along half a cosine, after a linear warm-up.")
        .required("target", &Cosine::target_path, non_empty(), "Spec path of a live parameter.")
        .field("warmup", &Cosine::warmup, "Length of a linear rise from zero.", resume(Resume::forced))
        .field("final", &Cosine::final_value, "Value at the end.", resume(Resume::forced))
        .field("over", &Cosine::over, "When the end is reached, warm-up included; by default trainer.max.",
               resume(Resume::forced))
        .example("{type: cosine, target: optimizer.lr, warmup: 1 epoch, final: 0}");
  }
  std::string_view target() const override { return target_path; }
  double value(std::int64_t step, double base, const Schedule& schedule) const override {
    const std::int64_t rise = schedule.steps(warmup);
    if (step < rise) return warmed_up(step, rise, base);
    const std::int64_t end = over ? schedule.steps(*over) : schedule.total_steps;
    if (step >= end) return final_value;
    const double at = static_cast<double>(step - rise) / static_cast<double>(end - rise);
    return final_value + (base - final_value) * 0.5 * (1.0 + std::cos(std::numbers::pi * at));
  }
};
const Register<Policy, Cosine> registered{"cosine"};

}  // namespace
}  // namespace trainctl
