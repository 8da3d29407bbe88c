#include "train/average.h"

namespace trainctl {
namespace {

/// Stochastic weight averaging (Izmailov et al., 2018): the mean of the weights at `start`, `start + every`, ... With n
/// of them in it, the next has the share 1 / (n + 1). Running statistics of the model do not fit the mean of its
/// weights, so they are computed anew.
struct Swa final : Average {
  Swa() {
    every = {1.0, Progress::Unit::epochs};
    buffers = AverageBuffers::refresh;
  }

  static Schema<Swa> schema() {
    return Schema<Swa>("The mean of the weights at regular times in the last part of training.")
        .required("start", &Swa::start, resume(Resume::forced),
                  "When the first weights are taken up; until then it is the model itself.")
        .example("{type: swa, start: 8 epochs, every: 1 epoch}");
  }

 protected:
  double share(std::int64_t n) const override { return 1.0 / static_cast<double>(n + 1); }
};

const Register<Average, Swa> registered{"swa"};

}  // namespace
}  // namespace trainctl
