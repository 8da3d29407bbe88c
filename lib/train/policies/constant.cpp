#include "train/value_policy.h"

namespace trainctl {
namespace {

/// A parameter at a fixed value v, after a warm-up if one is given.
struct Constant final : ValuePolicy {
  static constexpr const char* start_name = "value";
  static constexpr const char* start_doc = "The value; by default the parameter's own.";
  static Schema<Constant> schema() {
    return Schema<Constant>("Keep a parameter at one value, after a warm-up if one is given.")
        .example("{type: constant, target: optimizer.lr, warmup: 1 epoch}");
  }

 protected:
  double curve(const Moment&, double value) const override { return value; }
};
const Register<Policy, Constant> registered{"constant"};

}  // namespace
}  // namespace trainctl
