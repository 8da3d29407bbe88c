#include "nn/layers/channel_groups.h"

namespace trainctl {
namespace {

/// Normalisation of each channel of each sample (Ulyanov, Vedaldi & Lempitsky, 2016), the same in training and
/// evaluation.
///   y = weight (x - mean) / sqrt(var + eps) + bias, mean and var (biased) over the places of a channel
/// Shapes: x, y (N, C, ...) of at least three axes; weight, bias (C), with `affine` only.
struct InstanceNorm final : ChannelGroupsNorm {
  static Schema<InstanceNorm> schema() {
    return Schema<InstanceNorm>("Give each channel of each sample mean 0 and variance 1.")
        .field("eps", &InstanceNorm::eps, above(0.0), "Added to the variance before the root.")
        .field("affine", &InstanceNorm::affine, "Whether to learn a scale and a shift.")
        .example("{type: instance_norm, affine: true}");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "instance_norm");
    if (x.shape().rank() < 3) fail(ErrorKind::config, "instance_norm needs (N, C, L, ...), got {}", x.shape().text());
    return {normalize(b, x, x.dim(1))};
  }
};

const Register<Layer, InstanceNorm> registered{"instance_norm"};

}  // namespace
}  // namespace trainctl
