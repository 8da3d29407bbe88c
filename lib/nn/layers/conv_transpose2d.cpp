#include "nn/functional.h"
#include "nn/init.h"
#include "nn/layer.h"
#include "ops/conv2d.h"

namespace trainctl {
namespace {

/// Transposed convolution: conv2d's gradient with respect to its input, as a layer (Zeiler et al., 2010).
///   y[n, o, i*stride + r*dilation - padding, j*stride + s*dilation - padding] += sum_c x[n,c,i,j] w[c,o,r,s];  y += b
/// Shapes: x (N, C, H, W), y (N, O, OH, OW), OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1;
///   weight (C, O / groups, KH, KW), bias (O); O = out_channels, C from the input.
struct ConvTranspose2d final : Layer {
  using Size = Pair<std::int64_t>;
  std::int64_t out_channels = 1;
  Size kernel_size{1, 1};
  Size stride{1, 1};
  Size padding{0, 0};
  Size output_padding{0, 0};
  Size dilation{1, 1};
  std::int64_t groups = 1;
  bool bias = true;
  Component<Initializer> weight_init{"default"};
  Component<Initializer> bias_init{"default"};

  static Schema<ConvTranspose2d> schema() {
    return Schema<ConvTranspose2d>("Spread filters over a larger image.")
        .required("out_channels", &ConvTranspose2d::out_channels, at_least(1), "Number of channels of the output.")
        .required("kernel_size", &ConvTranspose2d::kernel_size, at_least(1), "Height and width of a filter.",
                  unit("pixels"))
        .field("stride", &ConvTranspose2d::stride, at_least(1), "By how much the image grows.", unit("pixels"))
        .field("padding", &ConvTranspose2d::padding, at_least(0), "Pixels that each side of the output loses.",
               unit("pixels"))
        .field("output_padding", &ConvTranspose2d::output_padding, at_least(0),
               "Pixels that the output has more at the bottom and right; below the stride or the dilation.",
               unit("pixels"))
        .field("dilation", &ConvTranspose2d::dilation, at_least(1), "Distance between a filter's taps.", unit("pixels"))
        .field("groups", &ConvTranspose2d::groups, at_least(1), "Groups of channels that see only their own.")
        .field("bias", &ConvTranspose2d::bias, "Whether to add b; not needed before a batch_norm.")
        .field("weight_init", &ConvTranspose2d::weight_init, "What the filters start from.")
        .field("bias_init", &ConvTranspose2d::bias_init, "What the bias starts from.")
        .example("{type: conv_transpose2d, out_channels: 16, kernel_size: 4, stride: 2, padding: 1}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (out_channels % groups != 0)
      diagnostics.error(node, fmt::format("{} out_channels cannot be divided into {} groups.", out_channels, groups));
    if (output_padding.first >= std::max(stride.first, dilation.first) ||
        output_padding.second >= std::max(stride.second, dilation.second))
      diagnostics.error(node, "'output_padding' must be smaller than 'stride' or 'dilation'.");
  }

  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "conv_transpose2d");
    if (x.shape().rank() != 4)
      fail(ErrorKind::config, "conv_transpose2d needs images (N, C, H, W), got {}", x.shape().text());
    if (x.dim(1) % groups != 0)
      fail(ErrorKind::config, "the input's {} channels cannot be divided into {} groups", x.dim(1), groups);
    const Shape shape{x.dim(1), out_channels / groups, kernel_size.first, kernel_size.second};
    const Fans fans = Fans::of(shape);
    const Value w = b.parameter("weight", shape, weight_init->init(fans));
    Conv2dAttributes attributes;
    attributes.stride = {stride.first, stride.second};
    attributes.dilation = {dilation.first, dilation.second};
    attributes.padding = {padding.first, padding.second, padding.first, padding.second};
    attributes.groups = groups;
    attributes.bias = false;
    attributes.input_shape = {x.dim(0), out_channels, extent(x.dim(2), &Size::first), extent(x.dim(3), &Size::second)};
    const Value y = b.apply1("conv2d_backward_data", nn::attributes(attributes), {x, w});
    if (!bias) return {y};
    const TensorType channels{DType::f32, {out_channels}};
    const Value beta = b.parameter("bias", channels.shape, bias_init->init(fans));
    return {b.apply1("channel_affine", nullptr, {y, b.graph().constant(channels, {1.0}), beta})};
  }

 private:
  std::int64_t extent(std::int64_t from, std::int64_t Size::*axis) const {
    const std::int64_t result = (from - 1) * stride.*axis - 2 * padding.*axis +
                                dilation.*axis * (kernel_size.*axis - 1) + output_padding.*axis + 1;
    if (result < 1)
      fail(ErrorKind::config, "an extent of {} pixels becomes {}; take less padding or a larger kernel_size", from,
           result);
    return result;
  }
};

const Register<Layer, ConvTranspose2d> registered{"conv_transpose2d"};

}  // namespace
}  // namespace trainctl
