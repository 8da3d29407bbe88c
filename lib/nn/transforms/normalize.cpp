#include "nn/functional.h"
#include "nn/transform.h"

namespace trainctl {
namespace {

/// y = (x - mean[c]) / std[c], c along axis 1.
struct Normalize final : Transform {
  std::vector<double> mean;
  std::vector<double> std;

  static Schema<Normalize> schema() {
    return Schema<Normalize>("Subtract the mean and divide by the standard deviation.")
        .required("mean", &Normalize::mean, non_empty(),
                  "One number, or one for each channel. Images are between 0 and 1 before it.")
        .required("std", &Normalize::std, above(0.0), non_empty(), "One number, or one for each channel.")
        .example("{type: normalize, mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616]}");
  }
  Value build(Builder& b, Value x) const override {
    expect_channels("mean", mean, x);
    expect_channels("std", std, x);
    NormalizeAttributes attributes;
    attributes.mean = mean;
    attributes.deviation = std;
    return b.apply1("normalize", nn::attributes(attributes), {x});
  }

 private:
  static void expect_channels(const char* what, const std::vector<double>& numbers, Value x) {
    const bool one_each = x.shape().rank() > 1 && static_cast<std::int64_t>(numbers.size()) == x.dim(1);
    if (numbers.size() == 1 || one_each) return;
    fail(ErrorKind::config,
         "normalize has {} numbers in '{}', and axis 1 of {} has another extent; give one, or one "
         "for each channel",
         numbers.size(), what, x.shape().text());
  }
};

const Register<Transform, Normalize> registered{"normalize"};

}  // namespace
}  // namespace trainctl
