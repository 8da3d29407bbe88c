#include "train/policies/epoch_table.h"

namespace trainctl {
namespace {

/// A table of values by epoch: that of the last entry reached, and v before the first.
struct Switch final : ValuePolicy {
  EpochTable values;

  static Schema<Switch> schema() {
    return Schema<Switch>("Set a parameter, at given epochs, to the values of a table.")
        .required("values", &Switch::values, non_empty(),
                  "Epochs, counted from 0 at the start, to values; each holds until the next.")
        .example("{type: switch, target: model.layers.2.p, values: {0: 0.5, 10: 0.2, 20: 0}}");
  }
  std::string settle(double base, const Schedule& schedule) override {
    const std::string disorder = not_increasing(values.times, schedule);
    return disorder.empty() ? ValuePolicy::settle(base, schedule) : "values: " + disorder;
  }

 protected:
  double curve(const Moment& now, double from) const override {
    const std::size_t reached = values.reached(now);
    return reached == 0 ? from : values.numbers[reached - 1];
  }
};
const Register<Policy, Switch> registered{"switch"};

}  // namespace
}  // namespace trainctl
