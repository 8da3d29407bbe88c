#include "nn/layers/pooling.h"

namespace trainctl {
namespace {

/// y = the mean of each window.
struct AvgPool2d final : Pool2d {
  bool count_include_pad = true;

  static Schema<AvgPool2d> schema() {
    return fields<AvgPool2d>("Mean of each window.")
        .field("count_include_pad", &AvgPool2d::count_include_pad,
               "Whether padding counts as zeros; else it does not count at all.")
        .example("{type: avg_pool2d, kernel_size: 3, stride: 2, padding: 1}");
  }
  Values build(Builder& b, const Values& in) const override {
    Pool2dAttributes mean = attributes();
    mean.count_include_pad = count_include_pad;
    return {b.apply1("avg_pool2d", nn::attributes(mean), {only(in, "avg_pool2d")})};
  }
};

const Register<Layer, AvgPool2d> registered{"avg_pool2d"};

}  // namespace
}  // namespace trainctl
