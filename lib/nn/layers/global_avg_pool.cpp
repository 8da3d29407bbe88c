#include "nn/layers/pooling.h"

namespace trainctl {
namespace {

/// y[n,c] = the mean of x[n,c,:,:], whatever the image's size (Lin, Chen & Yan, 2014).
struct GlobalAvgPool final : GlobalPool2d {
  static Schema<GlobalAvgPool> schema() {
    return fields<GlobalAvgPool>("Mean of each channel's image.").example("global_avg_pool");
  }
  Values build(Builder& b, const Values& in) const override { return pool(b, in, "avg_pool2d", "global_avg_pool"); }
};

const Register<Layer, GlobalAvgPool> registered{"global_avg_pool"};

}  // namespace
}  // namespace trainctl
