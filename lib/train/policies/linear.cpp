#include "train/value_policy.h"

namespace trainctl {
namespace {

/// A straight line. At share p of the way from start v:
///   v + (end - v) p
/// It is at `end` when the way is done and stays there.
struct Linear final : ValuePolicy {
  double end = 0.0;

  static Schema<Linear> schema() {
    return Schema<Linear>("Bring a parameter to its last value along a straight line.")
        .required("end", &Linear::end, "Value at the end.")
        .example("{type: linear, target: optimizer.weight_decay, start: 0, end: 1e-4, over: 5 epochs}");
  }

 protected:
  double curve(const Moment& now, double from) const override {
    return now.at >= now.length ? end : from + (end - from) * now.progress();
  }
};
const Register<Policy, Linear> registered{"linear"};

}  // namespace
}  // namespace trainctl
