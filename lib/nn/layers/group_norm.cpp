#include "nn/layers/channel_groups.h"

namespace trainctl {
namespace {

/// Normalisation of groups of neighbouring channels of each sample (Wu & He, 2018).
///   y = weight (x - mean) / sqrt(var + eps) + bias, mean and var (biased) over the channels and places of a group
/// Shapes: x, y (N, C, ...); weight, bias (C).
struct GroupNorm final : ChannelGroupsNorm {
  std::int64_t num_groups = 1;

  GroupNorm() { affine = true; }
  static Schema<GroupNorm> schema() {
    return Schema<GroupNorm>(
               "Give each sample's groups of channels mean 0 and variance 1, then scale and shift channels.")
        .required("num_groups", &GroupNorm::num_groups, at_least(1), "Number of groups; 1 takes all channels together.")
        .field("eps", &GroupNorm::eps, above(0.0), "Added to the variance before the root.")
        .field("affine", &GroupNorm::affine, "Whether to learn a scale and a shift.")
        .example("{type: group_norm, num_groups: 8}");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "group_norm");
    if (x.shape().rank() < 2) fail(ErrorKind::config, "group_norm needs (N, C, ...), got {}", x.shape().text());
    if (x.dim(1) % num_groups != 0)
      fail(ErrorKind::config, "the input's {} channels cannot be divided into {} groups", x.dim(1), num_groups);
    return {normalize(b, x, num_groups)};
  }
};

const Register<Layer, GroupNorm> registered{"group_norm"};

}  // namespace
}  // namespace trainctl
