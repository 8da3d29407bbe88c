#include "train/policies/epoch_table.h"

namespace trainctl {
namespace {

/// A table of multipliers by epoch. From the epoch of an entry on, the value is multiplied by it:
///   v m_1 ... m_k   when k entries are reached
struct MultiplierTable final : ValuePolicy {
  EpochTable multipliers;

  static Schema<MultiplierTable> schema() {
    return Schema<MultiplierTable>("Multiply a parameter, at given epochs, by the factors of a table.")
        .required("multipliers", &MultiplierTable::multipliers, non_empty(), at_least(0.0),
                  "Epochs, counted from 0 at the start, to factors; each holds from there on.")
        .example("{type: schedule, target: optimizer.lr, multipliers: {10: 0.5, 20: 0.1}}");
  }
  std::string settle(double base, const Schedule& schedule) override {
    const std::string disorder = not_increasing(multipliers.times, schedule);
    return disorder.empty() ? ValuePolicy::settle(base, schedule) : "multipliers: " + disorder;
  }

 protected:
  double curve(const Moment& now, double from) const override {
    const std::size_t reached = multipliers.reached(now);
    for (std::size_t i = 0; i < reached; ++i) from *= multipliers.numbers[i];
    return from;
  }
};
const Register<Policy, MultiplierTable> registered{"schedule"};

}  // namespace
}  // namespace trainctl
