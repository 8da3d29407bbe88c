#include <cmath>

#include "train/value_policy.h"

namespace trainctl {
namespace {

/// Decay by a factor at given times, as PyTorch's MultiStepLR. When k milestones are reached:
///   v gamma^k
/// Milestones count from the start, warm-up included.
struct MultiStep final : ValuePolicy {
  std::vector<Progress> milestones;
  double gamma = 0.1;

  static Schema<MultiStep> schema() {
    return Schema<MultiStep>("Multiply a parameter by a factor at given times.")
        .required("milestones", &MultiStep::milestones, non_empty(), "The times, counted from the start.")
        .field("gamma", &MultiStep::gamma, above(0.0), "Factor.")
        .example("{type: multi_step, target: optimizer.lr, milestones: [30 epochs, 60 epochs], gamma: 0.1}")
        .check([](const MultiStep& self, Diagnostics& diagnostics, const Node& node) {
          const Node& list = *node.find("milestones");
          std::vector<Source> places;
          for (std::size_t i = 0; i < self.milestones.size(); ++i)
            places.push_back(list.is_list() ? list.items()[i].source() : list.source());
          const Diagnostics::Scope scope(diagnostics, "milestones");
          check_increasing(self.milestones, places, diagnostics);
        });
  }
  std::string settle(double base, const Schedule& schedule) override {
    const std::string disorder = not_increasing(milestones, schedule);
    return disorder.empty() ? ValuePolicy::settle(base, schedule) : "milestones: " + disorder;
  }

 protected:
  double curve(const Moment& now, double from) const override {
    double reached = 0.0;
    for (const Progress& milestone : milestones) reached += now.count(milestone) <= now.elapsed;
    return from * std::pow(gamma, reached);
  }
};
const Register<Policy, MultiStep> registered{"multi_step"};

}  // namespace
}  // namespace trainctl
