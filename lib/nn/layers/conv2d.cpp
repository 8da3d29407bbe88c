#include "ops/conv2d.h"

#include <variant>

#include "nn/functional.h"
#include "nn/init.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

enum class PaddingMode { same, valid };

}  // namespace

template <>
struct EnumNames<PaddingMode> {
  static constexpr EnumName<PaddingMode> names[] = {{PaddingMode::same, "same"}, {PaddingMode::valid, "valid"}};
};

namespace {

/// Two-dimensional convolution (cross-correlation).
///   y[n,o,i,j] = b[o] + sum_{c,r,s} x[n, c, i*stride + r*dilation - padding, j*stride + s*dilation - padding]
///   w[o,c,r,s]
/// Shapes: x (N, C, H, W), y (N, O, OH, OW), OH = (H + 2 padding - dilation (KH - 1) - 1) / stride + 1;
///   weight (O, C / groups, KH, KW), bias (O); O = out_channels, C from the input.
struct Conv2d final : Layer {
  using Size = Pair<std::int64_t>;
  std::int64_t out_channels = 1;
  Size kernel_size{1, 1};
  Size stride{1, 1};
  std::variant<Size, PaddingMode> padding = Size{0, 0};
  Size dilation{1, 1};
  std::int64_t groups = 1;
  bool bias = true;
  Component<Initializer> weight_init{"default"};
  Component<Initializer> bias_init{"default"};

  static Schema<Conv2d> schema() {
    return Schema<Conv2d>("Slide filters over an image.")
        .required("out_channels", &Conv2d::out_channels, at_least(1), "Number of filters.")
        .required("kernel_size", &Conv2d::kernel_size, at_least(1), "Height and width of a filter.", unit("pixels"))
        .field("stride", &Conv2d::stride, at_least(1), "Step of the window.", unit("pixels"))
        .field("padding", &Conv2d::padding, at_least(0),
               "Zeros around the image; `same` keeps its size (stride 1; the odd one goes to the bottom and right), "
               "`valid` is 0.")
        .field("dilation", &Conv2d::dilation, at_least(1), "Distance between a filter's taps.", unit("pixels"))
        .field("groups", &Conv2d::groups, at_least(1),
               "Groups of channels that see only their own; as many as channels makes it depthwise.")
        .field("bias", &Conv2d::bias, "Whether to add b; not needed before a batch_norm.")
        .field("weight_init", &Conv2d::weight_init, "What the filters start from.")
        .field("bias_init", &Conv2d::bias_init, "What the bias starts from.")
        .example("{type: conv2d, out_channels: 32, kernel_size: 3, padding: same}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (same() && stride != Size{1, 1}) diagnostics.error(node, "padding 'same' needs stride 1: give it as a number.");
    if (out_channels % groups != 0)
      diagnostics.error(node, fmt::format("{} out_channels cannot be divided into {} groups.", out_channels, groups));
  }

  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "conv2d");
    if (x.shape().rank() != 4) fail(ErrorKind::config, "conv2d needs images (N, C, H, W), got {}", x.shape().text());
    if (x.dim(1) % groups != 0)
      fail(ErrorKind::config, "the input's {} channels cannot be divided into {} groups", x.dim(1), groups);
    const Shape shape{out_channels, x.dim(1) / groups, kernel_size.first, kernel_size.second};
    const Fans fans = Fans::of(shape);
    const Value w = b.parameter("weight", shape, weight_init->init(fans));
    const Value beta = bias ? b.parameter("bias", {out_channels}, bias_init->init(fans)) : Value();
    Conv2dAttributes attributes;
    attributes.stride = {stride.first, stride.second};
    attributes.dilation = {dilation.first, dilation.second};
    attributes.padding = borders();
    attributes.groups = groups;
    attributes.bias = bias;
    return {b.apply1("conv2d", nn::attributes(attributes), {x, w, beta})};
  }

 private:
  bool same() const { return padding == std::variant<Size, PaddingMode>(PaddingMode::same); }

  /// Top, left, bottom, right.
  std::array<std::int64_t, 4> borders() const {
    if (const Size* size = std::get_if<Size>(&padding)) return {size->first, size->second, size->first, size->second};
    if (!same()) return {};
    const std::int64_t height = dilation.first * (kernel_size.first - 1);
    const std::int64_t width = dilation.second * (kernel_size.second - 1);
    return {height / 2, width / 2, height - height / 2, width - width / 2};
  }
};

const Register<Layer, Conv2d> registered{"conv2d"};

}  // namespace
}  // namespace trainctl
