// What the pooling layers have in common.
#pragma once

#include "nn/functional.h"
#include "nn/layer.h"
#include "ops/pool2d.h"

namespace trainctl {

/// Windows over images, with PyTorch's parameters.
/// Shapes: x (N, C, H, W), y (N, C, OH, OW), OH = (H + 2 padding - kernel) / stride + 1, rounded down, or up with
///   ceil_mode.
struct Pool2d : Layer {
  Pair<std::int64_t> kernel_size{2, 2};
  std::optional<Pair<std::int64_t>> stride;
  Pair<std::int64_t> padding{0, 0};
  bool ceil_mode = false;

  void check(Diagnostics& diagnostics, const Node& node) const {
    if (2 * padding.first > kernel_size.first || 2 * padding.second > kernel_size.second)
      diagnostics.error(node, "'padding' must be at most half of 'kernel_size'.");
  }

 protected:
  template <typename T>
  static Schema<T> fields(const char* doc) {
    return Schema<T>(doc)
        .required("kernel_size", &Pool2d::kernel_size, at_least(1), "Height and width of the window.", unit("pixels"))
        .field("stride", &Pool2d::stride, at_least(1), "Step of the window; by default its size.", unit("pixels"))
        .field("padding", &Pool2d::padding, at_least(0), "Border around the image.", unit("pixels"))
        .field("ceil_mode", &Pool2d::ceil_mode, "Whether windows may reach over the bottom and right border.");
  }
  Pool2dAttributes attributes() const {
    const Pair<std::int64_t> step = stride.value_or(kernel_size);
    Pool2dAttributes attributes;
    attributes.kernel = {kernel_size.first, kernel_size.second};
    attributes.stride = {step.first, step.second};
    attributes.padding = {padding.first, padding.second};
    attributes.ceil_mode = ceil_mode;
    return attributes;
  }
};

/// x (N, C, H, W) pooled to (N, C, output...) by "max_pool2d" or "avg_pool2d"; `type` is the layer's in errors.
inline Value adaptive_pool(Builder& builder, std::string_view op, std::string_view type, Value x,
                           Pair<std::int64_t> output) {
  if (x.shape().rank() != 4) fail(ErrorKind::config, "{} needs images (N, C, H, W), got {}", type, x.shape().text());
  return builder.apply(
      op, nn::attributes(Pool2dAttributes::adaptive(x.dim(2), x.dim(3), {output.first, output.second})), {x})[0];
}

/// A window as large as the image.
struct GlobalPool2d : Layer {
  bool keepdim = true;

 protected:
  template <typename T>
  static Schema<T> fields(const char* doc) {
    return Schema<T>(doc).field("keepdim", &GlobalPool2d::keepdim,
                                "Whether the output stays an image (N, C, 1, 1), as PyTorch's; else it is (N, C).");
  }
  Values pool(Builder& builder, const Values& inputs, std::string_view op, std::string_view type) const {
    const Value x = only(inputs, type);
    if (x.shape().rank() != 4) fail(ErrorKind::config, "{} needs images (N, C, H, W), got {}", type, x.shape().text());
    Pool2dAttributes attributes;
    attributes.kernel = attributes.stride = {x.dim(2), x.dim(3)};
    const Value y = builder.apply(op, nn::attributes(attributes), {x})[0];
    return {keepdim ? y : nn::reshape(builder, y, {x.dim(0), x.dim(1)})};
  }
};

}  // namespace trainctl
