#include <algorithm>

#include "train/average.h"

namespace trainctl {
namespace {

/// Exponential moving average, which Polyak & Juditsky (1992) averaging has become in deep learning. The first time it
/// is the weights w, and from then on
///   average = d average + (1 - d) w
/// with d = decay, or with `warmup` d = min(decay, (1 + n) / (10 + n)) the n-th time, n from 1 after the first.
struct Ema final : Average {
  double decay = 0.999;
  bool warmup = false;

  static Schema<Ema> schema() {
    return Schema<Ema>("Follow the weights slowly: an exponential moving average.")
        .field("decay", &Ema::decay, at_least(0.0), below(1.0), resume(Resume::forced),
               "What stays of the average each time.")
        .field(
            "warmup", &Ema::warmup, resume(Resume::forced),
            "Whether the decay is at most (1 + n) / (10 + n) the n-th time, so that early weights are soon forgotten.")
        .field("start", &Ema::start, resume(Resume::forced), "When it begins; until then it is the model itself.")
        .example("{type: ema, decay: 0.9995, warmup: true}");
  }

 protected:
  double share(std::int64_t n) const override {
    const auto count = static_cast<double>(n);
    return 1.0 - (warmup ? std::min(decay, (1.0 + count) / (10.0 + count)) : decay);
  }
};

const Register<Average, Ema> registered{"ema"};

}  // namespace
}  // namespace trainctl
