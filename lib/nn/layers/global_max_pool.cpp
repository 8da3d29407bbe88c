#include "nn/layers/pooling.h"

namespace trainctl {
namespace {

/// y[n,c] = the maximum of x[n,c,:,:], whatever the image's size.
struct GlobalMaxPool final : GlobalPool2d {
  static Schema<GlobalMaxPool> schema() {
    return fields<GlobalMaxPool>("Maximum of each channel's image.").example("global_max_pool");
  }
  Values build(Builder& b, const Values& in) const override { return pool(b, in, "max_pool2d", "global_max_pool"); }
};

const Register<Layer, GlobalMaxPool> registered{"global_max_pool"};

}  // namespace
}  // namespace trainctl
